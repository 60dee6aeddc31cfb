//! What an answer depends on, whichever vendor's words the request was in.

use serde_json::Value;

use crate::cache::Prefix;
use crate::digest::Digest;
use crate::vendor::Framing;

/// A request that has passed the vendor's rules.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) model: String,
    /// The text of the last user message that has any, directives included.
    pub(crate) said: String,
    /// The assistant's words at the end, which the answer continues; empty where there are none.
    pub(crate) begun: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    /// Whether one turn may call several tools.
    pub(crate) parallel: bool,
    pub(crate) habits: Habits,
    /// What tools answered, if the conversation ends with that.
    pub(crate) results: Vec<ToolResult>,
    pub(crate) output: Output,
    /// The most tokens the answer may have, reasoning included.
    pub(crate) output_limit: Option<u64>,
    pub(crate) stops: Vec<String>,
    pub(crate) reasoning: Reasoning,
    /// How many answers are wanted.
    pub(crate) choices: usize,
    pub(crate) stream: Option<Framing>,
    /// Whether a stream ends with usage.
    pub(crate) reports_usage: bool,
    /// Tokens of the input, cached or not.
    pub(crate) input: u64,
    /// The part of the input that is images and other media.
    pub(crate) media_input: u64,
    pub(crate) prefix: Prefix,
    /// What makes this request's answer its own.
    pub(crate) digest: Digest,
}

/// How the vendor's models are used to answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// A turn that calls tools says something first.
    pub(crate) prefaces_calls: bool,
    /// A refusal is said in words.
    pub(crate) speaks_refusals: bool,
    /// Calls carry ids, and thoughts are signed on calls and texts.
    pub(crate) signs_calls: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON Schema of the arguments, or Google's subset of `OpenAPI`.
    pub(crate) schema: Value,
}

#[derive(Clone, Debug)]
pub(crate) struct ToolResult {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Which tools may, or must, be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    None,
    /// When the caller's last words name a tool, of these if any are listed.
    Auto(Vec<String>),
    /// One of these, or any if none is listed.
    Required(Vec<String>),
}

/// The form of the answer's text.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Text,
    /// Any JSON object.
    Json,
    /// JSON that this schema allows.
    Schema(Value),
}

/// How the answer is thought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reasoning {
    Off,
    /// Billed and not shown.
    Hidden {
        tokens: u64,
    },
    /// Shown, within a budget.
    Shown {
        budget: u64,
    },
    /// Billed, and stood for by its signature alone.
    Omitted {
        budget: u64,
    },
}
