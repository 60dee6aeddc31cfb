//! The story of a batch, with a scripted provider and everything else in memory.

mod budgets;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, BatchFace, BatchState, BatchStore, HandoverStep};
use domain::call::CallState;
use domain::caller::Caller;
use domain::clock::Clock;
use domain::egress::{EgressError, Outbound, Reach};
use domain::file::FilePurpose;
use domain::id::BatchId;
use domain::key::{Budget, Period, Rate};
use domain::money::Cost;
use domain::problem::{Problem, ProblemKind};
use jiff::Timestamp;
use providers::host::Host;
use providers::hosts;
use providers::kind::ProviderKind;
use serde_json::{Value, json};

use super::submission::{line_name, name_of};
use super::{BatchError, BatchParts, BatchRules, Batches, NewBatch, Unfinished};
use crate::catalog::Catalog;
use crate::files::Label;
use crate::prompt_cache::PromptCaching;
use crate::routes::{HangUp, Provider, Routes};
use crate::testing::{Act, BEGINNING, KeptBatches, Stage, Step, Zeros, caller, replica, run};

const MODEL: &str = "openai/gpt-5.4-nano";
const RULES: BatchRules = BatchRules {
    concurrency: 2,
    max_lines: 10,
    max_bytes: 1_000,
    max_open: 3,
    poll: Duration::from_secs(30),
    keep: Duration::from_hours(24),
};
/// A whole answer: 1,000 tokens in and 100 out.
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-5.4-nano","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;

struct Bench {
    stage: Stage,
    batches: Batches,
    kept: Arc<KeptBatches>,
    caller: Caller,
    is_known: Arc<AtomicBool>,
}

impl Bench {
    /// A gateway in front of OpenAI, which runs batches itself or not.
    fn new(runs_batches: bool, caller: Caller, acts: impl IntoIterator<Item = Act>) -> Self {
        let mut host = hosts::named("openai").map_or(Host::NONE, Host::of);
        host.serves.batches = runs_batches;
        Self::in_front_of("openai", ProviderKind::Openai, host, caller, acts)
    }

    fn in_front_of(
        name: &str,
        kind: ProviderKind,
        host: Host,
        caller: Caller,
        acts: impl IntoIterator<Item = Act>,
    ) -> Self {
        let stage = Stage::of(acts);
        let provider = Provider {
            name: name.parse().unwrap(),
            kind,
            base_url: kind.default_base_url().to_owned(),
            credential: None,
            rotation: None,
            host,
            reach: Reach::Public,
            hang_up: HangUp::default(),
            prompt_cache: PromptCaching::default(),
            region: None,
        };
        let routes = Routes::new([provider], [], Catalog::builtin());
        stage.gateway.replace_routes(Arc::new(routes));
        let kept = Arc::new(KeptBatches::default());
        let holder = caller.clone();
        let is_known = Arc::new(AtomicBool::new(true));
        let knows = Arc::clone(&is_known);
        let batches = Batches::new(BatchParts {
            rules: RULES,
            store: Arc::clone(&kept) as Arc<dyn domain::batch::BatchStore>,
            replica: replica(),
            holder: Box::new(move |key| {
                let is_it = holder.key_id() == key && knows.load(Ordering::Relaxed);
                is_it.then(|| holder.clone())
            }),
            explain: |error| match error {
                crate::ChatError::Failed { problem, .. } => *problem,
                error => Problem::new(ProblemKind::InvalidRequest, error.to_string()),
            },
            clock: Arc::clone(&stage.clock) as Arc<dyn Clock>,
            entropy: Arc::new(Zeros),
        });
        Self {
            stage,
            batches,
            kept,
            caller,
            is_known,
        }
    }

    /// The key of the batch is deleted.
    fn forget_key(&self) {
        self.is_known.store(false, Ordering::Relaxed);
    }

    fn submit(&self, lines: &[Value]) -> Result<Batch, BatchError> {
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        let label = Label {
            purpose: FilePurpose::Batch,
            filename: "lines.jsonl".parse().unwrap(),
            media_type: "application/jsonl".parse().unwrap(),
            keep_for: None,
        };
        let content = Bytes::from(text.join("\n"));
        let files = &self.stage.files;
        let file = run(
            &self.stage.clock,
            files.keep(self.caller.owner(), label, content),
        );
        let new = NewBatch {
            input: file.unwrap().id.to_string(),
            endpoint: "/v1/chat/completions".to_owned(),
            metadata: None,
            output_for: None,
        };
        let gateway = &self.stage.gateway;
        run(
            &self.stage.clock,
            self.batches.create(gateway, &self.caller, new),
        )
    }

