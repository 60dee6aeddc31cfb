//! One request as routing looks at it. What has to be read out of its body is read when somebody asks for
//! it, and once.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use domain::call::Operation;
use domain::caller::Caller;
use domain::name::ModelName;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::hash::StableHash;
use super::language;
use crate::estimate;

/// Names the conversation or session that a request belongs to.
pub const SESSION: &str = "x-trunkline-session";
/// A JSON object of texts about a request, for conditions; the body's own `metadata` wins over it.
pub const METADATA: &str = "x-trunkline-metadata";
/// How many messages from the beginning are looked at for a prefix: enough to come to the first question.
const MAX_PREFIX_MESSAGES: usize = 4;
/// How much text is looked at to tell its language, in bytes.
const MAX_LANGUAGE_TEXT: usize = 2_048;
/// The most entries of metadata, as OpenAI has it
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-metadata>).
const MAX_METADATA: usize = 16;

/// What is known of a request before anything is decided.
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The model's name as the caller wrote it.
    pub model: &'a ModelName,
    /// What is asked for.
    pub operation: Operation,
    /// The request's fields.
    pub headers: &'a HeaderMap,
    /// Its body, in the words of the face.
    pub body: &'a [u8],
    /// Whether a streamed answer is wanted.
    pub streamed: bool,
    /// How many messages there are.
    pub messages: usize,
    /// The caller's bound on the output, in tokens.
    pub max_output_tokens: Option<u64>,
    /// When it arrived.
    pub now: Timestamp,
    /// By what chance is drawn: the same for the same request on every replica.
    pub seed: StableHash,
    /// What is read of it later.
    pub read: Read<'a>,
}

/// What was read out of a request's body, as far as somebody asked for it.
#[derive(Default)]
pub struct Read<'a> {
    said: OnceLock<Said<'a>>,
    input_tokens: OnceLock<u64>,
    metadata: OnceLock<BTreeMap<String, String>>,
    language: OnceLock<Option<&'static str>>,
    prefix: OnceLock<Option<Prefix>>,
    usual_output: OnceLock<Option<u64>>,
}

impl Read<'_> {
    /// Nothing but how many tokens it has, where that is known otherwise.
    pub(super) fn of_size(input_tokens: Option<u64>) -> Self {
        Self {
            input_tokens: input_tokens.map_or_else(OnceLock::new, OnceLock::from),
            ..Self::default()
        }
    }
}

#[cfg(test)]
impl Read<'_> {
    /// Whether nobody asked for anything yet.
    pub(crate) fn is_empty(&self) -> bool {
        let is_read = [
            self.said.get().is_some(),
            self.input_tokens.get().is_some(),
            self.metadata.get().is_some(),
            self.language.get().is_some(),
            self.prefix.get().is_some(),
            self.usual_output.get().is_some(),
        ];
        !is_read.contains(&true)
    }
}

/// How a request begins: what stays the same from turn to turn of a conversation, and what providers
/// therefore keep in their prompt caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The hash of what tells and equips the model, and of the messages to the caller's first.
    pub hash: StableHash,
    /// About how many tokens that has.
    pub tokens: u64,
}

/// The members of a body that routing looks at, in whatever format has them; their values stay raw.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    safety_identifier: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    // What tells the model how to be: Anthropic's, Gemini's in its two spellings, OpenAI's Responses'.
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow, rename = "systemInstruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow, rename = "system_instruction")]
    system_instruction_snake: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    // What was said: OpenAI's, Anthropic's and Cohere's, Gemini's, OpenAI's Responses'.
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    fn turns(&self) -> Option<&'a RawValue> {
        self.messages.or(self.contents).or(self.input)
    }

    fn instructions(&self) -> impl Iterator<Item = &'a RawValue> {
        let all = [
            self.system,
            self.system_instruction,
            self.system_instruction_snake,
            self.instructions,
        ];
        all.into_iter().flatten()
    }
}

/// As much of a message as tells whose it is.
#[derive(Deserialize)]
struct Whose<'a> {
    #[serde(borrow, default)]
    role: Option<std::borrow::Cow<'a, str>>,
}

impl<'a> Question<'a> {
    /// A request's field as text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// About how many tokens it has.
    pub fn input_tokens(&self) -> u64 {
        let tokens = &self.read.input_tokens;
        *tokens.get_or_init(|| estimate::input_tokens(self.body))
    }

    /// How much such calls usually put out, which is looked up once.
    pub(super) fn usual_output(&self, look_up: &dyn Fn() -> Option<u64>) -> Option<u64> {
        *self.read.usual_output.get_or_init(look_up)
    }

