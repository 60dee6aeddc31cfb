//! Where a request would go, and why, said to people: nothing is sent and nothing is remembered.

use std::collections::BTreeMap;

use domain::call::Operation;
use domain::caller::Caller;
use domain::id::KeyId;
use domain::money::Cost;
use domain::name::{ModelName, ProviderName};
use domain::region::Region;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use providers::application::MAX_RETRIES;
use providers::face::InvalidRequest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::choice::{Choice, Placed};
use super::choose::Circumstances;
use super::expectation::{cost_at, expected_output, expected_usage};
use super::fallback::When;
use super::hash::StableHash;
use super::plan::{Plan, Standing};
use super::question::{Question, Read};
use super::reason::{Because, Why};
use super::strategy::Strategy;
use super::{ResolvedTarget, Routes, UnknownModel, Wishes};

/// A request that is supposed: a chat request in OpenAI's words, or as little of it as is known, with what
/// stands beside a request.
#[derive(Debug, Clone)]
pub struct Supposed {
    beside: Beside,
    model: ModelName,
    headers: HeaderMap,
    body: Vec<u8>,
    messages: usize,
}

/// What is said beside a request's own members.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Beside {
    /// The key that asks.
    key_id: Option<KeyId>,
    /// The request's fields.
    headers: BTreeMap<String, String>,
    /// The provider that is to be tried first.
    preferred_provider: Option<String>,
    /// The providers that are to be tried after the first, in this order.
    fallback_order: Vec<String>,
    /// Whether anybody is to be tried after the first.
    fallback_enabled: Option<bool>,
    /// How much speed counts against cost, 0 to 1.
    performance_weighting: Option<f64>,
    /// The cheapest target is to be tried first.
    cost_optimization_enabled: bool,
    /// How often one target is asked again.
    max_retries: Option<u32>,
    /// How large it is, where the request itself is not given.
    input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: bool,
}

/// Members that are not the request's own.
const BESIDE: [&str; 10] = [
    "key_id",
    "headers",
    "preferred_provider",
    "fallback_order",
    "fallback_enabled",
    "performance_weighting",
    "cost_optimization_enabled",
    "max_retries",
    "input_tokens",
    "max_output_tokens",
];

impl Supposed {
    /// Reads what is supposed.
    pub fn read(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut request: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| whole(format!("The body is no JSON object: {error}.")))?;
        let beside: Beside = serde_json::from_slice(body)
            .map_err(|error| whole(format!("The body is not what is expected: {error}.")))?;
        let model = request.get("model").and_then(Value::as_str);
        let model = model.and_then(|model| model.parse().ok()).ok_or_else(|| {
            InvalidRequest::of(
                "model",
                "`model` must be the name of a model, 1 to 256 bytes.",
            )
        })?;
        beside.check()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &beside.headers {
            let pair = HeaderName::try_from(name)
                .ok()
                .zip(HeaderValue::try_from(value).ok());
            let (name, value) = pair.ok_or_else(|| {
                InvalidRequest::of(
                    "headers",
                    format!("`headers.{name}` is no field of a request."),
                )
            })?;
            headers.insert(name, value);
        }
        request.retain(|name, _| !BESIDE.contains(&name.as_str()));
        let messages = request.get("messages").and_then(Value::as_array);
        Ok(Self {
            model,
            headers,
            messages: messages.map_or(0, Vec::len),
            body: Value::from(request).to_string().into_bytes(),
            beside,
        })
    }

    /// The name that is asked for.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The key that asks, where one is named.
    pub fn key_id(&self) -> Option<KeyId> {
        self.beside.key_id
    }

    /// What the caller wishes, in the words of the configuration.
    pub fn wishes(&self) -> Wishes {
        let beside = &self.beside;
        let provider = beside.preferred_provider.as_deref();
        let order = beside.fallback_order.iter();
        Wishes {
            provider: provider.map(str::to_lowercase),
            order: order.map(|name| name.to_lowercase()).collect(),
            has_no_fallback: beside.fallback_enabled == Some(false),
            performance: beside.performance_weighting,
            is_cheapest: beside.cost_optimization_enabled,
            attempts: beside.max_retries.map(|retries| retries + 1),
        }
    }

    fn max_output_tokens(&self) -> Option<u64> {
        let beside = &self.beside;
        let of_chat = beside.max_completion_tokens.or(beside.max_tokens);
        beside.max_output_tokens.or(of_chat)
    }
}

