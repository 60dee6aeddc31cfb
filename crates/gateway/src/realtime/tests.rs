//! Realtime sessions, with a caller and a provider that the test plays.

use std::pin::pin;
use std::sync::Mutex;

use domain::call::{Call, CallState, EndReason, Operation};
use domain::caller::Caller;
use domain::clock::Clock;
use domain::egress::{EgressBody, EgressError};
use domain::key::{Budget, Period, Rate};
use domain::problem::{Problem, ProblemKind};
use domain::socket::{Closing, Connected, Message, SocketError};
use futures_util::future::{Either, join, select};
use providers::face::Asked;
use providers::openai::realtime::preset::Edition;
use serde_json::Value;

use super::*;
use crate::chat::ReportWanted;
use crate::payload::Payloads;
use crate::testing::{FarEnd, Stage, caller, line, request_id, run};

/// What the provider says of a response that took 1,000 tokens in and 100 out, which cost $0.0014.
const DONE: &str = r#"{"type":"response.done","response":{"id":"r1","status":"completed","usage":{"total_tokens":1100,"input_tokens":1000,"output_tokens":100}}}"#;
const BEGUN: &str = r#"{"type":"response.created","response":{"id":"r1"}}"#;
const ASK: &str = r#"{"type":"response.create","event_id":"mine"}"#;

/// Says what a test wants it to.
struct Watchman(Mutex<fn(&Caller) -> Standing>, Caller);

impl Warden for Watchman {
    fn standing(&self) -> Standing {
        (self.0.lock().unwrap())(&self.1)
    }

    fn problem(&self, error: ChatError) -> Problem {
        let kind = match &error {
            ChatError::LimitReached(reached) if reached.is_budget() => ProblemKind::BudgetExhausted,
            ChatError::LimitReached(_) => ProblemKind::RateLimited,
            _ => ProblemKind::InvalidRequest,
        };
        Problem::new(kind, error.to_string())
    }
}

/// A stage on which one session is held.
struct Scene {
    stage: Stage,
    watchman: Watchman,
    /// What the client secret that is shown was asked for with.
    preset: Option<&'static str>,
}

fn preset(body: &str) -> Preset {
    let wanted = realtime::preset::read(Edition::ClientSecrets, body.as_bytes());
    wanted.unwrap().preset
}

impl Scene {
    fn new() -> Self {
        Self::of(caller(Rate::default(), None))
    }

    fn of(caller: Caller) -> Self {
        let mut stage = Stage::of([]);
        stage.caller = caller.clone();
        let good = |caller: &Caller| Standing::Good(caller.clone());
        Self {
            stage,
            watchman: Watchman(Mutex::new(good), caller),
            preset: None,
        }
    }

    fn inbound(&self) -> Inbound<OpenaiRealtime> {
        Inbound {
            request_id: request_id(),
            started_at: self.stage.clock.now(),
            received: self.stage.clock.moment(),
            face: &OpenaiRealtime,
            face_name: domain::call::Face::Openai,
            asked: Asked::default(),
            body: Bytes::new(),
            client_request_id: Some("mark".to_owned()),
            traceparent: None,
            wishes: None,
            report: ReportWanted::default(),
            batch_id: None,
        }
    }

    async fn open(&self) -> Result<Session, ChatError> {
        let (gateway, caller) = (&self.stage.gateway, &self.stage.caller);
        let preset = self.preset.as_ref().map(|body| preset(body));
        let session = gateway.converse(caller, self.inbound(), "model=gpt", preset);
        session.await
    }

    /// Plays a session to its end: `play` is the caller and the provider.
    fn play<T>(&self, play: impl AsyncFnOnce(FarEnd, FarEnd) -> T) -> T {
        let (provider, far_provider) = line();
        self.stage.lines.prepare(Ok(Connected::Socket(provider)));
        let (socket, far_caller) = line();
        let held = async {
            let session = self.open().await.ok().unwrap();
            let gateway = &self.stage.gateway;
            gateway.hold(session, socket, &self.watchman).await;
        };
        let (played, ()) = run(
            &self.stage.clock,
            join(play(far_caller, far_provider), held),
        );
        played
    }

    /// The calls that have ended, the session's own last.
    fn calls(&self) -> (Vec<Call>, Call) {
        let mut calls = self.stage.heard.calls();
        let session = calls.pop().unwrap();
        assert_eq!(session.operation, Operation::Realtime);
        assert_eq!(session.status, Some(101));
        assert_eq!(session.cost_usd.unwrap().to_string(), "0.000000000");
        (calls, session)
    }
}

