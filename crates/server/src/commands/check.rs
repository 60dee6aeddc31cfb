//! `trunkline check`

use std::process::ExitCode;

use super::{print, print_json, refuse_configuration};
use crate::cli::{Check, Installation};
use crate::config::{self, Config};

/// Reports every problem of the configuration, or prints its schema.
pub fn run(at: &Installation, options: &Check) -> anyhow::Result<ExitCode> {
    if options.schema {
        print_json(&config::schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = at.config();
    let path = path.as_deref();
    match Config::load(path, &config::process_environment) {
        Ok(_) if options.json => print_json(&serde_json::json!({ "problems": [] }))?,
        Ok(_) => match path {
            Some(path) => print(format_args!("{} is valid", path.display())),
            None => print("there is no trunkline.yaml; the built-in configuration is used"),
        },
        Err(problems) if options.json => {
            print_json(&serde_json::json!({ "problems": problems }))?;
            return Ok(ExitCode::from(super::USAGE));
        }
        Err(problems) => return Ok(refuse_configuration(&problems)),
    }
    Ok(ExitCode::SUCCESS)
}
