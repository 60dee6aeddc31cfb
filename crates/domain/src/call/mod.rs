//! A call as the ledger records it: one row per request, with its attempts.
//!
//! Field names are those of `GET /api/v1/db/logs` and of OpenTelemetry's GenAI conventions.

mod attempt;
mod port;
mod shadow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use attempt::{Attempt, AttemptReason};
pub use port::{CallCursor, CallFilter, CallObserver, CallPage, CallStore, Payload, Spend};
pub use shadow::{Outcome, ShadowPair};

use crate::id::{ApplicationId, BatchId, KeyId, OrganizationId, ProjectId, RequestId, UserId};
use crate::money::Cost;
use crate::name::{ModelName, ProviderName};
use crate::usage::Usage;

/// One call, ended. Every request that was authenticated and asked for a served model becomes exactly
/// one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its identifier (`x-request-id`).
    pub request_id: RequestId,
    /// The caller's own identifier (`x-client-request-id`), at most 256 bytes.
    pub client_request_id: Option<String>,
    /// The batch that it is a line of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// When it arrived.
    #[serde(with = "crate::json::time")]
    pub started_at: Timestamp,
    /// When its end was known.
    #[serde(with = "crate::json::time")]
    pub ended_at: Timestamp,
    /// How it ended.
    pub state: CallState,
    /// Why it ended so, when that is not plain from the state.
    pub end_reason: Option<EndReason>,
    /// What was asked for.
    pub operation: Operation,
    /// The API that was spoken.
    pub face: Face,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// The provider that answered last.
    pub provider: Option<ProviderName>,
    /// The model's name as the caller wrote it. Of a request that passes to a vendor's own API: the
    /// provider's name with the model's, or with the path where none is known.
    pub request_model: ModelName,
    /// The model that answered, in the provider's words.
    pub response_model: Option<String>,
    /// The configured route that was taken; `None` when the name was resolved directly.
    pub route: Option<String>,
    /// What the target is called in a comparison that the call was meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The call that it is a copy of: its answer went to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<RequestId>,
    /// The key that was shown.
    pub key_id: KeyId,
    /// The tenant; the default one is left out of records.
    #[serde(default, serialize_with = "crate::json::unless_default")]
    pub organization_id: OrganizationId,
    /// The tenant's project.
    #[serde(default, serialize_with = "crate::json::unless_default")]
    pub project_id: ProjectId,
    /// The application that the key was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// The user whom the key was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The status code that the caller saw.
    pub status: Option<u16>,
    /// What went wrong, by cause.
    pub error_type: Option<String>,
    /// Why the answer ended, as the model's provider says (`stop`, `length`, …).
    pub finish_reason: Option<String>,
    /// Every dispatch to a provider, in order.
    pub attempts: Vec<Attempt>,
    /// What it took.
    pub usage: Usage,
    /// What it cost; `None` when no price is known.
    pub cost_usd: Option<Cost>,
    /// Where the price comes from.
    pub price_source: Option<String>,
    /// What the cache said: `hit`, `semantic_hit`, `miss`, `bypass`.
    pub cache: CacheOutcome,
    /// What the call would have cost, where the cache answered it; `None` where no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_usd: Option<Cost>,
    /// From arrival to the end of the answer, in milliseconds.
    pub latency_ms: u64,
    /// From arrival to the first content of a stream, in milliseconds.
    pub time_to_first_token_ms: Option<u64>,
    /// What Trunkline itself added before the provider was asked and after it answered, in
    /// microseconds. Shown as `overhead_ms` with three decimals.
    pub overhead_us: u64,
}

impl Call {
    /// Who answered, and the model in the provider's words: on whom and on what it was spent. Texts with NUL, which
    /// not every store has, are no models.
    pub fn answered_by(&self) -> (Option<&ProviderName>, &str) {
        let last = self.attempts.last();
        let model = last
            .map(|attempt| attempt.model.as_str())
            .or(self.response_model.as_deref())
            .filter(|model| !model.contains('\0'))
            .unwrap_or(self.request_model.as_str());
        (self.provider.as_ref(), model)
    }

