//! The items of an answer, as whole answers list them and as streams announce and complete them.

use std::borrow::Cow;

use domain::chat::{Annotation, ChatResponse, Choice, Part, Reasoning, Text};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::custody::{self, Sealed};
use super::words::FORMAT;
use super::{annotations, parse_tools};

/// One item: made here, or of this format and given on as it came.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item {
    Made(Made),
    Raw(Box<RawValue>),
}

/// An item that is made here.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Made {
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Content>,
    },
    Reasoning {
        id: String,
        summary: Vec<Summary>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    FunctionCall {
        id: String,
        status: Status,
        arguments: String,
        call_id: String,
        name: String,
    },
    CustomToolCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        input: String,
    },
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

/// A part of a message.
#[derive(Serialize, Clone)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    OutputText {
        annotations: Vec<Annotation>,
        /// Of kinds that the format's clients do not know.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        native_annotations: Vec<Annotation>,
        logprobs: Vec<Box<RawValue>>,
        text: String,
    },
    Refusal {
        refusal: String,
    },
}

/// A part of a thought's summary.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Summary {
    SummaryText { text: String },
}

impl Content {
    pub(super) fn text(text: &str) -> Self {
        Self::OutputText {
            annotations: Vec::new(),
            native_annotations: Vec::new(),
            logprobs: Vec::new(),
            text: text.to_owned(),
        }
    }
}

/// The identifiers of an answer's items, which follow from the answer's own.
pub(super) struct ItemIds {
    stem: String,
}

impl ItemIds {
    /// Of the answer `response_id`.
    pub(super) fn of(response_id: &str) -> Self {
        let stem = response_id.strip_prefix("resp_").unwrap_or(response_id);
        Self {
            stem: stem.to_owned(),
        }
    }

    fn make(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}_{}_{place}", self.stem)
    }

    /// A message at this place of the output.
    pub(super) fn message(&self, place: usize) -> Made {
        Made::Message {
            id: self.make("msg", place),
            status: Status::InProgress,
            role: "assistant",
            content: Vec::new(),
        }
    }

    /// A thought at this place of the output.
    pub(super) fn reasoning(&self, place: usize, thought: &Sealed) -> Made {
        let summary = match thought {
            Sealed::Thought(Reasoning {
                text: Some(text), ..
            }) => vec![Summary::SummaryText { text: text.clone() }],
            _ => Vec::new(),
        };
        Made::Reasoning {
            id: self.make("rs", place),
            summary,
            encrypted_content: Some(custody::seal(thought)),
        }
    }

    /// A thought that has not said anything yet.
    pub(super) fn silent_reasoning(&self, place: usize) -> Made {
        Made::Reasoning {
            id: self.make("rs", place),
            summary: Vec::new(),
            encrypted_content: None,
        }
    }

    /// A call at this place of the output.
    pub(super) fn call(&self, place: usize, call_id: &str, name: &str, is_custom: bool) -> Made {
        let (call_id, name) = (call_id.to_owned(), name.to_owned());
        let status = Status::InProgress;
        if is_custom {
            Made::CustomToolCall {
                id: self.make("ctc", place),
                status,
                call_id,
                name,
                input: String::new(),
            }
        } else {
            Made::FunctionCall {
                id: self.make("fc", place),
                status,
                arguments: String::new(),
                call_id,
                name,
            }
        }
    }
}

impl Made {
    /// Its identifier.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::Reasoning { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. } => id,
        }
    }

    /// Ends it.
    pub(super) fn end(&mut self, with: Status) {
        match self {
            Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::CustomToolCall { status, .. } => *status = with,
            Self::Reasoning { .. } => {}
        }
    }

    /// Gives a call its arguments, whole. Clients parse those of functions; none at all must say so in JSON.
    pub(super) fn set_arguments(&mut self, whole: &str) {
        match self {
            Self::FunctionCall { arguments, .. } => {
                let whole = if whole.trim().is_empty() { "{}" } else { whole };
                whole.clone_into(arguments);
            }
            Self::CustomToolCall { input, .. } => *input = parse_tools::input_of(whole),
            Self::Message { .. } | Self::Reasoning { .. } => {}
        }
    }
}

/// The items of a whole answer. `is_custom` tells the calls of custom tools by their names, and `last` is
/// how the last item ended.
pub(super) fn of_answer(
    response: &ChatResponse,
    ids: &ItemIds,
    is_custom: &dyn Fn(&str) -> bool,
    last: Status,
) -> Vec<Item> {
    let mut list = List {
        ids,
        is_custom,
        items: Vec::new(),
        is_message_open: false,
        thought: None,
    };
    for choice in &response.choices {
        list.is_message_open = false;
        for part in &choice.content {
            list.part(part);
        }
        list.logprobs(choice);
    }
    if let Some(Item::Made(made)) = list.items.last_mut() {
        made.end(last);
    }
    list.items
}

