//! `providers`: who answers, where, and with which credential.

use std::sync::Arc;

use domain::egress::Reach;
use domain::name::ProviderName;
use domain::region::Region;
use gateway::credentials::Rotation;
use gateway::prompt_cache::PromptCaching;
use gateway::routes::{HangUp, Provider};
use providers::credential::Source;
use providers::host::Host;
use providers::hosts::{self, HOSTS, HostRow};
use providers::kind::ProviderKind;
use providers::{azure, vertex};
use serde_json::{Value, json};

use super::base_url::BaseUrl;
use super::bucket::BatchBucket;
use super::credential::{Credentials, Word};
use super::fields::{Fields, Section};
use super::kind::Kind;
use super::problem::{Complaint, nearest};
use super::scalar::{Choice, Misfit, Scalar};

/// A provider before it has a name.
#[derive(Debug)]
pub(super) struct Endpoint {
    kind: ProviderKind,
    base_url: String,
    source: Option<Source>,
    rotation: Option<Arc<Rotation>>,
    host: Host,
    reach: Reach,
    hang_up: HangUp,
    region: Option<Region>,
    prompt_cache: PromptCaching,
}

impl Endpoint {
    /// Where what it is sent is worked on, where that is said.
    pub(super) fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    pub(super) fn named(self, name: ProviderName) -> Provider {
        // Who calls a host by its name means that host, wherever it is; `openai` is what many call a
        // compatible server.
        let row = hosts::named(name.as_str()).filter(|row| row.name != "openai");
        let host = match row {
            Some(row) if self.kind == ProviderKind::Openai && self.host.name.is_none() => {
                Host::of(row)
            }
            _ => self.host,
        };
        Provider {
            name,
            kind: self.kind,
            base_url: self.base_url,
            credential: self.source,
            rotation: self.rotation,
            host,
            reach: self.reach,
            hang_up: self.hang_up,
            region: self.region,
            prompt_cache: self.prompt_cache,
        }
    }
}

impl Section for Endpoint {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let kind: Option<Kind> = fields.required(
            "kind",
            "openai",
            "What the provider speaks: `openai` (OpenAI and every host that is compatible with \
             its chat completions), `anthropic`, `gemini`, `azure_openai`, `vertex`, `bedrock`, \
             `cohere`, a host by its name such as `groq` or `ollama`, a maker of pictures or \
             speech, or `sim`, the simulated provider inside of Trunkline.",
        );
        let base_url: Option<BaseUrl> = fields.optional(
            "base_url",
            "https://api.openai.com/v1",
            "Where its API begins; left out, at the vendor's own address. Of kind `openai` it \
             ends in `/v1` or in the host's own version, of the other kinds it has no version. Of \
             kind `azure_openai` it is the resource, `https://NAME.openai.azure.com`.",
        );
        let stands_behind: Option<KnownHost> = fields.optional(
            "host",
            "openai",
            "Of kind `openai`, at an address of your own: the host that stands behind it, by its \
             kind. What is particular about that host is then kept to.",
        );
        let credentials = Credentials::read(fields);
        let places = Places::read(fields);
        let allow_private_address = fields.or(
            "allow_private_address",
            "false",
            "Whether it may be in this machine or a private network. Such addresses are refused \
             otherwise; only a host of one's own such as `ollama`, named by `kind` and without \
             `base_url`, is in this machine.",
        );
        let (hang_up, prompt_cache) = read_manners(fields);
        let batches = BatchWays::read(fields);
        let kind = kind?;
        refuse_misplaced_host(kind, fields);
        let row = kind.row.or(stands_behind.map(|host| host.0));
        let row = row.or_else(|| host_at(kind, base_url.as_ref()));
        if kind.speaks == ProviderKind::Sim {
            refuse_address_of_sim(fields);
        }
        refuse_missing_address(kind, fields);
        let is_local = row.is_some_and(HostRow::is_local);
        let is_required = match kind.speaks {
            ProviderKind::Sim => false,
            ProviderKind::AzureOpenai | ProviderKind::Vertex | ProviderKind::Bedrock => true,
            _ => !is_local && !fields.is_given("base_url"),
        };
        let region = places.region.clone();
        let named = region.as_ref().map(Region::as_str);
        let rotation = credentials.rotation(fields);
        let source = credentials.source(kind, is_required, named, fields);
        let mut host = places.host(kind, row, source.as_ref(), fields);
        let may_be_private = allow_private_address == Some(true);
        batches.complete(&mut host, kind, source.as_ref(), may_be_private, fields);
        if let Some(url) = &base_url {
            if let Some(complaint) = misshapen(kind, url) {
                fields.refuse("base_url", complaint);
            }
            if url.is_private()
                && allow_private_address == Some(false)
                && kind.speaks != ProviderKind::Sim
            {
                let complaint =
                    Complaint::new("this address is private, and private addresses are refused");
                fields.refuse(
                    "base_url",
                    complaint.suggest("add `allow_private_address: true`"),
                );
            }
        }
        let is_in_this_machine = is_local && base_url.is_none() && !fields.is_given("base_url");
        Some(Self {
            kind: kind.speaks,
            base_url: base_url.map_or_else(
                || default_base_url(kind, &host),
                |url| url.as_str().to_owned(),
            ),
            source,
            rotation,
            host,
            reach: if allow_private_address? || is_in_this_machine {
                Reach::Any
            } else {
                Reach::Public
            },
            hang_up: hang_up?,
            region,
            prompt_cache: prompt_cache?,
        })
    }
}