    /// The attempt whose answer or failure the caller was told; `None` where nobody was asked.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts
            .iter()
            .rev()
            .find(|attempt| !attempt.cancelled)
    }
}

/// How a call ended. A call ends once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// With the provider's own usage.
    Settled,
    /// With an estimate of the usage, because the provider did not say.
    Estimated,
    /// By the caller, who went away; with the usage that was known then.
    Cancelled,
    /// Without an answer.
    Failed,
}

/// Why a call ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The process ended while the call was open; found at the next start.
    Interrupted,
    /// The provider's answer had no usage.
    NoUsage,
    /// It passed to a vendor's own API, where nothing is known of what it takes.
    Unmetered,
    /// The caller went away.
    CallerGone,
    /// The provider's answer broke off.
    ProviderBroke,
    /// The provider failed or refused.
    ProviderError,
    /// It was answered, and what another attempt took beside it is estimated.
    OtherAttempt,
    /// Every target failed, and the caller got the safe reply of the route.
    SafeReply,
    /// The gateway refused: a limit, a strict route, a request that no target takes.
    Refused,
}

/// What was asked for (OpenTelemetry's `gen_ai.operation.name`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A chat.
    Chat,
    /// The continuation of a text.
    TextCompletion,
    /// Vectors of texts.
    Embeddings,
    /// Vectors of a text, asked for to find an answer that is kept.
    CacheEmbedding,
    /// Documents put in the order in which they answer a query.
    Rerank,
    /// A judgement of whether content is harmful.
    Moderation,
    /// Pictures, new or edited.
    ImageGeneration,
    /// Text read aloud.
    Speech,
    /// A recording written down, or translated.
    Transcription,
    /// A count of tokens.
    TokenCount,
    /// A conversation over one connection.
    Realtime,
    /// A request that passes to the vendor's own API.
    PassThrough,
}

/// The API that a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// The rest of OpenAI's API.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Cohere's API.
    Cohere,
    /// Trunkline's own API for applications.
    Application,
    /// A vendor's own API, passed through.
    PassThrough,
}

/// What the cache said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheOutcome {
    /// The cache was not asked.
    Bypass,
    /// The cache was asked and had no answer.
    Miss,
    /// The cache answered: the same had been asked before.
    Hit,
    /// The cache answered: something that means the same had been asked before.
    SemanticHit,
}

impl CacheOutcome {
    /// Whether the cache answered, so that no provider was asked.
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::SemanticHit)
    }
}

/// Writes the two directions between a unit-only enum and its word in records and the store.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word used in the API, the logs and the store.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(CallState { Settled => "settled", Estimated => "estimated", Cancelled => "cancelled", Failed => "failed" });
words!(EndReason {
    Interrupted => "interrupted",
    NoUsage => "no_usage",
    Unmetered => "unmetered",
    CallerGone => "caller_gone",
    ProviderBroke => "provider_broke",
    ProviderError => "provider_error",
    OtherAttempt => "other_attempt",
    SafeReply => "safe_reply",
    Refused => "refused",
});
words!(Operation {
    Chat => "chat",
    TextCompletion => "text_completion",
    Embeddings => "embeddings",
    CacheEmbedding => "cache_embedding",
    Rerank => "rerank",
    Moderation => "moderation",
    ImageGeneration => "image_generation",
    Speech => "speech",
    Transcription => "transcription",
    TokenCount => "token_count",
    Realtime => "realtime",
    PassThrough => "pass_through",
});
words!(Face {
    OpenaiChat => "openai_chat",
    OpenaiResponses => "openai_responses",
    Openai => "openai",
    Anthropic => "anthropic",
    Gemini => "gemini",
    Cohere => "cohere",
    Application => "application",
    PassThrough => "pass_through",
});
words!(CacheOutcome { Bypass => "bypass", Miss => "miss", Hit => "hit", SemanticHit => "semantic_hit" });