impl Beside {
    /// Refuses wishes that applications could not have either.
    fn check(&self) -> Result<(), InvalidRequest> {
        if self
            .performance_weighting
            .is_some_and(|it| !(0.0..=1.0).contains(&it))
        {
            let detail = "`performance_weighting` is a number from 0 to 1.";
            return Err(InvalidRequest::of("performance_weighting", detail));
        }
        if self.max_retries.is_some_and(|it| it > MAX_RETRIES) {
            let detail = format!("`max_retries` is a whole number from 0 to {MAX_RETRIES}.");
            return Err(InvalidRequest::of("max_retries", detail));
        }
        Ok(())
    }
}

fn whole(detail: String) -> InvalidRequest {
    InvalidRequest {
        detail,
        param: None,
    }
}

/// The standing of a target that is not there for failures only.
const PRIMARY: &str = "primary";

/// Where a request would go, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The name that was asked for.
    pub model: ModelName,
    /// The configured route; `None` where the name leads to a model by itself.
    pub route: Option<String>,
    /// By what its targets are ordered for this caller; `None` where there is nothing to order.
    pub strategy: Option<&'static str>,
    /// How often one target is asked at most, the first time included.
    pub attempts: u32,
    /// Whether the key permits the model at all.
    pub is_permitted: bool,
    /// About how many tokens the request has.
    pub input_tokens: u64,
    /// How many tokens of output are expected.
    pub expected_output_tokens: u64,
    /// Whether it belongs to a session that stays where it is.
    pub has_session: bool,
    /// What its target is called in a comparison.
    pub variant: Option<String>,
    /// Where it goes, in the order in which they are tried; empty where it is refused.
    pub targets: Vec<ExplainedTarget>,
    /// Where it does not go.
    pub left_out: Vec<ExplainedAbsence>,
}

/// A target that a request would go to.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedTarget {
    /// Its place, from 1.
    pub position: usize,
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
    /// `primary`, or `fallback` where it comes after failures only.
    pub standing: &'static str,
    /// Why it stands there: a sentence.
    pub reason: String,
    /// What the request is expected to cost there, in US dollars; `None` where no price is known.
    pub expected_cost_usd: Option<Cost>,
    /// Where it lies.
    pub region: Option<Region>,
    /// How often it is meant in proportion to the others.
    pub weight: u32,
    /// Targets with a lower number come first.
    pub priority: u32,
    /// How good the configuration says it is.
    pub quality: Option<f64>,
    /// How long it took lately, in milliseconds.
    pub latency_ms: Option<u64>,
    /// How many requests it is answering now.
    pub in_flight: u32,
    /// How much of the provider's rate limits is left, 0 to 1.
    pub headroom: Option<f64>,
    /// Whether it is known not to answer now.
    pub is_out: bool,
    /// Whether callers may have it tried earlier: not where it is there for failures of one cause.
    #[serde(skip)]
    is_movable: bool,
}

/// A target that a request would not go to.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedAbsence {
    /// The target: `provider/model`, or a route.
    pub target: String,
    /// Why: a sentence.
    pub reason: String,
}