fn hang_up(caller: &FarEnd) {
    caller.send(Ok(Message::Close(Closing::new(Closing::NORMAL, ""))));
}

fn error_of(text: &str) -> Value {
    let event: Value = serde_json::from_str(text).unwrap();
    assert_eq!(event["type"], "error", "{event}");
    event["error"].clone()
}

#[test]
fn a_response_is_a_call_of_its_own_and_the_session_costs_nothing() {
    let scene = Scene::new();
    scene.play(async |mut caller, mut provider| {
        let unknown = r#"{ "type": "something.new",  "a":[1] }"#;
        caller.say(unknown);
        assert_eq!(provider.hear().await, unknown, "it passes byte for byte");
        caller.say(ASK);
        assert_eq!(provider.hear().await, ASK);
        for event in [BEGUN, unknown, DONE] {
            provider.say(event);
            assert_eq!(caller.hear().await, event);
        }
        hang_up(&caller);
        assert!(matches!(caller.next().await, Message::Close(_)));
        assert!(matches!(provider.next().await, Message::Close(_)));
    });
    let (calls, session) = scene.calls();
    let [response] = calls.as_slice() else {
        panic!("{calls:#?}");
    };
    assert_eq!(response.state, CallState::Settled);
    assert_eq!(response.usage, Usage::text(1000, 100));
    assert_eq!(response.cost_usd.unwrap().to_string(), "0.001400000");
    assert_eq!(response.client_request_id.as_deref(), Some("mark"));
    assert_eq!(response.attempts.len(), 1);
    assert_eq!(session.state, CallState::Settled);
    assert_eq!(session.client_request_id.as_deref(), Some("mark"));
    let ledger = &scene.stage.ledger;
    assert_eq!((ledger.dispatched(), ledger.captured()), (2, 2));
}

const BRIEF: &str = r#"{"session":{"type":"realtime","model":"gpt","instructions":"Be brief."}}"#;

/// The identifier of the event that tells the provider of the session.
async fn update_of(provider: &mut FarEnd) -> String {
    let update: Value = serde_json::from_str(&provider.hear().await).unwrap();
    assert_eq!(update["type"], "session.update");
    let wanted = serde_json::json!({ "type": "realtime", "instructions": "Be brief." });
    assert_eq!(update["session"], wanted, "the model stays as it is");
    update["event_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_client_secrets_session_begins_as_it_was_described() {
    let scene = Scene {
        preset: Some(BRIEF),
        ..Scene::new()
    };
    scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.say(r#"{"type":"session.created","session":{"instructions":"Be kind."}}"#);
        update_of(&mut provider).await;
        assert_eq!(provider.hear().await, ASK, "the caller comes after it");
        let updated = r#"{"type":"session.updated","session":{"instructions":"Be brief."}}"#;
        provider.say(updated);
        let created = r#"{"type":"session.created","session":{"instructions":"Be brief."}}"#;
        assert_eq!(caller.hear().await, created);
        provider.say(updated);
        assert_eq!(caller.hear().await, updated, "the next is the caller's own");
        hang_up(&caller);
    });
    let asked = scene.stage.lines.asked.lock().unwrap();
    assert_eq!(asked[0].request.uri().query(), Some("model=gpt"));
}

#[test]
fn a_session_that_the_provider_does_not_hold_as_described_ends() {
    let scene = Scene {
        preset: Some(BRIEF),
        ..Scene::new()
    };
    let closing = scene.play(async |mut caller, mut provider| {
        let event_id = update_of(&mut provider).await;
        let error = format!(
            r#"{{"type":"error","error":{{"code":"unknown_parameter","event_id":"{event_id}"}}}}"#
        );
        provider.say(&error);
        assert_eq!(error_of(&caller.hear().await)["code"], "unknown_parameter");
        caller.next().await
    });
    assert!(matches!(closing, Message::Close(closing) if closing.code == Closing::POLICY));
}

