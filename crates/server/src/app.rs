//! Puts everything together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use domain::call::{Call, CallObserver};
use domain::clock::Clock;
use domain::egress::Egress;
use domain::entropy::Entropy;
use domain::id::{OrganizationId, ProjectId, ReplicaId};
use domain::key::{KeyStore, Origin, VirtualKey};
use domain::secret::Secret;
use domain::tokenizer::Tokenizers;
use fleet::{Answers, Namespace, Shared as SharedState};
use gateway::batches::{BatchParts, Batches};
use gateway::cache::{Cache, CacheWork, Embedding, Semantic};
use gateway::catalog::Catalog;
use gateway::custody::Custody;
use gateway::drain::{Drain, Drains};
use gateway::files::Files;
use gateway::health::Health;
use gateway::ledger::{JournalLimits, Ledger};
use gateway::limits::desk::LimitDesk;
use gateway::limits::{Alert, Limits};
use gateway::payload::Payloads;
use gateway::prompt_cache::{UnreadWrites, Watch};
use gateway::realtime::SocketRules;
use gateway::responses::{Job, Jobs, Responses};
use gateway::routes::{RouteTarget, Routes};
use gateway::shadow::{CallCopy, Shadows};
use gateway::{Gateway, Parts, Settings};
use identity::client_secret::ClientSecrets;
use identity::desk::Desk;
use identity::ring::KeyRing;
use identity::tenants::TenantDesk;
use identity::text::{self, Hasher};
use inference::{LocalEmbedder, SentenceModel, Vocabulary};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sim::Sim;
use store::Store;
use tokio::sync::mpsc;

use crate::adoption;
use crate::config::{self, BootstrapKey, Config, Meaning};
use crate::data_dir::DataDir;
use crate::egress::OutboundClient;
use crate::http::files::Uploads;
use crate::http::problem::IntoProblem;
use crate::media;
use crate::replicas::Replicas;
use crate::scope::warn_of_nobody;
use crate::telemetry::Telemetry;
use crate::world::{SystemClock, SystemEntropy, unix_seconds};

/// Answers without a caller that may wait to be drained.
const WAITING_DRAINS: usize = 1_024;
/// Answers that may wait to be made in the background.
const WAITING_JOBS: usize = 1_024;
/// Copies of calls that may wait to be sent.
const WAITING_COPIES: usize = 1_024;
/// Answers that may wait to be shared with other replicas.
const WAITING_CACHE_WORK: usize = 1_024;
/// Texts that may wait for the sentence model.
const WAITING_TEXTS: usize = 256;
/// How long the start waits for what replicas share to say whether it is part of a cluster.
const CLUSTER_BOUND: Duration = Duration::from_millis(500);
/// The size at which a journal segment is followed by the next.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// The least number of segments that a full journal has. Only whole segments are let go of: one that
/// was as large as the journal may be would stay for good.
const MIN_SEGMENTS: u64 = 4;

/// The application, shared by everything that serves.
pub type Shared = Arc<App>;

/// The application.
pub struct App {
    /// Takes requests, and answers them.
    pub gateway: Gateway,
    /// Where calls are written down.
    pub ledger: Arc<Ledger>,
    /// What callers may use up.
    pub limits: Arc<Limits>,
    /// Makes limits.
    pub limit_desk: LimitDesk,
    /// What was said, where it is kept.
    pub payloads: Arc<Payloads>,
    /// Answers that callers refer to later.
    pub responses: Arc<Responses>,
    /// Reasoning state that clients leave out; `None` where none is kept.
    pub custody: Option<Arc<Custody>>,
    /// Answers that are kept to be given again; `None` where none is.
    pub cache: Option<Arc<Cache>>,
    /// What is written into vendors' prompt caches, and whether it is read.
    pub prompt_watch: Arc<Watch>,
    /// Files that callers refer to, and media that is handed out.
    pub files: Arc<Files>,
    /// Files that arrive in several requests.
    pub uploads: Uploads,
    /// Many requests at once.
    pub batches: Arc<Batches>,
    /// Recognises callers.
    pub ring: Arc<KeyRing>,
    /// Issues keys.
    pub desk: Desk,
    /// Makes and recognises what stands in for a key in realtime sessions.
    pub client_secrets: ClientSecrets,
    /// Keeps the organisations, projects, applications and users.
    pub tenants: TenantDesk,
    /// Everything durable.
    pub store: Store,
    /// What replicas share beside it; `None` where there is one replica.
    pub shared: Option<SharedState>,
    /// This process among those that serve the same store.
    pub replicas: Replicas,
    /// What operators see.
    pub telemetry: Arc<Telemetry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// When the process started.
    pub started_at: Timestamp,
    /// The largest body that is taken, in bytes.
    pub max_body: usize,
    /// Bounds on conversations over WebSocket.
    pub sockets: SocketRules,
    /// Whether the process is on its way out.
    pub is_stopping: AtomicBool,
}