struct List<'a> {
    ids: &'a ItemIds,
    is_custom: &'a dyn Fn(&str) -> bool,
    items: Vec<Item>,
    is_message_open: bool,
    /// The thought that was written last, if nothing came after it.
    thought: Option<Reasoning>,
}

impl List<'_> {
    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => self.text(text),
            Part::Refusal(text) => self.content(Content::Refusal {
                refusal: text.clone(),
            }),
            Part::Reasoning(thought) => self.thought(thought),
            Part::ToolCall(call) => {
                if let Some(signature) = &call.signature {
                    self.seal(&Sealed::Call {
                        id: call.id.clone(),
                        signature: signature.clone(),
                    });
                }
                let is_custom = (self.is_custom)(&call.name);
                let place = self.items.len();
                let mut made = self.ids.call(place, &call.id, &call.name, is_custom);
                made.set_arguments(&call.arguments);
                self.push(made);
            }
            Part::Unknown { format, raw } if *format == FORMAT => {
                self.is_message_open = false;
                self.thought = None;
                self.items.push(Item::Raw(raw.clone()));
            }
            Part::Unknown { format, raw } => self.seal(&Sealed::Block {
                format,
                raw: raw.clone(),
            }),
            // No provider answers with media in a chat of the domain; what it sent is kept as unknown.
            Part::Image(_) | Part::Document(_) | Part::Audio(_) => {}
        }
    }

    fn thought(&mut self, thought: &Reasoning) {
        let mut thought = thought.clone();
        if let Some(summary) = self.thought.take()
            && completes(&summary, &thought)
        {
            thought.text = summary.text;
            self.items.pop();
        }
        self.seal(&Sealed::Thought(thought.clone()));
        self.thought = Some(thought);
    }

    fn text(&mut self, text: &Text) {
        if !text.text.is_empty() || !text.annotations.is_empty() {
            let (annotations, native_annotations) = annotations::parted(&text.annotations);
            self.content(Content::OutputText {
                annotations,
                native_annotations,
                logprobs: Vec::new(),
                text: text.text.clone(),
            });
        }
        if let Some(signature) = &text.signature {
            self.seal(&Sealed::Text {
                signature: signature.clone(),
            });
        }
    }

    fn content(&mut self, part: Content) {
        if !self.is_message_open {
            let made = self.ids.message(self.items.len());
            self.push(made);
            self.is_message_open = true;
        }
        self.thought = None;
        if let Some(Item::Made(Made::Message { content, .. })) = self.items.last_mut() {
            content.push(part);
        }
    }

    fn seal(&mut self, sealed: &Sealed) {
        let made = self.ids.reasoning(self.items.len(), sealed);
        self.push(made);
    }

    fn push(&mut self, mut made: Made) {
        self.is_message_open = false;
        self.thought = None;
        made.end(Status::Completed);
        self.items.push(Item::Made(made));
    }

    /// Probabilities are told of the choice as a whole; here they stand at its first text.
    fn logprobs(&mut self, choice: &Choice) {
        let Some(told) = choice.logprobs.as_deref().map(logprobs_of) else {
            return;
        };
        let texts = self.items.iter_mut().filter_map(|item| match item {
            Item::Made(Made::Message { content, .. }) => Some(content),
            _ => None,
        });
        let mut lists = texts.flatten().filter_map(|part| match part {
            Content::OutputText { logprobs, .. } => Some(logprobs),
            Content::Refusal { .. } => None,
        });
        if let Some(list) = lists.find(|list| list.is_empty()) {
            *list = told;
        }
    }
}

/// Whether `sealed` are the encrypted thoughts whose summary is `summary`: OpenAI gives both in one item.
pub(super) fn completes(summary: &Reasoning, sealed: &Reasoning) -> bool {
    let is_own = sealed.redacted.as_deref().and_then(custody::own).is_some();
    let is_bare = sealed.text.is_none() && sealed.signature.is_none();
    is_own && is_bare && summary.signature.is_none() && summary.redacted.is_none()
}

/// The tokens' probabilities out of chat completions' object.
pub(super) fn logprobs_of(raw: &RawValue) -> Vec<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Told {
        content: Option<Vec<Box<RawValue>>>,
    }
    let told: Result<Told, _> = serde_json::from_str(raw.get());
    told.ok().and_then(|told| told.content).unwrap_or_default()
}

/// JSON without line breaks, which would break an event. They can only stand between its tokens.
pub(super) fn on_one_line(raw: &RawValue) -> Cow<'_, RawValue> {
    if !raw.get().contains(['\n', '\r']) {
        return Cow::Borrowed(raw);
    }
    let line = raw.get().replace(['\n', '\r'], " ");
    RawValue::from_string(line).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// The answer's identifier, which follows from the call's: answers that are translated are ours to keep.
pub(super) fn response_id(call: &str) -> String {
    let stem = call.split_once(['-', '_']).map_or(call, |(_, stem)| stem);
    format!("resp_{stem}")
}