/// How it is asked and read.
fn read_manners(fields: &mut impl Fields) -> (Option<HangUp>, Option<PromptCaching>) {
    let hang_up = fields.or(
        "hang_up",
        "cancel",
        "What happens to an answer when its caller goes away: `cancel` closes it, `drain` \
         reads it to its end so that its usage is known.",
    );
    let prompt_cache = fields.or(
        "prompt_cache",
        "off",
        "Whether breakpoints for its prompt cache are placed for callers that place none, where they \
         pay by what is known of earlier requests: `auto` or `off`. Of formats that have them: \
         Anthropic's, wherever it is spoken, and Bedrock's Converse.",
    );
    (hang_up, prompt_cache)
}

fn refuse_misplaced_host(kind: Kind, fields: &mut impl Fields) {
    if !fields.is_given("host") {
        return;
    }
    if kind.speaks != ProviderKind::Openai || kind.row.is_some() {
        refuse_key("host", kind, fields);
    } else if !fields.is_given("base_url") {
        let complaint = Complaint::new("it says what stands behind an address of your own");
        fields.refuse(
            "host",
            complaint.suggest("add `base_url`, or name the host by `kind`"),
        );
    }
}

/// What the file says of batches that it runs itself.
struct BatchWays {
    api: Option<bool>,
    bucket: Option<BatchBucket>,
}

impl BatchWays {
    fn read(fields: &mut impl Fields) -> Self {
        let api = fields.optional(
            "batch_api",
            "true",
            "Whether batches are handed over to it as a whole, at its price for batches, by its own \
             API for them: OpenAI's `/files` and `/batches`, Anthropic's message batches, Gemini's \
             batches, Mistral's batch jobs. Of OpenAI itself, Groq, Mistral and the kinds \
             `anthropic` and `gemini` they are; of `azure_openai`, whose batches need deployments \
             of their own, and of other hosts only when this says so; of `vertex` and `bedrock` where \
             `batches` names a bucket.",
        );
        let bucket = fields.optional_section(
            "batches",
            "Of kinds `vertex` and `bedrock`: the bucket through which batches are handed over as a whole, \
             at the price for batches; left out, their lines are asked one by one.",
        );
        Self { api, bucket }
    }

    fn complete(
        self,
        host: &mut Host,
        kind: Kind,
        source: Option<&Source>,
        may_be_private: bool,
        fields: &mut impl Fields,
    ) {
        let bucket = self.bucket;
        host.bucket = bucket.and_then(|it| it.of_provider(kind, source, may_be_private, fields));
        host.serves.batches = runs_batches(kind, host, self.api, fields);
    }
}

