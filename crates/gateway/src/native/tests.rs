use std::sync::Arc;

use domain::call::{CallState, EndReason};
use domain::key::{Budget, ModelPattern, Period, Rate, VirtualKey};
use domain::money::Cost;
use domain::problem::ProblemKind;
use domain::usage::Usage;

use super::*;
use crate::testing::{ANSWER, Act, Stage, Step, caller, collect, piece, run};

const ASK: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}"#;
const HELLO: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100,\"total_tokens\":1100}}\n\ndata: [DONE]\n\n";

fn asked(method: Method, path: &str) -> NativeRequest {
    NativeRequest {
        provider: "sim".parse().unwrap(),
        method,
        path: path.to_owned(),
        query: None,
    }
}

fn pass_as(
    stage: &Stage,
    caller: &Caller,
    asked: NativeRequest,
    body: &str,
) -> Result<NativeReply, ChatError> {
    run(
        &stage.clock,
        stage.gateway.pass(caller, stage.inbound(body), asked),
    )
}

fn pass(stage: &Stage, method: Method, path: &str, body: &str) -> Result<NativeReply, ChatError> {
    pass_as(stage, &stage.caller, asked(method, path), body)
}

/// What the caller gets, and whether it knows when something is missing.
fn read(stage: &Stage, reply: NativeReply) -> String {
    match reply.reply {
        Reply::Whole { body, .. } => String::from_utf8(body.to_vec()).unwrap(),
        Reply::Stream { stream, .. } => collect(&stage.clock, stream),
    }
}

fn holding(change: impl FnOnce(&mut VirtualKey)) -> Caller {
    let mut key = VirtualKey::clone(caller(Rate::default(), None).key());
    change(&mut key);
    Caller::holding(Arc::new(key))
}

fn dollars(text: &str) -> Cost {
    text.parse().unwrap()
}

#[test]
fn a_vendors_own_chat_passes_and_is_metered_at_the_models_price() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let reply = pass(&stage, Method::POST, "v1/chat/completions", ASK).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(read(&stage, reply), ANSWER);
    let call = stage.heard.only();
    assert_eq!(call.operation, Operation::PassThrough);
    assert_eq!(call.request_model.as_str(), "sim/gpt");
    assert_eq!((call.state, call.end_reason), (CallState::Settled, None));
    assert_eq!(call.usage, Usage::text(1_000, 100));
    assert_eq!(call.cost_usd, Some(dollars("0.0014")));
    assert_eq!((stage.ledger.dispatched(), stage.ledger.captured()), (1, 1));
}

#[test]
fn the_callers_fields_go_along_with_the_operators_credential_in_the_place_of_its_own() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let mut inbound = stage.inbound(ASK);
    for (name, value) in [
        ("authorization", "Bearer tl_callers"),
        ("x-api-key", "tl_callers"),
        ("openai-beta", "assistants=v2"),
    ] {
        let value = HeaderValue::from_static(value);
        inbound.asked.headers.insert(name, value);
    }
    let asked = NativeRequest {
        query: Some("key=tl_callers&limit=2".to_owned()),
        ..asked(Method::POST, "v1/chat/completions")
    };
    run(
        &stage.clock,
        stage.gateway.pass(&stage.caller, inbound, asked),
    )
    .unwrap();
    let sent = stage.script.sent.lock().unwrap();
    let request = &sent.first().unwrap().request;
    assert_eq!(
        request.uri(),
        "http://sim.invalid/v1/chat/completions?limit=2"
    );
    assert_eq!(request.body(), ASK);
    let fields = request.headers();
    assert_eq!(fields.get("openai-beta").unwrap(), "assistants=v2");
    assert_eq!(fields.get("authorization").unwrap(), "Bearer simulated");
    assert_eq!(fields.get("x-api-key"), None);
}

#[test]
fn a_stream_passes_byte_for_byte_and_is_metered() {
    let stage = Stage::of([Act::stream([piece(HELLO), piece(USAGE)])]);
    let body = ASK.replace("}]}", "}],\"stream\":true}");
    let reply = pass(&stage, Method::POST, "v1/chat/completions", &body).unwrap();
    assert_eq!(read(&stage, reply), format!("{HELLO}{USAGE}"));
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Settled);
    assert_eq!(call.cost_usd, Some(dollars("0.0014")));
}

