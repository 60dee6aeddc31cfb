//! Providers found from the environment, when the file names none.

use domain::egress::Reach;
use domain::name::ProviderName;
use gateway::prompt_cache::PromptCaching;
use gateway::routes::{HangUp, Provider};
use providers::credential::Credential;
use providers::host::Host;
use providers::hosts::HOSTS;
use providers::kind::ProviderKind;

use super::base_url::BaseUrl;
use super::credential::ApiKey;
use super::kind::Kind;
use super::problem::{Complaint, Problem};
use super::provider::misshapen;
use super::reference::Environment;
use super::scalar::{Misfit, Scalar};

/// A provider that is found by its key and is no host of OpenAI's format.
struct Vendor {
    name: &'static str,
    kind: ProviderKind,
    /// The variables that may hold the key, as the vendor's documentation and SDK name them; the first
    /// that is set counts.
    keys: &'static [&'static str],
    /// The variable by which the vendor's own SDK is pointed elsewhere.
    base_url_variable: Option<&'static str>,
}

const VENDORS: [Vendor; 9] = [
    Vendor {
        name: "anthropic",
        kind: ProviderKind::Anthropic,
        keys: &["ANTHROPIC_API_KEY"],
        base_url_variable: Some("ANTHROPIC_BASE_URL"),
    },
    vendor(
        "google",
        ProviderKind::Gemini,
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    ),
    vendor(
        "cohere",
        ProviderKind::Cohere,
        &["COHERE_API_KEY", "CO_API_KEY"],
    ),
    vendor("stability", ProviderKind::Stability, &["STABILITY_API_KEY"]),
    vendor(
        "black-forest-labs",
        ProviderKind::BlackForestLabs,
        &["BFL_API_KEY"],
    ),
    vendor("fal", ProviderKind::Fal, &["FAL_KEY"]),
    vendor(
        "replicate",
        ProviderKind::Replicate,
        &["REPLICATE_API_TOKEN"],
    ),
    vendor(
        "elevenlabs",
        ProviderKind::Elevenlabs,
        &["ELEVENLABS_API_KEY"],
    ),
    vendor("deepgram", ProviderKind::Deepgram, &["DEEPGRAM_API_KEY"]),
];

const fn vendor(name: &'static str, kind: ProviderKind, keys: &'static [&'static str]) -> Vendor {
    Vendor {
        name,
        kind,
        keys,
        base_url_variable: None,
    }
}

/// A provider that may be found.
#[derive(Clone, Copy)]
struct Findable {
    name: &'static str,
    kind: Kind,
    base_url: &'static str,
    keys: &'static [&'static str],
    base_url_variable: Option<&'static str>,
}

/// Every provider that may be found: OpenAI, the other vendors, then the hosts of OpenAI's format.
fn findable() -> impl Iterator<Item = Findable> {
    let hosts = HOSTS.iter().filter_map(|row| {
        Some(Findable {
            name: row.name,
            kind: Kind {
                speaks: ProviderKind::Openai,
                row: Some(row),
            },
            base_url: row.base_url.filter(|_| row.is_found_by_key)?,
            keys: row.key_variables,
            base_url_variable: row.base_url_variable,
        })
    });
    let vendors = VENDORS.iter().map(|vendor| Findable {
        name: vendor.name,
        kind: Kind {
            speaks: vendor.kind,
            row: None,
        },
        base_url: vendor.kind.default_base_url(),
        keys: vendor.keys,
        base_url_variable: vendor.base_url_variable,
    });
    let (openai, others): (Vec<_>, Vec<_>) = hosts.partition(|host| host.name == "openai");
    openai.into_iter().chain(vendors).chain(others)
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
    findable()
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
        rotation: None,
        host: Host::NONE,
        reach: Reach::Public,
        hang_up: HangUp::default(),
        prompt_cache: PromptCaching::default(),
        region: None,
    })
}

struct Variables<'a> {
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Variables<'_> {
    fn provider(&mut self, host: Findable) -> Option<Provider> {
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
        let mut at = host.kind.row.map_or(Host::NONE, Host::of);
        at.serves.batches |= matches!(
            host.kind.speaks,
            ProviderKind::Anthropic | ProviderKind::Gemini
        );
        Some(Provider {
            name,
            kind: host.kind.speaks,
            // Who sets the variable names the address on purpose, and has no other place to allow it.
            reach: if base_url.is_some() {
                Reach::Any
            } else {
                Reach::Public
            },
            base_url: base_url.map_or(host.base_url.to_owned(), |url| url.as_str().to_owned()),
            credential: Some(Credential::ApiKey(api_key.0).into()),
            rotation: None,
            host: at,
            hang_up: HangUp::default(),
            prompt_cache: PromptCaching::default(),
            region: None,
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
        for host in findable() {
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
        for host in findable() {
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
        for host in findable() {
            let url = BaseUrl::parse(host.base_url).unwrap();
            assert_eq!(misshapen(host.kind, &url), None, "{}", host.name);
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