#[test]
fn a_client_secret_opens_no_other_model_and_is_made_for_none_that_holds_no_sessions() {
    let scene = Scene {
        preset: Some(r#"{"session":{"type":"realtime","model":"other"}}"#),
        ..Scene::new()
    };
    let refused = run(&scene.stage.clock, scene.open());
    assert!(
        matches!(refused, Err(ChatError::Invalid(invalid)) if invalid.param.as_deref() == Some("model"))
    );
    let (gateway, caller) = (&scene.stage.gateway, &scene.stage.caller);
    assert!(
        run(
            &scene.stage.clock,
            gateway.offer_sessions(caller, &preset(BRIEF))
        )
        .is_ok()
    );
    let unknown = run(
        &scene.stage.clock,
        gateway.offer_sessions(caller, &preset(scene.preset.unwrap())),
    );
    assert!(
        matches!(unknown, Err(ChatError::UnknownModel(_))),
        "{unknown:?}"
    );
}

#[test]
fn making_a_client_secret_counts_as_a_request() {
    let rate = Rate {
        rpm: Some(1),
        ..Rate::default()
    };
    let scene = Scene::of(caller(rate, None));
    let (gateway, caller) = (&scene.stage.gateway, &scene.stage.caller);
    assert!(
        run(
            &scene.stage.clock,
            gateway.offer_sessions(caller, &preset(BRIEF))
        )
        .is_ok()
    );
    let second = run(
        &scene.stage.clock,
        gateway.offer_sessions(caller, &preset(BRIEF)),
    );
    assert!(
        matches!(second, Err(ChatError::LimitReached(_))),
        "{second:?}"
    );
}

#[test]
fn a_handshake_that_fails_is_a_failed_call() {
    let scene = Scene::new();
    for _ in 0..3 {
        let refused = EgressError::Connect("refused".to_owned());
        scene.stage.lines.prepare(Err(refused));
    }
    let failed = run(&scene.stage.clock, scene.open());
    assert!(matches!(failed, Err(ChatError::Failed { attempts: 3, .. })));
    let body: EgressBody = Box::pin(futures_util::stream::empty());
    let response = http::Response::builder().status(401).body(body).unwrap();
    scene.stage.lines.prepare(Ok(Connected::Refused(response)));
    let failed = run(&scene.stage.clock, scene.open());
    assert!(matches!(failed, Err(ChatError::Failed { attempts: 1, .. })));
    let calls = scene.stage.heard.calls();
    assert!(calls.iter().all(|call| call.state == CallState::Failed));
    assert_eq!(calls[1].status, Some(502));
    let asked = scene.stage.lines.asked.lock().unwrap();
    assert!(
        asked[0]
            .request
            .uri()
            .to_string()
            .ends_with("/v1/realtime?model=gpt")
    );
    assert!(asked[0].request.headers().contains_key("authorization"));
}

#[test]
fn a_response_beyond_the_rate_is_refused_and_the_session_goes_on() {
    let rate = Rate {
        rpm: Some(2),
        ..Rate::default()
    };
    let scene = Scene::of(caller(rate, None));
    scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(BEGUN);
        provider.say(DONE);
        caller.hear().await;
        caller.hear().await;
        // The handshake was the first request of the minute, and this is the third.
        caller.say(ASK);
        let error = error_of(&caller.hear().await);
        assert_eq!(error["code"], "rate_limit_exceeded");
        assert_eq!(error["event_id"], "mine");
        caller.say(r#"{"type":"session.update"}"#);
        assert!(
            provider.hear().await.contains("session.update"),
            "the other was not passed on"
        );
        hang_up(&caller);
    });
    assert_eq!(scene.calls().0.len(), 1);
}

#[test]
fn a_spent_budget_ends_the_session() {
    let budget = Budget {
        limit: "0.001".parse().unwrap(),
        per: Period::Day,
    };
    let scene = Scene::of(caller(Rate::default(), Some(budget)));
    let closing = scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(BEGUN);
        provider.say(DONE);
        caller.hear().await;
        caller.hear().await;
        caller.say(ASK);
        assert_eq!(error_of(&caller.hear().await)["code"], "insufficient_quota");
        caller.next().await
    });
    assert!(matches!(closing, Message::Close(closing) if closing.code == Closing::POLICY));
    let (calls, session) = scene.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(session.state, CallState::Settled);
}

#[test]
fn a_response_that_speech_begins_is_counted_and_cancelled_where_a_limit_is_reached() {
    let rate = Rate {
        rpm: Some(2),
        ..Rate::default()
    };
    let scene = Scene::of(caller(rate, None));
    scene.play(async |mut caller, mut provider| {
        provider.say(BEGUN);
        provider.say(DONE);
        caller.hear().await;
        caller.hear().await;
        provider.say(r#"{"type":"response.created","response":{"id":"r2"}}"#);
        assert!(caller.hear().await.contains("r2"));
        assert_eq!(error_of(&caller.hear().await)["code"], "rate_limit_exceeded");
        assert_eq!(provider.hear().await, realtime::cancellation("r2"));
        provider.say(r#"{"type":"response.done","response":{"id":"r2","status":"cancelled","usage":{"input_tokens":5,"output_tokens":1}}}"#);
        caller.hear().await;
        hang_up(&caller);
    });
    let (calls, _) = scene.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        calls[1].usage,
        Usage::text(5, 1),
        "what was taken is recorded all the same"
    );
    assert_eq!(calls[1].state, CallState::Settled);
}

#[test]
fn a_caller_who_hangs_up_cancels_what_is_made_and_pays_what_the_provider_says() {
    let scene = Scene::new();
    scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(BEGUN);
        caller.hear().await;
        caller.send(Err(SocketError::Broken("gone".to_owned())));
        assert_eq!(provider.hear().await, realtime::cancellation("r1"));
        provider.say(DONE);
        assert!(matches!(provider.next().await, Message::Close(_)));
    });
    let (calls, session) = scene.calls();
    assert_eq!(calls[0].usage, Usage::text(1000, 100));
    assert_eq!(session.state, CallState::Cancelled);
    assert_eq!(session.end_reason, Some(EndReason::CallerGone));
}

