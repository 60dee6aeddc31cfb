//! `shared`: where replicas share what is not durable.

use fleet::{InvalidLocation, Location};
use serde_json::{Value, json};

use super::scalar::{Misfit, Scalar};

impl Scalar for Location {
    const EXPECTED: &'static str = "shared state such as `redis://127.0.0.1:6379`";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse()
            .map_err(|error: InvalidLocation| Misfit::because(error.to_string()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^((redis|valkey)(s|\\+unix)?://|file:)" })
    }
}
