//! What may be particular about a host, as named facts.

/// What is particular about a host that speaks OpenAI's chat completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, told by its name"
)]
pub struct Quirks {
    /// How it names the bound on the output.
    pub output_bound: OutputBound,
    /// Whether it knows the role `developer`; one that does not gets `system`.
    pub developer_role: bool,
    /// Whether messages may have a `name`.
    pub named_messages: bool,
    /// Whether it takes `stream_options`; one that does not counts the usage unasked.
    pub stream_options: bool,
    /// Where the thoughts stand in its answers.
    pub thoughts: Thoughts,
    /// How it wants the thoughts of earlier turns back.
    pub past_thoughts: PastThoughts,
    /// How it is told to reason, or not to.
    pub reasoning_switch: ReasoningSwitch,
    /// What it makes of `response_format`.
    pub schemas: SchemaSupport,
    /// How it is made to call a tool, by `tool_choice`.
    pub forced_calls: ForcedCalls,
    /// Whether `seed` is called `random_seed`.
    pub random_seed: bool,
    /// Whether the ids of tool calls have nine letters and digits, no more and no less.
    pub short_call_ids: bool,
    /// Whether it takes what others have added to the format: `cache_control` of messages, parts and
    /// tools, `extra_content`, `annotations` of earlier answers.
    pub additions: bool,
    /// Whether it answers once only; more are refused rather than silently not given.
    pub one_choice: bool,
    /// Whether the number of results of `/rerank` is called `top_k`
    /// (<https://docs.voyageai.com/reference/reranker-api>); elsewhere it is `top_n`.
    pub rerank_top_k: bool,
    /// What `/embeddings` calls the number of dimensions of its vectors.
    pub dimensions_field: &'static str,
    /// Whether its vectors come of the task feature-extraction
    /// (<https://huggingface.co/docs/inference-providers/tasks/feature-extraction>); elsewhere they are made at
    /// `/embeddings`.
    pub feature_extraction: bool,
    /// Whether its batches are jobs of one model at `/batch/jobs` (<https://docs.mistral.ai/api/endpoint/batch>);
    /// elsewhere they are OpenAI's at `/batches`.
    pub batch_jobs: bool,
    /// Whether the user may speak at once after the results of tools; elsewhere the assistant has to speak between
    /// them, and everything else is refused.
    pub user_after_results: bool,
    /// Whether documents are addresses or `data:` URLs in parts `document_url`
    /// (<https://docs.mistral.ai/capabilities/document_ai/document_qna>); elsewhere they are parts `file`.
    pub documents_by_url: bool,
    /// What it makes of an assistant's words at the end of a conversation.
    pub prefill: Prefill,
    /// Fields of a request that it refuses; they are dropped, and the report says so. Of a request that otherwise
    /// passes untouched only those are dropped that shape nothing of the answer.
    pub refused: &'static [&'static str],
}

impl Quirks {
    /// Nothing is particular, or nothing is known: the request is written as OpenAI has it, with the
    /// additions that most hosts take or ignore.
    pub const NONE: Self = Self {
        output_bound: OutputBound::ByModel,
        developer_role: true,
        named_messages: true,
        stream_options: true,
        thoughts: Thoughts::Fields,
        past_thoughts: PastThoughts::ReasoningContent,
        reasoning_switch: ReasoningSwitch::Effort,
        schemas: SchemaSupport::Native,
        forced_calls: ForcedCalls::Word("required"),
        random_seed: false,
        short_call_ids: false,
        additions: true,
        one_choice: false,
        rerank_top_k: false,
        dimensions_field: "dimensions",
        feature_extraction: false,
        batch_jobs: false,
        user_after_results: true,
        documents_by_url: false,
        prefill: Prefill::ByModel,
        refused: &[],
    };

    /// Whether the field of a request is refused.
    pub fn refuses(&self, field: &str) -> bool {
        self.refused.contains(&field)
    }
}

/// What a host makes of an assistant's words at the end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefill {
    /// The model continues them, or does not.
    ByModel,
    /// It continues them where the message says `prefix: true`, and refuses them elsewhere
    /// (<https://docs.mistral.ai/api/endpoint/chat>).
    Prefix,
    /// It answers as if they were not its own; or continues them at another address only
    /// (<https://api-docs.deepseek.com/guides/chat_prefix_completion>).
    Never,
}

/// How a host names the bound on the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputBound {
    /// `max_completion_tokens` for OpenAI's reasoning models, `max_tokens` for all others.
    ByModel,
    /// `max_tokens` only; the newer name is refused or ignored.
    MaxTokens,
    /// `max_completion_tokens`; the older name is refused or on its way out.
    MaxCompletionTokens,
}

/// How a host is made to call a tool, by `tool_choice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedCalls {
    /// By this word, or by the name of a tool.
    Word(&'static str),
    /// By the name of a tool only.
    ByName,
    /// Not at all: the model decides.
    Never,
}

/// Where the thoughts stand in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoughts {
    /// In `reasoning_content`, `reasoning`, `reasoning_details` or in parts of the content.
    Fields,
    /// There, or at the beginning of the text between `<think>` and `</think>`: so it is where a server
    /// runs a model without a parser for its thoughts.
    Tags,
}

/// How a host wants the thoughts of earlier turns back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastThoughts {
    /// In `reasoning_content`, and in `reasoning_details` where they are signed.
    ReasoningContent,
    /// In `reasoning_content`, which must be there: a turn that came from a model without thoughts gets
    /// a blank one (<https://api-docs.deepseek.com/guides/thinking_mode>).
    ReasoningContentAlways,
    /// In `reasoning`.
    Reasoning,
    /// In `reasoning_details`, which keep what is signed or encrypted
    /// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
    ReasoningDetails,
    /// As parts of type `thinking` in the content
    /// (<https://docs.mistral.ai/capabilities/reasoning>).
    ThinkingParts,
    /// At the beginning of the text, between `<think>` and `</think>`.
    Tags,
    /// Not at all.
    Refused,
}

/// How a host is told to reason, or not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningSwitch {
    /// By `reasoning_effort`, whose word `none` switches it off.
    Effort,
    /// By `thinking: {"type": "enabled"}` or `"disabled"`, with `reasoning_effort` beside it
    /// (<https://api-docs.deepseek.com/guides/thinking_mode>).
    ThinkingType,
    /// By `enable_thinking`, with a budget in `thinking_budget`
    /// (<https://www.alibabacloud.com/help/en/model-studio/deep-thinking>).
    EnableThinking,
    /// By the object `reasoning`, which takes an effort or a budget
    /// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
    ReasoningObject,
}

/// What a host makes of `response_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaSupport {
    /// It takes `json_schema` and `json_object`.
    Native,
    /// It takes `json_schema` only.
    SchemaOnly,
    /// It takes `json_object`; a schema becomes an instruction.
    ObjectOnly,
    /// It takes neither; what is wanted becomes an instruction.
    None,
}
