//! What can be metered of a request that passes, recognised by its path: the format in which the answer
//! tells its usage, and the model.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::anthropic::AnthropicMessages;
use crate::audio::OpenaiTranscripts;
use crate::bedrock::{AnthropicOnBedrock, BedrockConverse, is_claude};
use crate::cohere::CohereChat;
use crate::dialect::{Dialect, Target};
use crate::embeddings::{CohereEmbeddings, GeminiEmbeddings, OpenaiEmbeddings};
use crate::face::{Asked, Face};
use crate::gemini::path::Verb;
use crate::gemini::{self, Gemini};
use crate::images::OpenaiImages;
use crate::kind::ProviderKind;
use crate::moderation::OpenaiModeration;
use crate::openai::OpenaiChat;
use crate::openai::completions::OpenaiCompletions;
use crate::openai::responses::OpenaiResponses;
use crate::rerank::{CohereRerank, JinaRerank};
use crate::task::{Task, TaskReader};
use crate::url;

/// What a request that passes is, as far as its path and its body tell.
pub struct Native {
    /// The API in whose words problems are told.
    pub face: &'static dyn Face,
    /// How its answer is metered.
    pub meter: Meter,
    /// The model, in the provider's words.
    pub model: Option<String>,
    /// Whether a streamed answer is wanted.
    pub stream: bool,
    /// The caller's own bound on the output, in tokens.
    pub max_output_tokens: Option<u64>,
}

/// How an answer is metered.
#[derive(Clone, Copy)]
pub enum Meter {
    /// As a chat in this format.
    Chat(&'static dyn Dialect),
    /// As a task, which OpenAI's vocabulary or the vendor's own has a reader for.
    Task(&'static dyn Task),
    /// It takes nothing that anybody bills: lists, look-ups, deletions, counts.
    Free,
    /// Nothing is known of what it takes.
    Unknown,
}

impl Native {
    /// Reads what a request to a provider of this kind is. `path` is below the provider's base URL, as the
    /// caller wrote it, without a slash at its beginning.
    pub fn read(kind: ProviderKind, method: &Method, path: &str, body: &[u8]) -> Self {
        let decoded = url::decoded(path).unwrap_or_default();
        let spoken = Spoken::of(kind, &decoded);
        let meter = if *method == Method::POST {
            spoken.meter
        } else if is_safe(method) {
            Meter::Free
        } else {
            Meter::Unknown
        };
        let peek = match meter {
            Meter::Chat(_) => Peek::of(body),
            Meter::Task(_) | Meter::Free | Meter::Unknown => Peek::default(),
        };
        Self {
            face: spoken.face,
            meter,
            model: spoken.model.or(peek.model),
            stream: spoken.stream.unwrap_or(peek.stream),
            max_output_tokens: peek.max_output_tokens,
        }
    }

    /// Reads what a task says of itself in its body: its model, a stream. Answers what it is estimated to
    /// take; `None` where this is no task or its body is none.
    pub fn read_task(&mut self, body: &Bytes, headers: &HeaderMap) -> Option<domain::usage::Usage> {
        let Meter::Task(task) = self.meter else {
            return None;
        };
        let envelope = task.envelope(&self.asked(headers), body).ok()?;
        self.model = Some(envelope.model.as_str().to_owned());
        self.stream = envelope.stream;
        Some(envelope.estimate)
    }

    /// The reader of a task's answer; `None` where this is no task, or one whose answer is not the
    /// vendor's own.
    pub fn reader(
        &self,
        body: &Bytes,
        headers: &HeaderMap,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Box<dyn TaskReader>> {
        let Meter::Task(task) = self.meter else {
            return None;
        };
        let prepared = task
            .prepare(&self.asked(headers), body, kind, target)
            .ok()?;
        prepared.report.is_none().then_some(prepared.reader)
    }

    fn asked(&self, headers: &HeaderMap) -> Asked {
        Asked {
            model: self.model.as_deref().and_then(|model| model.parse().ok()),
            headers: headers.clone(),
            ..Asked::default()
        }
    }
}

/// A method that changes nothing, or only takes away.
fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
    )
}

/// What a path says.
struct Spoken {
    face: &'static dyn Face,
    meter: Meter,
    model: Option<String>,
    stream: Option<bool>,
}

impl Spoken {
    fn of(kind: ProviderKind, path: &str) -> Self {
        match kind {
            ProviderKind::Openai | ProviderKind::AzureOpenai => Self::openai(path),
            ProviderKind::Anthropic => Self::anthropic(path),
            ProviderKind::Gemini | ProviderKind::Vertex => Self::google(path),
            ProviderKind::Bedrock => Self::bedrock(path),
            ProviderKind::Cohere => Self::cohere(path),
            ProviderKind::Sim
            | ProviderKind::Stability
            | ProviderKind::BlackForestLabs
            | ProviderKind::Fal
            | ProviderKind::Replicate
            | ProviderKind::Elevenlabs
            | ProviderKind::Deepgram => Self::plain(&OpenaiChat, Meter::Unknown),
        }
    }