/// Whether it runs batches itself: as the file says, or else as is known of it.
fn runs_batches(kind: Kind, host: &Host, said: Option<bool>, fields: &mut impl Fields) -> bool {
    match kind.speaks {
        ProviderKind::Openai => said.unwrap_or(host.serves.batches),
        ProviderKind::Anthropic | ProviderKind::Gemini => said.unwrap_or(true),
        // A deployment that takes batches takes nothing else.
        ProviderKind::AzureOpenai => said.unwrap_or(false),
        ProviderKind::Vertex | ProviderKind::Bedrock => {
            if said == Some(true) && !fields.is_given("batches") {
                let complaint = Complaint::new("its batches go through a bucket, and it has none");
                fields.refuse(
                    "batch_api",
                    complaint.suggest("add `batches: { bucket: … }`"),
                );
            }
            host.bucket.is_some() && said.unwrap_or(true)
        }
        _ => {
            if said == Some(true) {
                let problem = format!("kind `{}` has no batches of its own here", kind.word());
                fields.refuse("batch_api", Complaint::new(problem));
            }
            false
        }
    }
}

/// The host of the table that answers there.
fn host_at(kind: Kind, base_url: Option<&BaseUrl>) -> Option<&'static HostRow> {
    if kind.speaks != ProviderKind::Openai {
        return None;
    }
    hosts::at(base_url.map_or(kind.speaks.default_base_url(), BaseUrl::as_str))
}

/// Where it answers when the file does not say.
fn default_base_url(kind: Kind, host: &Host) -> String {
    let of_row = kind.row.and_then(|row| row.base_url);
    match kind.speaks {
        ProviderKind::Vertex => {
            vertex::base_url(host.region.as_deref().unwrap_or(vertex::DEFAULT_REGION))
        }
        other => of_row.unwrap_or(other.default_base_url()).to_owned(),
    }
}

/// What the file says of where in a platform it runs.
struct Places {
    api_version: Option<ApiVersion>,
    project: Option<Word>,
    region: Option<Region>,
}

impl Places {
    fn read(fields: &mut impl Fields) -> Self {
        Self {
            api_version: fields.optional(
                "api_version",
                "2024-10-21",
                "Of kind `azure_openai`: the version of the API. A date leads to the URLs with \
                 `/deployments/`; left out, `v1` or `preview` to those with `/v1/`.",
            ),
            project: fields.optional(
                "project",
                "my-project",
                "Of kind `vertex`: the project of Google Cloud. Left out, that of the credentials \
                 file; with an `api_key`, none (express mode).",
            ),
            region: fields.optional(
                "region",
                "europe-west4",
                "Where what it is sent is worked on and kept, for `regions` of routes, keys and \
                 tenants. Of kinds `vertex` and `bedrock` also where the models are asked; of kind \
                 `vertex`, `global` if left out.",
            ),
        }
    }

    fn host(
        self,
        kind: Kind,
        row: Option<&'static HostRow>,
        source: Option<&Source>,
        fields: &mut impl Fields,
    ) -> Host {
        let known: [(&str, &[ProviderKind]); 2] = [
            ("api_version", &[ProviderKind::AzureOpenai]),
            ("project", &[ProviderKind::Vertex]),
        ];
        for (key, kinds) in known {
            if fields.is_given(key) && !kinds.contains(&kind.speaks) {
                refuse_key(key, kind, fields);
            }
        }
        if kind.speaks == ProviderKind::Bedrock && !fields.is_given("region") {
            let complaint = Complaint::new("`region` is missing");
            fields.refuse(
                "region",
                complaint.suggest("add it, as in `region: us-east-1`"),
            );
        }
        let of_account = match source {
            Some(Source::Google(account)) => account.project().map(str::to_owned),
            _ => None,
        };
        let project = self.project.map(|word| word.0).or(of_account);
        let has_token = matches!(source, Some(Source::Google(_)));
        if kind.speaks == ProviderKind::Vertex && has_token && project.is_none() {
            let complaint = Complaint::new("`project` is missing: the credentials do not name one");
            fields.refuse(
                "project",
                complaint.suggest("add it, as in `project: my-project`"),
            );
        }
        let host = match (row, kind.speaks) {
            (Some(row), _) => Host::of(row),
            (None, ProviderKind::AzureOpenai) => azure::host(),
            (None, _) => Host::NONE,
        };
        let is_asked_there = matches!(kind.speaks, ProviderKind::Vertex | ProviderKind::Bedrock);
        let region = self.region.filter(|_| is_asked_there);
        Host {
            api_version: self.api_version.map(|version| version.0),
            project,
            region: region.map(|region| region.as_str().to_owned()),
            ..host
        }
    }
}

