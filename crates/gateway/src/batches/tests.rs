//! The story of a batch, with a scripted provider and everything else in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, BatchFace, BatchState};
use domain::call::CallState;
use domain::caller::Caller;
use domain::clock::Clock;
use domain::egress::Reach;
use domain::file::FilePurpose;
use domain::key::{Budget, Period, Rate};
use domain::money::Cost;
use domain::problem::{Problem, ProblemKind};
use providers::host::Host;
use providers::hosts;
use providers::kind::ProviderKind;
use serde_json::{Value, json};

use super::{BatchError, BatchParts, BatchRules, Batches, NewBatch, Unfinished};
use crate::catalog::Catalog;
use crate::files::Label;
use crate::routes::{HangUp, Provider, Routes};
use crate::testing::{Act, KeptBatches, Stage, Zeros, caller, replica, run};

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
}

impl Bench {
    /// A gateway in front of OpenAI, which runs batches itself or not.
    fn new(runs_batches: bool, caller: Caller, acts: impl IntoIterator<Item = Act>) -> Self {
        let stage = Stage::of(acts);
        let mut host = hosts::named("openai").map_or(Host::NONE, Host::of);
        host.serves.batches = runs_batches;
        let provider = Provider {
            name: "openai".parse().unwrap(),
            kind: ProviderKind::Openai,
            base_url: ProviderKind::Openai.default_base_url().to_owned(),
            credential: None,
            rotation: None,
            host,
            reach: Reach::Public,
            hang_up: HangUp::default(),
            region: None,
        };
        let routes = Routes::new([provider], [], Catalog::builtin());
        stage.gateway.replace_routes(Arc::new(routes));
        let kept = Arc::new(KeptBatches::default());
        let holder = caller.clone();
        let batches = Batches::new(BatchParts {
            rules: RULES,
            store: Arc::clone(&kept) as Arc<dyn domain::batch::BatchStore>,
            replica: replica(),
            holder: Box::new(move |key| (holder.key_id() == key).then(|| holder.clone())),
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
        }
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

fn result(custom_id: &str) -> String {
    let body: Value = serde_json::from_str(ANSWER).unwrap();
    let response = json!({"status_code": 200, "request_id": "r", "body": body});
    json!({"id": "x", "custom_id": custom_id, "response": response, "error": null}).to_string()
}

#[test]
fn a_batch_that_the_provider_runs_is_settled_at_its_price_for_batches() {
    let results = format!("{}\n{}\n", result("two"), result("one"));
    let acts = [
        Act::whole(200, r#"{"id":"file-9"}"#),
        theirs("validating", None),
        theirs("in_progress", None),
        theirs("completed", Some("file-o")),
        Act::whole(200, &results),
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
    let asked: Vec<String> = {
        let sent = bench.stage.script.sent.lock().unwrap();
        sent.iter()
            .map(|outbound| outbound.request.uri().path().to_owned())
            .collect()
    };
    let expected = [
        "/v1/files",
        "/v1/batches",
        "/v1/batches/batch_v",
        "/v1/batches/batch_v",
        "/v1/files/file-o/content",
    ];
    assert_eq!(asked, expected);
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
        Act::whole(200, r#"{"id":"file-9"}"#),
        theirs("validating", None),
        theirs("expired", Some("file-o")),
        Act::whole(200, &result("one")),
    ];
    let bench = Bench::new(true, anyone(), acts);
    bench.submit(&[line("one"), line("two")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Expired);
    assert_eq!(bench.stage.heard.only().state, CallState::Settled);
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
    // A call that is alone may use the rest of a budget; one more than that is too much.
    let admission = bench
        .stage
        .limits
        .admit_settled(&bench.caller, None, bench.stage.clock.now());
    admission.settle(1, 1, Cost::from_nano_dollars(1));
    bench.submit(&[line("one")]).unwrap();
    bench.work().unwrap();
    let batch = bench.kept.only();
    assert_eq!(batch.state, BatchState::Failed);
    assert_eq!(batch.details.faults[0].code, "budget_exhausted");
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
    let released = domain::batch::BatchStore::release_batch(
        &*bench.kept,
        batch.id,
        bench.batches.parts.replica,
    );
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
