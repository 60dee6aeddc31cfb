//! `models`: the names that callers may ask for, and where each leads.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::name::{ModelName, ProviderName};
use domain::region::{self, Region};
use gateway::cache::Caching;
use gateway::prompt_cache::PromptCaching;
use gateway::routes::condition::Condition;
use gateway::routes::rollout::Percent;
use gateway::routes::strategy::{Balance, Strategy};
use gateway::routes::{
    Lead, MAX_DEPTH, Pace, Retries, Route, RouteMember, RouteTarget, Sharing, Sticky, Timeouts,
};
use serde_json::{Value, json};

use super::cache::Cache;
use super::fallback;
use super::fields::{Fields, Section};
use super::node::Node;
use super::path::Path;
use super::problem::Complaint;
use super::reading::Reading;
use super::scalar::{Choice, Misfit, Scalar};
use super::target::Share;

impl Section for Route {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let strict = fields.or(
            "strict",
            "false",
            "Whether a request is refused with status 400 rather than sent with something dropped \
             that the target cannot express.",
        );
        let targets: Option<Vec<RouteMember>> =
            fields.some_sections("targets", "Where requests go.");
        let strategy: Option<Strategy> = fields.or(
            "strategy",
            "priority",
            "In which order the targets are tried: `priority` as they are listed, `weighted` by chance, \
             `cheapest` by what the request is expected to cost, `fastest` by how fast they were lately, \
             `balanced` by cost, speed and quality, `least_busy` by how many requests they are answering, \
             `usage_aware` by how much of the provider's rate limits is left.",
        );
        let balance: Option<Balance> = fields.section(
            "balance",
            "How much each side counts where the strategy is `balanced`.",
        );
        let sticky = fields.list(
            "sticky",
            &[],
            "What keeps requests together, the first that a request has: `session` (the field \
             `x-trunkline-session`, which always counts), `user`, `key`, or `prefix`, how the prompt \
             begins, so that it comes to where it is in the prompt cache.",
        );
        let regions = fields.some(
            "regions",
            "Where requests may go; targets that lie elsewhere, or nobody knows where, are never asked. \
             `eu` permits `eu-west-1`. Left out, everywhere.",
        );
        let fallback = fallback::read(fields);
        let timeouts = fields.section("timeout", "How long to wait.");
        let retries = fields.section(
            "retries",
            "How often a request is sent again after status 429 or 503 or when no connection is \
             made.",
        );
        let caching: Option<Caching> =
            fields.section("cache", "What of its answers is kept to be given again.");
        let prompt = fields.optional(
            "prompt_cache",
            "auto",
            "Whether breakpoints for its providers' prompt caches are placed, `auto` or `off`; as its \
             providers say where it is left out.",
        );
        let hedge = fields.optional_section(
            "hedge",
            "When a second target is asked while the first has not answered: whoever answers first is \
             passed on, the other is given up. Both are billed.",
        );
        let shadow = fields.optional_section(
            "shadow",
            "Which calls are copied to another target as well: the answers of the copies go to nobody, \
             and are compared. Chats only.",
        );
        let continues = fields.or(
            "continue",
            "false",
            "Whether a streamed chat that breaks off after its first content is gone on with at another \
             target that continues what it is shown: words only, without tools and without a form of \
             the answer. Both are billed. Such streams are written anew, whoever answers.",
        );
        let safe_reply: Option<SafeReply> = fields.optional(
            "safe_reply",
            "Sorry, that did not work. Please try again shortly.",
            "What chats are answered with when every target failed, in the caller's own format and marked: \
             never in the place of what the caller has to mend. Left out, the failure is told.",
        );
        if fields.is_given("balance")
            && strategy.is_some_and(|strategy| !matches!(strategy, Strategy::Balanced(_)))
        {
            let complaint = Complaint::new("it counts where `strategy` is `balanced` only");
            fields.refuse(
                "balance",
                complaint.suggest("write `strategy: balanced`, or remove it"),
            );
        }
        let strategy = match (strategy?, balance?) {
            (Strategy::Balanced(_), balance) => Strategy::Balanced(balance),
            (strategy, _) => strategy,
        };
        Some(Self {
            targets: targets?,
            sharing: Sharing {
                strategy,
                sticky,
                regions,
            },
            fallback: fallback?,
            strict: strict?,
            timeouts: timeouts?,
            retries: retries?,
            caching: Caching { prompt, ..caching? },
            hedge,
            shadow,
            continues: continues?,
            safe_reply: safe_reply.map(|reply| reply.0),
        })
    }
}

/// What is said where no provider answers.
struct SafeReply(Arc<str>);

impl SafeReply {
    const MAX: usize = 4_000;
}

