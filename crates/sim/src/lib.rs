//! The simulated provider: it speaks the formats of several vendors, checks requests as strictly as they do, answers with their
//! own errors, and goes wrong on demand. Everything it says is marked as simulated.
//!
//! It knows nothing of the gateway: it is a second reading of the formats, against which the first is tested.
//!
//! What is said is the same for the same seed and request. Ids carry the order of arrival, so that each is met once.
//!
//! # What it imitates
//!
//! | vendor | paths | credentials |
//! | --- | --- | --- |
//! | OpenAI | `/v1/chat/completions`, `/v1/responses…`, `/v1/completions`, `/v1/models`, `/v1/realtime` (WebSocket) | any bearer token |
//! | Mistral | `/v1/chat/completions`, for models of its names | any bearer token |
//! | Hugging Face | `/huggingface/v1/chat/completions`, `/huggingface/v1/models`, `/huggingface/hf-inference/models/{m}/pipeline/feature-extraction` | any bearer token |
//! | Anthropic | `/v1/messages`, `/v1/messages/count_tokens`, `/v1/messages/batches…`, `/v1/models` | any `x-api-key` or bearer token |
//! | Gemini | `/v1beta/models/{model}:…` and `/v1/models/{model}:…`, `/v1beta/models` | any `x-goog-api-key`, `?key=` or bearer token |
//! | Cohere | `/v2/chat`, `/v1/models` | any bearer token |
//! | Amazon Bedrock | `/model/{id}/converse`, `converse-stream`, `invoke`, `invoke-with-response-stream`, `count-tokens` | a signature with [`AWS_ACCESS_KEY_ID`] or temporary keys, or any bearer token |
//! | Azure OpenAI | `/openai/deployments/{name}/…?api-version=…`, `/openai/v1/…`, `/openai/responses…` | any `api-key`, or a token of Entra's |
//! | Vertex AI | `/v1/projects/{p}/locations/{l}/publishers/{google or anthropic}/models/{m}:{verb}` | a token of Google's |
//!
//! Whatever begins with `invalid` is no credential: a key, a client's secret, a subject token, a role's name.
//!
//! Tokens and temporary keys come from `POST /token`, `POST /v1/token` and `POST /v1/projects/-/serviceAccounts/{email}:generateAccessToken`
//! (Google; `GET /sim/google-key-file` hands out the key file of the one service account), `POST /{tenant}/oauth2/v2.0/token` (Entra),
//! `POST /` (STS), and from the metadata services that machines in the clouds ask. They are good until they expire by
//! [`Options::now`].
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
//! | `call=NAME`, `arguments="{…}"` | this tool is called, where it is offered, with these arguments; instead of those that the text names |
//! | `usage=none`, `usage=zero`, `cached=N` | what usage says |
//! | `finish=VALUE`, `redacted` | the vendor's finish reason; reasoning that comes encrypted |
//!
//! In a binary stream (Bedrock), `garbage` is bytes that are no message, `error-mid` an exception, and `crlf` changes nothing.
//!
//! Over HTTP, `GET /sim/calls?since=N` lists the calls received and `DELETE /sim/calls` forgets them; `POST /sim/faults` with
//! `{"match": {"face": …, "model": …}, "directive": "status=500", "times": 1}` plans a fault, `GET` lists and `DELETE` forgets.
//! Calls that are no chats (pictures, speech, transcripts, vectors, ranks) are listed by `GET /sim/tasks?since=N` in the same way; in
//! a fault's match their face is `task`. Requests for tokens are listed by `GET /sim/tokens?since=N`; only a fault whose match says the
//! face `token` strikes them, and its model is the issuer's name.

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
mod generate;
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
mod socket;
mod tasks;
#[cfg(test)]
mod tests;
mod tokens;
mod vendor;
mod vertex;

pub use body::{SimBody, SimCut};
pub use issuer::SimToken;
pub use openai::realtime::SimFrame;
pub use record::{Face, Host, SimCall, SimUsage};
pub use serve::serve;
pub use sim::{Options, Sim};
pub use socket::SimSocket;
pub use tasks::{SimTask, SimTaskUsage};

/// The id of the access key with which requests to the simulated Amazon Bedrock and STS are signed.
pub const AWS_ACCESS_KEY_ID: &str = aws::ACCESS_KEY_ID;
/// The secret of that key.
pub const AWS_SECRET_ACCESS_KEY: &str = aws::SECRET_ACCESS_KEY;
/// The model of OpenAI's chats and responses that takes every parameter.
pub const OPENAI_MODEL: &str = "gpt";
/// The model of Anthropic's face that takes sampling parameters and thinking budgets.
pub const ANTHROPIC_MODEL: &str = "claude";
/// The model of Google's face that takes thinking budgets.
pub const GEMINI_MODEL: &str = "gemini";
/// The model of Cohere's chat that takes everything.
pub const COHERE_MODEL: &str = "command";
/// The models that the OpenAI face lists.
pub const OPENAI_MODELS: [&str; 6] = openai::model::LISTED;
/// The models that the Anthropic face lists.
pub const ANTHROPIC_MODELS: [&str; 4] = anthropic::model::LISTED;
/// The models that the Gemini face lists.
pub const GEMINI_MODELS: [&str; 4] = gemini::model::LISTED;
/// The models that the Cohere face lists.
pub const COHERE_MODELS: [&str; 5] = cohere::model::LISTED;