#[test]
fn a_stream_that_does_not_say_its_usage_is_estimated_and_marked() {
    let stage = Stage::of([Act::stream([piece(HELLO), piece("data: [DONE]\n\n")])]);
    let body = ASK.replace("}]}", "}],\"stream\":true}");
    let reply = pass(&stage, Method::POST, "v1/chat/completions", &body).unwrap();
    read(&stage, reply);
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Estimated);
    assert_eq!(call.end_reason, Some(EndReason::NoUsage));
    assert_eq!(call.usage.output_tokens, 2);
}

#[test]
fn a_vendors_task_is_metered_by_its_own_reader() {
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"gpt-e","usage":{"prompt_tokens":7,"total_tokens":7}}"#;
    let stage = Stage::of([Act::whole(200, answer)]);
    let body = r#"{"model":"gpt","input":"Hello"}"#;
    let reply = pass(&stage, Method::POST, "v1/embeddings", body).unwrap();
    assert_eq!(read(&stage, reply), answer);
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Settled);
    assert_eq!(call.usage.input_tokens, 7);
}

#[test]
fn what_cannot_be_metered_is_recorded_as_such_and_without_a_cost() {
    let stage = Stage::of([Act::whole(200, r#"{"id":"vs_1"}"#)]);
    let reply = pass(&stage, Method::POST, "v1/vector_stores", "{}").unwrap();
    assert_eq!(read(&stage, reply), r#"{"id":"vs_1"}"#);
    let call = stage.heard.only();
    assert_eq!(call.request_model.as_str(), "sim/v1/vector_stores");
    assert_eq!(
        (call.state, call.end_reason),
        (CallState::Estimated, Some(EndReason::Unmetered))
    );
    assert_eq!((call.usage, call.cost_usd), (Usage::default(), None));
}

#[test]
fn a_look_costs_nothing() {
    let stage = Stage::of([Act::whole(200, r#"{"data":[]}"#)]);
    let reply = pass(&stage, Method::GET, "v1/files", "").unwrap();
    read(&stage, reply);
    let call = stage.heard.only();
    assert_eq!((call.state, call.end_reason), (CallState::Settled, None));
    assert_eq!(call.cost_usd, Some(Cost::ZERO));
}

#[test]
fn a_key_for_some_models_passes_nothing() {
    let stage = Stage::of([]);
    let some = holding(|key| key.models = vec![ModelPattern::new("sim/*")]);
    let refused = pass_as(&stage, &some, asked(Method::GET, "v1/files"), "");
    assert!(matches!(refused, Err(ChatError::PassingNotPermitted)));
    assert!(stage.heard.calls().is_empty());
}

#[test]
fn a_budget_counts_what_passes_and_forbids_what_cannot_be_counted() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let frugal = holding(|key| {
        key.budget = Some(Budget {
            limit: dollars("0.001"),
            per: Period::Total,
        });
    });
    let chat = || asked(Method::POST, "v1/chat/completions");
    let refused = pass_as(&stage, &frugal, asked(Method::POST, "v1/vector_stores"), "");
    assert!(matches!(refused, Err(ChatError::CannotBeMetered)));
    let reply = pass_as(&stage, &frugal, chat(), ASK).unwrap();
    read(&stage, reply);
    let refused = pass_as(&stage, &frugal, chat(), ASK);
    assert!(matches!(refused, Err(ChatError::LimitReached(_))));
    assert_eq!(stage.script.requests(), 1);
}

#[test]
fn a_rate_counts_what_passes() {
    let stage = Stage::of([Act::whole(200, "{}")]);
    let slow = caller(
        Rate {
            rpm: Some(1),
            tpm: None,
            ..Rate::default()
        },
        None,
    );
    let look = || asked(Method::GET, "v1/files");
    assert!(pass_as(&stage, &slow, look(), "").is_ok());
    let refused = pass_as(&stage, &slow, look(), "");
    assert!(matches!(refused, Err(ChatError::LimitReached(_))));
}

#[test]
fn nothing_is_sent_to_a_path_outside_or_to_a_provider_that_is_not_there() {
    let stage = Stage::of([]);
    let outside = pass(&stage, Method::GET, "v1/%2e%2e/admin", "");
    assert!(matches!(outside, Err(ChatError::Invalid(_))));
    let nobody = NativeRequest {
        provider: "nobody".parse().unwrap(),
        ..asked(Method::GET, "v1/files")
    };
    let nobody = pass_as(&stage, &stage.caller, nobody, "");
    assert!(matches!(nobody, Err(ChatError::UnknownProvider { .. })));
    assert_eq!(stage.script.requests(), 0);
}

#[test]
fn the_vendors_refusal_passes_and_one_of_our_credential_does_not() {
    let error = r#"{"error":{"message":"No such job","type":"invalid_request_error","param":null,"code":"x"}}"#;
    let stage = Stage::of([Act::whole(404, error), Act::whole(401, error)]);
    let problem = |stage: &Stage| match pass(stage, Method::GET, "v1/fine_tuning/jobs/j", "") {
        Err(ChatError::Failed { problem, .. }) => *problem,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it failed"),
    };
    let missing = problem(&stage);
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.verbatim.as_deref(), Some(error.as_bytes()));
    assert_eq!(problem(&stage).kind, ProblemKind::ProviderCredential);
    let states = stage.heard.calls().into_iter().map(|call| call.state);
    assert!(states.eq([CallState::Failed, CallState::Failed]));
}

#[test]
fn a_body_that_breaks_off_unread_breaks_the_callers_too() {
    let stage = Stage::of([Act::Answer(
        200,
        vec![("content-type", "application/octet-stream".to_owned())],
        vec![piece("half"), Step::Break],
    )]);
    let reply = pass(&stage, Method::GET, "v1/files/f/content", "").unwrap();
    let Reply::Stream { mut stream, .. } = reply.reply else {
        panic!("bytes pass as they come");
    };
    let next = || run(&stage.clock, futures_util::StreamExt::next(&mut *stream));
    let got: Vec<Bytes> = std::iter::from_fn(next).collect();
    assert_eq!(got, ["half"]);
    assert!(stream.take_cut());
    assert_eq!(
        stage.heard.only().end_reason,
        Some(EndReason::ProviderBroke)
    );
}

#[test]
fn a_caller_who_goes_away_cancels() {
    let stage = Stage::of([Act::stream([piece(HELLO), Step::Hang])]);
    let body = ASK.replace("}]}", "}],\"stream\":true}");
    let reply = pass(&stage, Method::POST, "v1/chat/completions", &body).unwrap();
    drop(reply);
    assert_eq!(stage.heard.only().state, CallState::Cancelled);
}

#[test]
fn openais_own_paths_go_to_the_provider_that_is_named_or_serves_the_model() {
    let stage = Stage::of([]);
    let routes = stage.gateway.routes();
    let of = |query, body: &'static str| {
        of_openai(
            &routes,
            &Method::POST,
            "v1/fine_tuning/jobs",
            query,
            Bytes::from_static(body.as_bytes()),
        )
    };
    let (asked, body) = of(
        Some("provider=sim&limit=3"),
        r#"{"model":"gpt-4.1-nano-2025-04-14"}"#,
    )
    .unwrap();
    assert_eq!(asked.query.as_deref(), Some("limit=3"));
    assert_eq!(asked.provider.as_str(), "sim");
    assert_eq!(body, r#"{"model":"gpt-4.1-nano-2025-04-14"}"#);
    let (_, body) = of(None, r#"{"model": "sim/gpt", "seed":1}"#).unwrap();
    assert_eq!(body, r#"{"model": "gpt", "seed":1}"#);
    assert_eq!(of(None, "").unwrap().0.provider.as_str(), "sim");
    let unknown = of(Some("provider=nobody"), "");
    assert!(matches!(unknown, Err(ChatError::UnknownProvider { .. })));
}
