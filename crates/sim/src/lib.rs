//! The simulated provider: it speaks OpenAI's chat completions, Anthropic's messages and Google's `generateContent`, checks
//! requests as strictly as the vendors do, answers with their own errors, and goes wrong on demand. Everything it says is
//! marked as simulated.
//!
//! It knows nothing of the gateway: it is a second reading of the formats, against which the first is tested.
//!
//! What is said is the same for the same seed and request. Ids carry the order of arrival, so that each is met once.
//!
//! # Wishes
//!
//! A test writes wishes into the last user message, as `[[sim status=429 retry-after=3]]`. They are not echoed; one that is not
//! known is refused by name.
//!
//! | wish | what it does |
//! | --- | --- |
//! | `status=N` | the vendor's own error for 400 to 599, with `retry-after=SECONDS` if given |
//! | `html`, `garbage`, `error-200` | a proxy's 502 page; a 200 that is not JSON; the vendor's error under status 200 |
//! | `hang=head`, `hang=body` | no answer at all; a body that stops half-way and stays open |
//! | `cut=N`, `error-mid=N` | the connection breaks, or the vendor's error event comes, after N events of a stream |
//! | `times=N id=TEXT` | the fault strikes only the first N requests that carry this id |
//! | `latency=MS`, `chunk-delay=MS` | before the head; between the events of a stream |
//! | `bytes=N`, `crlf` | the body in pieces of N bytes; a stream with a byte order mark, comments and `\r\n` |
//! | `text="…"`, `words=N`, `unicode`, `refusal` | what is said |
//! | `chunks=N` | exactly N content events in a stream (as many as there are characters, if those are fewer) |
//! | `usage=none`, `usage=zero`, `cached=N` | what usage says |
//! | `finish=VALUE`, `redacted` | the vendor's finish reason; reasoning that comes encrypted |
//!
//! Over HTTP, `GET /sim/calls?since=N` lists the calls received and `DELETE /sim/calls` forgets them; `POST /sim/faults` with
//! `{"match": {"face": …, "model": …}, "directive": "status=500", "times": 1}` plans a fault, `GET` lists and `DELETE` forgets.

mod answer;
mod anthropic;
mod aws;
mod azure;
mod bedrock;
mod body;
mod cache;
mod clock;
mod cohere;
mod control;
mod digest;
mod directive;
mod escape;
mod event_stream;
mod faults;
mod frames;
mod gemini;
mod handover;
mod issuer;
mod media;
mod node;
mod openai;
mod pattern;
mod prompt;
mod record;
mod route;
mod schema;
mod serve;
mod sim;
#[cfg(test)]
mod tests;
mod tokens;
mod vendor;
mod vertex;

pub use body::{SimBody, SimCut};
pub use record::{Face, Host, SimCall, SimUsage};
pub use serve::serve;
pub use sim::{Options, Sim};

/// The id of the access key with which requests to the simulated Amazon Bedrock and STS are signed.
pub const AWS_ACCESS_KEY_ID: &str = aws::ACCESS_KEY_ID;
/// The secret of that key.
pub const AWS_SECRET_ACCESS_KEY: &str = aws::SECRET_ACCESS_KEY;
/// The model of OpenAI's face that takes every parameter.
pub const OPENAI_MODEL: &str = "gpt";
/// The model of Anthropic's face that takes sampling parameters and thinking budgets.
pub const ANTHROPIC_MODEL: &str = "claude";
/// The model of Google's face that takes thinking budgets.
pub const GEMINI_MODEL: &str = "gemini";
/// The models that the OpenAI face lists.
pub const OPENAI_MODELS: [&str; 6] = openai::model::LISTED;
/// The models that the Anthropic face lists.
pub const ANTHROPIC_MODELS: [&str; 4] = anthropic::model::LISTED;
/// The models that the Gemini face lists.
pub const GEMINI_MODELS: [&str; 4] = gemini::model::LISTED;
