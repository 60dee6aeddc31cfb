//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use domain::limit::QueueRules;
use jiff::Timestamp;

/// One line between your applications and every AI.
///
/// Without a subcommand it serves. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, about, long_about, verbatim_doc_comment)]
pub struct Cli {
    /// Where it is.
    #[command(flatten)]
    pub at: Installation,
    /// Without a subcommand it serves.
    #[command(flatten)]
    pub serve: Serve,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (the default)
    Serve(Serve),
    /// Check the configuration and report every problem
    Check(Check),
    /// Ask a model and stream its answer to the terminal
    Chat(Chat),
    /// List the models that callers may ask for
    Models(Models),
    /// Say where a request would go, in which order and why
    Explain(Explain),
    /// Compare calls of routes with their copies that went elsewhere
    Shadows(Shadows),
    /// Create, list, change and archive organisations
    Organizations(Tenants),
    /// Create, list, change and archive projects
    Projects(Tenants),
    /// Create, list, change and archive applications of projects
    Applications(Tenants),
    /// Create, list, change and archive users of organisations
    Users(Tenants),
    /// Create, list, rotate and revoke virtual keys
    Keys(Keys),
    /// Make, list or remove limits
    Limits(LimitsOptions),
    /// Show recorded calls, newest first
    Logs(Logs),
    /// Show what was spent, price a usage, correct costs, compare with invoices, refresh the price catalog
    Cost(Cost),
    /// List the processes that serve this installation
    Replicas(Replicas),
    /// Show and purge answers that are kept, and what vendors' prompt caches are worth
    Cache(CacheOptions),
    /// Go through the ledger's books
    Ledger(Ledger),
    /// Serve the simulated provider on a port of its own
    Sim(Sim),
    /// Print the OpenAPI document
    Openapi,
}

/// Where an installation is.
#[derive(Debug, Clone, Default, Args)]
pub struct Installation {
    /// The configuration [default: trunkline.yaml if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where this installation keeps what is its own [default: ./trunkline-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
}

impl Installation {
    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from("trunkline-data"))
    }

    /// The configuration file, if there is one.
    pub fn config(&self) -> Option<PathBuf> {
        let default = PathBuf::from("trunkline.yaml");
        self.config
            .clone()
            .or_else(|| default.exists().then_some(default))
    }
}

