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
use super::{ResolvedTarget, Routes, UnknownModel};

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
    /// How large it is, where the request itself is not given.
    input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: bool,
}

/// Members that are not the request's own.
const BESIDE: [&str; 5] = [
    "key_id",
    "headers",
    "preferred_provider",
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

    /// The provider that is to be tried first, in the words of the configuration.
    pub fn preferred(&self) -> Option<String> {
        self.beside
            .preferred_provider
            .as_deref()
            .map(str::to_lowercase)
    }

    fn max_output_tokens(&self) -> Option<u64> {
        let beside = &self.beside;
        let of_chat = beside.max_completion_tokens.or(beside.max_tokens);
        beside.max_output_tokens.or(of_chat)
    }
}

fn whole(detail: String) -> InvalidRequest {
    InvalidRequest {
        detail,
        param: None,
    }
}

/// Where a request would go, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The name that was asked for.
    pub model: ModelName,
    /// The configured route; `None` where the name leads to a model by itself.
    pub route: Option<String>,
    /// By what its targets are ordered; `None` where there is nothing to order.
    pub strategy: Option<&'static str>,
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
        let (targets, left_out) = match &choice {
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
        Ok(Explanation {
            model: supposed.model.clone(),
            route: known.plan.route,
            strategy: roster.as_ref().map(|roster| roster.strategy.as_str()),
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
                Standing::Primary => "primary",
                Standing::Fallback(_) => "fallback",
            },
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
        standing: "primary",
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
        Because::Strategy(strategy) => {
            use super::strategy::Strategy;
            match strategy {
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
            }
        }
    };
    if contender.is_out {
        reason.push_str(" It is known not to answer now.");
    }
    reason
}
