//! `Converse`: one format for every model.

mod content;
mod model;
mod reply;
mod request;
mod shape;
mod structures;
mod turns;

use serde_json::Value;

use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::vendor::{Ask, Failure, Format, Reply};

/// The format of `Converse` and `ConverseStream`.
pub(crate) struct Converse;

impl Format for Converse {
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure> {
        request::read(ask)
    }

    fn whole(&self, reply: &Reply<'_>) -> Value {
        reply::whole(reply)
    }

    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames) {
        reply::stream(reply, frames);
    }

    fn error_event(&self, failure: &Failure, error: &Value, frames: &mut Frames) {
        super::exception(failure, error, frames);
    }

    /// Answers carry no id of their own: the request's stands in a field.
    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("{hash:016x}-sim-{sequence:08x}")
    }

    fn count(&self, ask: &Ask<'_>) -> Option<Result<Value, Failure>> {
        Some(request::count(ask))
    }
}