/// `trunkline serve`
#[derive(Debug, Clone, Default, Args)]
pub struct Serve {
    /// The address to listen on [default: 127.0.0.1:8080, or server.listen]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// `trunkline check`
#[derive(Debug, Args)]
pub struct Check {
    /// Print the JSON Schema of the configuration instead
    #[arg(long)]
    pub schema: bool,
    /// Print problems as JSON
    #[arg(long)]
    pub json: bool,
}

/// `trunkline chat`
#[derive(Debug, Args)]
pub struct Chat {
    /// The model [default: the first that is served]
    #[arg(long, short)]
    pub model: Option<String>,
    /// Instructions for the model
    #[arg(long, short)]
    pub system: Option<String>,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// What to say; read from standard input when it is left out
    pub prompt: Vec<String>,
}

/// `trunkline models`
#[derive(Debug, Args)]
pub struct Models {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// `trunkline shadows`
#[derive(Debug, Args)]
pub struct Shadows {
    /// Only this route
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Only copies of calls that started at this time or later (RFC 3339) [default: a week before the end]
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Only copies of calls that started before this time (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// `trunkline explain`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Explain {
    /// A model's name as callers write it, or a chat request in a file that ends in .json
    #[arg(value_name = "MODEL|FILE")]
    pub model: String,
    /// The key of the configuration that asks, by its name [default: one that may do everything]
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// How many tokens the request has
    #[arg(long, value_name = "COUNT")]
    pub input_tokens: Option<u64>,
    /// How many tokens the answer may have
    #[arg(long, value_name = "COUNT")]
    pub max_output_tokens: Option<u64>,
    /// A streamed answer is wanted
    #[arg(long)]
    pub stream: bool,
    /// The provider that is to be tried first
    #[arg(long, value_name = "PROVIDER")]
    pub prefer: Option<String>,
    /// A provider that is to be tried after the first; may be given several times, in order
    #[arg(long, value_name = "PROVIDER")]
    pub then: Vec<String>,
    /// Nobody is to be tried after the first
    #[arg(long)]
    pub no_fallback: bool,
    /// How much speed counts against cost, 0 to 1
    #[arg(long, value_name = "SHARE")]
    pub performance: Option<f64>,
    /// The cheapest is to be tried first
    #[arg(long)]
    pub cheapest: bool,
    /// How often one target is asked again, 0 to 9
    #[arg(long, value_name = "COUNT")]
    pub max_retries: Option<u32>,
    /// A field of the request; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// `trunkline replicas`
#[derive(Debug, Args)]
pub struct Replicas {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// `trunkline organizations`, `projects`, `applications`, `users`
#[derive(Debug, Args)]
pub struct Tenants {
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: TenantsCommand,
}

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// Make one
    Create {
        /// What people call it
        name: String,
        /// What its kind has.
        #[command(flatten)]
        fields: TenantFields,
    },
    /// List them, newest first
    List {
        /// Only those of this organisation (org_…)
        #[arg(long)]
        organization: Option<String>,
        /// Only those of this project (proj_…)
        #[arg(long)]
        project: Option<String>,
        /// Only those that are archived (true), or that are not (false)
        #[arg(long)]
        archived: Option<bool>,
    },
    /// Show one
    Get {
        /// Its identifier
        id: String,
    },
    /// Change what is named
    Change {
        /// Its identifier
        id: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Bring it back into service
        #[arg(long)]
        restore: bool,
        /// What its kind has.
        #[command(flatten)]
        fields: TenantFields,
    },
    /// Take it out of service: nothing that belongs to it is admitted any more
    Archive {
        /// Its identifier
        id: String,
    },
}

/// What only some kinds of tenants have.
#[derive(Debug, Args)]
pub struct TenantFields {
    /// The organisation of a new project or user (org_…) [default: the first]
    #[arg(long)]
    pub organization: Option<String>,
    /// The project of a new application (proj_…) [default: the first]
    #[arg(long)]
    pub project: Option<String>,
    /// A user's address
    #[arg(long)]
    pub email: Option<String>,
    /// A region that a project's calls may be answered in; may be given several times; * permits all
    #[arg(long = "region")]
    pub regions: Vec<String>,
    /// A feature flag of a project, such as beta=true or tone=warm; may be given several times
    #[arg(long = "flag", value_name = "NAME=VALUE")]
    pub flags: Vec<String>,
    /// What is kept of what is said in a project's calls: none, how long (24h), or default
    #[arg(long, value_name = "RULE")]
    pub payloads: Option<String>,
}

/// `trunkline keys`
#[derive(Debug, Args)]
pub struct Keys {
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print its text, this once
    Create(Box<CreateKey>),
    /// List keys; of their texts, only the beginning and the end
    List,
    /// Give a key a new text and print it, this once
    Rotate {
        /// The key's identifier (key_…)
        id: String,
        /// How long the old text stays good, such as 24h
        #[arg(long, default_value = "0s")]
        grace: String,
    },
    /// End a key now
    Revoke {
        /// The key's identifier (key_…)
        id: String,
    },
}

/// `trunkline limits`
#[derive(Debug, Args)]
pub struct LimitsOptions {
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: LimitsCommand,
}

/// What to do with limits.
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Make a limit
    Create(NewLimitOptions),
    /// List limits, those of the configuration first
    List,
    /// Remove a limit
    Remove {
        /// The limit's identifier (lim_…)
        id: String,
    },
    /// List what happened to budgets, newest first
    Events,
}

/// `trunkline limits create`
#[derive(Debug, Args)]
pub struct NewLimitOptions {
    /// What people call it
    pub name: String,
    /// For whom or what it holds, such as user=each or provider=openai; may be given several times
    #[arg(long, value_name = "PART=WHOM")]
    pub scope: Vec<String>,
    /// Requests in a time
    #[arg(long)]
    pub requests: Option<u64>,
    /// Tokens in a time
    #[arg(long)]
    pub tokens: Option<u64>,
    /// Calls at the same time
    #[arg(long)]
    pub concurrency: Option<u64>,
    /// Dollars in a period, such as 5 or 0.50
    #[arg(long)]
    pub usd: Option<String>,
    /// The time: minute, hour or day; of dollars hour, day, week, month or total
    #[arg(long)]
    pub per: Option<String>,
    /// Let calls wait for room for so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub max_wait_seconds: Option<u64>,
    /// How many calls may wait
    #[arg(long, default_value_t = QueueRules::USUAL_WAITING)]
    pub max_waiting: u32,
    /// At which per cent an event is raised; may be given several times [of dollars: 50, 80 and 100]
    #[arg(long, value_name = "PERCENT")]
    pub alert: Vec<u8>,
}

/// `trunkline keys create`
#[derive(Debug, Args)]
pub struct CreateKey {
    /// What people call it
    pub name: String,
    /// A model it may ask for; * stands for any text; may be given several times
    #[arg(long = "model", default_value = "*")]
    pub models: Vec<String>,
    /// An address or range it may be used from, such as 10.0.0.0/8; may be given several times
    #[arg(long = "address")]
    pub addresses: Vec<String>,
    /// The project that it belongs to (proj_…) [default: the application's, or the first]
    #[arg(long)]
    pub project: Option<String>,
    /// The application that it is for (app_…)
    #[arg(long)]
    pub application: Option<String>,
    /// The user whom it is for (user_…)
    #[arg(long)]
    pub user: Option<String>,
    /// Requests per minute
    #[arg(long)]
    pub rpm: Option<u32>,
    /// Tokens per minute
    #[arg(long)]
    pub tpm: Option<u64>,
    /// Calls at the same time
    #[arg(long)]
    pub concurrency: Option<u32>,
    /// Let its calls wait for room for so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub max_wait_seconds: Option<u64>,
    /// How many of its calls may wait
    #[arg(long, default_value_t = QueueRules::USUAL_WAITING, requires = "max_wait_seconds")]
    pub max_waiting: u32,
    /// How much its calls count where they wait: low, normal or high
    #[arg(long, default_value = "normal")]
    pub priority: String,
    /// Dollars per period, such as 5 or 0.50
    #[arg(long, value_name = "USD")]
    pub budget: Option<String>,
    /// The period of the budget: hour, day, week, month or total
    #[arg(long, default_value = "month")]
    pub per: String,
    /// From when on it is no longer good (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<Timestamp>,
    /// Let it administer and see everybody's calls
    #[arg(long)]
    pub admin: bool,
}

/// `trunkline logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// How many
    #[arg(long, short = 'n', default_value_t = 20)]
    pub limit: u32,
    /// Only calls that ended so: settled, estimated, cancelled or failed
    #[arg(long)]
    pub state: Option<String>,
    /// Only calls of this project (proj_…)
    #[arg(long)]
    pub project: Option<String>,
    /// Only calls of this application (app_…)
    #[arg(long)]
    pub application: Option<String>,
    /// Only calls of this user (user_…)
    #[arg(long)]
    pub user: Option<String>,
    /// Only calls of this key (key_…)
    #[arg(long)]
    pub key: Option<String>,
    /// Only calls for this model, as the caller wrote it
    #[arg(long)]
    pub model: Option<String>,
    /// Only calls answered by this provider
    #[arg(long)]
    pub provider: Option<String>,
    /// Only the calls with this x-client-request-id
    #[arg(long)]
    pub client_request_id: Option<String>,
    /// Only the lines of this batch (batch_…)
    #[arg(long)]
    pub batch: Option<String>,
    /// Only calls that started at this time or later (RFC 3339)
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// Only calls that started before this time (RFC 3339)
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `trunkline cost`
#[derive(Debug, Args)]
pub struct Cost {
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Only calls that started at this time or later (RFC 3339) [default: this month]
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// What to do [default: show what each key has spent]
    #[command(subcommand)]
    pub command: Option<CostCommand>,
}

/// What to do with costs.
#[derive(Debug, Subcommand)]
pub enum CostCommand {
    /// Price a provider's own usage object
    Price(PriceUsage),
    /// Correct what calls cost by the prices that are known now
    Rerate(Rerate),
    /// Compare a provider's usage or cost export with the ledger, by day and model
    Reconcile(Reconcile),
    /// Rebuild the catalog from a facts file and print what changes
    Refresh(RefreshCatalog),
}

/// `trunkline cost rerate`
#[derive(Debug, Args)]
pub struct Rerate {
    /// Only calls that started at this time or later (RFC 3339)
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// Only calls that started before this time (RFC 3339)
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// Only calls that this provider answered
    #[arg(long)]
    pub provider: Option<String>,
    /// Only calls that this model answered, in the provider's words
    #[arg(long)]
    pub model: Option<String>,
    /// Only say what it would come to
    #[arg(long)]
    pub dry_run: bool,
}

/// `trunkline cost reconcile`
#[derive(Debug, Args)]
pub struct Reconcile {
    /// The configured provider whose export it is
    #[arg(long)]
    pub provider: String,
    /// The export: JSON of OpenAI's or Anthropic's administration API, or a table (CSV); - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which columns mean what, where they are not known: day=Date,model=SKU,input=…,output=…,cost=Amount
    #[arg(long, default_value = "")]
    pub columns: String,
    /// A difference up to this many dollars is tolerated [default: 0.01]
    #[arg(long, value_name = "USD")]
    pub threshold_usd: Option<String>,
    /// A difference up to this share of what the provider says is tolerated [default: 1]
    #[arg(long, value_name = "PERCENT")]
    pub threshold_percent: Option<f64>,
}

/// `trunkline ledger`
#[derive(Debug, Args)]
pub struct Ledger {
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// `trunkline cache`
#[derive(Debug, Args)]
pub struct CacheOptions {
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Where Trunkline serves [default: where the configuration says]
    ///
    /// It is asked with the admin key in `TRUNKLINE_ADMIN_KEY`, or that of the data directory.
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// What to do with the cache.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Show what is kept, and what happened since the process began
    Show,
    /// Show what keys had written into vendors' prompt caches in the last day, and whether it was read
    Prompts,
    /// Forget answers: all, or those of an organisation or a project
    Purge(Purge),
    /// Say that the answer that a call got or gave was wrong; it is not given again
    Feedback {
        /// The call
        request_id: String,
        /// It was right: nothing is forgotten
        #[arg(long)]
        right: bool,
    },
    /// Ask again what was asked most often, so that its answers are kept; needs payloads that are kept
    Warm(Warm),
}

/// `trunkline cache warm`
#[derive(Debug, Args)]
pub struct Warm {
    /// The key that asks and pays, and whose project it is done for
    #[arg(long, value_name = "ID")]
    pub key: String,
    /// Only what was asked at this time or later (RFC 3339); in the last week where it is left out
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// The most requests
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub requests: u32,
    /// The most that it may cost, in dollars
    #[arg(long, default_value = "1.00")]
    pub usd: String,
    /// The most requests in a minute
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=6000))]
    pub per_minute: u32,
    /// How long answers are kept, in seconds; as the route and the configuration say where it is left out
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub ttl: Option<u32>,
    /// Only show what would be asked
    #[arg(long)]
    pub dry_run: bool,
}

/// `trunkline cache purge`
#[derive(Debug, Args)]
pub struct Purge {
    /// Only those of this organisation
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// Only those of this project
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check every row's rules, and that all sums are those of the rows; fails where something does not agree
    Check(CheckLedger),
}

/// `trunkline ledger check`
#[derive(Debug, Args)]
pub struct CheckLedger {
    /// Only calls that started at this time or later (RFC 3339)
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// Only calls that started before this time (RFC 3339)
    #[arg(long)]
    pub until: Option<Timestamp>,
}

/// `trunkline cost price`
#[derive(Debug, Args)]
pub struct PriceUsage {
    /// openai, anthropic, gemini, azure, bedrock, vertex, mistral, cohere, groq, deepseek, xai, together,
    /// fireworks, perplexity, or a configured provider
    #[arg(long)]
    pub provider: String,
    /// The model in the provider's words
    #[arg(long)]
    pub model: String,
    /// The usage object as the provider sends it
    #[arg(long, value_name = "JSON")]
    pub usage: String,
    /// The class of service: standard, batch, flex or priority
    #[arg(long, default_value = "standard")]
    pub tier: String,
    /// When the call started (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

/// `trunkline cost refresh`
#[derive(Debug, Args)]
pub struct RefreshCatalog {
    /// Prices: a data.json of genai-prices
    #[arg(long, value_name = "FILE")]
    pub prices: PathBuf,
    /// Capabilities: LiteLLM's table of models (JSON)
    #[arg(long, value_name = "FILE")]
    pub capabilities: Option<PathBuf>,
    /// The folder of catalog files to start from, and to write to with --write [default: the built-in
    /// catalog, which is only compared with]
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Write the files; without it, only the difference is printed
    #[arg(long, requires = "catalog")]
    pub write: bool,
}

/// `trunkline sim`
#[derive(Debug, Args)]
pub struct Sim {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Answers with the same seed are the same
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}
