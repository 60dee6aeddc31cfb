//! `trunkline openapi`

use std::process::ExitCode;

use super::print_json;
use crate::http::openapi::specification;

/// Prints the OpenAPI document.
pub fn run() -> anyhow::Result<ExitCode> {
    print_json(&specification())?;
    Ok(ExitCode::SUCCESS)
}