    fn plain(face: &'static dyn Face, meter: Meter) -> Self {
        Self {
            face,
            meter,
            model: None,
            stream: None,
        }
    }

    fn openai(path: &str) -> Self {
        let chat = |face: &'static dyn Face, dialect: &'static dyn Dialect| Self {
            // Azure names its deployment in the path.
            model: between(path, "deployments/", "/").map(str::to_owned),
            ..Self::plain(face, Meter::Chat(dialect))
        };
        let task = |task: &'static dyn Task| Self::plain(&OpenaiChat, Meter::Task(task));
        match last_two(path) {
            (Some("chat"), "completions") => chat(&OpenaiChat, &OpenaiChat),
            (_, "completions") => chat(&OpenaiCompletions, &OpenaiCompletions),
            (_, "responses") => chat(&OpenaiResponses, &OpenaiResponses),
            (_, "embeddings") => task(&OpenaiEmbeddings),
            (_, "rerank") => task(&JinaRerank),
            (Some("images"), "generations") => task(&OpenaiImages::Generations),
            (Some("images"), "edits") => task(&OpenaiImages::Edits),
            (Some("images"), "variations") => task(&OpenaiImages::Variations),
            (Some("audio"), "transcriptions") => task(&OpenaiTranscripts::Transcriptions),
            (Some("audio"), "translations") => task(&OpenaiTranscripts::Translations),
            (_, "moderations") => task(&OpenaiModeration),
            (Some("responses"), "input_tokens") | (_, "cancel" | "files") => {
                Self::plain(&OpenaiChat, Meter::Free)
            }
            _ => Self::plain(&OpenaiChat, Meter::Unknown),
        }
    }

    fn anthropic(path: &str) -> Self {
        let meter = match last_two(path) {
            (_, "messages") => Meter::Chat(&AnthropicMessages),
            (Some("messages"), "count_tokens") | (_, "cancel" | "files") => Meter::Free,
            _ => Meter::Unknown,
        };
        Self::plain(&AnthropicMessages, meter)
    }

    /// Gemini's own paths, Claude's on Vertex AI, and what Google offers in OpenAI's words.
    fn google(path: &str) -> Self {
        if path.contains("/openai/") || path.contains("/endpoints/openapi/") {
            return Self::openai(path);
        }
        let Some((model, verb)) = gemini::path::read(&format!("/{path}")) else {
            return Self::plain(&Gemini, Meter::Unknown);
        };
        let is_claude = path.contains("/publishers/anthropic/");
        if is_claude && model.as_str() == "count-tokens" {
            return Self::plain(&AnthropicMessages, Meter::Free);
        }
        let chat = |stream| Self {
            stream: Some(stream),
            ..Self::plain(&Gemini, Meter::Chat(&Gemini))
        };
        let spoken = match verb {
            Verb::GenerateContent => chat(false),
            Verb::StreamGenerateContent => chat(true),
            Verb::EmbedContent => Self::plain(&Gemini, Meter::Task(&GeminiEmbeddings::Single)),
            Verb::BatchEmbedContents => Self::plain(&Gemini, Meter::Task(&GeminiEmbeddings::Batch)),
            Verb::CountTokens => Self::plain(&Gemini, Meter::Free),
            Verb::Other(verb) if is_claude && is_raw(&verb) => Self {
                stream: Some(verb.starts_with("stream")),
                ..Self::plain(&AnthropicMessages, Meter::Chat(&AnthropicMessages))
            },
            Verb::Other(_) => Self::plain(&Gemini, Meter::Unknown),
        };
        Self {
            model: Some(model.as_str().to_owned()),
            ..spoken
        }
    }