impl Scalar for SafeReply {
    const EXPECTED: &'static str = "a text of 1 to 4000 bytes";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.trim().is_empty() || text.len() > Self::MAX {
            return Err(Misfit::default());
        }
        Ok(Self(text.into()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": Self::MAX })
    }
}

/// What the names in routes may stand for.
pub(super) struct Known<'a> {
    pub(super) providers: &'a [ProviderName],
    /// Where what each of them is sent is worked on, as far as that is said; nothing of one that is wrong.
    pub(super) regions: BTreeMap<&'a ProviderName, Option<&'a Region>>,
    /// Classes of equivalents, with how good the best model of each is.
    pub(super) classes: Vec<(&'a str, f64)>,
    pub(super) flags: Vec<&'a str>,
    pub(super) cache: Option<&'a Cache>,
}

/// Says which routes lead to what there is not, and which lead to themselves.
pub(super) fn refuse_what_is_not_there(
    routes: &BTreeMap<ModelName, Option<Route>>,
    known: &Known<'_>,
    root: &Node,
    reading: &mut Reading<'_>,
) {
    for (name, route) in routes {
        let Some(route) = route else { continue };
        let path = Path::default().key("models").key(name.as_str());
        for (index, member) in route.targets.iter().enumerate() {
            let path = path.key("targets").index(index);
            refuse_lead(name, member, routes, known, &path, root, reading);
            let flags = member.when.iter().flat_map(Condition::flags);
            for flag in flags.filter(|flag| !known.flags.contains(&flag.as_str())) {
                let complaint = Complaint::new(format!("there is no flag `{flag}` under `flags`"));
                let flags = known.flags.iter().copied();
                let complaint = complaint.suggest_one_of(flag, flags, "the flags are");
                reading.refuse_at(root, &path.key("when"), complaint);
            }
        }
        let fallbacks = &route.fallback;
        fallback::refuse_what_is_not_there(fallbacks, known.providers, &path, root, reading);
        if let Some(shadow) = &route.shadow {
            let path = path.key("shadow").key("model");
            refuse_provider(&shadow.target, known.providers, &path, root, reading);
        }
        refuse_what_never_counts(route, known, &path, root, reading);
        let shares = route.targets.iter().filter_map(|member| member.rollout);
        let sum: u32 = shares.map(|share| u32::from(share.hundredths())).sum();
        if sum > u32::from(Percent::ALL.hundredths()) {
            let complaint = Complaint::new("the shares under `rollout` come to more than 100%");
            reading.refuse_at(
                root,
                &path.key("targets"),
                complaint.suggest("lower one of them"),
            );
        }
    }
}

/// Says what of a route is written in vain.
fn refuse_what_never_counts(
    route: &Route,
    known: &Known<'_>,
    path: &Path,
    root: &Node,
    reading: &mut Reading<'_>,
) {
    let mut refuse = |key, problem: &str, remedy: &str| {
        let complaint = Complaint::new(problem).suggest(remedy);
        reading.refuse_at(root, &path.key(key), complaint);
    };
    let is_elsewhere = |member: &RouteMember, target: &RouteTarget| {
        let of_provider = known.regions.get(&target.provider);
        of_provider.is_some_and(|of_provider| {
            let region = member.region.as_ref().or(*of_provider);
            !region::permits(&route.sharing.regions, region)
        })
    };
    let are_targets_elsewhere = route.targets.iter().all(|member| match &member.lead {
        Lead::Model(target) => is_elsewhere(member, target),
        Lead::Route(_) | Lead::Equivalents { .. } => false,
    });
    let are_fallbacks_elsewhere = route.fallback.iter().all(|fallback| {
        let member = RouteMember::from(fallback.target.clone());
        is_elsewhere(&member, &fallback.target)
    });
    if are_targets_elsewhere && are_fallbacks_elsewhere {
        refuse(
            "regions",
            "no target of it lies there",
            "say where they lie by `region` under `providers`, or permit other regions",
        );
    }
    let asks_one =
        matches!(route.targets.as_slice(), [only] if matches!(only.lead, Lead::Model(_)));
    if route.hedge.is_some() && asks_one && route.fallback.is_empty() {
        let problem = "there is no second target that could be asked";
        refuse("hedge", problem, "add one under `targets` or `fallback`");
    }
    let caching = &route.caching;
    let is_kept = known.cache.and_then(Cache::rules).is_some();
    if caching.enabled && caching.ttl.is_some() && !is_kept {
        let problem = "no answers are kept: there is no `exact` under `cache`";
        refuse("cache", problem, "add `cache: { exact: {} }`, or remove it");
    }
    let is_compared = known.cache.and_then(Cache::semantic).is_some();
    if caching.enabled && caching.threshold.is_some() && !is_compared {
        let problem = "nothing is compared: there is no `semantic` under `cache`";
        refuse("cache", problem, "add one, or remove `threshold`");
    }
}

