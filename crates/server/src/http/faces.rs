//! The compatible faces: which request speaks which vendor's API. They come before the [`router`](super::router),
//! which has everything else.

use domain::call::Face as Recorded;
use domain::name::ModelName;
use providers::anthropic::{AnthropicMessages, CountTokens as CountMessages};
use providers::application::ApplicationChat;
use providers::audio::{OpenaiSpeech, OpenaiTranscripts};
use providers::cohere::CohereChat;
use providers::count::Counting;
use providers::embeddings::{CohereEmbeddings, GeminiEmbeddings, OpenaiEmbeddings};
use providers::face::Face;
use providers::gemini::path::Verb;
use providers::gemini::{self, CountTokens as CountContents, Gemini, GeminiArray};
use providers::images::OpenaiImages;
use providers::moderation::OpenaiModeration;
use providers::openai::OpenaiChat;
use providers::openai::completions::OpenaiCompletions;
use providers::openai::responses::{Compact, CountInput, OpenaiResponses};
use providers::rerank::{CohereRerank, JinaRerank};
use providers::task::Task;

/// Where applications chat, by `POST` or over WebSocket.
pub const CHAT: &str = "/api/ai/chat";
/// Where OpenAI's realtime sessions are held, over WebSocket.
pub const REALTIME: &str = "/v1/realtime";

/// The API of a vendor that a caller speaks.
#[derive(Clone, Copy)]
pub enum Api {
    /// A chat.
    Chat(&'static dyn Face),
    /// Anything else.
    Task(&'static dyn Task),
}

/// Which API a request speaks, and what its URL says.
pub struct Spoken {
    /// The API.
    pub api: Api,
    /// The same as it is recorded.
    pub name: Recorded,
    /// The model that the URL names.
    pub model: Option<ModelName>,
    /// Whether the URL asks for a stream; `None` where the body says it.
    pub stream: Option<bool>,
}

/// The API that `path` belongs to; `None` where it is none of a face's. All of them are asked by POST.
pub fn spoken_at(path: &str, query: Option<&str>) -> Option<Spoken> {
    match path {
        // OpenAI
        "/v1/chat/completions" => Some(chat(&OpenaiChat, Recorded::OpenaiChat)),
        "/v1/completions" => Some(chat(&OpenaiCompletions, Recorded::Openai)),
        "/v1/responses" => Some(chat(&OpenaiResponses, Recorded::OpenaiResponses)),
        "/v1/responses/input_tokens" => {
            Some(task(&Counting(CountInput), Recorded::OpenaiResponses))
        }
        "/v1/responses/compact" => Some(task(&Compact, Recorded::OpenaiResponses)),
        "/v1/embeddings" => Some(task(&OpenaiEmbeddings, Recorded::Openai)),
        "/v1/images/generations" => Some(task(&OpenaiImages::Generations, Recorded::Openai)),
        "/v1/images/edits" => Some(task(&OpenaiImages::Edits, Recorded::Openai)),
        "/v1/images/variations" => Some(task(&OpenaiImages::Variations, Recorded::Openai)),
        "/v1/audio/speech" => Some(task(&OpenaiSpeech, Recorded::Openai)),
        "/v1/audio/transcriptions" => {
            Some(task(&OpenaiTranscripts::Transcriptions, Recorded::Openai))
        }
        "/v1/audio/translations" => Some(task(&OpenaiTranscripts::Translations, Recorded::Openai)),
        "/v1/moderations" => Some(task(&OpenaiModeration, Recorded::Openai)),
        "/v1/rerank" => Some(task(&JinaRerank, Recorded::Openai)),
        // Anthropic
        "/v1/messages" | "/anthropic/v1/messages" => {
            Some(chat(&AnthropicMessages, Recorded::Anthropic))
        }
        "/v1/messages/count_tokens" | "/anthropic/v1/messages/count_tokens" => {
            Some(task(&Counting(CountMessages), Recorded::Anthropic))
        }
        // Cohere
        "/v2/chat" => Some(chat(&CohereChat, Recorded::Cohere)),
        "/v2/embed" => Some(task(&CohereEmbeddings, Recorded::Cohere)),
        "/v2/rerank" => Some(task(&CohereRerank, Recorded::Cohere)),
        // Trunkline's own, for applications
        CHAT => Some(chat(&ApplicationChat, Recorded::Application)),
        // Gemini names the model in the path.
        _ => gemini(path, query),
    }
}

fn gemini(path: &str, query: Option<&str>) -> Option<Spoken> {
    let (model, verb) = gemini::path::read(path)?;
    let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let spoken = match verb {
        Verb::GenerateContent => Spoken {
            stream: Some(false),
            ..chat(&Gemini, Recorded::Gemini)
        },
        Verb::StreamGenerateContent if is_sse => Spoken {
            stream: Some(true),
            ..chat(&Gemini, Recorded::Gemini)
        },
        Verb::StreamGenerateContent => Spoken {
            stream: Some(true),
            ..chat(&GeminiArray, Recorded::Gemini)
        },
        Verb::EmbedContent => task(&GeminiEmbeddings::Single, Recorded::Gemini),
        Verb::BatchEmbedContents => task(&GeminiEmbeddings::Batch, Recorded::Gemini),
        Verb::CountTokens => task(&Counting(CountContents), Recorded::Gemini),
        Verb::Other(_) => return None,
    };
    Some(Spoken {
        model: Some(model),
        ..spoken
    })
}

/// A task whose URL says nothing of the request.
fn task(task: &'static dyn Task, name: Recorded) -> Spoken {
    Spoken {
        api: Api::Task(task),
        name,
        model: None,
        stream: None,
    }
}

/// A chat whose URL says nothing of the request.
fn chat(face: &'static dyn Face, name: Recorded) -> Spoken {
    Spoken {
        api: Api::Chat(face),
        name,
        model: None,
        stream: None,
    }
}