    fn work(&self) -> Result<(), Unfinished> {
        let batch = run(&self.stage.clock, self.batches.claim())
            .unwrap()
            .unwrap();
        run(
            &self.stage.clock,
            self.batches.work(&self.stage.gateway, batch),
        )
    }

    /// The paths that were asked of the provider.
    fn asked(&self) -> Vec<String> {
        let sent = self.stage.script.sent.lock().unwrap();
        let path = |outbound: &Outbound| outbound.request.uri().path().to_owned();
        sent.iter().map(path).collect()
    }

    /// The states of the calls in the ledger.
    fn states(&self) -> Vec<CallState> {
        let calls = self.stage.heard.calls();
        calls.iter().map(|call| call.state).collect()
    }

    /// Works on the batch until the provider was asked `requests` times; then the process ends.
    fn work_until(&self, requests: usize) {
        let claimed = run(&self.stage.clock, self.batches.claim())
            .unwrap()
            .unwrap();
        let id = claimed.id;
        {
            let work = self.batches.work(&self.stage.gateway, claimed);
            let mut work = std::pin::pin!(work);
            while self.stage.script.requests() < requests {
                assert!(crate::testing::poll(work.as_mut()).is_pending());
                self.stage.clock.forward(Duration::from_millis(500));
            }
        }
        let replica = self.batches.parts.replica;
        let released = self.kept.release_batch(id, replica);
        run(&self.stage.clock, released).unwrap();
    }

    /// The lines of a file of results.
    fn results(&self, file: Option<domain::id::FileId>) -> Vec<Value> {
        let read = async {
            let files = &self.stage.files;
            let id = file?.to_string();
            let file = files.file(self.caller.owner(), &id).await.unwrap();
            Some(files.read(&file, 10_000).await.unwrap())
        };
        let text = run(&self.stage.clock, read).unwrap_or_default();
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn anyone() -> Caller {
    caller(Rate::default(), None)
}

fn line(custom_id: &str) -> Value {
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]});
    json!({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})
}

fn theirs(status: &str, output: Option<&str>) -> Act {
    let batch = json!({
        "id": "batch_v", "status": status, "output_file_id": output, "error_file_id": null, "errors": null,
    });
    Act::whole(200, &batch.to_string())
}

/// The result of the line of this number of the first batch.
fn result(number: u32) -> String {
    let body: Value = serde_json::from_str(ANSWER).unwrap();
    let response = json!({"status_code": 200, "request_id": "r", "body": body});
    let name = line_name(first_batch(), number);
    json!({"id": "x", "custom_id": name, "response": response, "error": null}).to_string()
}

/// What the first batch of a bench is called: its clock and its randomness are always the same.
fn first_batch() -> BatchId {
    let beginning = Timestamp::from_second(BEGINNING).unwrap();
    BatchId::new(beginning, &Zeros)
}

fn listed(name: &str, id: &str) -> Act {
    let batch = json!({"id": id, "created_at": BEGINNING, "metadata": {"trunkline_batch": name}});
    let list = json!({"object": "list", "data": [batch], "has_more": false});
    Act::whole(200, &list.to_string())
}

fn empty_list() -> Act {
    Act::whole(200, r#"{"object":"list","data":[],"has_more":false}"#)
}

fn uploaded() -> Act {
    Act::whole(200, r#"{"id":"file-9"}"#)
}

fn deleted() -> Act {
    Act::whole(200, r#"{"id":"file-9","object":"file","deleted":true}"#)
}

#[test]
fn a_batch_that_the_provider_runs_is_settled_at_its_price_for_batches() {
    let results = format!("{}\n{}\n", result(2), result(1));
    let acts = [
        uploaded(),
        theirs("validating", None),
        theirs("in_progress", None),
        theirs("completed", Some("file-o")),
        Act::whole(200, &results),
        deleted(),
    ];
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one"), line("two")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!((batch.ended.succeeded, batch.ended.failed), (2, 0));
    let calls = bench.stage.heard.calls();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call.state, CallState::Settled);
        assert_eq!(call.batch_id, Some(batch.id));
        // Half of what it costs otherwise: 1,000 in at $0.10 and 100 out at $0.625 a million.
        assert_eq!(call.cost_usd.unwrap().to_string(), "0.000162500");
    }
    let expected = [
        "/v1/files",
        "/v1/batches",
        "/v1/batches/batch_v",
        "/v1/batches/batch_v",
        "/v1/files/file-o/content",
        "/v1/files/file-9",
    ];
    assert_eq!(bench.asked(), expected);
    let took = batch.details.usage.unwrap();
    assert_eq!((took.input_tokens, took.output_tokens), (2_000, 200));
    let lines = bench.results(batch.details.output);
    let ids: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["custom_id"].as_str())
        .collect();
    assert_eq!(ids, ["one", "two"], "in the order of the requests");
}

