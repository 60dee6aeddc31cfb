//! The configuration: one file, read and checked once, as a tree of plain structs.
//!
//! Each section stands in the module that is named for it and lists its keys in
//! [`fields::Section::read`]. The same list is read from the file ([`mapping`]) and written down as JSON
//! Schema ([`mod@schema`]).
//!
//! Suggested reading order: [`server`] as an example of a section, [`fields`] and [`scalar`], then
//! [`reading`], [`mapping`] and [`mod@schema`]. [`yaml`] and [`node`] make the tree that is read,
//! [`reference`](mod@reference) resolves `${NAME}`, and [`discovery`] finds providers when the file names
//! none.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use domain::limit::Limit;
use domain::name::{ModelName, ProviderName};
use domain::region::Region;
use gateway::catalog::ModelOverride;
use gateway::health::BreakerRules;
use gateway::routes::{Policy, Provider, Route};
use jiff::Timestamp;
use serde_json::Value;
use store::Location;

mod base_url;
mod batches;
mod breaker;
mod bucket;
mod cache;
mod credential;
mod custody;
mod discovery;
mod duration;
mod fallback;
mod fields;
mod health;
mod hedge;
mod key;
mod kind;
mod ledger;
mod limit;
mod mapping;
mod media;
mod node;
mod path;
mod policy;
mod price;
mod problem;
mod provider;
mod ratio;
mod reading;
mod reference;
mod route;
mod scalar;
mod schema;
mod server;
mod shadow;
mod shared;
mod size;
mod sockets;
mod target;
mod telemetry;
#[cfg(test)]
mod tests;
mod tokenizer;
mod yaml;

pub use cache::Meaning;
pub use key::BootstrapKey;
pub use ledger::{Keep, KeepFor, Sync};
pub use media::{Media, MediaPlace, S3Bucket};
pub use problem::Problems;
pub use telemetry::{LogFormat, Telemetry};
pub use tokenizer::TokenizerRow;

use batches::Batches;
use cache::Cache;
use custody::Custody;
use fields::{Fields, Section};
use ledger::{Ledger, Payloads, Responses};
use limit::LimitRow;
use node::Node;
use policy::Policies;
use price::PriceRow;
use problem::{Complaint, Problem};
use provider::Endpoint;
use reading::Reading;
use reference::Environment;
use server::Server;
use sockets::Sockets;

/// The file that is read when none is named, if it is there.
pub const DEFAULT_FILE: &str = "trunkline.yaml";

/// Everything that an operator can set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Where keys and calls are kept; a relative SQLite file is one in the data directory.
    pub store: Location,
    /// Where replicas share limits, caches and breakers; `None` where there is one replica.
    pub shared: Option<fleet::Location>,
    /// The journal of calls.
    pub ledger: Ledger,
    /// What is kept of requests and answers.
    pub payloads: Payloads,
    /// What is kept of answers that callers refer to later.
    pub responses: Responses,
    /// What is kept of the reasoning state that clients leave out.
    pub custody: Custody,
    /// Files and generated media.
    pub media: Media,
    /// What bounds batches.
    pub batches: Batches,
    /// What is kept to be given again.
    pub cache: Cache,
    /// What bounds conversations over WebSocket.
    pub sockets: Sockets,
    /// When calls are steered around a target that fails.
    pub breaker: BreakerRules,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Who answers: as configured, or found from the environment, or the simulated provider. Never empty.
    pub providers: Vec<Provider>,
    /// The names that callers may ask for; every route names one of the providers.
    pub routes: BTreeMap<ModelName, Route>,
    /// What holds on every route.
    pub policy: Policy,
    /// Prices that win over the catalog's.
    pub prices: Vec<ModelOverride>,
    /// What counts the tokens of models whose provider cannot be asked.
    pub tokenizers: Vec<TokenizerRow>,
    /// What may be taken in which time, by whom; no two share a name.
    limits: Vec<LimitRow>,
    /// Virtual keys that the file brings along; no two share a name or a text.
    pub keys: Vec<BootstrapKey>,
}

