//! The providers that the built-in catalog knows, one row each.

/// One provider of the built-in catalog.
#[derive(Debug)]
pub struct BuiltinProvider {
    /// Its name in the catalog.
    pub name: &'static str,
    /// Whose models it resells under their own prices when it has none of its own.
    pub resells: &'static [&'static str],
    /// Its data file.
    pub file: &'static str,
    /// Its name in genai-prices.
    pub genai_name: &'static str,
    /// Its names in `LiteLLM`'s table; a name that ends in `*` stands for all that begin so.
    pub litellm_names: &'static [&'static str],
    /// What `LiteLLM` writes before the model's name.
    pub litellm_prefixes: &'static [&'static str],
    /// Where it publishes its prices: domains, with all below them.
    pub domains: &'static [&'static str],
}

/// Every provider of the built-in catalog: makers of models first, resellers last, so that a bare
/// model name means its maker's.
pub const BUILTIN_PROVIDERS: [BuiltinProvider; 14] = [
    BuiltinProvider {
        name: "openai",
        resells: &[],
        file: include_str!("../../catalog/openai.json"),
        genai_name: "openai",
        litellm_names: &["openai", "text-completion-openai"],
        litellm_prefixes: &["openai/"],
        domains: &["openai.com"],
    },
    BuiltinProvider {
        name: "anthropic",
        resells: &[],
        file: include_str!("../../catalog/anthropic.json"),
        genai_name: "anthropic",
        litellm_names: &["anthropic"],
        litellm_prefixes: &["anthropic/"],
        domains: &["claude.com", "anthropic.com"],
    },
    BuiltinProvider {
        name: "gemini",
        resells: &[],
        file: include_str!("../../catalog/gemini.json"),
        genai_name: "google",
        litellm_names: &["gemini"],
        litellm_prefixes: &["gemini/"],
        domains: &["google.dev", "google.com"],
    },
    BuiltinProvider {
        name: "mistral",
        resells: &[],
        file: include_str!("../../catalog/mistral.json"),
        genai_name: "mistral",
        litellm_names: &["mistral", "codestral", "text-completion-codestral"],
        litellm_prefixes: &["mistral/", "codestral/", "text-completion-codestral/"],
        domains: &["mistral.ai"],
    },
    BuiltinProvider {
        name: "cohere",
        resells: &[],
        file: include_str!("../../catalog/cohere.json"),
        genai_name: "cohere",
        litellm_names: &["cohere", "cohere_chat"],
        litellm_prefixes: &["cohere/"],
        domains: &["cohere.com"],
    },
    BuiltinProvider {
        name: "deepseek",
        resells: &[],
        file: include_str!("../../catalog/deepseek.json"),
        genai_name: "deepseek",
        litellm_names: &["deepseek"],
        litellm_prefixes: &["deepseek/"],
        domains: &["deepseek.com"],
    },
    BuiltinProvider {
        name: "xai",
        resells: &[],
        file: include_str!("../../catalog/xai.json"),
        genai_name: "x-ai",
        litellm_names: &["xai"],
        litellm_prefixes: &["xai/"],
        domains: &["x.ai"],
    },
    BuiltinProvider {
        name: "perplexity",
        resells: &[],
        file: include_str!("../../catalog/perplexity.json"),
        genai_name: "perplexity",
        litellm_names: &["perplexity"],
        litellm_prefixes: &["perplexity/"],
        domains: &["perplexity.ai"],
    },
    BuiltinProvider {
        name: "groq",
        resells: &[],
        file: include_str!("../../catalog/groq.json"),
        genai_name: "groq",
        litellm_names: &["groq"],
        litellm_prefixes: &["groq/"],
        domains: &["groq.com"],
    },
    BuiltinProvider {
        name: "together",
        resells: &[],
        file: include_str!("../../catalog/together.json"),
        genai_name: "together",
        litellm_names: &["together_ai"],
        litellm_prefixes: &["together_ai/"],
        domains: &["together.ai"],
    },
    BuiltinProvider {
        name: "fireworks",
        resells: &[],
        file: include_str!("../../catalog/fireworks.json"),
        genai_name: "fireworks",
        litellm_names: &["fireworks_ai", "fireworks_ai-embedding-models"],
        litellm_prefixes: &["fireworks_ai/"],
        domains: &["fireworks.ai"],
    },
    BuiltinProvider {
        name: "azure",
        resells: &["openai", "anthropic"],
        file: include_str!("../../catalog/azure.json"),
        genai_name: "azure",
        litellm_names: &["azure", "azure_ai", "azure_text"],
        litellm_prefixes: &["azure/", "azure_ai/"],
        domains: &["azure.com", "microsoft.com"],
    },
    BuiltinProvider {
        name: "bedrock",
        resells: &["anthropic"],
        file: include_str!("../../catalog/bedrock.json"),
        genai_name: "aws",
        litellm_names: &["bedrock", "bedrock_converse"],
        litellm_prefixes: &[],
        domains: &["amazon.com", "amazonaws.com"],
    },
    BuiltinProvider {
        name: "vertex",
        resells: &["gemini", "anthropic"],
        file: include_str!("../../catalog/vertex.json"),
        genai_name: "google",
        litellm_names: &["vertex_ai*"],
        litellm_prefixes: &["vertex_ai/"],
        domains: &["google.com"],
    },
];

/// The row of a provider, by its name in the catalog.
#[must_use]
pub fn builtin_provider(name: &str) -> Option<&'static BuiltinProvider> {
    BUILTIN_PROVIDERS
        .iter()
        .find(|provider| provider.name == name)
}
