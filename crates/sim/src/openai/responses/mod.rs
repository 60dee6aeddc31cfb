//! OpenAI's responses.
//! Reference: <https://platform.openai.com/docs/api-reference/responses>.

mod events;
mod hosted;
mod items;
mod parts;
mod reply;
mod request;
mod sealed;
mod stored;
mod tools;

use serde_json::{Value, json};

use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::vendor::{Ask, Failure, Format, Reply};

pub(super) use sealed::seal;
pub(crate) use stored::{Stored, StoredCall, Told};

/// The format of responses.
pub(crate) struct Responses;

impl Format for Responses {
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure> {
        request::read(ask)
    }

    fn whole(&self, reply: &Reply<'_>) -> Value {
        reply::whole(reply)
    }

    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames) {
        events::stream(reply, frames);
    }

    fn error_event(&self, failure: &Failure, _error: &Value, frames: &mut Frames) {
        let number = frames.count();
        frames.event(
            Some("error"),
            &json!({
                "type": "error",
                "code": failure.code.unwrap_or(failure.kind),
                "message": failure.message,
                "param": failure.param,
                "sequence_number": number,
            }),
        );
    }

    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("resp_sim{hash:016x}{sequence:08x}")
    }

    fn count(&self, ask: &Ask<'_>) -> Option<Result<Value, Failure>> {
        Some(request::count(ask))
    }

    fn keep(&self, reply: &Reply<'_>, stored: &Stored) {
        stored.keep(reply);
    }
}