fn refuse_key(key: &str, kind: Kind, fields: &mut impl Fields) {
    let complaint = Complaint::new(format!("kind `{}` takes no such key", kind.word()));
    fields.refuse(key, complaint.suggest(format!("remove `{key}`")));
}

/// A host that is known by name.
struct KnownHost(&'static HostRow);

impl Scalar for KnownHost {
    const EXPECTED: &'static str = "a compatible host's kind such as `openai` or `vllm`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let names: Vec<&str> = HOSTS.iter().map(|row| row.name).collect();
        let row = hosts::named(text).ok_or_else(|| match nearest(text, &names) {
            Some(near) => Misfit::suggest(format!("did you mean `{near}`?")),
            None => Misfit::suggest(format!("write one of: {}", names.join(", "))),
        })?;
        Ok(Self(row))
    }

    fn schema() -> Value {
        let names: Vec<&str> = HOSTS.iter().map(|row| row.name).collect();
        json!({ "enum": names })
    }
}

/// The version of Azure's API.
struct ApiVersion(String);

impl Scalar for ApiVersion {
    const EXPECTED: &'static str =
        "a version of Azure's API such as `2024-10-21`, `v1` or `preview`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let day = text.strip_suffix("-preview").unwrap_or(text);
        let is_date = day.parse::<jiff::civil::Date>().is_ok() && day.len() == "2024-10-21".len();
        if is_date || matches!(text, "v1" | "preview") {
            Ok(Self(text.to_owned()))
        } else {
            Err(Misfit::default())
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(v1|preview|[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?)$" })
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

/// Where every account has an address of its own, the file must say it.
fn refuse_missing_address(kind: Kind, fields: &mut impl Fields) {
    let example = match (kind.row, kind.speaks) {
        (Some(row), _) => row.base_url_example,
        (None, ProviderKind::AzureOpenai) => Some("https://NAME.openai.azure.com"),
        (None, _) => None,
    };
    if let Some(example) = example
        && !fields.is_given("base_url")
    {
        let problem = format!(
            "`base_url` is missing: at {} every account has its own",
            kind.vendor()
        );
        let complaint = Complaint::new(problem);
        fields.refuse(
            "base_url",
            complaint.suggest(format!("add it, as in `base_url: {example}`")),
        );
    }
}

/// What is wrong with where a `base_url` ends.
pub(super) fn misshapen(kind: Kind, url: &BaseUrl) -> Option<Complaint> {
    let last = url.last_segment();
    let is_version = last
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let text = url.as_str();
    match kind.speaks {
        ProviderKind::Openai => {
            let ends_otherwise = kind.row.is_some_and(|row| {
                row.base_url
                    .or(row.base_url_example)
                    .is_some_and(|known| known.rsplit('/').next() == Some(last))
            });
            if is_version || last == "openai" || ends_otherwise || hosts::at(text).is_some() {
                return None;
            }
            let meant = url
                .without("/chat/completions")
                .map_or_else(|| format!("{text}/v1"), str::to_owned);
            let complaint = Complaint::new(format!("of kind `{}` it ends in `/v1`", kind.word()));
            Some(complaint.suggest(format!("write `{meant}`")))
        }
        ProviderKind::AzureOpenai => {
            let (scheme, rest) = text.split_once("://")?;
            let (resource, _) = rest.split_once("/openai")?;
            let meant = format!("{scheme}://{resource}");
            let complaint = Complaint::new(
                "of kind `azure_openai` it is the resource's own address, without `/openai` and \
                 what comes after",
            );
            Some(complaint.suggest(format!("write `{meant}`")))
        }
        ProviderKind::Sim => None,
        other => {
            let meant = url.without("/v1/messages").or_else(|| {
                is_version
                    .then(|| url.without(&format!("/{last}")))
                    .flatten()
            })?;
            let complaint = Complaint::new(format!(
                "of kind `{}` it has no version at its end",
                other.as_str()
            ));
            Some(complaint.suggest(format!("write `{meant}`")))
        }
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

impl Choice for HangUp {
    const EXPECTED: &'static str = "`cancel` or `drain`";
    const CHOICES: &'static [(&'static str, Self)] =
        &[("cancel", Self::Cancel), ("drain", Self::Drain)];
}