    /// `model/{model}/{operation}`; a model's ARN may hold a `/`.
    fn bedrock(path: &str) -> Self {
        let found = path
            .strip_prefix("model/")
            .and_then(|rest| rest.rsplit_once('/'));
        let Some((model, operation)) = found else {
            return Self::plain(&OpenaiChat, Meter::Unknown);
        };
        let meter = match operation {
            "converse" | "converse-stream" => Meter::Chat(&BedrockConverse),
            "invoke" | "invoke-with-response-stream" if is_claude(model) => {
                Meter::Chat(&AnthropicOnBedrock)
            }
            "count-tokens" => Meter::Free,
            _ => Meter::Unknown,
        };
        Self {
            model: Some(model.to_owned()),
            stream: Some(operation.ends_with("-stream")),
            ..Self::plain(&OpenaiChat, meter)
        }
    }

    fn cohere(path: &str) -> Self {
        let meter = match last_two(path) {
            (Some("v2"), "chat") => Meter::Chat(&CohereChat),
            (Some("v2"), "embed") => Meter::Task(&CohereEmbeddings),
            (Some("v2"), "rerank") => Meter::Task(&CohereRerank),
            (_, "tokenize" | "detokenize" | "check-api-key") => Meter::Free,
            _ => Meter::Unknown,
        };
        Self::plain(&CohereChat, meter)
    }
}

/// Which vendor the simulated provider imitates at this path.
pub(crate) fn imitated(path: &str) -> ProviderKind {
    let (version, rest) = path.split_once('/').unwrap_or((path, ""));
    match version {
        "v1beta" => ProviderKind::Gemini,
        "v2" => ProviderKind::Cohere,
        "v1" if rest == "messages" || rest.starts_with("messages/") => ProviderKind::Anthropic,
        "v1" if rest.starts_with("models/") && rest.contains(':') => ProviderKind::Gemini,
        _ => ProviderKind::Openai,
    }
}

fn is_raw(verb: &str) -> bool {
    matches!(verb, "rawPredict" | "streamRawPredict")
}

/// The last two segments of a path; the first of them where there is one.
fn last_two(path: &str) -> (Option<&str>, &str) {
    let mut segments = path.trim_end_matches('/').rsplit('/');
    let last = segments.next().unwrap_or_default();
    (segments.next(), last)
}

fn between<'p>(path: &'p str, before: &str, after: &str) -> Option<&'p str> {
    let (_, rest) = path.split_once(before)?;
    rest.split(after).next()
}

/// What a chat's body says of itself. What is not as it should be is the provider's to refuse.
#[derive(Default)]
struct Peek {
    model: Option<String>,
    stream: bool,
    max_output_tokens: Option<u64>,
}