/// What the background loops take over.
pub struct Queues {
    /// Answers without a caller.
    pub drains: mpsc::Receiver<Drain>,
    /// Answers that are to be made in the background.
    pub jobs: mpsc::Receiver<Job>,
    /// Copies of calls that go elsewhere too.
    pub copies: mpsc::Receiver<CallCopy>,
    /// What the cache leaves to do; `None` where there is none.
    pub cache_work: Option<mpsc::Receiver<CacheWork>>,
    /// Budgets that are used up to a part that operators want to hear of.
    pub alerts: mpsc::Receiver<Alert>,
    /// What was written into vendors' prompt caches and is not read.
    pub unread_writes: mpsc::Receiver<UnreadWrites>,
}

impl App {
    /// Opens what is durable, settles what an earlier process left, and puts the rest together.
    pub async fn assemble(
        config: &Config,
        data_dir: &DataDir,
        telemetry: Arc<Telemetry>,
    ) -> anyhow::Result<(Shared, Queues)> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let started_at = clock.now();
        let store = open_store(config, data_dir).await?;
        let recovered = adoption::adopt(&data_dir.journal(), &[], &store, started_at).await?;
        if !recovered.replicas.is_empty() {
            tracing::info!(
                ?recovered,
                "settled what an earlier process left in its journal"
            );
        }
        let ring = Arc::new(open_ring(config, data_dir, &*entropy, started_at)?);
        let shared = join_replicas(config, &ring, &clock).await?;
        let (desk, tenants) = desks(&store, &ring, &clock, &entropy);
        let client_secrets = client_secrets(&store, &ring, &clock, &entropy);
        let (limits, limit_desk, alerts) =
            open_limits(config, &ring, &store, &clock, &entropy).await?;
        let replica = ReplicaId::new(started_at, &*entropy);
        let replicas = Replicas::new(replica, started_at, shared.is_some(), store.clone());
        let (observers, unread_writes) = Observers::new(config, &telemetry);
        let prompt_watch = Arc::clone(&observers.prompt_watch);
        let ledger = Arc::new(ledger(config, data_dir, replica, &clock, observers)?);
        let limit_desk = limit_desk.beside(Arc::clone(&ledger));
        let payloads = Arc::new(Payloads::new(match config.payloads.keep {
            config::Keep::None => None,
            config::Keep::Full => Some(config.payloads.retention),
        }));
        let custody = open_custody(config, data_dir, &store, &clock, &entropy)?;
        let responses = open_responses(config, &store);
        let (cache, cache_work) = open_cache(config, &ring, &clock)?.unzip();
        let (jobs, waiting_jobs) = Jobs::new(WAITING_JOBS);
        let (shadows, waiting_copies) = Shadows::new(WAITING_COPIES);
        let (drains, waiting_drains) = Drains::new(WAITING_DRAINS);
        let outbound = OutboundClient::new(config.server.connect_timeout, simulated())?;
        let outbound = Arc::new(outbound);
        let egress: Arc<dyn Egress> = Arc::clone(&outbound) as Arc<dyn Egress>;
        let files = files(config, data_dir, &store, &egress, &clock, &entropy)?;
        let gateway = Gateway::new(Parts {
            routes: Arc::new(
                routes(config, started_at).knowing(Arc::new(Health::new(config.breaker))),
            ),
            ledger: Arc::clone(&ledger),
            limits: Arc::clone(&limits),
            drains,
            payloads: Arc::clone(&payloads),
            responses: Arc::clone(&responses),
            files: Arc::clone(&files),
            jobs,
            shadows,
            custody: custody.clone(),
            cache: cache.clone(),
            egress,
            sockets: outbound,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            settings: settings(config)?,
        });
        let batches = batches(config, replica, &store, &ring, &clock, &entropy);
        batches.resume(&gateway).await?;
        let app = Self {
            gateway,
            ledger,
            limits,
            limit_desk,
            payloads,
            responses,
            custody,
            cache,
            prompt_watch,
            files,
            uploads: Uploads::default(),
            batches,
            ring,
            desk,
            client_secrets,
            tenants,
            store,
            shared,
            replicas,
            telemetry,
            clock,
            entropy,
            started_at,
            max_body: config.server.max_body.as_usize(),
            sockets: config.sockets.rules(),
            is_stopping: AtomicBool::new(false),
        };
        Ok((
            Arc::new(app),
            Queues {
                drains: waiting_drains,
                jobs: waiting_jobs,
                copies: waiting_copies,
                cache_work,
                alerts,
                unread_writes,
            },
        ))
    }
}