fn refuse_lead(
    route: &ModelName,
    member: &RouteMember,
    routes: &BTreeMap<ModelName, Option<Route>>,
    known: &Known<'_>,
    path: &Path,
    root: &Node,
    reading: &mut Reading<'_>,
) {
    match &member.lead {
        Lead::Model(target) => {
            refuse_provider(target, known.providers, &path.key("model"), root, reading);
        }
        Lead::Equivalents { class, floor } => {
            let mut classes = known.classes.iter();
            match classes.find(|(name, _)| **name == **class) {
                None => {
                    let complaint =
                        Complaint::new(format!("there is no class `{class}` under `equivalents`"));
                    let classes = known.classes.iter().map(|(name, _)| *name);
                    let complaint = complaint.suggest_one_of(class, classes, "the classes are");
                    reading.refuse_at(root, &path.key("equivalents"), complaint);
                }
                Some((_, best)) if best < floor => {
                    let complaint = Complaint::new(format!("no model of `{class}` is so good"));
                    let complaint = complaint.suggest(format!("the best has quality {best}"));
                    reading.refuse_at(root, &path.key("min_quality"), complaint);
                }
                Some(_) => {}
            }
        }
        Lead::Route(name) => {
            let path = path.key("route");
            if !routes.contains_key(name) {
                let complaint = Complaint::new(format!("there is no `{name}` under `models`"));
                let names = routes.keys().map(ModelName::as_str);
                let complaint = complaint.suggest_one_of(name.as_str(), names, "the names are");
                reading.refuse_at(root, &path, complaint);
            } else if let Some(way) = way_too_far(route, name, routes) {
                let complaint = Complaint::new(way);
                reading.refuse_at(root, &path, complaint.suggest("name the models themselves"));
            }
        }
    }
}

/// What is wrong with a route that leads through `next`: it comes back to itself, or goes through too many.
fn way_too_far(
    route: &ModelName,
    next: &ModelName,
    routes: &BTreeMap<ModelName, Option<Route>>,
) -> Option<String> {
    let mut reached = vec![next];
    for _ in 0..MAX_DEPTH {
        if reached.contains(&route) {
            return Some(format!("`{route}` leads to itself"));
        }
        let there = reached
            .iter()
            .filter_map(|name| routes.get(*name)?.as_ref());
        let members = there.flat_map(|route| &route.targets);
        reached = members
            .filter_map(|member| match &member.lead {
                Lead::Route(name) => Some(name),
                Lead::Model(_) | Lead::Equivalents { .. } => None,
            })
            .collect();
        reached.sort_unstable();
        reached.dedup();
        if reached.is_empty() {
            return None;
        }
    }
    Some(format!("it leads through more than {MAX_DEPTH} routes"))
}

/// Says that a target is of a provider that there is not.
pub(super) fn refuse_provider(
    target: &RouteTarget,
    providers: &[ProviderName],
    path: &Path,
    root: &Node,
    reading: &mut Reading<'_>,
) {
    if providers.contains(&target.provider) {
        return;
    }
    let complaint = Complaint::new(format!("no provider is called `{}`", target.provider));
    let known = providers.iter().map(ProviderName::as_str);
    let complaint = complaint.suggest_one_of(target.provider.as_str(), known, "the providers are");
    reading.refuse_at(root, path, complaint);
}

impl Choice for PromptCaching {
    const EXPECTED: &'static str = "whether breakpoints are placed";
    const CHOICES: &'static [(&'static str, Self)] = &[("off", Self::Off), ("auto", Self::Auto)];
}

impl Choice for Strategy {
    const EXPECTED: &'static str = "a strategy";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("priority", Self::Priority),
        ("weighted", Self::Weighted),
        ("cheapest", Self::Cheapest),
        ("fastest", Self::Fastest),
        ("balanced", Self::Balanced(Balance::EVEN)),
        ("least_busy", Self::LeastBusy),
        ("usage_aware", Self::UsageAware),
    ];
}

impl Choice for Sticky {
    const EXPECTED: &'static str = "what requests share";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("session", Self::Session),
        ("user", Self::User),
        ("key", Self::Key),
        ("prefix", Self::Prefix),
    ];
}

