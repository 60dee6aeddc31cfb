//! A gateway with a scripted provider behind it and a ledger whose calls are heard.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use domain::call::{Call, CallObserver};
use domain::caller::Caller;
use domain::clock::Clock;
use domain::custody::CustodyStore;
use domain::egress::Reach;
use domain::key::{Budget, Rate};
use domain::model::Capabilities;
use domain::name::ModelName;
use domain::response::ResponseStore;
use domain::secret::Secret;
use futures_util::StreamExt;
use providers::credential::{Credential, Source};
use providers::face::Asked;
use providers::host::Host;
use providers::hosts::HostRow;
use providers::openai::OpenaiChat;
use tokio::sync::mpsc;

use super::{
    Act, Counting, Directory, Hand, Lines, Memory, Records, Script, Shelf, Zeros, caller, replica,
    request_id, run,
};
use crate::cache::Caching;
use crate::catalog::Catalog;
use crate::chat::{ChatError, Gateway, Inbound, Parts, ReportWanted, Settings};
use crate::credentials::Rotation;
use crate::custody::{Custody, CustodyRules};
use crate::drain::{Drain, Drains};
use crate::files::{FileRules, Files};
use crate::health::Health;
use crate::ledger::{JournalLimits, Ledger, Sync};
use crate::limits::Limits;
use crate::payload::Payloads;
use crate::prompt_cache::PromptCaching;
use crate::reply::{Reply, ReplyStream};
use crate::responses::{Job, Jobs, Responses};
use crate::routes::hedge::HedgeRules;
use crate::routes::rollout::Percent;
use crate::routes::shadow::ShadowRules;
use crate::routes::{
    Fallback, HangUp, Provider, ResolvedTarget, Retries, Route, RouteTarget, Routes, Sharing,
    Timeouts, When,
};
use crate::shadow::{CallCopy, Shadows};
use crate::waiting::Backlog;
use providers::kind::ProviderKind;

/// A whole answer in OpenAI's format: 1,000 tokens in and 100 out, which cost $0.0014.
pub(crate) const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;

/// How long and how much the gateway keeps of reasoning state.
pub(crate) const CUSTODY: CustodyRules = CustodyRules {
    ttl: std::time::Duration::from_hours(1),
    max_bytes: 64 * 1024,
};

/// What bounds the gateway's files.
const FILES: FileRules = FileRules {
    max_file: 1_024,
    max_total: 2_048,
    max_organization: 2_048,
    uploads_for: Some(std::time::Duration::from_hours(24)),
    generated_for: std::time::Duration::from_hours(1),
    delivers_urls: true,
};

/// Hears of every call that has ended.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Call>>);

impl CallObserver for Heard {
    fn ended(&self, call: &Call, _: Option<&str>) {
        self.0.lock().unwrap().push(call.clone());
    }
}

impl Heard {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    /// The one call that has ended.
    pub(crate) fn only(&self) -> Call {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "one call, one end");
        calls.into_iter().next().unwrap()
    }
}

pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) script: Arc<Script>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) drains: mpsc::Receiver<Drain>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) copies: mpsc::Receiver<CallCopy>,
    pub(crate) responses: Arc<Responses>,
    pub(crate) store: Arc<Memory>,
    pub(crate) files: Arc<Files>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) caller: Caller,
    pub(crate) directory: Directory,
}

/// How the routes `gpt`, `claude` and `gemini` are configured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// What the provider is; the simulated one, unless said.
    pub(crate) kind: Option<ProviderKind>,
    pub(crate) strict: bool,
    pub(crate) host: Option<&'static HostRow>,
    pub(crate) hang_up: HangUp,
    pub(crate) prompt_cache: PromptCaching,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Retries,
    /// As the provider's name, a `/` and the model: of the provider `sim` or of its like, `spare`.
    pub(crate) fallback: &'static [&'static str],
    /// The same for one cause each.
    pub(crate) fallback_for: &'static [(When, &'static str)],
    pub(crate) continues: bool,
    pub(crate) safe_reply: Option<&'static str>,
    pub(crate) hedge: Option<HedgeRules>,
    /// What copies of all calls may cost, which go to the model `claude` of the provider `sim`.
    pub(crate) shadow: Option<Budget>,
    /// How many keys each provider has.
    pub(crate) keys: Keys,
}