    /// Whether it brings tools.
    pub fn has_tools(&self) -> bool {
        let tools = self.said().tools;
        tools.is_some_and(|tools| !matches!(tools.get(), "null" | "[]"))
    }

    /// What the caller says about the request, texts under names: the body's `metadata` and the field
    /// [`METADATA`], at most sixteen.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        self.read.metadata.get_or_init(|| {
            let body = self.said().metadata.map(RawValue::get);
            let texts = [self.header(METADATA), body].into_iter().flatten();
            let objects = texts.filter_map(|text| serde_json::from_str(text).ok());
            let entries = objects.flat_map(|object: serde_json::Map<String, Value>| object);
            let texts = entries.filter_map(|(name, value)| Some((name, as_text(value)?)));
            texts.take(2 * MAX_METADATA).collect()
        })
    }

    /// The caller's own user, as the request names one: `user` and `safety_identifier` (OpenAI),
    /// `metadata.user_id` (Anthropic).
    pub fn user(&self) -> Option<String> {
        let said = self.said();
        let named = said.user.or(said.safety_identifier);
        let named = named.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let named = named.or_else(|| self.metadata().get("user_id").cloned());
        named.filter(|user| !user.is_empty())
    }

    /// For whom a choice stays the same: the caller's user, or else the key.
    pub fn person(&self) -> StableHash {
        let tenant = StableHash::EMPTY
            .and(self.caller.organization_id().to_string().as_bytes())
            .and(self.caller.project_id().to_string().as_bytes());
        match self.user() {
            Some(user) => tenant.and(b"user").and(user.as_bytes()),
            None => tenant
                .and(b"key")
                .and(self.caller.key_id().to_string().as_bytes()),
        }
    }

    /// The language that the last message is probably written in (ISO 639-1); `None` where that cannot be told.
    pub fn language(&self) -> Option<&'static str> {
        *self.read.language.get_or_init(|| {
            let mut text = String::new();
            gather_text(&self.last_message()?, &mut text);
            language::of(&text)
        })
    }

    /// How it begins; `None` where nothing was said that could be looked at.
    pub fn prefix(&self) -> Option<Prefix> {
        *self.read.prefix.get_or_init(|| self.read_prefix())
    }

    fn said(&self) -> &Said<'a> {
        let said = &self.read.said;
        said.get_or_init(|| serde_json::from_slice(self.body).unwrap_or_default())
    }

    fn last_message(&self) -> Option<Value> {
        let turns = self.said().turns()?.get();
        match serde_json::from_str::<Vec<&RawValue>>(turns) {
            Ok(turns) => serde_json::from_str(turns.last()?.get()).ok(),
            Err(_) => serde_json::from_str(turns).ok(),
        }
    }

    fn read_prefix(&self) -> Option<Prefix> {
        let said = self.said();
        let turns = said.turns()?;
        // A prompt cache belongs to an account and a model; ours tells tenants apart beside.
        let mut hash = StableHash::EMPTY.and(self.caller.organization_id().to_string().as_bytes());
        let mut bytes = 0;
        let mut add = |text: &str| {
            hash = hash.and(text.as_bytes());
            bytes += text.len() as u64;
        };
        said.tools.into_iter().for_each(|raw| add(raw.get()));
        said.instructions().for_each(|raw| add(raw.get()));
        match serde_json::from_str::<Vec<&RawValue>>(turns.get()) {
            Ok(turns) => {
                for turn in turns.into_iter().take(MAX_PREFIX_MESSAGES) {
                    add(turn.get());
                    if is_the_callers(turn) {
                        break;
                    }
                }
            }
            Err(_) => add(turns.get()),
        }
        Some(Prefix {
            hash,
            tokens: bytes.div_ceil(4),
        })
    }
}

fn is_the_callers(turn: &RawValue) -> bool {
    let whose: Result<Whose<'_>, _> = serde_json::from_str(turn.get());
    whose.is_ok_and(|whose| whose.role.is_none_or(|role| role == "user"))
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Appends the texts of a message, in whatever format, until there is enough.
fn gather_text(message: &Value, text: &mut String) {
    if text.len() >= MAX_LANGUAGE_TEXT {
        return;
    }
    match message {
        Value::String(piece) => {
            let room = MAX_LANGUAGE_TEXT.saturating_sub(text.len());
            text.push_str(
                piece
                    .get(..piece.floor_char_boundary(room))
                    .unwrap_or(piece),
            );
            text.push('\n');
        }
        Value::Array(parts) => parts.iter().for_each(|part| gather_text(part, text)),
        Value::Object(members) => {
            let worded = ["content", "parts", "text"];
            let said = worded.iter().filter_map(|name| members.get(*name));
            said.for_each(|part| gather_text(part, text));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
