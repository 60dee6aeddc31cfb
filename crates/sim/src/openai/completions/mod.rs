//! OpenAI's legacy completions.
//! Reference: <https://platform.openai.com/docs/api-reference/completions>.

mod reply;
mod request;

use serde_json::Value;

use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::vendor::{Ask, Failure, Format, Reply};

pub(super) use request::is_legacy;

/// The format of legacy completions.
pub(crate) struct Completions;

impl Format for Completions {
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure> {
        request::read(ask)
    }

    fn whole(&self, reply: &Reply<'_>) -> Value {
        reply::whole(reply)
    }

    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames) {
        reply::stream(reply, frames);
    }

    fn error_event(&self, _failure: &Failure, error: &Value, frames: &mut Frames) {
        frames.event(None, error);
    }

    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("cmpl-sim{hash:016x}{sequence:08x}")
    }
}
