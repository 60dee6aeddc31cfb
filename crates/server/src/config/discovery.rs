//! Providers found from the environment, when the file names none.

use domain::egress::Reach;
use domain::name::ProviderName;
use gateway::routes::{HangUp, Provider};
use providers::credential::Credential;
use providers::kind::ProviderKind;

use super::base_url::BaseUrl;
use super::problem::{Complaint, Problem};
use super::provider::{ApiKey, misshapen};
use super::reference::Environment;
use super::scalar::{Misfit, Scalar};

/// A provider that is found by its key.
struct Host {
    name: &'static str,
    kind: ProviderKind,
    base_url: &'static str,
    /// The variables that may hold the key, as the vendor's documentation and SDK name them; the first
    /// that is set counts.
    keys: &'static [&'static str],
    /// The variable by which the vendor's own SDK is pointed elsewhere.
    base_url_variable: Option<&'static str>,
}

/// Every provider that is found, and where its documentation says that it answers.
const HOSTS: [Host; 11] = [
    Host {
        name: "openai",
        kind: ProviderKind::Openai,
        base_url: "https://api.openai.com/v1",
        keys: &["OPENAI_API_KEY"],
        base_url_variable: Some("OPENAI_BASE_URL"),
    },
    Host {
        name: "anthropic",
        kind: ProviderKind::Anthropic,
        base_url: "https://api.anthropic.com",
        keys: &["ANTHROPIC_API_KEY"],
        base_url_variable: Some("ANTHROPIC_BASE_URL"),
    },
    Host {
        name: "google",
        kind: ProviderKind::Gemini,
        base_url: "https://generativelanguage.googleapis.com",
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url_variable: None,
    },
    // https://console.groq.com/docs/openai
    compatible("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]),
    // https://api-docs.deepseek.com
    compatible(
        "deepseek",
        "https://api.deepseek.com/v1",
        &["DEEPSEEK_API_KEY"],
    ),
    // https://docs.x.ai/docs/api-reference
    compatible("xai", "https://api.x.ai/v1", &["XAI_API_KEY"]),
    // https://docs.mistral.ai/api
    compatible("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"]),
    // https://docs.together.ai/docs/openai-api-compatibility
    compatible(
        "together",
        "https://api.together.xyz/v1",
        &["TOGETHER_API_KEY"],
    ),
    // https://docs.fireworks.ai/tools-sdks/openai-compatibility
    compatible(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY"],
    ),
    // https://docs.perplexity.ai/api-reference/chat-completions-post: chat completions have no version.
    compatible(
        "perplexity",
        "https://api.perplexity.ai",
        &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
    ),
    // https://openrouter.ai/docs/quickstart
    compatible(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER_API_KEY"],
    ),
];

const fn compatible(
    name: &'static str,
    base_url: &'static str,
    keys: &'static [&'static str],
) -> Host {
    Host {
        name,
        kind: ProviderKind::Openai,
        base_url,
        keys,
        base_url_variable: None,
    }
}

/// Whether this is where one of the known hosts answers.
pub(super) fn is_known_host(base_url: &str) -> bool {
    HOSTS.iter().any(|host| host.base_url == base_url)
}