/// How many keys each provider has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Keys {
    /// None, or one that takes any.
    #[default]
    Any,
    /// `key-1`, `key-2` and so on, in turn.
    Several(u32),
}

impl Rules {
    fn sources(self) -> Vec<Source> {
        let Keys::Several(count) = self.keys else {
            return Vec::new();
        };
        let key = |number| Secret::new(format!("key-{number}"));
        (1..=count)
            .map(|number| Source::Ready(Credential::ApiKey(key(number))))
            .collect()
    }

    fn fallbacks(self) -> Vec<Fallback> {
        let any = self.fallback.iter().map(|name| (When::Always, *name));
        let all = any.chain(self.fallback_for.iter().copied());
        all.map(|(when, name)| Fallback {
            when,
            target: route_target(name),
        })
        .collect()
    }

    fn credential(self) -> Option<Source> {
        self.sources().into_iter().next()
    }

    fn rotation(self) -> Option<Arc<Rotation>> {
        let sources = self.sources();
        let weighted = sources.into_iter().map(|source| (source, 1));
        matches!(self.keys, Keys::Several(_)).then(|| Arc::new(Rotation::new(weighted)))
    }
}

impl Stage {
    pub(crate) fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::with(Rules::default(), acts)
    }

    pub(crate) fn with(rules: Rules, acts: impl IntoIterator<Item = Act>) -> Self {
        let directory = Directory::new();
        let clock = Arc::new(Hand::default());
        let script = Script::by(&clock, acts);
        let heard = Arc::new(Heard::default());
        let (limits, _alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
        let limits = Arc::new(limits);
        let bounds = JournalLimits {
            max_bytes: 1 << 20,
            segment_bytes: 1 << 20,
        };
        let ledger = Ledger::new(
            directory.path(),
            replica(),
            Sync::Periodic,
            bounds,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&heard) as Arc<dyn CallObserver>,
        );
        let ledger = Arc::new(ledger.unwrap());
        let (drains, queue) = Drains::new(1);
        let store = Arc::new(Memory::default());
        let responses = Arc::new(Responses::new(
            Some(std::time::Duration::from_hours(1)),
            Arc::clone(&store) as Arc<dyn ResponseStore>,
            Arc::clone(&store) as Arc<dyn domain::call::CallStore>,
        ));
        let shelf = Arc::new(Shelf::default());
        let files = Arc::new(Files::new(
            FILES,
            &Secret::new(vec![7; 32]),
            Arc::new(Records::default()),
            Arc::clone(&shelf) as Arc<dyn domain::media::MediaStore>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Counting::default()),
        ));
        let lines = Arc::new(Lines::default());
        let (jobs, waiting_jobs) = Jobs::new(1);
        let (shadows, copies) = Shadows::new(1);
        let gateway = Gateway::new(Parts {
            routes: Arc::new(routes(rules)),
            ledger: Arc::clone(&ledger),
            limits: Arc::clone(&limits),
            drains,
            payloads: Arc::new(Payloads::new(None)),
            responses: Arc::clone(&responses),
            files: Arc::clone(&files),
            jobs,
            shadows,
            custody: Some(custody(&store, &clock)),
            cache: None,
            egress: Arc::clone(&script) as Arc<dyn domain::egress::Egress>,
            sockets: Arc::clone(&lines) as Arc<dyn domain::socket::SocketEgress>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::new(Zeros),
            settings: Settings {
                max_response: 64 * 1024,
                ..Settings::default()
            },
        });
        let caller = caller(Rate::default(), None);
        Self {
            gateway,
            ledger,
            limits,
            clock,
            script,
            heard,
            drains: queue,
            lines,
            jobs: waiting_jobs,
            copies,
            responses,
            store,
            files,
            shelf,
            caller,
            directory,
        }
    }

    /// Loses what custody has in memory, as an end of the process does once everything is written.
    pub(crate) fn forget_memory_of_custody(&mut self) {
        let custody = self.gateway.custody.take().unwrap();
        while run(&self.clock, custody.write(1)).unwrap() > 0 {}
        self.gateway.custody = Some(self::custody(&self.store, &self.clock));
    }

    /// A request for one of the routes, which has just arrived.
    pub(crate) fn inbound(&self, body: &str) -> Inbound {
        Inbound {
            request_id: request_id(),
            started_at: self.clock.now(),
            received: self.clock.moment(),
            face: &OpenaiChat,
            face_name: domain::call::Face::OpenaiChat,
            asked: Asked::default(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            client_request_id: None,
            batch_id: None,
            traceparent: None,
            wishes: None,
            report: ReportWanted::default(),
        }
    }

    /// Asks, and lets the clock run for as long as the answer takes.
    pub(crate) fn chat(&self, body: &str) -> Result<Reply, ChatError> {
        run(
            &self.clock,
            self.gateway.chat(&self.caller, self.inbound(body)),
        )
    }

    /// Asks, and expects a stream.
    pub(crate) fn stream(&self, body: &str) -> Box<ReplyStream> {
        match self.chat(body) {
            Ok(Reply::Stream { stream, .. }) => stream,
            Ok(Reply::Whole { .. }) => panic!("a stream was asked for"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Reads a stream to its end, and lets the clock run for as long as that takes.
pub(crate) fn collect(clock: &Hand, mut stream: Box<ReplyStream>) -> String {
    let mut all = Vec::new();
    while let Some(bytes) = run(clock, stream.next()) {
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).unwrap()
}

fn custody(store: &Arc<Memory>, clock: &Arc<Hand>) -> Arc<Custody> {
    Arc::new(Custody::new(
        CUSTODY,
        &Secret::new(vec![7; 32]),
        Arc::clone(store) as Arc<dyn CustodyStore>,
        Arc::clone(clock) as Arc<dyn Clock>,
        Arc::new(Zeros),
    ))
}

fn routes(rules: Rules) -> Routes {
    let kind = rules.kind.unwrap_or(ProviderKind::Sim);
    let provider = |name: &str| Provider {
        name: name.parse().unwrap(),
        kind,
        base_url: kind.default_base_url().to_owned(),
        credential: rules.credential(),
        rotation: rules.rotation(),
        host: Host {
            project: Some("a-project".to_owned()),
            region: Some("us-east-1".to_owned()),
            ..rules.host.map_or(Host::NONE, Host::of)
        },
        reach: Reach::Public,
        hang_up: rules.hang_up,
        prompt_cache: rules.prompt_cache,
        region: None,
    };
    let routes = ["gpt", "claude", "gemini"].map(|model| {
        let route = Route {
            targets: vec![route_target(&format!("sim/{model}")).into()],
            sharing: Sharing::default(),
            fallback: rules.fallbacks(),
            strict: rules.strict,
            timeouts: rules.timeouts,
            retries: rules.retries,
            caching: Caching::default(),
            hedge: rules.hedge,
            shadow: rules.shadow.map(|budget| ShadowRules {
                target: route_target("sim/claude"),
                share: Percent::ALL,
                budget,
            }),
            continues: rules.continues,
            safe_reply: rules.safe_reply.map(Into::into),
        };
        (model.parse::<ModelName>().unwrap(), route)
    });
    // Those who ask a provider by its kind mean the only one of it.
    let names = if rules.fallbacks().is_empty() {
        &["sim"][..]
    } else {
        &["sim", "spare"]
    };
    let providers = names.iter().copied().map(provider);
    Routes::new(providers, routes, Catalog::builtin())
}

fn route_target(text: &str) -> RouteTarget {
    let (provider, model) = text.split_once('/').unwrap();
    RouteTarget {
        provider: provider.parse().unwrap(),
        model: model.to_owned(),
    }
}

/// A target of the simulated provider, with a context window of so many tokens.
pub(crate) fn target(context_window: Option<u64>) -> Arc<ResolvedTarget> {
    let plan = routes(Rules::default()).plan(&"gpt".parse().unwrap());
    let plan = plan.unwrap();
    let target = plan.target();
    Arc::new(ResolvedTarget {
        provider: Arc::clone(&target.provider),
        kind: target.kind,
        base_url: target.base_url.clone(),
        model: target.model.clone(),
        facts: None,
        capabilities: Capabilities {
            context_window,
            ..Capabilities::default()
        },
        region: None,
        prompt_cache: PromptCaching::default(),
        health: Health::default().of(&target.provider.name, "gpt", 1),
    })
}
