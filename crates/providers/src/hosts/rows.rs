//! The rows. A quirk that is not here is not known: the host then gets what OpenAI would get.

use super::{
    ForcedCalls, HostRow, OutputBound, PastThoughts, Prefill, Quirks, ReasoningSwitch,
    SchemaSupport, Serves, Thoughts,
};

/// Chat completions and a list of models: what every host has.
const CHAT: Serves = Serves {
    chat: true,
    responses: false,
    completions: false,
    embeddings: false,
    rerank: false,
    models: true,
    batches: false,
};

/// A host that is reached with a key at one address.
const fn keyed(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [&'static str],
    documentation: &'static str,
) -> HostRow {
    HostRow {
        name,
        base_url: Some(base_url),
        also_at: &[],
        base_url_example: None,
        key_variables,
        is_found_by_key: true,
        base_url_variable: None,
        quirks: Quirks::NONE,
        serves: CHAT,
        documentation,
    }
}

/// A server of the operator's own, which wants no key.
const fn local(
    name: &'static str,
    base_url: &'static str,
    also_at: &'static [&'static str],
    documentation: &'static str,
) -> HostRow {
    HostRow {
        also_at,
        is_found_by_key: false,
        serves: Serves {
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(name, base_url, &[], documentation)
    }
}

/// Every compatible host that is known by name, the vendor's own first.
pub static HOSTS: &[HostRow] = &[
    HostRow {
        base_url_variable: Some("OPENAI_BASE_URL"),
        quirks: Quirks {
            past_thoughts: PastThoughts::Refused,
            additions: false,
            refused: &["top_k"],
            ..Quirks::NONE
        },
        serves: Serves::OPENAI,
        ..keyed(
            "openai",
            "https://api.openai.com/v1",
            &["OPENAI_API_KEY"],
            "https://platform.openai.com/docs/api-reference/chat/create",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxCompletionTokens,
            named_messages: false,
            thoughts: Thoughts::Tags,
            past_thoughts: PastThoughts::Reasoning,
            additions: false,
            one_choice: true,
            // "property 'store' is unsupported": so it says of everything that it does not know.
            refused: &[
                "logit_bias",
                "logprobs",
                "metadata",
                "prompt_cache_key",
                "prompt_cache_retention",
                "safety_identifier",
                "store",
                "top_k",
                "top_logprobs",
            ],
            ..Quirks::NONE
        },
        serves: Serves {
            batches: true,
            responses: true,
            ..CHAT
        },
        ..keyed(
            "groq",
            "https://api.groq.com/openai/v1",
            &["GROQ_API_KEY"],
            "https://console.groq.com/docs/openai",
        )
    },
    HostRow {
        also_at: &["https://api.deepseek.com", "https://api.deepseek.com/beta"],
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            past_thoughts: PastThoughts::ReasoningContentAlways,
            reasoning_switch: ReasoningSwitch::ThinkingType,
            schemas: SchemaSupport::ObjectOnly,
            one_choice: true,
            prefill: Prefill::Never,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            ..CHAT
        },
        ..keyed(
            "deepseek",
            "https://api.deepseek.com/v1",
            &["DEEPSEEK_API_KEY"],
            "https://api-docs.deepseek.com/guides/thinking_mode",
        )
    },
    HostRow {
        serves: Serves {
            responses: true,
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "xai",
            "https://api.x.ai/v1",
            &["XAI_API_KEY"],
            "https://docs.x.ai/docs/api-reference",
        )
    },
    HostRow {
        also_at: &["https://codestral.mistral.ai/v1"],
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            named_messages: false,
            stream_options: false,
            past_thoughts: PastThoughts::ThinkingParts,
            forced_calls: ForcedCalls::Word("any"),
            random_seed: true,
            short_call_ids: true,
            additions: false,
            // "Extra inputs are not permitted": so it says of everything that it does not know.
            refused: &[
                "logit_bias",
                "logprobs",
                "modalities",
                "prompt_cache_retention",
                "safety_identifier",
                "service_tier",
                "store",
                "top_k",
                "top_logprobs",
                "user",
                "verbosity",
                "web_search_options",
            ],
            dimensions_field: "output_dimension",
            batch_jobs: true,
            user_after_results: false,
            documents_by_url: true,
            prefill: Prefill::Prefix,
            ..Quirks::NONE
        },
        serves: Serves {
            batches: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "mistral",
            "https://api.mistral.ai/v1",
            &["MISTRAL_API_KEY"],
            "https://docs.mistral.ai/api",
        )
    },
    HostRow {
        quirks: Quirks {
            past_thoughts: PastThoughts::ReasoningDetails,
            reasoning_switch: ReasoningSwitch::ReasoningObject,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "openrouter",
            "https://openrouter.ai/api/v1",
            &["OPENROUTER_API_KEY"],
            "https://openrouter.ai/docs/api-reference/overview",
        )
    },
    HostRow {
        also_at: &["https://api.together.ai/v1"],
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            embeddings: true,
            rerank: true,
            ..CHAT
        },
        ..keyed(
            "together",
            "https://api.together.xyz/v1",
            &["TOGETHER_API_KEY"],
            "https://docs.together.ai/docs/openai-api-compatibility",
        )
    },
    HostRow {
        quirks: Quirks {
            additions: false,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            completions: true,
            embeddings: true,
            rerank: true,
            ..CHAT
        },
        ..keyed(
            "fireworks",
            "https://api.fireworks.ai/inference/v1",
            &["FIREWORKS_API_KEY"],
            "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        )
    },
    HostRow {
        // Chat completions have no version.
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            named_messages: false,
            thoughts: Thoughts::Tags,
            past_thoughts: PastThoughts::Refused,
            schemas: SchemaSupport::SchemaOnly,
            one_choice: true,
            refused: &[
                "tools",
                "tool_choice",
                "parallel_tool_calls",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "seed",
                "stop",
            ],
            ..Quirks::NONE
        },
        serves: Serves {
            models: false,
            ..CHAT
        },
        ..keyed(
            "perplexity",
            "https://api.perplexity.ai",
            &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
            "https://docs.perplexity.ai/api-reference/chat-completions-post",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxCompletionTokens,
            developer_role: false,
            thoughts: Thoughts::Tags,
            past_thoughts: PastThoughts::Reasoning,
            additions: false,
            one_choice: true,
            // "property 'store' is unsupported": so it says of everything that it does not know.
            refused: &[
                "frequency_penalty",
                "logit_bias",
                "metadata",
                "presence_penalty",
                "prompt_cache_retention",
                "safety_identifier",
                "store",
                "top_k",
            ],
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            ..CHAT
        },
        ..keyed(
            "cerebras",
            "https://api.cerebras.ai/v1",
            &["CEREBRAS_API_KEY"],
            "https://inference-docs.cerebras.ai/resources/openai",
        )
    },
    HostRow {
        quirks: Quirks {
            thoughts: Thoughts::Tags,
            one_choice: true,
            refused: &[
                "frequency_penalty",
                "presence_penalty",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "seed",
            ],
            ..Quirks::NONE
        },
        serves: Serves {
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "sambanova",
            "https://api.sambanova.ai/v1",
            &["SAMBANOVA_API_KEY"],
            "https://docs.sambanova.ai/cloud/docs/capabilities/openai-compatibility",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "nvidia",
            "https://integrate.api.nvidia.com/v1",
            &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
            "https://docs.api.nvidia.com/nim/reference/llm-apis",
        )
    },
    HostRow {
        // The variable opens repositories first of all.
        is_found_by_key: false,
        serves: Serves {
            embeddings: true,
            models: false,
            ..CHAT
        },
        ..keyed(
            "github",
            "https://models.github.ai/inference",
            &["GITHUB_TOKEN"],
            "https://docs.github.com/en/rest/models/inference",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "deepinfra",
            "https://api.deepinfra.com/v1/openai",
            &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
            "https://deepinfra.com/docs/openai_api",
        )
    },
    HostRow {
        also_at: &[
            "https://api.novita.ai/openai",
            "https://api.novita.ai/v3/openai",
        ],
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "novita",
            "https://api.novita.ai/openai/v1",
            &["NOVITA_API_KEY"],
            "https://novita.ai/docs/guides/llm-api",
        )
    },
    HostRow {
        also_at: &["https://api.moonshot.cn/v1"],
        quirks: Quirks {
            output_bound: OutputBound::MaxCompletionTokens,
            developer_role: false,
            past_thoughts: PastThoughts::ReasoningContentAlways,
            reasoning_switch: ReasoningSwitch::ThinkingType,
            forced_calls: ForcedCalls::ByName,
            ..Quirks::NONE
        },
        ..keyed(
            "moonshot",
            "https://api.moonshot.ai/v1",
            &["MOONSHOT_API_KEY"],
            "https://platform.moonshot.ai/docs/api/chat",
        )
    },
    HostRow {
        also_at: &[
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
        ],
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            reasoning_switch: ReasoningSwitch::EnableThinking,
            forced_calls: ForcedCalls::ByName,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "dashscope",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            &["DASHSCOPE_API_KEY"],
            "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        )
    },
    HostRow {
        also_at: &["https://open.bigmodel.cn/api/coding/paas/v4"],
        quirks: ZHIPU,
        serves: Serves {
            embeddings: true,
            rerank: true,
            models: false,
            ..CHAT
        },
        ..keyed(
            "zhipu",
            "https://open.bigmodel.cn/api/paas/v4",
            &["ZHIPUAI_API_KEY"],
            "https://docs.bigmodel.cn/api-reference",
        )
    },
    HostRow {
        also_at: &["https://api.z.ai/api/coding/paas/v4"],
        quirks: ZHIPU,
        serves: Serves {
            models: false,
            ..CHAT
        },
        ..keyed(
            "zai",
            "https://api.z.ai/api/paas/v4",
            &["ZAI_API_KEY"],
            "https://docs.z.ai/api-reference/llm/chat-completion",
        )
    },
    HostRow {
        also_at: &["https://api.minimaxi.com/v1"],
        quirks: Quirks {
            output_bound: OutputBound::MaxCompletionTokens,
            developer_role: false,
            thoughts: Thoughts::Tags,
            past_thoughts: PastThoughts::Tags,
            schemas: SchemaSupport::None,
            forced_calls: ForcedCalls::Never,
            one_choice: true,
            refused: &["presence_penalty", "frequency_penalty", "logit_bias"],
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            ..CHAT
        },
        ..keyed(
            "minimax",
            "https://api.minimax.io/v1",
            &["MINIMAX_API_KEY"],
            "https://platform.minimax.io/docs/api-reference/text-openai-api",
        )
    },
    HostRow {
        also_at: &[
            "https://api.studio.nebius.com/v1",
            "https://api.studio.nebius.ai/v1",
        ],
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "nebius",
            "https://api.tokenfactory.nebius.com/v1",
            &["NEBIUS_API_KEY"],
            "https://docs.tokenfactory.nebius.com/api-reference/introduction",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            ..CHAT
        },
        ..keyed(
            "hyperbolic",
            "https://api.hyperbolic.xyz/v1",
            &["HYPERBOLIC_API_KEY"],
            "https://docs.hyperbolic.xyz/docs/rest-api",
        )
    },
    HostRow {
        base_url: None,
        base_url_example: Some("https://WORKSPACE.cloud.databricks.com/serving-endpoints"),
        is_found_by_key: false,
        serves: Serves {
            completions: true,
            embeddings: true,
            models: false,
            ..CHAT
        },
        ..keyed(
            "databricks",
            "",
            &["DATABRICKS_TOKEN"],
            "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        )
    },
    HostRow {
        base_url: None,
        base_url_example: Some("https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1"),
        is_found_by_key: false,
        quirks: Quirks {
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            embeddings: true,
            models: false,
            ..CHAT
        },
        ..keyed(
            "cloudflare",
            "",
            &["CLOUDFLARE_API_TOKEN"],
            "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        )
    },
    HostRow {
        // The variable opens repositories first of all.
        is_found_by_key: false,
        // It hands requests on as they are, to hosts of which some refuse what only OpenAI knows.
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            thoughts: Thoughts::Tags,
            additions: false,
            refused: &[
                "logit_bias",
                "metadata",
                "prompt_cache_key",
                "prompt_cache_retention",
                "safety_identifier",
                "store",
                "top_k",
            ],
            feature_extraction: true,
            ..Quirks::NONE
        },
        // Its responses are made of its chat completions, and on trial
        // (<https://huggingface.co/docs/inference-providers/guides/responses-api>).
        serves: Serves {
            embeddings: true,
            ..CHAT
        },
        ..keyed(
            "huggingface",
            "https://router.huggingface.co/v1",
            &["HF_TOKEN"],
            "https://huggingface.co/docs/inference-providers/index",
        )
    },
    HostRow {
        serves: Serves {
            chat: false,
            embeddings: true,
            rerank: true,
            ..CHAT
        },
        ..keyed(
            "jina",
            "https://api.jina.ai/v1",
            &["JINA_API_KEY"],
            "https://jina.ai/embeddings",
        )
    },
    HostRow {
        quirks: Quirks {
            rerank_top_k: true,
            dimensions_field: "output_dimension",
            ..Quirks::NONE
        },
        serves: Serves {
            chat: false,
            embeddings: true,
            rerank: true,
            models: false,
            ..CHAT
        },
        ..keyed(
            "voyage",
            "https://api.voyageai.com/v1",
            &["VOYAGE_API_KEY"],
            "https://docs.voyageai.com/reference/embeddings-api",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            thoughts: Thoughts::Tags,
            past_thoughts: PastThoughts::Reasoning,
            one_choice: true,
            refused: &["logit_bias"],
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..local(
            "ollama",
            "http://127.0.0.1:11434/v1",
            &["http://localhost:11434/v1"],
            "https://docs.ollama.com/api/openai-compatibility",
        )
    },
    HostRow {
        quirks: Quirks {
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            completions: true,
            embeddings: true,
            rerank: true,
            ..CHAT
        },
        ..local(
            "vllm",
            "http://127.0.0.1:8000/v1",
            &["http://localhost:8000/v1"],
            "https://docs.vllm.ai/en/latest/serving/openai_compatible_server/",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            responses: true,
            completions: true,
            embeddings: true,
            ..CHAT
        },
        ..local(
            "lmstudio",
            "http://127.0.0.1:1234/v1",
            &["http://localhost:1234/v1"],
            "https://lmstudio.ai/docs/developer/openai-compat",
        )
    },
    HostRow {
        quirks: Quirks {
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            embeddings: true,
            rerank: true,
            ..CHAT
        },
        ..local(
            "llamacpp",
            "http://127.0.0.1:8080/v1",
            &["http://localhost:8080/v1"],
            "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        )
    },
    HostRow {
        quirks: Quirks {
            thoughts: Thoughts::Tags,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            embeddings: true,
            rerank: true,
            ..CHAT
        },
        ..local(
            "sglang",
            "http://127.0.0.1:30000/v1",
            &["http://localhost:30000/v1"],
            "https://docs.sglang.ai/basic_usage/openai_api_completions.html",
        )
    },
    HostRow {
        quirks: Quirks {
            output_bound: OutputBound::MaxTokens,
            developer_role: false,
            thoughts: Thoughts::Tags,
            past_thoughts: PastThoughts::Refused,
            ..Quirks::NONE
        },
        serves: Serves {
            completions: true,
            ..CHAT
        },
        ..local(
            "tgi",
            "http://127.0.0.1:3000/v1",
            &["http://localhost:3000/v1"],
            "https://huggingface.co/docs/text-generation-inference/messages_api",
        )
    },
];

/// Zhipu's models, at home and abroad.
const ZHIPU: Quirks = Quirks {
    output_bound: OutputBound::MaxTokens,
    developer_role: false,
    reasoning_switch: ReasoningSwitch::ThinkingType,
    schemas: SchemaSupport::ObjectOnly,
    forced_calls: ForcedCalls::Never,
    one_choice: true,
    refused: &["logit_bias", "logprobs", "top_logprobs"],
    ..Quirks::NONE
};
