//! A chat as the domain sees it: what is asked ([`ChatRequest`]), what is answered
//! ([`ChatResponse`], or [`ChatEvent`]s in a stream), and what a translation did to it
//! ([`Conversion`]).
//!
//! Every wire format is translated to and from this one model. What a format says that the model has no
//! field for is kept by name in `extensions`, so that a translation can report it.

mod content;
mod conversion;
mod event;
mod message;
mod request;
mod response;
mod tool;

pub use content::{
    Annotation, CacheControl, Media, Part, Reasoning, Source, Text, ToolCall, ToolResult,
};
pub use conversion::{Change, Conversion, Loss};
pub use event::ChatEvent;
pub use message::Message;
pub use request::{
    CallerPaths, ChatRequest, Effort, Extensions, Logprobs, OutputFormat, ReasoningRequest,
    Sampling,
};
pub use response::{ChatResponse, Choice, Finish, FinishReason};
pub use tool::{Tool, ToolChoice};
