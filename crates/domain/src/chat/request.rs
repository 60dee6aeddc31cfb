//! What is asked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Message, Tool, ToolChoice};
use crate::name::ModelName;
use crate::usage::ServiceTier;

/// Fields that the domain has no word for, as they were written: by name, and inside of an object by path
/// (`messages[1].prefix`, `tools[0].function.examples`). A field that is absent is not here; at the top, a
/// field that is `null` is here as `null`.
pub type Extensions = BTreeMap<String, Box<RawValue>>;

/// One chat request. `None` means that the caller did not say, and then the provider's default holds.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The wire format that it came in, whose words the names and paths in `extensions` are.
    pub format: &'static str,
    /// The model's name as the caller wrote it.
    pub model: ModelName,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// The tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether and which of them are called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// Bound on the output in tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// How the next token is drawn.
    pub sampling: Sampling,
    /// Texts at which the output ends.
    pub stop: Vec<String>,
    /// How many answers are wanted; at least 1.
    pub choices: u32,
    /// What the answer must look like.
    pub output: OutputFormat,
    /// How much to think.
    pub reasoning: ReasoningRequest,
    /// Whether the probabilities of tokens are wanted.
    pub logprobs: Option<Logprobs>,
    /// Who is speaking, as an opaque identifier for the provider's abuse detection.
    pub user: Option<String>,
    /// The provider's class of service.
    pub service_tier: Option<ServiceTier>,
    /// Whether the answer comes as a stream.
    pub stream: bool,
    /// Whether the stream ends with the usage.
    pub stream_usage: bool,
    /// The rest.
    pub extensions: Extensions,
    /// Where in the caller's body things stand.
    pub paths: CallerPaths,
}

/// Paths in the caller's body by paths of this model, where they differ: `messages[2]` came from
/// `messages[1].content[0]`. What stands below a path moves with it. The keys of the extensions are the
/// caller's paths already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerPaths(BTreeMap<String, String>);

impl CallerPaths {
    /// Notes that what stands at `path` in this model came from `caller`.
    pub fn insert(&mut self, path: impl Into<String>, caller: impl Into<String>) {
        self.0.insert(path.into(), caller.into());
    }

    /// The caller's path of what stands at `path` in this model; the longest known beginning decides.
    pub fn of<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '['));
        let ends: Vec<usize> = ends.map(|(at, _)| at).chain([path.len()]).collect();
        let known = ends.into_iter().rev().find_map(|end| {
            let (beginning, rest) = path.split_at_checked(end)?;
            Some((self.0.get(beginning)?, rest))
        });
        match known {
            Some((caller, rest)) => Cow::Owned(format!("{caller}{rest}")),
            None => Cow::Borrowed(path),
        }
    }
}

impl ChatRequest {
    /// A request for `model` that says nothing yet, in OpenAI's words until a face of another format says
    /// otherwise.
    pub fn new(model: ModelName) -> Self {
        Self {
            format: "openai",
            model,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            max_output_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            choices: 1,
            output: OutputFormat::Text,
            reasoning: ReasoningRequest::default(),
            logprobs: None,
            user: None,
            service_tier: None,
            stream: false,
            stream_usage: false,
            extensions: Extensions::new(),
            paths: CallerPaths::default(),
        }
    }
}

/// How the next token is drawn.
#[derive(Debug, Clone, Default)]
pub struct Sampling {
    /// 0 is the likeliest; the upper end differs by vendor (OpenAI and Gemini 2, Anthropic 1).
    pub temperature: Option<f64>,
    /// The probability mass that is drawn from.
    pub top_p: Option<f64>,
    /// The number of tokens that is drawn from.
    pub top_k: Option<u64>,
    /// Makes a draw repeatable where the provider can.
    pub seed: Option<i64>,
    /// −2 to 2.
    pub frequency_penalty: Option<f64>,
    /// −2 to 2.
    pub presence_penalty: Option<f64>,
    /// OpenAI's `logit_bias`, as written.
    pub logit_bias: Option<Box<RawValue>>,
}

/// What the answer must look like.
#[derive(Debug, Clone)]
pub enum OutputFormat {
    /// Words.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// What it describes.
        description: Option<String>,
        /// The JSON Schema as the caller wrote it.
        schema: Box<RawValue>,
        /// Whether it must be followed exactly; `None` when not said.
        strict: Option<bool>,
    },
}

/// How much to think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReasoningRequest {
    /// In a word.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget_tokens: Option<u64>,
    /// Whether the thoughts are to be shown, where the format lets the caller say so.
    pub include_thoughts: Option<bool>,
}

/// How much to think, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much (OpenAI's `xhigh`).
    ExtraHigh,
    /// As much as the model can (Anthropic's `max`).
    Max,
}

/// Which probabilities are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logprobs {
    /// How many alternatives per token, 0 to 20.
    pub alternatives: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_beginning_of_a_path_decides() {
        let mut paths = CallerPaths::default();
        paths.insert("messages[1]", "messages[0]");
        paths.insert("messages[1].tool_calls[0]", "messages[0].content[2]");
        paths.insert("stop", "stop_sequences");
        for (path, expected) in [
            ("messages[1].content[3].text", "messages[0].content[3].text"),
            ("messages[1].tool_calls[0].id", "messages[0].content[2].id"),
            ("messages[1]", "messages[0]"),
            ("stop[2]", "stop_sequences[2]"),
            ("stopped", "stopped"),
            ("messages[10]", "messages[10]"),
        ] {
            assert_eq!(paths.of(path), expected);
        }
    }
}
