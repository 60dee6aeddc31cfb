//! The URLs of callers, which say what other formats say in the body: the model, and what is asked of it
//! (<https://ai.google.dev/api/all-methods>).

use domain::name::ModelName;

use crate::url::decoded;

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// A whole answer.
    GenerateContent,
    /// A streamed answer: server-sent events with `alt=sse`, else a JSON array.
    StreamGenerateContent,
    /// The vector of one content.
    EmbedContent,
    /// The vectors of several contents.
    BatchEmbedContents,
    /// How many tokens a request has.
    CountTokens,
    /// Something that is not served, by its name; to be refused by it.
    Other(String),
}

impl Verb {
    fn of(word: &str) -> Self {
        match word {
            "generateContent" => Self::GenerateContent,
            "streamGenerateContent" => Self::StreamGenerateContent,
            "embedContent" => Self::EmbedContent,
            "batchEmbedContents" => Self::BatchEmbedContents,
            "countTokens" => Self::CountTokens,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Reads the path of a URL, percent-encoded or not: `/v1beta/models/{model}:{verb}`, the same under `/v1`,
/// `/v1alpha` and `/v1beta1`, below `/gemini`, and with Vertex AI's
/// `projects/…/locations/…/publishers/…` before the models. Vercel's AI SDK leaves out `models/` before a name
/// with a `/` in it, which is then ours: `provider/model`. A tuned model keeps its `tunedModels/`, since
/// its name alone is not one. A model's name may hold `/` and `:`; what follows the last `:` is the verb.
/// `None` for other paths and for what is no model's name.
pub fn read(path: &str) -> Option<(ModelName, Verb)> {
    let path = decoded(path)?;
    let path = path.strip_prefix("/gemini").unwrap_or(&path);
    let (version, resource) = path.strip_prefix('/')?.split_once('/')?;
    if !matches!(version, "v1" | "v1beta" | "v1alpha" | "v1beta1") {
        return None;
    }
    let resource = if resource.starts_with("projects/") || resource.starts_with("publishers/") {
        resource.split_once("/publishers/").map_or_else(
            || resource.strip_prefix("publishers/"),
            |(_, resource)| Some(resource),
        )?
    } else {
        resource
    };
    let (name, word) = resource.rsplit_once(':')?;
    let verb = Verb::of(word);
    let name = match name.split_once('/')? {
        ("models", name) => name,
        ("tunedModels", _) => name,
        (_, publishers) => match (publishers.strip_prefix("models/"), &verb) {
            (Some(name), _) => name,
            // Other collections have verbs of their own.
            (None, Verb::Other(_)) => return None,
            (None, _) => name,
        },
    };
    let name = name.strip_prefix("models/").unwrap_or(name);
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_word && name != "tunedModels/").then_some(())?;
    Some((name.parse().ok()?, verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(String, Verb)> {
        read(path).map(|(model, verb)| (model.to_string(), verb))
    }

    #[test]
    fn the_url_names_the_model_and_the_verb() {
        for (path, model, verb) in [
            (
                "/v1beta/models/gemini-3.1-pro:generateContent",
                "gemini-3.1-pro",
                Verb::GenerateContent,
            ),
            (
                "/v1/models/fast:streamGenerateContent",
                "fast",
                Verb::StreamGenerateContent,
            ),
            (
                "/gemini/v1alpha/models/openai/gpt-5:countTokens",
                "openai/gpt-5",
                Verb::CountTokens,
            ),
            (
                "/v1beta/models/ollama/llama3:8b:embedContent",
                "ollama/llama3:8b",
                Verb::EmbedContent,
            ),
            (
                "/v1beta/models/a%2Fb%3Ac:batchEmbedContents",
                "a/b:c",
                Verb::BatchEmbedContents,
            ),
            (
                "/v1beta/models/models/m:generateContent",
                "m",
                Verb::GenerateContent,
            ),
            (
                "/v1beta/tunedModels/mine:generateContent",
                "tunedModels/mine",
                Verb::GenerateContent,
            ),
            (
                "/v1beta1/projects/p/locations/global/publishers/google/models/m:generateContent",
                "m",
                Verb::GenerateContent,
            ),
            (
                "/v1beta1/publishers/google/models/m:generateContent",
                "m",
                Verb::GenerateContent,
            ),
            (
                "/v1beta/openai/gpt-5:streamGenerateContent",
                "openai/gpt-5",
                Verb::StreamGenerateContent,
            ),
            (
                "/v1beta/models/m:predict",
                "m",
                Verb::Other("predict".to_owned()),
            ),
        ] {
            assert_eq!(found(path), Some((model.to_owned(), verb)), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_read() {
        for path in [
            "",
            "/",
            "/v1beta/models",
            "/v1beta/models/m",
            "/v1beta/models/:generateContent",
            "/v1beta/models/m:",
            "/v1beta/models/m%0A:generateContent",
            "/v1beta/models/m%4:generateContent",
            "/v1beta/models/%FF:generateContent",
            "/v2/models/m:generateContent",
            "/v1beta/files/m:download",
            "/v1/chat/completions",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