impl Config {
    /// Reads the file at `path`, or [`DEFAULT_FILE`] if it is there when none is named, or else starts
    /// from nothing: providers are then found from the environment.
    pub fn load(path: Option<&Path>, environment: Environment<'_>) -> Result<Self, Problems> {
        let file = path.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return Self::parse("", DEFAULT_FILE, environment);
            }
            Err(error) => {
                let complaint = Complaint::new(format!("the file cannot be read: {error}"));
                let name = file.display().to_string();
                return Err(Problem::new(&name, None, String::new(), complaint).into());
            }
        };
        Self::parse(&text, &file.display().to_string(), environment)
    }

    /// Reads the text of a file called `file_name`, which problems repeat; `file:` references start at
    /// its folder. Every problem of the text is reported, but of a text that is not YAML only the first.
    pub fn parse(
        text: &str,
        file_name: &str,
        environment: Environment<'_>,
    ) -> Result<Self, Problems> {
        let root = yaml::parse(text).map_err(|(place, complaint)| {
            Problem::new(file_name, Some(place), String::new(), complaint)
        })?;
        let directory = Path::new(file_name).parent().unwrap_or(Path::new(""));
        let mut reading = Reading::new(file_name, directory, environment);
        let sections: Option<Sections> = reading.section(&root);
        let mut problems = Vec::new();
        let config = sections.and_then(|sections| {
            let found = match &sections.providers {
                Some(_) => Vec::new(),
                None => discovery::providers(environment, &mut problems),
            };
            sections.check(&found, &root, &mut reading);
            let mut config = sections.assemble(found)?;
            config.media.complete(environment);
            Some(config)
        });
        problems.extend(reading.into_problems());
        Problems::or(problems, config)
    }

    /// The limits of the file, made at `now`.
    pub fn limits(&self, now: Timestamp) -> Vec<Limit> {
        let rows = self.limits.iter().cloned();
        rows.map(|row| row.limit(now)).collect()
    }

    /// What differs from `old` and cannot change while the server runs, by the path of the key: all
    /// but providers, models and what holds on them, prices, limits and keys.
    pub fn differences(&self, old: &Self) -> Vec<String> {
        let secret = |config: &Self| config.server.secret.as_ref().map(|it| it.reveal().clone());
        let (server, old_server) = (&self.server, &old.server);
        [
            ("server.listen", server.listen != old_server.listen),
            ("server.max_body", server.max_body != old_server.max_body),
            (
                "server.max_messages",
                server.max_messages != old_server.max_messages,
            ),
            ("server.secret", secret(self) != secret(old)),
            (
                "server.connect_timeout",
                server.connect_timeout != old_server.connect_timeout,
            ),
            ("server.drain", server.drain != old_server.drain),
            ("store", !is_same_place(&self.store, &old.store)),
            ("shared", self.shared != old.shared),
            ("ledger", self.ledger != old.ledger),
            ("payloads", self.payloads != old.payloads),
            ("responses", self.responses != old.responses),
            ("custody", self.custody != old.custody),
            ("batches", self.batches != old.batches),
            ("cache", self.cache != old.cache),
            ("media", !self.media.is_same(&old.media)),
            ("sockets", self.sockets != old.sockets),
            ("breaker", self.breaker != old.breaker),
            ("telemetry", self.telemetry != old.telemetry),
            ("tokenizers", self.tokenizers != old.tokenizers),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(path, _)| path.to_owned())
        .collect()
    }
}

/// The JSON Schema of the file (draft 2020-12). What it accepts may still be refused where the reason
/// lies beyond a single value: a route to a provider that there is not, a variable that is not set.
pub fn schema() -> Value {
    schema::of::<Sections>()
}

/// Looks a variable up in the environment of the process; one that is not UTF-8 counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the configuration is the one reader of the environment"
)]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn is_same_place(one: &Location, other: &Location) -> bool {
    match (one, other) {
        (Location::Sqlite(one), Location::Sqlite(other)) => one == other,
        (Location::Postgres(one), Location::Postgres(other)) => one.reveal() == other.reveal(),
        (Location::Sqlite(_), Location::Postgres(_))
        | (Location::Postgres(_), Location::Sqlite(_)) => false,
    }
}

/// The file as it is written, section by section; `None` stands for one that is wrong.
struct Sections {
    server: Option<Server>,
    store: Option<Location>,
    shared: Option<fleet::Location>,
    ledger: Option<Ledger>,
    payloads: Option<Payloads>,
    responses: Option<Responses>,
    custody: Option<Custody>,
    media: Option<Media>,
    batches: Option<Batches>,
    cache: Option<Cache>,
    sockets: Option<Sockets>,
    breaker: Option<BreakerRules>,
    telemetry: Option<Telemetry>,
    /// `None` when the file names none.
    providers: Option<BTreeMap<ProviderName, Option<Endpoint>>>,
    models: BTreeMap<ModelName, Option<Route>>,
    policies: Policies,
    prices: Vec<Option<PriceRow>>,
    tokenizers: Vec<Option<TokenizerRow>>,
    limits: Vec<Option<LimitRow>>,
    keys: Vec<Option<BootstrapKey>>,
}

