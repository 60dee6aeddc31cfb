//! Anthropic's beta features: which of them the hosts of its format take, and under what name.
//!
//! A host refuses a whole request for one feature that it does not know, and new features come every month. So
//! to Anthropic itself everything passes; for other hosts, what the table does not name stays behind and is
//! reported. The tables are facts from LiteLLM's, see `NOTICE.md` beside this file.
//! <https://platform.claude.com/docs/en/api/beta-headers>

use domain::chat::Conversion;
use http::HeaderMap;
use http::header::HeaderValue;

/// The field in which callers name the features.
pub const FIELD: &str = "anthropic-beta";

/// A host of Anthropic's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetaHost {
    /// Anthropic, and everyone who speaks for it.
    Anthropic,
    /// Microsoft's Azure AI Foundry.
    Azure,
    /// Amazon Bedrock's `InvokeModel`, whose body names the features in `anthropic_beta`.
    Bedrock,
    /// Amazon Bedrock's Converse, whose `additionalModelRequestFields` name them.
    BedrockConverse,
    /// Google's Vertex AI.
    Vertex,
    /// Databricks.
    Databricks,
}

/// The features of a request, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Betas {
    /// Those that the host takes, in its own words and in the caller's order.
    pub kept: Vec<String>,
    /// Those that it does not take, in the caller's words.
    pub left_out: Vec<String>,
}

impl Betas {
    /// The field that names what the host takes; `None` when that is nothing.
    pub fn field(&self) -> Option<HeaderValue> {
        if self.kept.is_empty() {
            return None;
        }
        HeaderValue::try_from(self.kept.join(",")).ok()
    }

    /// Says what was left out.
    pub fn report(&self, report: &mut Conversion) {
        for beta in &self.left_out {
            report.drop(
                FIELD,
                format!("the host does not take the beta feature {beta:?}"),
            );
        }
    }
}

/// The features that a request asks for by its fields, each once, in order.
pub fn asked_for(headers: &HeaderMap) -> Vec<String> {
    let mut betas: Vec<String> = Vec::new();
    let values = headers.get_all(FIELD).into_iter();
    for beta in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let beta = beta.trim();
        if !beta.is_empty() && !betas.iter().any(|known| known == beta) {
            betas.push(beta.to_owned());
        }
    }
    betas
}

/// Sorts the features that `headers` ask for by what `host` takes for `model`.
pub fn for_host(host: BetaHost, model: &str, headers: &HeaderMap) -> Betas {
    let mut betas = Betas::default();
    for beta in asked_for(headers) {
        match name_at(host, model, &beta) {
            Some(name) if betas.kept.iter().any(|kept| kept == name) => {}
            Some(name) => betas.kept.push(name.to_owned()),
            None => betas.left_out.push(beta),
        }
    }
    betas
}

fn name_at<'a>(host: BetaHost, model: &str, beta: &'a str) -> Option<&'a str> {
    let table = match host {
        BetaHost::Anthropic => return Some(beta),
        BetaHost::Azure => AZURE,
        BetaHost::Bedrock => BEDROCK,
        BetaHost::BedrockConverse => BEDROCK_CONVERSE,
        BetaHost::Vertex => VERTEX,
        BetaHost::Databricks => DATABRICKS,
    };
    // Anthropic takes it for every model, with or without effect; the clouds refuse it for models that do
    // not need it (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking#interleaved-thinking>).
    if beta == INTERLEAVED_THINKING && !super::model::thinks_between_tools_by_beta(model) {
        return None;
    }
    if table.contains(&beta) {
        return Some(beta);
    }
    let renamed = RENAMED
        .iter()
        .find(|(ours, theirs)| *ours == beta && table.contains(theirs));
    renamed.map(|(_, theirs)| *theirs)
}

const INTERLEAVED_THINKING: &str = "interleaved-thinking-2025-05-14";

/// Features that some hosts know by another name.
const RENAMED: &[(&str, &str)] = &[(
    "advanced-tool-use-2025-11-20",
    "tool-search-tool-2025-10-19",
)];

