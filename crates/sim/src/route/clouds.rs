//! The paths of clouds, which name the model and the kind of answer, and of routers.

use http::Method;
use http::request::Parts;

use super::{Route, Target, google_verb};
use crate::escape::decoded;
use crate::openai::StoredCall;
use crate::record::{Face, Host};
use crate::vendor::Framing;

/// Where a request to a cloud goes; `None` for a path that is none of a cloud's.
pub(super) fn route(head: &Parts) -> Option<Route> {
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix("/openai/") {
        return Some(azure(&head.method, rest));
    }
    if let Some(rest) = path.strip_prefix("/huggingface/v1/") {
        return Some(huggingface(&head.method, rest));
    }
    if let Some(rest) = path.strip_prefix("/model/") {
        return Some(bedrock(&head.method, rest));
    }
    let (_, rest) = path
        .strip_prefix("/v1/")
        .or_else(|| path.strip_prefix("/v1beta1/"))?
        .split_once("publishers/")
        .filter(|(place, _)| place.is_empty() || is_location(place))?;
    Some(vertex(head, rest))
}

/// `projects/{project}/locations/{location}/`
fn is_location(place: &str) -> bool {
    let steps: Vec<&str> = place.split('/').collect();
    matches!(steps.as_slice(), ["projects", project, "locations", location, ""] if !project.is_empty() && !location.is_empty())
}

fn azure(method: &Method, rest: &str) -> Route {
    let to = |face, target| Route {
        face,
        host: Host::AzureOpenAi,
        target,
    };
    let (model, operation) = match rest.strip_prefix("deployments/") {
        Some(rest) => match rest.split_once('/') {
            Some((deployment, operation)) => (Some(decoded(deployment)), operation),
            None => return to(Face::OpenAi, Target::Unknown),
        },
        None => (None, rest.strip_prefix("v1/").unwrap_or(rest)),
    };
    let is_named = model.is_some();
    let plain = Target::Generate {
        model,
        framing: None,
    };
    match operation {
        "chat/completions" => to(Face::OpenAi, plain.by(&Method::POST, method)),
        "completions" => to(Face::OpenAiCompletions, plain.by(&Method::POST, method)),
        _ if is_named => to(Face::OpenAi, Target::Unknown),
        "responses" => to(Face::OpenAiResponses, plain.by(&Method::POST, method)),
        "models" => to(Face::OpenAi, Target::Models.by(&Method::GET, method)),
        _ => {
            let call = operation
                .strip_prefix("responses/")
                .and_then(|rest| StoredCall::of(method, rest));
            match call {
                Some(call) => to(Face::OpenAiResponses, Target::Stored(call)),
                None => to(Face::OpenAi, Target::Unknown),
            }
        }
    }
}

fn huggingface(method: &Method, rest: &str) -> Route {
    let target = match rest {
        "chat/completions" => Target::PLAIN.by(&Method::POST, method),
        "models" => Target::Models.by(&Method::GET, method),
        _ => match rest.strip_prefix("models/") {
            Some(name) => Target::Model(name.to_owned()).by(&Method::GET, method),
            None => Target::Unknown,
        },
    };
    Route {
        face: Face::OpenAi,
        host: Host::HuggingFace,
        target,
    }
}

fn bedrock(method: &Method, rest: &str) -> Route {
    let to = |face, target: Target| Route {
        face,
        host: Host::Bedrock,
        target,
    };
    let Some((model, operation)) = rest.rsplit_once('/') else {
        return to(Face::Anthropic, Target::Unknown);
    };
    let generate = |framing| {
        let model = Some(decoded(model));
        Target::Generate { model, framing }.by(&Method::POST, method)
    };
    match operation {
        "converse" => to(Face::BedrockConverse, generate(None)),
        "converse-stream" => to(Face::BedrockConverse, generate(Some(Framing::Messages))),
        "count-tokens" => {
            let model = Some(decoded(model));
            let count = Target::Count { model }.by(&Method::POST, method);
            to(Face::BedrockConverse, count)
        }
        "invoke" => to(Face::Anthropic, generate(None)),
        "invoke-with-response-stream" => to(Face::Anthropic, generate(Some(Framing::Chunks))),
        _ => to(Face::Anthropic, Target::Unknown),
    }
}

/// `{publisher}/models/{model}:{verb}`
fn vertex(head: &Parts, rest: &str) -> Route {
    let to = |face, target: Target| Route {
        face,
        host: Host::Vertex,
        target: target.by(&Method::POST, &head.method),
    };
    let named = rest
        .split_once("/models/")
        .and_then(|(publisher, rest)| Some((publisher, rest.rsplit_once(':')?)));
    match named {
        Some(("google", (model, verb))) => {
            to(Face::Gemini, google_verb(head, &decoded(model), verb))
        }
        Some(("anthropic", ("count-tokens", "rawPredict"))) => {
            to(Face::Anthropic, Target::Count { model: None })
        }
        Some(("anthropic", (model, verb))) => {
            let framing = match verb {
                "rawPredict" => None,
                "streamRawPredict" => Some(Framing::Events),
                _ => return to(Face::Anthropic, Target::Unknown),
            };
            let model = Some(decoded(model));
            to(Face::Anthropic, Target::Generate { model, framing })
        }
        _ => to(Face::Gemini, Target::Unknown),
    }
}