impl Peek {
    fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            model: Option<&'a RawValue>,
            stream: Option<&'a RawValue>,
            max_tokens: Option<&'a RawValue>,
            max_completion_tokens: Option<&'a RawValue>,
            max_output_tokens: Option<&'a RawValue>,
        }
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(body) else {
            return Self::default();
        };
        let number = |raw: Option<&RawValue>| serde_json::from_str::<u64>(raw?.get()).ok();
        let text = |raw: &RawValue| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok();
        Self {
            model: wire.model.and_then(text).map(Cow::into_owned),
            stream: wire.stream.is_some_and(|raw| raw.get() == "true"),
            max_output_tokens: number(wire.max_completion_tokens)
                .or_else(|| number(wire.max_output_tokens))
                .or_else(|| number(wire.max_tokens)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Format;
    use domain::call::Operation;

    fn word(meter: Meter) -> String {
        match meter {
            Meter::Chat(dialect) => dialect.format().as_str().to_owned(),
            Meter::Task(task) => task.operation().as_str().to_owned(),
            Meter::Free => "free".to_owned(),
            Meter::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn what_is_metered_is_recognised_by_its_path() {
        use ProviderKind::{Anthropic, AzureOpenai, Bedrock, Cohere, Gemini, Openai, Vertex};
        let chat = Format::OpenaiChat.as_str();
        let claude = Format::AnthropicMessages.as_str();
        let google = Format::Gemini.as_str();
        let embeddings = Operation::Embeddings.as_str();
        for (kind, path, meter, model) in [
            (Openai, "chat/completions", chat, None),
            (Openai, "v1/chat/completions", chat, None),
            (Openai, "responses", "openai_responses", None),
            (Openai, "responses/resp_1/cancel", "free", None),
            (Openai, "completions", "openai_completions", None),
            (Openai, "embeddings", embeddings, None),
            (Openai, "fine_tuning/jobs", "unknown", None),
            (
                AzureOpenai,
                "openai/deployments/mine/chat/completions",
                chat,
                Some("mine"),
            ),
            (Anthropic, "v1/messages", claude, None),
            (Anthropic, "v1/messages/count_tokens", "free", None),
            (Anthropic, "v1/messages/batches", "unknown", None),
            (
                Gemini,
                "v1beta/models/gemini-3:streamGenerateContent",
                google,
                Some("gemini-3"),
            ),
            (
                Gemini,
                "v1beta/models/e:embedContent",
                embeddings,
                Some("e"),
            ),
            (Gemini, "v1beta/openai/chat/completions", chat, None),
            (Gemini, "v1beta/cachedContents", "unknown", None),
            (
                Vertex,
                "v1/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict",
                claude,
                Some("claude-x"),
            ),
            (
                Vertex,
                "v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
                "free",
                None,
            ),
            (
                Vertex,
                "v1/projects/p/locations/l/publishers/google/models/gemini-3:countTokens",
                "free",
                Some("gemini-3"),
            ),
            (Bedrock, "model/a%2Fb/count-tokens", "free", Some("a/b")),
            (Bedrock, "model/a%2Fb/converse", "bedrock", Some("a/b")),
            (Cohere, "v2/chat", "cohere", None),
            (Cohere, "v1/connectors", "unknown", None),
        ] {
            let native = Native::read(kind, &Method::POST, path, b"{}");
            assert_eq!(word(native.meter), meter, "{path}");
            assert_eq!(native.model.as_deref(), model, "{path}");
        }
    }

    #[test]
    fn a_look_takes_nothing_and_a_change_that_is_not_known_may_take_anything() {
        let meter = |method| {
            let native = Native::read(ProviderKind::Openai, &method, "responses", b"");
            word(native.meter)
        };
        assert_eq!(meter(Method::GET), "free");
        assert_eq!(meter(Method::DELETE), "free");
        assert_eq!(meter(Method::PUT), "unknown");
        assert_eq!(meter(Method::POST), "openai_responses");
    }

    #[test]
    fn a_chat_says_its_model_its_stream_and_its_bound() {
        let read = |body: &str| {
            Native::read(
                ProviderKind::Anthropic,
                &Method::POST,
                "v1/messages",
                body.as_bytes(),
            )
        };
        let native = read(r#"{"model":"cl\u0061ude","max_tokens":7,"stream":true,"messages":[]}"#);
        assert_eq!(native.model.as_deref(), Some("claude"));
        assert!(native.stream);
        assert_eq!(native.max_output_tokens, Some(7));
        for strange in [r#"{"model":7,"stream":"yes","max_tokens":"many"}"#, "[", ""] {
            let native = read(strange);
            assert_eq!((native.model, native.stream), (None, false), "{strange}");
        }
    }

    #[test]
    fn the_simulated_provider_is_whoever_the_path_asks() {
        for (path, kind) in [
            ("v1/messages", ProviderKind::Anthropic),
            ("v1beta/models/gemini:generateContent", ProviderKind::Gemini),
            ("v1/models/gemini:generateContent", ProviderKind::Gemini),
            ("v2/chat", ProviderKind::Cohere),
            ("v1/models", ProviderKind::Openai),
            ("chat/completions", ProviderKind::Openai),
        ] {
            assert_eq!(imitated(path), kind, "{path}");
        }
    }
}