impl Section for Sections {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        Some(Self {
            server: fields.section("server", "The HTTP server."),
            store: fields.or(
                "store",
                "sqlite:trunkline.db",
                "Where keys and calls are kept: `sqlite:FILE`, a relative file being one in the \
                 data directory, or a PostgreSQL URL.",
            ),
            shared: fields.optional(
                "shared",
                "redis://127.0.0.1:6379",
                "Where several replicas share limits, caches and breakers: the URL of a Valkey or \
                 Redis server (`redis://`, `rediss://` for TLS, `redis+unix://`). Left out, there is \
                 one replica.",
            ),
            ledger: fields.section(
                "ledger",
                "The journal that every call is written to before it goes out.",
            ),
            payloads: fields.section(
                "payloads",
                "What is kept of requests and answers, beside the ledger.",
            ),
            responses: fields.section(
                "responses",
                "What is kept of answers that callers refer to later (`previous_response_id`).",
            ),
            custody: fields.section(
                "custody",
                "What is kept in memory of the reasoning state that clients leave out.",
            ),
            media: fields.section(
                "media",
                "Files that callers upload, and media that models make.",
            ),
            batches: fields.section(
                "batches",
                "Many requests that are handed over together, and answered within a day.",
            ),
            cache: fields.section(
                "cache",
                "Answers that are kept to be given again when the same is asked.",
            ),
            sockets: fields.section("sockets", "What bounds conversations over WebSocket."),
            breaker: fields.section(
                "breaker",
                "When calls that can go elsewhere are steered around a target that fails.",
            ),
            telemetry: fields.section("telemetry", "Logs and traces."),
            providers: fields.named_sections(
                "providers",
                "openai",
                "Who answers, by the name that stands before the first `/` of a model. Left out, \
                 providers are found from the environment.",
            ),
            models: fields
                .named_sections(
                    "models",
                    "fast",
                    "Names that callers may ask for, beside `provider/model`, and where each \
                     leads.",
                )
                .unwrap_or_default(),
            policies: Policies::read(fields),
            prices: fields.sections(
                "prices",
                "What models cost where the catalog does not know it or a contract says otherwise.",
            ),
            tokenizers: fields.sections(
                "tokenizers",
                "What counts the tokens of open models, where `count_tokens` and its like cannot ask \
                 their provider. Of other models, OpenAI's tokenizer is taken, scaled by a rule of \
                 thumb.",
            ),
            limits: fields.sections(
                "limits",
                "How much may be taken in which time, by whom, beside what stands with keys; \
                 shown read-only elsewhere. Others live in the store. All that hold for a call \
                 hold together.",
            ),
            keys: fields.sections(
                "keys",
                "Virtual keys that the file brings along, shown read-only elsewhere. Others live \
                 in the store.",
            ),
        })
    }
}

impl Sections {
    /// Says what is wrong between sections. `found` are the providers when the file names none.
    fn check(&self, found: &[Provider], root: &Node, reading: &mut Reading<'_>) {
        let mut names: Vec<ProviderName> = match &self.providers {
            Some(providers) => providers.keys().cloned().collect(),
            None => found.iter().map(|provider| provider.name.clone()).collect(),
        };
        if names.is_empty() {
            names.extend(discovery::sim().map(|sim| sim.name));
        }
        let known = route::Known {
            providers: &names,
            regions: self.regions(found),
            classes: self.policies.classes(),
            flags: self.policies.flags.keys().map(|name| &*name.0).collect(),
            cache: self.cache.as_ref(),
        };
        route::refuse_what_is_not_there(&self.models, &known, root, reading);
        self.policies.check(&names, &self.keys, root, reading);
        price::refuse_unknown_and_repeated(&self.prices, &names, root, reading);
        limit::refuse_unknown_and_repeated(&self.limits, &names, &self.keys, root, reading);
        key::refuse_repeated(&self.keys, root, reading);
        cache::refuse_unknown(self.cache.as_ref(), &names, root, reading);
    }

    /// Where each provider works on what it is sent, but for those that are wrong.
    fn regions<'a>(
        &'a self,
        found: &'a [Provider],
    ) -> BTreeMap<&'a ProviderName, Option<&'a Region>> {
        let found = found.iter();
        let found = found.map(|provider| (&provider.name, provider.region.as_ref()));
        let named = self.providers.iter().flatten();
        let named = named.filter_map(|(name, endpoint)| Some((name, endpoint.as_ref()?.region())));
        found.chain(named).collect()
    }

    /// The configuration, unless something was wrong.
    fn assemble(self, found: Vec<Provider>) -> Option<Config> {
        let mut providers = found;
        for (name, endpoint) in self.providers.into_iter().flatten() {
            providers.push(endpoint?.named(name));
        }
        if providers.is_empty() {
            providers.push(discovery::sim()?);
        }
        let prices = self.prices.into_iter();
        let keys = self.keys.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Config {
            server: self.server?,
            store: self.store?,
            shared: self.shared,
            ledger: self.ledger?,
            payloads: self.payloads?,
            responses: self.responses?,
            custody: self.custody?,
            media: self.media?,
            batches: self.batches?,
            cache: self.cache?,
            sockets: self.sockets?,
            breaker: self.breaker?,
            telemetry: self.telemetry?,
            routes: self
                .models
                .into_iter()
                .map(|(name, route)| Some((name, route?)))
                .collect::<Option<_>>()?,
            prices: prices
                .map(|row| row?.over_catalog(&providers))
                .collect::<Option<_>>()?,
            tokenizers: self.tokenizers.into_iter().collect::<Option<_>>()?,
            limits: self.limits.into_iter().collect::<Option<_>>()?,
            policy: self.policies.policy(&keys)?,
            keys,
            providers,
        })
    }
}