impl Routes {
    /// Where a request would go that is made by `caller` at `now`.
    pub fn explain(
        &self,
        caller: &Caller,
        supposed: &Supposed,
        circumstances: &Circumstances<'_>,
        now: Timestamp,
    ) -> Result<Explanation, UnknownModel> {
        let known = self.known(&supposed.model)?;
        let question = Question {
            caller,
            model: &supposed.model,
            operation: Operation::Chat,
            headers: &supposed.headers,
            body: &supposed.body,
            streamed: supposed.beside.stream,
            messages: supposed.messages,
            max_output_tokens: supposed.max_output_tokens(),
            now,
            seed: StableHash::of(&supposed.body),
            read: Read::of_size(supposed.beside.input_tokens),
        };
        let surroundings = self.surroundings(circumstances, true);
        let roster = known.roster.clone();
        let choice = roster
            .as_ref()
            .map(|it| it.choose(&question, &surroundings));
        let wishes = circumstances.wishes;
        let (mut targets, mut left_out) = match &choice {
            Some(choice) => (targets_of(choice), absences_of(choice)),
            None => match self.direct(known.plan.clone(), &question, circumstances) {
                Ok(plan) => (direct_targets(&plan, &question, circumstances), Vec::new()),
                Err(nobody) => {
                    let target = supposed.model.to_string();
                    let reason = nobody.reasons.join(" ");
                    (Vec::new(), vec![ExplainedAbsence { target, reason }])
                }
            },
        };
        arrange(wishes, &mut targets, &mut left_out);
        let strategy = roster
            .as_ref()
            .map(|roster| wishes.strategy(roster.strategy));
        Ok(Explanation {
            model: supposed.model.clone(),
            route: known.plan.route,
            strategy: strategy.map(Strategy::as_str),
            attempts: wishes.attempts.unwrap_or(known.plan.retries.attempts),
            is_permitted: caller.may_use(supposed.model.as_str()),
            input_tokens: question.input_tokens(),
            expected_output_tokens: expected_output(&question, circumstances.usual_output),
            has_session: choice.as_ref().is_some_and(|it| it.trace.session.is_some()),
            variant: choice
                .as_ref()
                .and_then(Choice::variant)
                .map(ToString::to_string),
            targets,
            left_out,
        })
    }
}

/// Follows what is wished of the others than the first, as [`Wishes::arrange`] does with those that are asked.
fn arrange(
    wishes: &Wishes,
    targets: &mut Vec<ExplainedTarget>,
    left_out: &mut Vec<ExplainedAbsence>,
) {
    let Some((_, others)) = targets.split_first_mut() else {
        return;
    };
    if wishes.has_no_fallback {
        left_out.extend(targets.drain(1..).map(|target| ExplainedAbsence {
            target: format!("{}/{}", target.provider, target.model),
            reason: "The caller wants nobody to be tried after the first.".to_owned(),
        }));
        return;
    }
    let place = |target: &ExplainedTarget| {
        let place = wishes.place_of(&target.provider);
        place.filter(|_| target.is_movable)
    };
    for target in others.iter_mut() {
        if place(target).is_some() {
            target.standing = PRIMARY;
            "The caller wants its provider tried next.".clone_into(&mut target.reason);
        }
    }
    others.sort_by_key(|it| (place(it).is_none(), it.standing != PRIMARY, place(it)));
    for (index, target) in targets.iter_mut().enumerate() {
        target.position = index + 1;
    }
}

/// The targets of a name that leads to a model by itself.
fn direct_targets(
    plan: &Plan,
    question: &Question<'_>,
    circumstances: &Circumstances<'_>,
) -> Vec<ExplainedTarget> {
    let targets = plan.candidates.iter().enumerate();
    let explained = targets.map(|(index, candidate)| {
        let target = &candidate.target;
        let observed = (circumstances.observe)(target, question.streamed, circumstances.moment);
        let usage = expected_usage(question, circumstances.usual_output, 0);
        let preferred = circumstances.wishes.provider.as_deref();
        let is_preferred = preferred == Some(target.provider.name.as_str());
        let reason = if is_preferred {
            "The caller prefers its provider."
        } else {
            "The name leads there."
        };
        ExplainedTarget {
            expected_cost_usd: cost_at(target, &usage, question.now),
            latency_ms: observed.latency.map(milliseconds),
            in_flight: observed.in_flight,
            headroom: observed.headroom,
            is_out: observed.is_out,
            ..explained(index, target, reason.to_owned())
        }
    });
    explained.collect()
}

