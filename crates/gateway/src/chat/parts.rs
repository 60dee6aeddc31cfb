//! What a gateway is made of.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::clock::Clock;
use domain::egress::Egress;
use domain::entropy::Entropy;
use domain::socket::SocketEgress;
use domain::tokenizer::Tokenizers;

use crate::attempt::Courier;
use crate::cache::Cache;
use crate::custody::Custody;
use crate::drain::Drains;
use crate::files::Files;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::media::MediaRules;
use crate::payload::Payloads;
use crate::plan::Routing;
use crate::prompt_cache::PromptCache;
use crate::realtime::SocketRules;
use crate::responses::{Jobs, Responses};
use crate::routes::Routes;
use crate::shadow::Shadows;

/// Bounds that hold for every call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest whole answer that is taken from a provider, in bytes.
    pub max_response: usize,
    /// The most messages of one request.
    pub max_messages: usize,
    /// Bounds on fetching what a target cannot fetch.
    pub media: MediaRules,
    /// Bounds on conversations over sockets.
    pub sockets: SocketRules,
    /// By what the tokens of which models are counted, where their provider cannot be asked.
    pub tokenizers: Tokenizers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_response: 64 * 1024 * 1024,
            max_messages: 10_000,
            media: MediaRules::default(),
            sockets: SocketRules::default(),
            tokenizers: Tokenizers::default(),
        }
    }
}

/// What a gateway is made of.
pub struct Parts {
    /// Which target serves which name; replaced by a reload.
    pub routes: Arc<Routes>,
    /// Where calls are written down.
    pub ledger: Arc<Ledger>,
    /// What callers may use up.
    pub limits: Arc<Limits>,
    /// Where answers go whose callers went away.
    pub drains: Drains,
    /// Keeps what was said, where it is wanted.
    pub payloads: Arc<Payloads>,
    /// Keeps answers that callers refer to later.
    pub responses: Arc<Responses>,
    /// Files that callers refer to, and media that is handed out.
    pub files: Arc<Files>,
    /// Where answers go that are made in the background.
    pub jobs: Jobs,
    /// Where copies of calls go that are sent elsewhere too.
    pub shadows: Shadows,
    /// Keeps the reasoning state that clients leave out; `None` keeps none.
    pub custody: Option<Arc<Custody>>,
    /// Keeps answers to be given again; `None` keeps none.
    pub cache: Option<Arc<Cache>>,
    /// How requests leave.
    pub egress: Arc<dyn Egress>,
    /// How conversations with providers begin.
    pub sockets: Arc<dyn SocketEgress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Bounds.
    pub settings: Settings,
}

/// Takes requests, and answers them.
pub struct Gateway {
    pub(crate) responses: Arc<Responses>,
    pub(crate) jobs: Jobs,
    pub(crate) shadows: Shadows,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) routing: Routing,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) drains: Drains,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) files: Arc<Files>,
    pub(crate) custody: Option<Arc<Custody>>,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) prompt_cache: PromptCache,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) sockets: Arc<dyn SocketEgress>,
    pub(crate) courier: Courier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
}

impl Gateway {
    /// A gateway of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            routes: ArcSwap::new(parts.routes),
            routing: Routing::default(),
            ledger: parts.ledger,
            limits: parts.limits,
            drains: parts.drains,
            payloads: parts.payloads,
            responses: parts.responses,
            files: parts.files,
            jobs: parts.jobs,
            shadows: parts.shadows,
            custody: parts.custody,
            cache: parts.cache,
            prompt_cache: PromptCache::default(),
            courier: Courier::new(Arc::clone(&parts.egress), Arc::clone(&parts.clock)),
            egress: parts.egress,
            sockets: parts.sockets,
            clock: parts.clock,
            entropy: parts.entropy,
            settings: parts.settings,
        }
    }

    /// The routes in force.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Puts other routes in force. Calls that have begun go on as they were planned.
    pub fn replace_routes(&self, routes: Arc<Routes>) {
        routes.health().forget_keys();
        self.routes.store(routes);
        self.courier.forget_credentials();
    }
}