#[test]
fn what_the_provider_did_not_reach_is_told_as_such() {
    let acts = [
        uploaded(),
        theirs("validating", None),
        theirs("expired", Some("file-o")),
        Act::whole(200, &result(1)),
        deleted(),
    ];
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one"), line("two")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Expired);
    assert_eq!(bench.states(), [CallState::Settled, CallState::Failed]);
    let unreached = &bench.stage.heard.calls()[1];
    assert_eq!(unreached.cost_usd, Some(Cost::ZERO));
    assert_eq!(bench.results(batch.details.output)[0]["custom_id"], "one");
    let errors = bench.results(batch.details.errors);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["custom_id"], "two");
    assert_eq!(errors[0]["error"]["code"], "batch_expired");
}

#[test]
fn a_budget_must_have_room_for_the_whole_batch() {
    let budget = Budget {
        limit: Cost::from_nano_dollars(1),
        per: Period::Day,
    };
    let bench = Bench::new(true, caller(Rate::default(), Some(budget)), []);
    // A call that is alone may use the rest of a budget, and a batch may not.
    bench.submit(&[line("one")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Failed);
    let fault = &batch.details.faults[0];
    assert_eq!(fault.code, "budget_exhausted");
    let left = "has $0.000000001 left, which is not enough";
    assert!(fault.message.contains(left), "{}", fault.message);
    assert_eq!(bench.stage.script.requests(), 0);
}

#[test]
fn lines_that_have_ended_are_not_asked_again() {
    let bench = Bench::new(
        false,
        anyone(),
        [Act::whole(200, ANSWER), Act::Hang, Act::whole(200, ANSWER)],
    );
    bench.submit(&[line("one"), line("two")]).unwrap();
    let claimed = run(&bench.stage.clock, bench.batches.claim())
        .unwrap()
        .unwrap();
    {
        // The process ends while the second line is under way.
        let work = bench.batches.work(&bench.stage.gateway, claimed);
        let mut work = std::pin::pin!(work);
        while bench.kept.only().ended.succeeded < 1 {
            assert!(crate::testing::poll(work.as_mut()).is_pending());
            bench.stage.clock.forward(Duration::from_millis(1));
        }
    }
    let batch = bench.kept.only();
    let released = bench
        .kept
        .release_batch(batch.id, bench.batches.parts.replica);
    run(&bench.stage.clock, released).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!(batch.ended.succeeded, 2);
    assert_eq!(bench.stage.script.requests(), 3);
    let states: Vec<CallState> = bench
        .stage
        .heard
        .calls()
        .iter()
        .map(|call| call.state)
        .collect();
    assert_eq!(
        states,
        [CallState::Settled, CallState::Cancelled, CallState::Settled]
    );
}

#[test]
fn results_for_which_a_file_has_no_room_are_left_out_and_told_of() {
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let bench = Bench::new(false, anyone(), acts);
    let lines = [line("one"), line("two"), line("three")];
    bench.submit(&lines).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!(batch.ended.succeeded, 3);
    assert_eq!(bench.results(batch.details.output).len(), 2);
    let [fault] = batch.details.faults.as_slice() else {
        panic!("{:?}", batch.details.faults);
    };
    assert_eq!(fault.code, "results_too_large");
    assert!(
        fault.message.contains("The results of 1 lines"),
        "{}",
        fault.message
    );
}

#[test]
fn whoever_lost_a_batch_stops_working_on_it() {
    let bench = Bench::new(false, anyone(), [Act::Hang]);
    bench.submit(&[line("one")]).unwrap();
    let claimed = run(&bench.stage.clock, bench.batches.claim())
        .unwrap()
        .unwrap();
    let work = async {
        let steal = async {
            bench.stage.clock.sleep(Duration::from_secs(1)).await;
            bench.kept.steal(replica());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            worked = bench.batches.work(&bench.stage.gateway, claimed) => worked,
            () = steal => Ok(()),
        }
    };
    let worked = run(&bench.stage.clock, work);
    assert!(matches!(worked, Err(Unfinished::Lost)), "{worked:?}");
    assert_eq!(bench.stage.heard.only().state, CallState::Cancelled);
}

#[test]
fn a_key_has_a_bounded_number_of_batches_and_sees_only_its_own() {
    let bench = Bench::new(false, anyone(), []);
    let made = bench.submit(&[line("one")]).unwrap();
    let find = |caller: &Caller| {
        let id = made.id.to_string();
        run(
            &bench.stage.clock,
            bench.batches.find(caller, BatchFace::Openai, &id),
        )
        .is_ok()
    };
    assert!(find(&bench.caller));
    assert!(!find(&anyone()));
    for _ in 2..=3 {
        bench.stage.clock.forward(Duration::from_millis(1));
        bench.submit(&[line("one")]).unwrap();
    }
    let refused = bench.submit(&[line("one")]);
    assert!(
        matches!(refused, Err(BatchError::TooMany { max: 3 })),
        "{refused:?}"
    );
}

#[test]
fn a_batch_that_the_provider_has_is_found_by_its_name_and_not_handed_over_again() {
    // The process ends while the provider has not answered.
    let acts = [
        uploaded(),
        Act::Hang,
        listed(&name_of(first_batch(), 0), "batch_v"),
        theirs("completed", Some("file-o")),
        Act::whole(200, &result(1)),
        deleted(),
    ];
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one")]).unwrap();
    bench.work_until(2);
    let interrupted = bench.kept.only();
    assert_eq!(interrupted.details.handovers[0].step, HandoverStep::Asked);
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!(bench.states(), [CallState::Settled]);
    let expected = [
        "/v1/files",
        "/v1/batches",
        "/v1/batches",
        "/v1/batches/batch_v",
        "/v1/files/file-o/content",
        "/v1/files/file-9",
    ];
    assert_eq!(bench.asked(), expected);
}

#[test]
fn an_answer_that_breaks_off_is_treated_as_a_batch_that_may_be_there() {
    let broken = Act::Answer(200, Vec::new(), vec![Step::Break]);
    for unclear in [
        broken,
        Act::Refuse(EgressError::Broken("reset".to_owned())),
        Act::whole(500, "{}"),
        Act::whole(200, "<html>"),
    ] {
        let acts = [
            uploaded(),
            unclear,
            listed(&name_of(first_batch(), 0), "batch_v"),
            theirs("completed", Some("file-o")),
            Act::whole(200, &result(1)),
            deleted(),
        ];
        let bench = Bench::new(true, anyone(), acts);
        bench.submit(&[line("one")]).unwrap();
        bench.work().unwrap();
        assert_eq!(bench.kept.only().state, BatchState::Completed);
        assert_eq!(bench.kept.only().details.handovers[0].number, 1);
        assert_eq!(bench.states(), [CallState::Settled]);
    }
}

#[test]
fn what_the_provider_certainly_does_not_have_is_handed_over_again_once_it_had_time_to_show() {
    // It is looked for every two seconds, for thirty.
    let acts = [uploaded(), Act::whole(500, "{}")]
        .into_iter()
        .chain((0..14).map(|_| empty_list()))
        .chain([
            listed("somebody-elses", "batch_w"),
            theirs("validating", None),
            theirs("completed", Some("file-o")),
            Act::whole(200, &result(1)),
            deleted(),
        ]);
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!(batch.details.handovers[0].number, 2);
    let asked = bench.asked();
    let uploads = asked.iter().filter(|path| *path == "/v1/files").count();
    assert_eq!(uploads, 1, "the lines are there already");
    assert_eq!(bench.states(), [CallState::Settled]);
}

#[test]
fn results_that_cannot_be_had_leave_their_lines_estimated_and_say_so() {
    let gone = Act::whole(
        404,
        r#"{"error":{"message":"No such batch","type":"invalid_request_error","param":null,"code":null}}"#,
    );
    let bench = Bench::new(
        true,
        anyone(),
        [uploaded(), theirs("validating", None), gone, deleted()],
    );
    bench.submit(&[line("one"), line("two")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.ended.failed, 2);
    assert_eq!(bench.states(), [CallState::Estimated, CallState::Estimated]);
    let calls = bench.stage.heard.calls();
    assert!(calls.iter().all(|call| call.cost_usd > Some(Cost::ZERO)));
    let errors = bench.results(batch.details.errors);
    assert_eq!(errors.len(), 2);
    let told = errors[0]["response"]["body"]["error"]["message"].as_str();
    assert!(told.unwrap().contains("does not know"), "{told:?}");
}

#[test]
fn what_the_provider_refuses_fails_with_every_line_in_the_ledger() {
    let refused = Act::whole(
        400,
        r#"{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":"bad"}}"#,
    );
    let bench = Bench::new(true, anyone(), [uploaded(), refused, deleted()]);
    bench.submit(&[line("one"), line("two")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Failed);
    assert_eq!(batch.details.faults[0].code, "bad");
    assert_eq!(bench.states(), [CallState::Failed, CallState::Failed]);
}

#[test]
fn lines_are_settled_for_a_key_that_nobody_knows_any_more() {
    let acts = [
        uploaded(),
        theirs("validating", None),
        listed(&name_of(first_batch(), 0), "batch_v"),
        Act::whole(200, "{}"),
        theirs("cancelled", Some("file-o")),
        Act::whole(200, &result(1)),
        deleted(),
    ];
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one"), line("two")]).unwrap();
    bench.work_until(2);
    bench.forget_key();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Cancelled);
    assert_eq!(bench.states(), [CallState::Settled, CallState::Cancelled]);
    let calls = bench.stage.heard.calls();
    assert!(calls.iter().all(|call| call.key_id == batch.key_id));
}

#[test]
fn every_model_is_a_batch_of_its_own() {
    let other = "openai/gpt-5.4-mini";
    let mut of_other = line("two");
    of_other["body"]["model"] = json!(other);
    let ended = r#"{"status":"completed","id":"batch_u","output_file_id":"file-p","error_file_id":null,"errors":null}"#;
    let acts = [
        uploaded(),
        theirs("validating", None),
        Act::whole(200, r#"{"id":"file-8"}"#),
        Act::whole(
            200,
            r#"{"id":"batch_u","status":"validating","output_file_id":null,"error_file_id":null,"errors":null}"#,
        ),
        theirs("in_progress", None),
        Act::whole(200, ended),
        Act::whole(200, &result(2)),
        Act::whole(200, r#"{"id":"file-8","object":"file","deleted":true}"#),
        theirs("completed", Some("file-o")),
        Act::whole(200, &result(1)),
        deleted(),
    ];
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one"), of_other]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!(batch.details.model, None);
    let sent = bench.stage.script.sent.lock().unwrap();
    let first = String::from_utf8_lossy(sent[0].request.body()).into_owned();
    let second = String::from_utf8_lossy(sent[2].request.body()).into_owned();
    assert_eq!(
        first.matches("\"model\":\"gpt-5.4-nano\"").count(),
        1,
        "{first}"
    );
    assert_eq!(
        second.matches("\"model\":\"gpt-5.4-mini\"").count(),
        1,
        "{second}"
    );
    drop(sent);
    let output = bench.results(batch.details.output);
    let ids: Vec<&str> = output
        .iter()
        .filter_map(|line| line["custom_id"].as_str())
        .collect();
    assert_eq!(ids, ["one", "two"]);
    let models: Vec<String> = bench
        .stage
        .heard
        .calls()
        .iter()
        .map(|call| call.request_model.to_string())
        .collect();
    assert_eq!(models, [other, MODEL]);
}

fn in_front_of_anthropic(acts: impl IntoIterator<Item = Act>) -> Bench {
    let mut host = Host::NONE;
    host.serves.batches = true;
    Bench::in_front_of("anthropic", ProviderKind::Anthropic, host, anyone(), acts)
}

fn of_anthropic(custom_id: &str) -> Value {
    let mut line = line(custom_id);
    line["body"]["model"] = json!("anthropic/claude-haiku-4-5");
    line
}

/// A message batch of one request in Anthropic's list.
fn message_batch(id: &str) -> Value {
    let counts =
        json!({"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0});
    let made_at = Timestamp::from_second(BEGINNING + 1).unwrap();
    json!({"id": id, "processing_status": "in_progress", "created_at": made_at, "request_counts": counts})
}

fn message_of(name: &str) -> Act {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
    });
    let line = json!({"custom_id": name, "result": {"type": "succeeded", "message": message}});
    Act::whole(200, &line.to_string())
}

fn message_batch_is(status: &str, id: &str) -> Act {
    let batch = json!({"id": id, "processing_status": status, "cancel_initiated_at": null});
    Act::whole(200, &batch.to_string())
}

#[test]
fn lines_in_another_format_are_translated_and_their_answers_back() {
    let acts = [
        message_batch_is("in_progress", "msgbatch_1"),
        message_batch_is("ended", "msgbatch_1"),
        message_of(&line_name(first_batch(), 1)),
    ];
    let bench = in_front_of_anthropic(acts);
    bench.submit(&[of_anthropic("one")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    {
        let sent = bench.stage.script.sent.lock().unwrap();
        let asked: Value = serde_json::from_slice(sent[0].request.body()).unwrap();
        let params = &asked["requests"][0]["params"];
        assert_eq!(params["model"], "claude-haiku-4-5", "{asked:#}");
        assert!(params["max_tokens"].is_u64(), "{asked:#}");
    }
    let output = bench.results(batch.details.output);
    let body = &output[0]["response"]["body"];
    assert_eq!(output[0]["custom_id"], "one");
    assert_eq!(body["object"], "chat.completion", "{body:#}");
    assert_eq!(body["choices"][0]["message"]["content"], "Hi");
    let call = bench.stage.heard.only();
    assert_eq!(call.state, CallState::Settled);
    // Half of $1 and $5 a million.
    assert_eq!(call.cost_usd.unwrap().to_string(), "0.000750000");
}

#[test]
fn where_batches_have_no_names_their_lines_tell_which_one_it_is() {
    // Another batch of one request was made at the same time; its results show that it is another's.
    let list = json!({
        "data": [message_batch("msgbatch_other"), message_batch("msgbatch_ours")],
        "has_more": false, "first_id": null, "last_id": null,
    });
    let acts = [
        Act::Refuse(EgressError::Broken("reset".to_owned())),
        Act::whole(200, &list.to_string()),
        message_batch_is("ended", "msgbatch_other"),
        message_of("request-1"),
        Act::whole(200, &list.to_string()),
        message_batch_is("ended", "msgbatch_ours"),
        message_of(&line_name(first_batch(), 1)),
    ];
    let bench = in_front_of_anthropic(acts);
    bench.submit(&[of_anthropic("one")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Completed);
    assert_eq!(batch.details.handovers[0].number, 1);
    assert_eq!(batch.details.handovers[0].not_this, ["msgbatch_other"]);
    assert_eq!(bench.states(), [CallState::Settled]);
}

#[test]
fn a_batch_that_may_be_anothers_is_not_cancelled() {
    let list = json!({
        "data": [message_batch("msgbatch_other")], "has_more": false, "first_id": null, "last_id": null,
    });
    let none = json!({"data": [], "has_more": false, "first_id": null, "last_id": null});
    let acts = [
        Act::Refuse(EgressError::Broken("reset".to_owned())),
        Act::whole(200, &list.to_string()),
        message_batch_is("in_progress", "msgbatch_other"),
        message_batch_is("ended", "msgbatch_other"),
        message_of("request-1"),
        Act::whole(200, &none.to_string()),
    ];
    let bench = in_front_of_anthropic(acts);
    let made = bench.submit(&[of_anthropic("one")]).unwrap();
    bench.work_until(3);
    let id = made.id.to_string();
    let cancelled = bench.batches.cancel(&bench.caller, BatchFace::Openai, &id);
    run(&bench.stage.clock, cancelled).unwrap();
    bench.stage.clock.forward(Duration::from_mins(1));
    bench.work().unwrap();
    assert_eq!(bench.kept.only().state, BatchState::Cancelled);
    assert_eq!(bench.states(), [CallState::Cancelled]);
    assert!(bench.asked().iter().all(|path| !path.ends_with("/cancel")));
}
