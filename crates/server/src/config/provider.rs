//! `providers`: who answers, where, and with which credential.

use domain::egress::Reach;
use domain::name::ProviderName;
use domain::secret::Secret;
use gateway::routes::{HangUp, Provider};
use providers::credential::Credential;
use providers::host::Host;
use providers::kind::ProviderKind;
use serde_json::{Value, json};

use super::base_url::BaseUrl;
use super::discovery;
use super::fields::{Fields, Section};
use super::problem::Complaint;
use super::scalar::{Choice, Misfit, Scalar};

/// A provider before it has a name.
#[derive(Debug)]
pub(super) struct Endpoint {
    kind: ProviderKind,
    base_url: String,
    api_key: Option<Secret<String>>,
    reach: Reach,
    hang_up: HangUp,
}

impl Endpoint {
    pub(super) fn named(self, name: ProviderName) -> Provider {
        Provider {
            name,
            kind: self.kind,
            base_url: self.base_url,
            credential: self.api_key.map(Credential::ApiKey),
            host: Host::NONE,
            reach: self.reach,
            hang_up: self.hang_up,
        }
    }
}

impl Section for Endpoint {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let kind = fields.required(
            "kind",
            "openai",
            "What the provider speaks: `openai` (OpenAI and every host that is compatible with \
             its chat completions), `anthropic`, `gemini`, or `sim`, the simulated provider \
             inside of Trunkline.",
        );
        let base_url: Option<BaseUrl> = fields.optional(
            "base_url",
            "https://api.openai.com/v1",
            "Where its API begins; left out, at the vendor's own address. Of kind `openai` it \
             ends in `/v1` or in the host's own version, of the other kinds it has no version.",
        );
        let api_key: Option<ApiKey> = fields.optional(
            "api_key",
            "${OPENAI_API_KEY}",
            "The credential: best a reference to the environment, or `file:PATH`. Required at the \
             vendor's own address.",
        );
        let allow_private_address = fields.or(
            "allow_private_address",
            "false",
            "Whether it may be in this machine or a private network. Such addresses are refused \
             otherwise.",
        );
        let hang_up = fields.or(
            "hang_up",
            "cancel",
            "What happens to an answer when its caller goes away: `cancel` closes it, `drain` \
             reads it to its end so that its usage is known.",
        );
        let kind = kind?;
        if kind == ProviderKind::Sim {
            refuse_address_of_sim(fields);
        } else if base_url.is_none() && !fields.is_given("base_url") && !fields.is_given("api_key")
        {
            let complaint =
                Complaint::new(format!("`api_key` is missing: {} wants one", vendor(kind)));
            fields.refuse(
                "api_key",
                complaint.suggest(format!("add `api_key: {}`", example_key(kind))),
            );
        }
        if let Some(url) = &base_url {
            if let Some(complaint) = misshapen(kind, url) {
                fields.refuse("base_url", complaint);
            }
            if url.is_private() && allow_private_address == Some(false) && kind != ProviderKind::Sim
            {
                let complaint =
                    Complaint::new("this address is private, and private addresses are refused");
                fields.refuse(
                    "base_url",
                    complaint.suggest("add `allow_private_address: true`"),
                );
            }
        }
        Some(Self {
            kind,
            base_url: base_url.map_or_else(
                || kind.default_base_url().to_owned(),
                |url| url.as_str().to_owned(),
            ),
            api_key: api_key.map(|key| key.0),
            reach: if allow_private_address? {
                Reach::Any
            } else {
                Reach::Public
            },
            hang_up: hang_up?,
        })
    }
}

fn refuse_address_of_sim(fields: &mut impl Fields) {
    for key in ["base_url", "api_key"] {
        if fields.is_given(key) {
            let complaint =
                Complaint::new("kind `sim` answers inside of Trunkline and takes no such key");
            let hint = format!(
                "remove `{key}`; for `trunkline sim` on a port, use kind openai, anthropic or \
                 gemini"
            );
            fields.refuse(key, complaint.suggest(hint));
        }
    }
}

/// What is wrong with where a `base_url` ends.
pub(super) fn misshapen(kind: ProviderKind, url: &BaseUrl) -> Option<Complaint> {
    let last = url.last_segment();
    let is_version = last
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let text = url.as_str();
    match kind {
        ProviderKind::Openai => {
            if is_version || last == "openai" || discovery::is_known_host(text) {
                return None;
            }
            let meant = url
                .without("/chat/completions")
                .map_or_else(|| format!("{text}/v1"), str::to_owned);
            let complaint = Complaint::new("of kind `openai` it ends in `/v1`");
            Some(complaint.suggest(format!("write `{meant}`")))
        }
        ProviderKind::Anthropic | ProviderKind::Gemini => {
            let meant = url.without("/v1/messages").or_else(|| {
                is_version
                    .then(|| url.without(&format!("/{last}")))
                    .flatten()
            })?;
            let complaint = Complaint::new(format!(
                "of kind `{}` it has no version at its end",
                kind.as_str()
            ));
            Some(complaint.suggest(format!("write `{meant}`")))
        }
        ProviderKind::Sim => None,
    }
}

fn vendor(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Openai => "OpenAI",
        ProviderKind::Anthropic => "Anthropic",
        ProviderKind::Gemini => "Google",
        ProviderKind::Sim => "nobody",
    }
}

fn example_key(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Anthropic => "\"${ANTHROPIC_API_KEY}\"",
        ProviderKind::Gemini => "\"${GEMINI_API_KEY}\"",
        ProviderKind::Openai | ProviderKind::Sim => "\"${OPENAI_API_KEY}\"",
    }
}

/// A credential that fits into a header field.
pub(super) struct ApiKey(pub(super) Secret<String>);

impl Scalar for ApiKey {
    const EXPECTED: &'static str = "an API key";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.is_empty() {
            return Err(Misfit::because("it is empty"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misfit::because(
                "it has spaces, line ends or letters beyond ASCII in it",
            ));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(\\S+|file:.+)$" })
    }
}

impl Scalar for ProviderName {
    const EXPECTED: &'static str =
        "a provider's name such as `openai`: 1 to 64 of the characters a-z, 0-9, -, _ and .";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| {
            let lower = text.to_lowercase().replace(' ', "-");
            match lower.parse::<Self>() {
                Ok(name) => Misfit::suggest(format!("write `{name}`")),
                Err(_) => Misfit::default(),
            }
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9._-]{1,64}$" })
    }
}

impl Choice for ProviderKind {
    const EXPECTED: &'static str = "a provider's kind";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("openai", Self::Openai),
        ("anthropic", Self::Anthropic),
        ("gemini", Self::Gemini),
        ("sim", Self::Sim),
    ];
}

impl Choice for HangUp {
    const EXPECTED: &'static str = "`cancel` or `drain`";
    const CHOICES: &'static [(&'static str, Self)] =
        &[("cancel", Self::Cancel), ("drain", Self::Drain)];
}