#[test]
fn a_caller_who_hangs_up_waits_for_no_provider_that_says_nothing() {
    let scene = Scene::new();
    scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(BEGUN);
        caller.hear().await;
        drop(caller);
        assert_eq!(provider.hear().await, realtime::cancellation("r1"));
        // The line stays open, and nothing comes.
        provider
    });
    let (calls, _) = scene.calls();
    assert_eq!(calls[0].state, CallState::Cancelled);
    assert!(calls[0].usage.output_tokens > 0, "it is estimated");
    assert!(scene.stage.clock.elapsed() <= FAREWELL + WATCH);
}

#[test]
fn a_provider_that_breaks_off_is_told_and_what_it_made_is_estimated() {
    let scene = Scene::new();
    let closing = scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(BEGUN);
        caller.hear().await;
        drop(provider);
        let error = error_of(&caller.hear().await);
        assert_eq!(error["type"], "server_error");
        caller.next().await
    });
    assert!(matches!(closing, Message::Close(closing) if closing.code == Closing::FAILED));
    let (calls, session) = scene.calls();
    assert_eq!(calls[0].state, CallState::Estimated);
    assert_eq!(calls[0].end_reason, Some(EndReason::ProviderBroke));
    assert_eq!(session.end_reason, Some(EndReason::ProviderBroke));
}

#[test]
fn a_close_of_the_providers_reaches_the_caller_as_it_is() {
    let scene = Scene::new();
    let closing = Closing::new(4001, "session expired");
    let said = closing.clone();
    let heard = scene.play(async move |mut caller, provider| {
        provider.send(Ok(Message::Close(said)));
        caller.next().await
    });
    assert_eq!(heard, Message::Close(closing));
}

#[test]
fn a_revoked_key_ends_the_session_within_seconds() {
    let scene = Scene::new();
    let closing = scene.play(async |mut caller, _provider| {
        *scene.watchman.0.lock().unwrap() =
            |_| Standing::Gone(Problem::new(ProblemKind::Unauthenticated, "Revoked."));
        assert_eq!(error_of(&caller.hear().await)["message"], "Revoked.");
        caller.next().await
    });
    assert!(matches!(closing, Message::Close(closing) if closing.code == Closing::POLICY));
    assert!(scene.stage.clock.elapsed() <= WATCH * 2);
}

#[test]
fn at_a_stop_what_is_made_may_end_and_nothing_new_begins() {
    let scene = Scene::new();
    let closing = scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(BEGUN);
        caller.hear().await;
        *scene.watchman.0.lock().unwrap() =
            |_| Standing::Stopping(Problem::new(ProblemKind::Unavailable, "It stops."));
        {
            let mut later = pin!(scene.stage.clock.sleep(WATCH * 3));
            let mut heard = pin!(caller.next());
            match select(&mut later, &mut heard).await {
                Either::Left(_) => {}
                Either::Right((message, _)) => panic!("{message:?}"),
            }
            provider.say(DONE);
            assert_eq!(heard.await, Message::Text(DONE.to_owned()));
        }
        caller.next().await
    });
    assert!(matches!(closing, Message::Close(closing) if closing.code == Closing::GOING_AWAY));
    assert_eq!(scene.calls().0[0].state, CallState::Settled);
}

#[test]
fn a_session_in_which_nobody_speaks_is_closed() {
    let scene = Scene::new();
    scene.play(async |mut caller, _provider| {
        let error = error_of(&caller.hear().await);
        assert!(
            error["message"].as_str().unwrap().contains("Nobody"),
            "{error}"
        );
    });
    let idle = SocketRules::default().idle;
    let elapsed = scene.stage.clock.elapsed();
    assert!(elapsed >= idle && elapsed <= idle + FAREWELL + WATCH);
}