/// Every provider whose key is in the environment. What is wrong there goes into `problems`.
pub(super) fn providers(
    environment: Environment<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Provider> {
    let mut environment = Variables {
        environment,
        problems,
    };
    HOSTS
        .iter()
        .filter_map(|host| environment.provider(host))
        .collect()
}

/// The simulated provider, which is there when there is no other.
pub(super) fn sim() -> Option<Provider> {
    Some(Provider {
        name: "sim".parse().ok()?,
        kind: ProviderKind::Sim,
        base_url: ProviderKind::Sim.default_base_url().to_owned(),
        credential: None,
        host: providers::host::Host::NONE,
        reach: Reach::Public,
        hang_up: HangUp::default(),
    })
}

struct Variables<'a> {
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Variables<'_> {
    fn provider(&mut self, host: &Host) -> Option<Provider> {
        let mut keys = host.keys.iter().copied();
        let variable = keys.find(|variable| self.text(variable).is_some())?;
        let api_key: ApiKey = self.value(variable)?;
        let name: ProviderName = host.name.parse().ok()?;
        let base_url = match host.base_url_variable {
            Some(variable) if self.text(variable).is_some() => {
                let url: BaseUrl = self.value(variable)?;
                if let Some(complaint) = misshapen(host.kind, &url) {
                    self.refuse(variable, complaint);
                }
                Some(url)
            }
            _ => None,
        };
        Some(Provider {
            name,
            kind: host.kind,
            // Who sets the variable names the address on purpose, and has no other place to allow it.
            reach: if base_url.is_some() {
                Reach::Any
            } else {
                Reach::Public
            },
            base_url: base_url.map_or(host.base_url.to_owned(), |url| url.as_str().to_owned()),
            credential: Some(Credential::ApiKey(api_key.0)),
            host: providers::host::Host::NONE,
            hang_up: HangUp::default(),
        })
    }

    /// What the variable holds; an empty one counts as not set.
    fn text(&self, variable: &str) -> Option<String> {
        (self.environment)(variable).filter(|text| !text.is_empty())
    }

    fn value<T: Scalar>(&mut self, variable: &str) -> Option<T> {
        let read = T::parse(&self.text(variable)?);
        read.map_err(|misfit| {
            let Misfit { reason, suggestion } = misfit;
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            let complaint = Complaint::new(format!("this is not {}{reason}", T::EXPECTED));
            self.refuse(
                variable,
                match suggestion {
                    Some(suggestion) => complaint.suggest(suggestion),
                    None => complaint,
                },
            );
        })
        .ok()
    }

    fn refuse(&mut self, variable: &str, complaint: Complaint) {
        let problem = Problem::new("environment", None, variable.to_owned(), complaint);
        self.problems.push(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_documented() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let text = std::fs::read_to_string(file).unwrap();
        for host in &HOSTS {
            let keys: Vec<String> = host.keys.iter().map(|key| format!("`{key}`")).collect();
            let row = format!(
                "| {} | `{}` | `{}`",
                keys.join(", "),
                host.name,
                host.base_url
            );
            assert!(text.contains(&row), "{row}");
        }
    }

    fn found(variables: &[(&str, &str)]) -> (Vec<Provider>, Vec<Problem>) {
        let environment = |name: &str| {
            let variable = variables.iter().find(|(variable, _)| *variable == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        let mut problems = Vec::new();
        let providers = providers(&environment, &mut problems);
        (providers, problems)
    }

    #[test]
    fn each_host_is_found_by_its_key() {
        for host in &HOSTS {
            for key in host.keys {
                let (providers, problems) = found(&[(key, "sk-1")]);
                let names: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
                assert_eq!((names, problems), (vec![host.name], vec![]), "{key}");
                assert_eq!(providers[0].base_url, host.base_url);
                assert_eq!(providers[0].reach, Reach::Public);
            }
        }
    }

    #[test]
    fn each_host_answers_where_its_kind_may() {
        for host in &HOSTS {
            let url = BaseUrl::parse(host.base_url).unwrap();
            assert_eq!(misshapen(host.kind, &url), None, "{}", host.name);
            if host.base_url_variable.is_some() || host.name == "google" {
                assert_eq!(host.base_url, host.kind.default_base_url());
            }
        }
    }

    #[test]
    fn the_vendors_own_variables_point_elsewhere() {
        let (providers, problems) = found(&[
            ("OPENAI_API_KEY", "sk-1"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:9000/v1/"),
        ]);
        assert_eq!(problems, []);
        assert_eq!(providers[0].base_url, "http://127.0.0.1:9000/v1");
        assert_eq!(providers[0].reach, Reach::Any);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let (providers, problems) = found(&[("OPENAI_API_KEY", ""), ("GROQ_API_KEY", "gsk-1")]);
        assert_eq!(providers.len(), 1);
        assert_eq!(problems, []);
    }

    #[test]
    fn what_is_wrong_in_the_environment_is_said_without_the_key() {
        let (providers, problems) = found(&[
            ("GROQ_API_KEY", "hush hush"),
            ("ANTHROPIC_API_KEY", "sk-2"),
            ("ANTHROPIC_BASE_URL", "https://proxy.example.com/v1"),
        ]);
        assert_eq!(providers.len(), 1);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "environment: ANTHROPIC_BASE_URL: of kind `anthropic` it has no version at its end\n    \
                 write `https://proxy.example.com`",
                "environment: GROQ_API_KEY: this is not an API key: it has spaces, line ends or \
                 letters beyond ASCII in it",
            ]
        );
    }
}