fn targets_of(choice: &Choice<'_>) -> Vec<ExplainedTarget> {
    let placed = choice.placed.iter().enumerate();
    let explained = placed.map(|(index, placed)| {
        let contender = &placed.contender;
        ExplainedTarget {
            standing: match placed.standing {
                Standing::Primary => PRIMARY,
                Standing::Fallback(_) => "fallback",
            },
            is_movable: matches!(
                placed.standing,
                Standing::Primary | Standing::Fallback(When::Always)
            ),
            expected_cost_usd: contender.expected_cost,
            weight: contender.weight,
            priority: contender.tier,
            quality: contender.quality,
            latency_ms: contender.latency.map(milliseconds),
            in_flight: contender.in_flight,
            headroom: contender.headroom,
            is_out: contender.is_out,
            ..explained(index, placed.target, reason(placed))
        }
    });
    explained.collect()
}

fn explained(index: usize, target: &ResolvedTarget, reason: String) -> ExplainedTarget {
    ExplainedTarget {
        position: index + 1,
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        standing: PRIMARY,
        reason,
        expected_cost_usd: None,
        region: target.region.clone(),
        weight: 1,
        priority: 0,
        quality: None,
        latency_ms: None,
        in_flight: 0,
        headroom: None,
        is_out: false,
        is_movable: true,
    }
}

fn absences_of(choice: &Choice<'_>) -> Vec<ExplainedAbsence> {
    // Who is too small is asked all the same where nobody is larger.
    let is_asked_all_the_same = choice.placed.iter().any(|it| it.because == Because::Nobody);
    let is_gone = |why: &Why| !(is_asked_all_the_same && matches!(why, Why::ContextWindow { .. }));
    let gone = choice.left_out.iter().filter(|it| is_gone(&it.why));
    gone.map(|left_out| ExplainedAbsence {
        target: left_out.member.name(),
        reason: format!("It {}", left_out.why),
    })
    .collect()
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a target stands where it stands: a sentence.
fn reason(placed: &Placed<'_>) -> String {
    let contender = &placed.contender;
    let mut reason = match placed.because {
        Because::Preferred => "The caller prefers its provider.".to_owned(),
        Because::Rollout => "The caller belongs to the share that it is for.".to_owned(),
        Because::Session => "The session was answered there last.".to_owned(),
        Because::Fallback(when) => match when {
            When::Always => "It is asked when no target answers.".to_owned(),
            When::ContextWindow => {
                "It is asked when the request is too long for a target.".to_owned()
            }
            When::ContentPolicy => "It is asked when a target refuses the content.".to_owned(),
            When::RateLimit => "It is asked when a target's rate limit is reached.".to_owned(),
        },
        Because::Nobody => "It is too small by what is estimated, as all are.".to_owned(),
        Because::Strategy(strategy) => match strategy {
            Strategy::Priority => "It stands there in the configuration.".to_owned(),
            Strategy::Weighted => {
                format!("Chance put it there, with weight {}.", contender.weight)
            }
            Strategy::Cheapest => match contender.expected_cost {
                Some(cost) => format!("The request is expected to cost ${cost}."),
                None => "No price is known.".to_owned(),
            },
            Strategy::Fastest => match contender.latency {
                Some(latency) => format!("It took {} ms lately.", milliseconds(latency)),
                None => "Nobody knows yet how fast it is.".to_owned(),
            },
            Strategy::Balanced(_) => "It has that place by cost, speed and quality.".to_owned(),
            Strategy::LeastBusy => {
                format!("It is answering {} requests now.", contender.in_flight)
            }
            Strategy::UsageAware => match contender.headroom {
                Some(left) => format!("{:.0}% of its rate limits is left.", left * 100.0),
                None => "Its provider does not say what is left of its rate limits.".to_owned(),
            },
        },
    };
    if contender.is_out {
        reason.push_str(" It is known not to answer now.");
    }
    reason
}