impl Section for Balance {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let cost: Option<Share> = fields.or("cost", "1", "A low cost.");
        let latency: Option<Share> = fields.or(
            "latency",
            "1",
            "A short wait: to the first byte of a stream, to the end of any other answer.",
        );
        let quality: Option<Share> = fields.or(
            "quality",
            "1",
            "Quality, as the targets or their class of `equivalents` state it.",
        );
        let (cost, latency, quality) = (cost?.0, latency?.0, quality?.0);
        if [cost, latency, quality]
            .into_iter()
            .all(|share| share <= 0.0)
        {
            let complaint = Complaint::new("nothing of it counts");
            fields.refuse("cost", complaint.suggest("write one that is above 0"));
            return None;
        }
        Some(Self {
            cost,
            latency,
            quality,
        })
    }
}

impl Scalar for RouteTarget {
    const EXPECTED: &'static str = "a provider and its model such as `openai/gpt-5.4-nano`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let name = ModelName::parse(text)?;
        let Some((provider, model)) = name.provider_and_rest() else {
            return Err(Misfit::because("the provider is missing before a `/`"));
        };
        if model.is_empty() {
            return Err(Misfit::because("the model is missing after the `/`"));
        }
        Ok(Self {
            provider: ProviderName::parse(provider)?,
            model: model.to_owned(),
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9._-]{1,64}/.+$", "maxLength": 256 })
    }
}

impl Scalar for ModelName {
    const EXPECTED: &'static str = "a model's name: 1 to 256 bytes without control characters";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 256 })
    }
}

impl Section for Timeouts {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let first_byte = fields.or(
            "first_byte",
            "5m",
            "Until the first content of a streamed answer; then the next target is asked.",
        );
        let attempt = fields.or(
            "attempt",
            "5m",
            "For one attempt at an answer that is not streamed, where another target can be asked then.",
        );
        let idle = fields.or("idle", "5m", "Between two pieces of a streamed answer.");
        let total = fields.or("total", "10m", "For the whole call, retries included.");
        let slow = fields.optional_section(
            "slow",
            "Ends a streamed answer that has begun and comes too slowly; until then, `first_byte` holds.",
        );
        for (key, duration) in [
            ("first_byte", first_byte),
            ("idle", idle),
            ("attempt", attempt),
        ] {
            if fields.is_given(key)
                && fields.is_given("total")
                && duration > total
                && total.is_some()
            {
                let complaint = Complaint::new("it is longer than `total` and would never count");
                fields.refuse(
                    key,
                    complaint.suggest("write a shorter time, or raise `total`"),
                );
            }
        }
        Some(Self {
            first_byte: first_byte?,
            idle: idle?,
            attempt: attempt?,
            total: total?,
            slow,
        })
    }
}

impl Section for Pace {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let tokens_per_second = fields.required(
            "tokens_per_second",
            "2",
            "The least that is fast enough, a token being four bytes of text, thoughts or arguments; what \
             only keeps the connection open does not count.",
        );
        let window: Option<Duration> = fields.or(
            "window",
            "10s",
            "Over how long it is measured, again and again, from the first content on.",
        );
        Some(Self {
            tokens_per_second: tokens_per_second?,
            window: window?,
        })
    }
}

impl Section for Retries {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let attempts: Option<Attempts> = fields.or(
            "attempts",
            "3",
            "How often one target is asked at most, the first time included.",
        );
        let backoff: Option<Backoff> = fields.section(
            "backoff",
            "The waits in between; a provider's `Retry-After` wins over them.",
        );
        let backoff = backoff?;
        Some(Self {
            attempts: attempts?.0,
            initial_backoff: backoff.initial,
            max_backoff: backoff.max,
        })
    }
}

struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Section for Backoff {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let initial = fields.or(
            "initial",
            "200ms",
            "The wait before the second attempt; each further one waits twice as long.",
        );
        let max = fields.or(
            "max",
            "5s",
            "The longest wait. A provider that asks for a longer one is not tried again.",
        );
        if initial > max && max.is_some() {
            let key = if fields.is_given("initial") {
                "initial"
            } else {
                "max"
            };
            let complaint = Complaint::new("`initial` is longer than `max`");
            fields.refuse(key, complaint.suggest("lower `initial`, or raise `max`"));
        }
        Some(Self {
            initial: initial?,
            max: max?,
        })
    }
}

/// A bounded number: each attempt holds the caller's connection.
struct Attempts(u32);

impl Attempts {
    const MOST: u32 = 10;
}

impl Scalar for Attempts {
    const EXPECTED: &'static str = "a whole number from 1 to 10";
    const ACCEPTS: &'static [super::node::Kind] = NonZeroU32::ACCEPTS;

    fn parse(text: &str) -> Result<Self, Misfit> {
        match NonZeroU32::parse(text)?.get() {
            attempts @ 1..=Self::MOST => Ok(Self(attempts)),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": Self::MOST })
    }
}