#[test]
fn a_transcript_is_a_call_of_its_own() {
    let scene = Scene::new();
    scene.play(async |mut caller, provider| {
        provider.say(r#"{"type":"session.updated","session":{"audio":{"input":{"transcription":{"model":"gpt-transcribe"}}}}}"#);
        provider.say(r#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"tokens","input_tokens":20,"output_tokens":5}}"#);
        caller.hear().await;
        caller.hear().await;
        hang_up(&caller);
    });
    let (calls, _) = scene.calls();
    assert_eq!(calls[0].operation, Operation::Transcription);
    assert_eq!(calls[0].request_model.as_str(), "gpt-transcribe");
    assert_eq!(calls[0].usage, Usage::text(20, 5));
    assert_eq!(calls[0].state, CallState::Settled);
}

#[test]
fn a_response_that_the_provider_refuses_costs_nothing() {
    let scene = Scene::new();
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","code":"conversation_already_has_active_response","message":"No.","event_id":"mine"}}"#;
    scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        provider.say(refusal);
        assert_eq!(caller.hear().await, refusal);
        hang_up(&caller);
    });
    let (calls, _) = scene.calls();
    assert_eq!(calls[0].state, CallState::Failed);
    assert_eq!(calls[0].usage, Usage::default());
}

#[test]
fn what_cannot_be_read_is_not_passed_on() {
    let scene = Scene::new();
    scene.play(async |mut caller, mut provider| {
        caller.say("{");
        assert_eq!(
            error_of(&caller.hear().await)["type"],
            "invalid_request_error"
        );
        caller.send(Ok(Message::Binary(Bytes::from_static(b"sound"))));
        error_of(&caller.hear().await);
        caller.say(r#"{"type":"session.update"}"#);
        assert!(provider.hear().await.contains("session.update"));
        caller.send(Err(SocketError::TooLarge { max: 5 }));
        error_of(&caller.hear().await);
        let closing = caller.next().await;
        assert!(matches!(closing, Message::Close(closing) if closing.code == Closing::TOO_LARGE));
    });
}

#[test]
fn more_responses_than_can_be_followed_are_refused() {
    let scene = Scene::new();
    scene.play(async |mut caller, mut provider| {
        for _ in 0..16 {
            caller.say(ASK);
            provider.hear().await;
        }
        caller.say(ASK);
        let error = error_of(&caller.hear().await);
        assert!(error["message"].as_str().unwrap().contains("16"), "{error}");
        hang_up(&caller);
        provider
    });
    let (calls, _) = scene.calls();
    assert_eq!(calls.len(), 16);
    assert!(calls.iter().all(|call| call.state == CallState::Cancelled));
}

#[test]
fn what_is_said_is_kept_where_payloads_want_it_but_for_the_sound() {
    let mut scene = Scene::new();
    scene.stage.gateway.payloads = Arc::new(Payloads::new(Some(Duration::from_hours(1))));
    scene.play(async |mut caller, mut provider| {
        let sound = r#"{"type":"input_audio_buffer.append","audio":"AAAABBBB"}"#;
        let words = r#"{"type":"conversation.item.create","item":{}}"#;
        for said in [sound, sound, words, ASK] {
            caller.say(said);
            assert_eq!(provider.hear().await, said);
        }
        for told in [BEGUN, DONE] {
            provider.say(told);
            caller.hear().await;
        }
        hang_up(&caller);
    });
    let (calls, _) = scene.calls();
    let kept = scene.stage.gateway.payloads.take_batch(10);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].request_id, calls[0].request_id);
    let request = String::from_utf8(kept[0].request.clone()).unwrap();
    let lines: Vec<&str> = request.lines().collect();
    let [sound, words, asked] = lines.as_slice() else {
        panic!("{request}");
    };
    assert_eq!(
        *sound,
        r#"{"type":"input_audio_buffer.append","audio_bytes":20}"#
    );
    assert!(words.contains("item.create"), "{words}");
    assert_eq!(kept[0].response, DONE.as_bytes());
    assert_eq!(*asked, ASK);
}

#[test]
fn nothing_that_is_said_is_kept_unless_that_is_wanted() {
    let scene = Scene::new();
    scene.play(async |mut caller, mut provider| {
        caller.say(ASK);
        provider.hear().await;
        for told in [BEGUN, DONE] {
            provider.say(told);
            caller.hear().await;
        }
        hang_up(&caller);
    });
    assert!(scene.stage.gateway.payloads.take_batch(10).is_empty());
}