const AZURE: &[&str] = &[
    "advanced-tool-use-2025-11-20",
    "code-execution-2025-08-25",
    "compact-2026-09-04",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dangerous-tool-use-2026-09-03",
    "effort-2025-11-24",
    "files-api-2025-04-14",
    "interleaved-thinking-2025-05-14",
    "mcp-client-2025-04-04",
    "mcp-client-2025-11-20",
    "mid-conversation-tool-changes-2026-07-01",
    "per-turn-control-2026-07-01",
    "prompt-caching-scope-2026-01-05",
    "skills-2025-10-02",
    "structured-outputs-2025-11-13",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "web-fetch-2025-09-10",
    "web-search-2025-03-05",
];

const BEDROCK: &[&str] = &[
    "compact-2026-01-12",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dangerous-tool-use-2026-09-03",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "mid-conversation-output-config-2026-07-01",
    "mid-conversation-tool-changes-2026-07-01",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "tool-search-tool-2025-10-19",
];

const BEDROCK_CONVERSE: &[&str] = &[
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "structured-outputs-2025-11-13",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
];

const VERTEX: &[&str] = &[
    "compact-2026-01-12",
    "compact-2026-09-04",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dangerous-tool-use-2026-09-03",
    "inline-tools-2026-09-15",
    "interleaved-thinking-2025-05-14",
    "mid-conversation-tool-changes-2026-07-01",
    "per-turn-control-2026-07-01",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "tool-search-tool-2025-10-19",
    "web-search-2025-03-05",
];

const DATABRICKS: &[&str] = &[
    "compact-2026-01-12",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dangerous-tool-use-2026-09-03",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "structured-outputs-2025-11-13",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "token-efficient-tools-2025-02-19",
    "web-search-2025-03-05",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FIELD, HeaderValue::from_static(value));
        }
        headers
    }

    fn sorted(host: BetaHost, model: &str, values: &[&'static str]) -> (Vec<String>, Vec<String>) {
        let betas = for_host(host, model, &asking(values));
        (betas.kept, betas.left_out)
    }

    #[test]
    fn every_feature_passes_to_anthropic_even_one_of_tomorrow() {
        let asked = ["new-2027-01-01, files-api-2025-04-14", "new-2027-01-01"];
        let (kept, left_out) = sorted(BetaHost::Anthropic, "claude-opus-5-5", &asked);
        assert_eq!(kept, ["new-2027-01-01", "files-api-2025-04-14"]);
        assert!(left_out.is_empty());
    }

    #[test]
    fn a_host_gets_what_it_takes_in_its_own_words() {
        let asked =
            ["advanced-tool-use-2025-11-20,effort-2025-11-24,files-api-2025-04-14,new-2027-01-01"];
        let (kept, left_out) = sorted(BetaHost::Bedrock, "anthropic.claude-opus-4-5-v1:0", &asked);
        assert_eq!(kept, ["tool-search-tool-2025-10-19", "effort-2025-11-24"]);
        assert_eq!(left_out, ["files-api-2025-04-14", "new-2027-01-01"]);
    }

    #[test]
    fn thinking_between_tools_is_asked_for_only_of_models_that_need_it() {
        let asked = [INTERLEAVED_THINKING];
        assert_eq!(
            sorted(BetaHost::Vertex, "claude-sonnet-4-5@20250929", &asked).0,
            asked
        );
        assert_eq!(sorted(BetaHost::Vertex, "claude-opus-5", &asked).1, asked);
    }

    #[test]
    fn what_was_left_out_is_reported() {
        let betas = for_host(
            BetaHost::Azure,
            "claude-opus-5",
            &asking(&["fast-mode-2026-02-01"]),
        );
        assert_eq!(betas.field(), None);
        let mut report = Conversion::default();
        betas.report(&mut report);
        assert_eq!(report.dropped.len(), 1);
    }
}