/// Everything that is limited, with what the file and the store say of it, and the queue of budgets that operators
/// want to hear of.
async fn open_limits(
    config: &Config,
    ring: &KeyRing,
    store: &Store,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<(Arc<Limits>, LimitDesk, mpsc::Receiver<Alert>)> {
    let (limits, alerts) = Limits::new(Arc::clone(clock), config.shared.is_some());
    let limits = Arc::new(limits);
    let desk = LimitDesk::new(
        Arc::new(store.clone()),
        Arc::new(store.clone()),
        Arc::new(store.clone()),
        Arc::clone(&limits),
        Arc::clone(clock),
        Arc::clone(entropy),
    );
    let configured = config.limits(clock.now());
    warn_of_nobody(&configured, ring, store).await;
    desk.open(configured).await?;
    Ok((limits, desk, alerts))
}

/// What stands in for keys in realtime sessions, at every replica of one store.
fn client_secrets(
    store: &Store,
    ring: &Arc<KeyRing>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> ClientSecrets {
    ClientSecrets::new(
        Arc::new(store.clone()),
        Arc::clone(ring),
        Arc::clone(clock),
        Arc::clone(entropy),
    )
}

/// What issues keys, and what keeps those whom they are made for.
fn desks(
    store: &Store,
    ring: &Arc<KeyRing>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> (Desk, TenantDesk) {
    let (store, ring) = (Arc::new(store.clone()), || Arc::clone(ring));
    let (clock, entropy) = (|| Arc::clone(clock), || Arc::clone(entropy));
    let keys = Arc::clone(&store) as Arc<dyn KeyStore>;
    (
        Desk::new(keys, ring(), clock(), entropy()),
        TenantDesk::new(store, ring(), clock(), entropy()),
    )
}

/// The provider in this process that imitates the others.
fn simulated() -> Arc<Sim> {
    Arc::new(Sim::new(sim::Options {
        now: unix_seconds,
        ..sim::Options::default()
    }))
}

/// Bounds that hold for every call.
fn settings(config: &Config) -> anyhow::Result<Settings> {
    Ok(Settings {
        max_messages: config.server.max_messages.get() as usize,
        sockets: config.sockets.rules(),
        tokenizers: open_tokenizers(config)?,
        ..Settings::default()
    })
}

/// The tokenizers that the configuration names. Loads them.
fn open_tokenizers(config: &Config) -> anyhow::Result<Tokenizers> {
    let mut tokenizers = Tokenizers::default();
    for row in &config.tokenizers {
        let vocabulary = tokio::task::block_in_place(|| Vocabulary::load(&row.file))?;
        tokenizers.push(&row.models, Arc::new(vocabulary));
    }
    Ok(tokenizers)
}

/// Everybody who hears of calls that end.
struct Observers {
    telemetry: Arc<Telemetry>,
    prompt_watch: Arc<Watch>,
}

impl Observers {
    /// These; and what of prompt caches operators are to hear of.
    fn new(config: &Config, telemetry: &Arc<Telemetry>) -> (Self, mpsc::Receiver<UnreadWrites>) {
        let (watch, unread_writes) = Watch::new(config.cache.prompt);
        let observers = Self {
            telemetry: Arc::clone(telemetry),
            prompt_watch: Arc::new(watch),
        };
        (observers, unread_writes)
    }
}

impl CallObserver for Observers {
    fn ended(&self, call: &Call, traceparent: Option<&str>) {
        self.telemetry.ended(call, traceparent);
        self.prompt_watch.ended(call, traceparent);
    }
}

/// The ledger, with its journal in the data directory.
fn ledger(
    config: &Config,
    data_dir: &DataDir,
    replica: ReplicaId,
    clock: &Arc<dyn Clock>,
    observers: Observers,
) -> anyhow::Result<Ledger> {
    let sync = match config.ledger.sync {
        config::Sync::Always => gateway::ledger::Sync::Always,
        config::Sync::Every(_) => gateway::ledger::Sync::Periodic,
    };
    Ok(Ledger::new(
        &data_dir.journal(),
        replica,
        sync,
        journal_limits(config.ledger.max_bytes.bytes()),
        Arc::clone(clock),
        Arc::new(observers),
    )?)
}

fn journal_limits(max_bytes: u64) -> JournalLimits {
    JournalLimits {
        max_bytes,
        segment_bytes: SEGMENT_BYTES.min(max_bytes / MIN_SEGMENTS),
    }
}

/// Batches, whose lines are asked with the keys of the ring.
fn batches(
    config: &Config,
    replica: ReplicaId,
    store: &Store,
    ring: &Arc<KeyRing>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Arc<Batches> {
    let ring = Arc::clone(ring);
    Arc::new(Batches::new(BatchParts {
        rules: config.batches.rules(),
        store: Arc::new(store.clone()),
        replica,
        holder: Box::new(move |key| ring.holder(key)),
        explain: IntoProblem::into_problem,
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
    }))
}

/// Files, with their bytes where the configuration says.
fn files(
    config: &Config,
    data_dir: &DataDir,
    store: &Store,
    egress: &Arc<dyn Egress>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Arc<Files>> {
    let files = Files::new(
        config.media.rules,
        &installation_secret(config, data_dir, &**entropy)?,
        Arc::new(store.clone()),
        media::open(&config.media, data_dir, Arc::clone(egress))?,
        Arc::clone(clock),
        Arc::clone(entropy),
    );
    Ok(Arc::new(files.reached_at(config.media.public_url.clone())))
}

/// What keeps answers that callers refer to later.
fn open_responses(config: &Config, store: &Store) -> Arc<Responses> {
    let kept_for = match config.responses.keep {
        config::KeepFor::None => None,
        config::KeepFor::Time(time) => Some(time),
    };
    Arc::new(Responses::new(
        kept_for,
        Arc::new(store.clone()),
        Arc::new(store.clone()),
    ))
}

/// Opens the store that the configuration names.
pub async fn open_store(config: &Config, data_dir: &DataDir) -> anyhow::Result<Store> {
    Ok(store::open(&config.store.clone().within(data_dir.path())).await?)
}

/// The connection to what replicas share, where the configuration names it. Its names begin with what only
/// replicas of one installation know, so that two installations on one server share nothing.
fn open_shared(
    config: &Config,
    ring: &KeyRing,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<SharedState>> {
    let Some(location) = &config.shared else {
        return Ok(None);
    };
    let hash = ring.hasher().hash("the names of what replicas share");
    let fingerprint = hash
        .first_chunk()
        .map_or(0, |start| u64::from_be_bytes(*start));
    let namespace = Namespace::new(fingerprint);
    let shared = SharedState::open(location, namespace, Arc::clone(clock))?;
    Ok(Some(shared))
}

/// The same, once it is known to be of a kind that serves.
async fn join_replicas(
    config: &Config,
    ring: &KeyRing,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<SharedState>> {
    let shared = open_shared(config, ring, clock)?;
    if let Some(shared) = &shared {
        shared.refuse_cluster(CLUSTER_BOUND).await?;
    }
    Ok(shared)
}

/// What finds answers to what means the same, where the configuration wants it. Loads the model.
fn open_semantic(config: &Config) -> anyhow::Result<Option<Semantic>> {
    let Some(semantic) = config.cache.semantic() else {
        return Ok(None);
    };
    let embedding = match &semantic.model {
        Meaning::Folder(folder) => {
            let model = tokio::task::block_in_place(|| SentenceModel::load(folder))?;
            let embedder = LocalEmbedder::new(model, semantic.concurrency, WAITING_TEXTS);
            Embedding::Here(Arc::new(embedder))
        }
        Meaning::At(RouteTarget { provider, model }) => {
            Embedding::At(format!("{provider}/{model}").parse()?)
        }
    };
    Ok(Some(Semantic::new(semantic.rules, embedding)))
}

/// What keeps answers to be given again, where the configuration wants it, and what it leaves to do.
fn open_cache(
    config: &Config,
    ring: &KeyRing,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<(Arc<Cache>, mpsc::Receiver<CacheWork>)>> {
    let Some(rules) = config.cache.rules() else {
        return Ok(None);
    };
    // A connection of its own: whoever shares one rests when the cache finds it slow.
    let shared = open_shared(config, ring, clock)?;
    let patience = config.cache.shared_wait();
    let shared = shared.map(|shared| Arc::new(Answers::new(shared, patience)) as _);
    let clock = Arc::clone(clock);
    let (cache, work) = Cache::new(rules.clone(), shared, clock, WAITING_CACHE_WORK);
    let cache = cache.comparing(open_semantic(config)?);
    Ok(Some((Arc::new(cache), work)))
}

/// The ring with the configured keys in it; those of the store are followed.
pub fn open_ring(
    config: &Config,
    data_dir: &DataDir,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> anyhow::Result<KeyRing> {
    let secret = installation_secret(config, data_dir, entropy)?;
    let ring = KeyRing::new(Hasher::new(&secret));
    ring.replace_configured(configured_keys(config, ring.hasher(), now));
    Ok(ring)
}

/// What keeps the reasoning state that clients leave out, where the configuration wants it.
fn open_custody(
    config: &Config,
    data_dir: &DataDir,
    store: &Store,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Option<Arc<Custody>>> {
    let Some(rules) = config.custody.rules() else {
        return Ok(None);
    };
    let secret = installation_secret(config, data_dir, &**entropy)?;
    let store = Arc::new(store.clone());
    let custody = Custody::new(
        rules,
        &secret,
        store,
        Arc::clone(clock),
        Arc::clone(entropy),
    );
    Ok(Some(Arc::new(custody)))
}

/// The secret that the installation's own keys are derived from.
fn installation_secret(
    config: &Config,
    data_dir: &DataDir,
    entropy: &dyn Entropy,
) -> anyhow::Result<Secret<Vec<u8>>> {
    match &config.server.secret {
        Some(secret) => Ok(Secret::new(secret.reveal().clone().into_bytes())),
        None => data_dir.hash_secret(entropy),
    }
}

/// The keys of a configuration.
pub fn configured_keys(config: &Config, hasher: &Hasher, now: Timestamp) -> Vec<VirtualKey> {
    config
        .keys
        .iter()
        .map(|key| configured_key(key, hasher, now))
        .collect()
}

fn configured_key(key: &BootstrapKey, hasher: &Hasher, now: Timestamp) -> VirtualKey {
    let (prefix, last_four) = text::shown(&key.text);
    VirtualKey {
        id: text::configured_id(&key.name),
        name: key.name.clone(),
        organization_id: OrganizationId::DEFAULT,
        project_id: key.project.unwrap_or(ProjectId::DEFAULT),
        application_id: None,
        user_id: None,
        role: key.role,
        hash: hasher.hash(key.text.reveal()),
        previous: None,
        prefix,
        last_four,
        models: key.models.clone(),
        addresses: key.addresses.clone(),
        rate: key.rate,
        priority: key.priority,
        budget: key.budget,
        origin: Origin::Configuration,
        created_at: now,
        rotated_at: None,
        expires_at: key.expires_at,
        revoked_at: None,
    }
}

/// The routes of a configuration.
pub fn routes(config: &Config, now: Timestamp) -> Routes {
    let today = now.to_zoned(TimeZone::UTC).date();
    let catalog = Catalog::builtin().with_overrides(config.prices.clone(), today);
    let routes = Routes::new(config.providers.clone(), config.routes.clone(), catalog);
    routes.under(config.policy.clone())
}
