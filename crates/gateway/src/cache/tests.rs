use std::collections::HashMap;
use std::pin::pin;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::cache::{CacheTenant, Forgotten, ForgottenMark, SharedCache};
use domain::call::{CacheOutcome, Call, CallState, Face as Recorded};
use domain::key::{Budget, ModelPattern, Period, Rate};
use domain::money::Cost;
use domain::usage::Usage;
use futures_util::StreamExt;
use providers::anthropic::AnthropicMessages;
use providers::cohere::CohereChat;
use providers::embeddings::OpenaiEmbeddings;
use providers::face::Face;
use providers::gemini::{Gemini, GeminiArray};
use providers::kind::ProviderKind;
use providers::openai::OpenaiChat;
use providers::openai::responses::OpenaiResponses;
use providers::task::Task;
use serde_json::{Value, json};

use super::*;
use crate::chat::{ChatError, ReportWanted};
use crate::reply::{Reply, ReplyFacts};
use crate::testing::{
    ANSWER, Act, Hand, Rules, Stage, Step, caller, collect, piece, poll, request_id, run,
};

mod keys;
mod meaning;
mod warming;

const ASK: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = r#"{"model":"gpt","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
/// A stream in OpenAI's format: 1,000 tokens in and 100 out, as [`ANSWER`].
const CHUNKS: &str = concat!(
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello \"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"there\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100,\"total_tokens\":1100}}\n\n",
    "data: [DONE]\n\n",
);

pub(super) fn rules() -> CacheRules {
    CacheRules {
        ttl: Duration::from_mins(5),
        max_ttl: Duration::from_hours(1),
        max_bytes: 1 << 20,
        max_entry: 16 * 1024,
        scope: CacheScope::Project,
        sampled: true,
        tool_calls: false,
        follow: Duration::from_secs(30),
        keys: vec![ModelPattern::new("*")],
    }
}

/// Replicas share these.
#[derive(Default)]
struct Shelf {
    kept: Mutex<HashMap<CacheKey, Bytes>>,
    told: Mutex<Vec<Forgotten>>,
    is_away: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl SharedCache for Shelf {
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>, SharedStateError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(SharedStateError::Unavailable("away".into()));
        }
        Ok(self.kept.lock().unwrap().get(key).cloned())
    }

    async fn put(&self, key: &CacheKey, value: Bytes, _: Duration) -> Result<(), SharedStateError> {
        self.kept.lock().unwrap().insert(*key, value);
        Ok(())
    }

    async fn remove(&self, key: &CacheKey) -> Result<(), SharedStateError> {
        self.kept.lock().unwrap().remove(key);
        Ok(())
    }

    async fn purge(&self, tenant: CacheTenant) -> Result<u64, SharedStateError> {
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|key, _| !tenant.has(key));
        Ok((before - kept.len()) as u64)
    }

    async fn tell(&self, what: &Forgotten) -> Result<(), SharedStateError> {
        self.told.lock().unwrap().push(*what);
        Ok(())
    }

    /// Marks are how many were told.
    async fn told(
        &self,
        mark: Option<&ForgottenMark>,
    ) -> Result<(Vec<Forgotten>, ForgottenMark), SharedStateError> {
        let told = self.told.lock().unwrap();
        let since = mark.map_or(told.len(), |mark| mark.0.parse().unwrap());
        Ok((
            told[since..].to_vec(),
            ForgottenMark(told.len().to_string()),
        ))
    }
}

struct Cached {
    stage: Stage,
    cache: Arc<Cache>,
    work: mpsc::Receiver<CacheWork>,
}

impl Cached {
    fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::with(rules(), None, acts)
    }

    fn with(
        rules: CacheRules,
        shared: Option<Arc<dyn SharedCache>>,
        acts: impl IntoIterator<Item = Act>,
    ) -> Self {
        Self::in_front_of(Stage::of(acts), rules, shared)
    }

    fn on(stage: Stage, shared: Option<Arc<Shelf>>) -> Self {
        let shared = shared.map(|shelf| shelf as Arc<dyn SharedCache>);
        Self::in_front_of(stage, rules(), shared)
    }

    fn in_front_of(
        mut stage: Stage,
        rules: CacheRules,
        shared: Option<Arc<dyn SharedCache>>,
    ) -> Self {
        let clock = Arc::clone(&stage.clock) as Arc<dyn Clock>;
        let (cache, work) = Cache::new(rules, shared, clock, 16);
        let cache = Arc::new(cache);
        stage.gateway.cache = Some(Arc::clone(&cache));
        Self { stage, cache, work }
    }

    fn is_simulated(&self, body: &str) -> (CacheOutcome, bool) {
        let inbound = self.inbound(body, &[]);
        let (facts, _) = self.answered(&self.stage.caller, inbound).unwrap();
        (facts.cache, facts.is_simulated)
    }

    /// Does what the cache has left to do.
    fn finish_work(&mut self) {
        while let Ok(work) = self.work.try_recv() {
            let finished = self.cache.finish(work, &self.stage.gateway);
            run(&self.stage.clock, finished);
        }
    }

    fn inbound(&self, body: &str, fields: &[(&'static str, &'static str)]) -> Inbound {
        let mut inbound = self.stage.inbound(body);
        inbound.asked.headers = fields
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            })
            .collect();
        inbound
    }

    fn answered(
        &self,
        caller: &Caller,
        inbound: Inbound,
    ) -> Result<(ReplyFacts, String), ChatError> {
        let clock = &self.stage.clock;
        match run(clock, self.stage.gateway.chat(caller, inbound))? {
            Reply::Whole { facts, body, .. } => {
                Ok((facts, String::from_utf8(body.to_vec()).unwrap()))
            }
            Reply::Stream { facts, stream, .. } => Ok((facts, collect(clock, stream))),
        }
    }

    fn ask(&self, body: &str) -> (CacheOutcome, String) {
        self.ask_with(body, &[])
    }

    fn ask_with(
        &self,
        body: &str,
        fields: &[(&'static str, &'static str)],
    ) -> (CacheOutcome, String) {
        let inbound = self.inbound(body, fields);
        let (facts, body) = self.answered(&self.stage.caller, inbound).unwrap();
        (facts.cache, body)
    }

    fn ask_at(
        &self,
        face: &'static dyn Face,
        name: Recorded,
        body: &str,
    ) -> (CacheOutcome, String) {
        let mut inbound = self.stage.inbound(body);
        inbound.face = face;
        inbound.face_name = name;
        if name == Recorded::Gemini {
            inbound.asked.model = Some("claude".parse().unwrap());
            inbound.asked.stream = Some(body.contains("streamed"));
        }
        let (facts, body) = self.answered(&self.stage.caller, inbound).unwrap();
        (facts.cache, body)
    }

    fn requests(&self) -> usize {
        self.stage.script.requests()
    }

    fn last(&self) -> Call {
        self.stage.heard.calls().pop().unwrap()
    }
}

/// The same key in another project.
fn elsewhere(stage: &Stage) -> Caller {
    let mut key = (**stage.caller.key()).clone();
    key.project_id = "proj_00000000000000000000000000000009".parse().unwrap();
    Caller::holding(Arc::new(key))
}

#[test]
fn what_was_asked_before_is_answered_again_at_no_cost() {
    let cached = Cached::of([Act::whole(200, ANSWER)]);
    assert_eq!(cached.ask(ASK), (CacheOutcome::Miss, ANSWER.to_owned()));
    assert_eq!(cached.last().cache, CacheOutcome::Miss);
    cached.stage.clock.forward(Duration::from_secs(61));
    let same = r#"{"messages": [{"content": "Hi", "role": "user"}], "user": "u1", "model": "gpt"}"#;
    let (facts, body) = cached
        .answered(&cached.stage.caller, cached.inbound(same, &[]))
        .unwrap();
    assert_eq!(body, ANSWER);
    assert_eq!((facts.cache, facts.attempts), (CacheOutcome::Hit, 0));
    assert_eq!(facts.cost, Some(Cost::ZERO));
    assert_eq!(facts.age, Some(Duration::from_secs(61)));
    assert_eq!(cached.requests(), 1);
    let call = cached.last();
    assert_eq!(
        (call.state, call.cache),
        (CallState::Settled, CacheOutcome::Hit)
    );
    assert_eq!(call.cost_usd, Some(Cost::ZERO));
    assert_eq!(call.saved_usd, Some("0.0014".parse().unwrap()));
    assert_eq!(call.usage, Usage::text(1_000, 100));
    assert_eq!(call.finish_reason.as_deref(), Some("stop"));
    assert_eq!(call.status, Some(200));
    assert!(call.attempts.is_empty() && call.provider.is_some());
    let stats = cached.cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 1));
    assert_eq!(stats.saved_nano_usd, 1_400_000);
}

#[test]
fn an_answer_says_that_it_is_simulated_for_as_long_as_it_is_kept() {
    for (kind, is_simulated) in [(ProviderKind::Sim, true), (ProviderKind::Openai, false)] {
        let rules = Rules {
            kind: Some(kind),
            ..Rules::default()
        };
        let shelf = Arc::new(Shelf::default());
        let acts = [Act::whole(200, ANSWER)];
        let mut first = Cached::on(Stage::with(rules, acts), Some(Arc::clone(&shelf)));
        assert_eq!(first.is_simulated(ASK), (CacheOutcome::Miss, is_simulated));
        assert_eq!(first.is_simulated(ASK), (CacheOutcome::Hit, is_simulated));
        first.finish_work();
        // So it does where another replica made it.
        let second = Cached::on(Stage::with(rules, []), Some(shelf));
        assert_eq!(second.is_simulated(ASK), (CacheOutcome::Hit, is_simulated));
    }
}

#[test]
fn nothing_is_found_once_its_time_has_passed() {
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let cached = Cached::of(acts);
    let short = [("x-trunkline-cache", "ttl=60")];
    assert_eq!(cached.ask_with(ASK, &short).0, CacheOutcome::Miss);
    cached.stage.clock.forward(Duration::from_secs(59));
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Hit);
    let fresh = [("cache-control", "max-age=10")];
    assert_eq!(cached.ask_with(ASK, &fresh).0, CacheOutcome::Miss);
    // It was kept anew, for five minutes.
    cached.stage.clock.forward(Duration::from_secs(299));
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Hit);
    cached.stage.clock.forward(Duration::from_secs(1));
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
}

#[test]
fn a_request_says_whether_it_is_served_and_kept() {
    let acts = [ANSWER; 4].map(|answer| Act::whole(200, answer));
    let cached = Cached::of(acts);
    let closed = [("x-trunkline-cache", "no-cache, no-store")];
    assert_eq!(cached.ask_with(ASK, &closed).0, CacheOutcome::Bypass);
    let unkept = [("x-trunkline-cache", "no-store")];
    assert_eq!(cached.ask_with(ASK, &unkept).0, CacheOutcome::Miss);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
    assert_eq!(cached.ask_with(ASK, &unkept).0, CacheOutcome::Hit);
    let anew = [("x-trunkline-cache", "no-cache")];
    assert_eq!(cached.ask_with(ASK, &anew).0, CacheOutcome::Miss);
    let wrong = cached.inbound(ASK, &[("x-trunkline-cache", "off")]);
    let refused = cached.answered(&cached.stage.caller, wrong);
    assert!(matches!(refused, Err(ChatError::Invalid(_))), "{refused:?}");
    let mut reported = cached.inbound(ASK, &[]);
    reported.report = ReportWanted {
        cost: true,
        conversion: false,
    };
    // What is told of the call itself is none of the answer's.
    assert_eq!(cached.requests(), 4);
    assert!(matches!(
        run(
            &cached.stage.clock,
            cached.cache.look_up_chat(
                &cached.stage.gateway,
                &cached.stage.caller,
                &reported,
                &OpenaiChat
                    .envelope(&reported.asked, &reported.body)
                    .unwrap(),
                &cached
                    .stage
                    .gateway
                    .routes()
                    .plan(&"gpt".parse().unwrap())
                    .unwrap(),
                || unreachable!(),
            )
        ),
        Ok(Looked::Bypassed)
    ));
}

#[test]
fn nobody_gets_another_projects_answer() {
    let acts = [ANSWER; 2].map(|answer| Act::whole(200, answer));
    let cached = Cached::of(acts);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
    let other = elsewhere(&cached.stage);
    let (facts, _) = cached.answered(&other, cached.inbound(ASK, &[])).unwrap();
    assert_eq!(facts.cache, CacheOutcome::Miss);
    assert_eq!(cached.requests(), 2);
}

#[test]
fn keys_of_a_project_share_answers_unless_each_has_its_own() {
    for (scope, expected) in [
        (CacheScope::Project, CacheOutcome::Hit),
        (CacheScope::Key, CacheOutcome::Miss),
        (CacheScope::User, CacheOutcome::Miss),
    ] {
        let acts = [ANSWER; 2].map(|answer| Act::whole(200, answer));
        let cached = Cached::with(CacheRules { scope, ..rules() }, None, acts);
        assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
        let other = caller(Rate::default(), None);
        let (facts, _) = cached.answered(&other, cached.inbound(ASK, &[])).unwrap();
        assert_eq!(facts.cache, expected, "{scope:?}");
    }
}

#[test]
fn what_is_not_a_good_answer_is_not_kept() {
    let cut = ANSWER.replace("\"stop\"", "\"length\"");
    let filtered = ANSWER.replace("\"stop\"", "\"content_filter\"");
    let refused = ANSWER.replace("\"Hello there\"", "null,\"refusal\":\"I cannot.\"");
    let calls = ANSWER
        .replace("\"Hello there\"", "null,\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
        .replace("\"stop\"", "\"tool_calls\"");
    let large = ANSWER.replace("Hello there", &"x".repeat(16 * 1024));
    for answer in [cut, filtered, refused, calls.clone(), large] {
        let cached = Cached::of([&answer, &answer].map(|answer| Act::whole(200, answer)));
        assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
        assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss, "{answer:.300}");
        assert_eq!(cached.cache.stats().refused, 2);
    }
    let allowed = CacheRules {
        tool_calls: true,
        ..rules()
    };
    let cached = Cached::with(allowed, None, [Act::whole(200, &calls)]);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
    assert_eq!(cached.ask(ASK), (CacheOutcome::Hit, calls));
    assert_eq!(cached.last().finish_reason.as_deref(), Some("tool_calls"));
}

#[test]
fn a_failure_is_not_kept_and_neither_is_a_stream_that_broke_off() {
    let start = CHUNKS.split_inclusive("\n\n").next().unwrap();
    let broken = Act::stream([piece(start), Step::Break]);
    let acts = [
        Act::whole(400, r#"{"error":{"message":"No."}}"#),
        broken,
        Act::stream([piece(CHUNKS)]),
    ];
    let cached = Cached::of(acts);
    let failed = cached.answered(&cached.stage.caller, cached.inbound(STREAM, &[]));
    assert!(matches!(failed, Err(ChatError::Failed { .. })));
    assert_eq!(cached.ask(STREAM).0, CacheOutcome::Miss);
    assert_eq!(cached.ask(STREAM).0, CacheOutcome::Miss);
    assert_eq!(cached.ask(STREAM).0, CacheOutcome::Hit);
}

#[test]
fn sampled_answers_are_kept_only_where_they_may_be() {
    let settled = CacheRules {
        sampled: false,
        ..rules()
    };
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let cached = Cached::with(settled, None, acts);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Bypass);
    let warm = ASK.replace("}]}", "}],\"temperature\":0.2}");
    assert_eq!(cached.ask(&warm).0, CacheOutcome::Bypass);
    let cold = ASK.replace("}]}", "}],\"temperature\":0.0}");
    assert_eq!(cached.ask(&cold).0, CacheOutcome::Miss);
    assert_eq!(cached.ask(&cold).0, CacheOutcome::Hit);
}

#[test]
fn keys_and_routes_that_are_not_meant_are_left_alone() {
    let others = CacheRules {
        keys: vec![ModelPattern::new("chatbot-*")],
        ..rules()
    };
    let acts = [ANSWER; 2].map(|answer| Act::whole(200, answer));
    let cached = Cached::with(others, None, acts);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Bypass);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Bypass);
}

#[test]
fn a_hit_counts_as_a_request_and_takes_none_of_the_budget() {
    let cached = Cached::of([Act::whole(200, ANSWER)]);
    let spent = Budget {
        limit: "0.001".parse().unwrap(),
        per: Period::Day,
    };
    let rate = Rate {
        rpm: Some(2),
        tpm: None,
        ..Rate::default()
    };
    let caller = caller(rate, Some(spent));
    let ask = |body| cached.answered(&caller, cached.inbound(body, &[]));
    assert_eq!(ask(ASK).unwrap().0.cache, CacheOutcome::Miss);
    // The call has taken more than there was. What is refused does not count.
    let another = ASK.replace("Hi", "Ho");
    assert!(matches!(ask(&another), Err(ChatError::LimitReached(_))));
    assert_eq!(ask(ASK).unwrap().0.cache, CacheOutcome::Hit);
    assert!(matches!(ask(ASK), Err(ChatError::LimitReached(_))));
    assert_eq!(cached.requests(), 1);
}

#[test]
fn a_stream_is_given_again_as_a_stream_byte_for_byte() {
    let pieces = CHUNKS.as_bytes().chunks(50);
    let steps: Vec<Step> = pieces
        .map(|piece| Step::Piece(Bytes::copy_from_slice(piece)))
        .collect();
    let cached = Cached::of([Act::stream(steps)]);
    let (outcome, first) = cached.ask(STREAM);
    assert_eq!(outcome, CacheOutcome::Miss);
    assert_eq!(cached.ask(STREAM), (CacheOutcome::Hit, first));
    let call = cached.last();
    assert_eq!((call.streamed, call.usage), (true, Usage::text(1_000, 100)));
    assert_eq!(call.saved_usd, Some("0.0014".parse().unwrap()));
    assert!(call.time_to_first_token_ms.is_some());
}

#[test]
fn an_answer_changes_its_form_for_whoever_wants_it_otherwise() {
    let cached = Cached::of([Act::stream([piece(CHUNKS)])]);
    assert!(!cached.ask(STREAM).1.contains("prompt_tokens"));
    let (outcome, whole) = cached.ask(ASK);
    assert_eq!(outcome, CacheOutcome::Hit);
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello there");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(whole["usage"]["prompt_tokens"], 1_000);
    assert_eq!(whole["id"], "chatcmpl-c1");
    let with_usage = STREAM.replace("true,", "true,\"stream_options\":{\"include_usage\":true},");
    let (outcome, stream) = cached.ask(&with_usage);
    assert_eq!(outcome, CacheOutcome::Hit);
    assert!(stream.contains("\"prompt_tokens\":1000"), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");

    let cached = Cached::of([Act::whole(200, ANSWER)]);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
    let (outcome, stream) = cached.ask(STREAM);
    assert_eq!(outcome, CacheOutcome::Hit);
    assert!(stream.contains("Hello there") && stream.ends_with("data: [DONE]\n\n"));
}

const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello there"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}"#;
const CLAUDE_EVENTS: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello there\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// The text that every string under `name` makes together.
fn texts(value: &Value, name: &str, out: &mut String) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                match value {
                    Value::String(text) if member == name => out.push_str(text),
                    _ => texts(value, name, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, out)),
        _ => {}
    }
}

#[test]
fn every_face_gets_its_answers_again_whole_and_streamed_whichever_came_first() {
    let faces: [(&'static dyn Face, Recorded, Value, &str); 5] = [
        (
            &OpenaiChat,
            Recorded::OpenaiChat,
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            "content",
        ),
        (
            &AnthropicMessages,
            Recorded::Anthropic,
            json!({"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
            "text",
        ),
        (
            &OpenaiResponses,
            Recorded::OpenaiResponses,
            json!({"input": "Hi", "store": false}),
            "text",
        ),
        (
            &CohereChat,
            Recorded::Cohere,
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            "text",
        ),
        (
            &Gemini,
            Recorded::Gemini,
            json!({"contents": [{"parts": [{"text": "Hi"}]}]}),
            "text",
        ),
    ];
    for (face, name, mut body, field) in faces {
        let is_gemini = name == Recorded::Gemini;
        if !is_gemini {
            body["model"] = json!("claude");
        }
        let whole = body.to_string();
        // Gemini says it in the URL; the label only tells the test so, and changes no answer.
        body[if is_gemini { "labels" } else { "stream" }] = if is_gemini {
            json!({"a": "streamed"})
        } else {
            json!(true)
        };
        let stream = body.to_string();
        for (first, then, act) in [
            (&whole, &stream, Act::whole(200, CLAUDE)),
            (&stream, &whole, Act::stream([piece(CLAUDE_EVENTS)])),
        ] {
            let cached = Cached::of([act]);
            let (outcome, answer) = cached.ask_at(face, name, first);
            assert_eq!(outcome, CacheOutcome::Miss, "{name:?}");
            let (outcome, again) = cached.ask_at(face, name, first);
            assert_eq!(outcome, CacheOutcome::Hit, "{name:?}");
            if name != Recorded::OpenaiResponses {
                assert_eq!(again, answer);
            }
            let (outcome, other) = cached.ask_at(face, name, then);
            assert_eq!(outcome, CacheOutcome::Hit, "{name:?}");
            assert_eq!(cached.requests(), 1);
            assert_eq!(cached.last().usage, Usage::text(5, 2));
            let documents: Vec<Value> = if then == &whole {
                vec![serde_json::from_str(&other).unwrap()]
            } else {
                let data = other.lines().filter_map(|line| line.strip_prefix("data: "));
                data.filter_map(|data| serde_json::from_str(data).ok())
                    .collect()
            };
            let mut said = String::new();
            for document in &documents {
                texts(document, field, &mut said);
            }
            assert!(said.contains("Hello there"), "{name:?}: {other}");
        }
    }
}

#[test]
fn an_array_of_geminis_is_no_event_stream() {
    let cached = Cached::of([
        Act::stream([piece(CLAUDE_EVENTS)]),
        Act::stream([piece(CLAUDE_EVENTS)]),
    ]);
    let body = r#"{"contents":[{"parts":[{"text":"Hi"}]}],"labels":{"a":"streamed"}}"#;
    let (outcome, array) = cached.ask_at(&GeminiArray, Recorded::Gemini, body);
    assert_eq!(outcome, CacheOutcome::Miss);
    assert_eq!(
        cached.ask_at(&GeminiArray, Recorded::Gemini, body),
        (CacheOutcome::Hit, array)
    );
    assert_eq!(
        cached.ask_at(&Gemini, Recorded::Gemini, body).0,
        CacheOutcome::Miss
    );
}

fn of_responses(cached: &Cached, body: &str) -> Inbound {
    let mut inbound = cached.stage.inbound(body);
    inbound.face = &OpenaiResponses;
    inbound.face_name = Recorded::OpenaiResponses;
    inbound
}

#[test]
fn an_answer_of_responses_has_an_identifier_of_its_own_for_everyone() {
    for streamed in [false, true] {
        let act = if streamed {
            Act::stream([piece(CLAUDE_EVENTS)])
        } else {
            Act::whole(200, CLAUDE)
        };
        let cached = Cached::of([act, Act::whole(200, CLAUDE)]);
        let body = json!({"model": "claude", "input": "Hi", "stream": streamed}).to_string();
        let (_, first) = cached.ask_at(&OpenaiResponses, Recorded::OpenaiResponses, &body);
        let other = caller(Rate::default(), None);
        let inbound = of_responses(&cached, &body);
        let (facts, second) = cached.answered(&other, inbound).unwrap();
        assert_eq!(facts.cache, CacheOutcome::Hit);
        let id = |answer: &str| {
            let (_, rest) = answer.split_once("resp_").unwrap();
            format!("resp_{}", rest.split('"').next().unwrap())
        };
        assert_ne!(id(&first), id(&second));
        assert!(!second.contains(&id(&first)));
        // Whoever got it may go on from it, and nobody else.
        let more = json!({"model": "claude", "input": "More", "previous_response_id": id(&second)})
            .to_string();
        let inbound = || of_responses(&cached, &more);
        let refused = cached.answered(&cached.stage.caller, inbound());
        assert!(matches!(refused, Err(ChatError::NotKept { .. })));
        assert_eq!(
            cached.answered(&other, inbound()).unwrap().0.cache,
            CacheOutcome::Miss
        );
    }
}

#[test]
fn the_same_request_under_way_is_sent_once() {
    let cached = Cached::of([Act::stream([piece(CHUNKS)])]);
    let stage = &cached.stage;
    let Ok(Reply::Stream { stream, .. }) = run(
        &stage.clock,
        stage
            .gateway
            .chat(&stage.caller, cached.inbound(STREAM, &[])),
    ) else {
        panic!("a stream was asked for")
    };
    let mut follower = pin!(stage.gateway.chat(&stage.caller, cached.inbound(ASK, &[])));
    assert!(poll(follower.as_mut()).is_pending());
    collect(&stage.clock, stream);
    let Reply::Whole { facts, .. } = run(&stage.clock, follower).unwrap() else {
        panic!("no stream was asked for")
    };
    assert_eq!((facts.cache, cached.requests()), (CacheOutcome::Hit, 1));
    assert_eq!(cached.cache.stats().followed, 1);
    assert_eq!(stage.heard.calls().len(), 2);
}

#[test]
fn whoever_waits_goes_itself_when_the_one_that_leads_hangs_up_or_fails_or_takes_too_long() {
    // It hangs up before there is an answer.
    let cached = Cached::of([Act::Hang, Act::whole(200, ANSWER)]);
    let stage = &cached.stage;
    let mut leader = Box::pin(stage.gateway.chat(&stage.caller, cached.inbound(ASK, &[])));
    assert!(poll(leader.as_mut()).is_pending());
    let mut follower = pin!(stage.gateway.chat(&stage.caller, cached.inbound(ASK, &[])));
    assert!(poll(follower.as_mut()).is_pending());
    drop(leader);
    assert!(poll(follower.as_mut()).is_ready());
    assert_eq!(cached.requests(), 2);

    // It hangs up in the middle of its stream.
    let start = CHUNKS.split_inclusive("\n\n").next().unwrap();
    let cached = Cached::of([
        Act::stream([piece(start), Step::Hang]),
        Act::stream([piece(CHUNKS)]),
    ]);
    let stage = &cached.stage;
    let Ok(Reply::Stream { mut stream, .. }) = run(
        &stage.clock,
        stage
            .gateway
            .chat(&stage.caller, cached.inbound(STREAM, &[])),
    ) else {
        panic!("a stream was asked for")
    };
    assert!(poll(pin!(stream.next())).is_ready());
    let mut follower = pin!(
        stage
            .gateway
            .chat(&stage.caller, cached.inbound(STREAM, &[]))
    );
    assert!(poll(follower.as_mut()).is_pending());
    drop(stream);
    assert!(poll(follower.as_mut()).is_ready());
    assert_eq!(cached.requests(), 2);

    // It takes longer than is waited for.
    let cached = Cached::of([Act::Hang, Act::whole(200, ANSWER)]);
    let stage = &cached.stage;
    let mut leader = Box::pin(stage.gateway.chat(&stage.caller, cached.inbound(ASK, &[])));
    assert!(poll(leader.as_mut()).is_pending());
    let mut follower = pin!(stage.gateway.chat(&stage.caller, cached.inbound(ASK, &[])));
    assert!(poll(follower.as_mut()).is_pending());
    stage.clock.forward(Duration::from_secs(29));
    assert!(poll(follower.as_mut()).is_pending());
    stage.clock.forward(Duration::from_secs(1));
    assert!(poll(follower.as_mut()).is_ready());
    drop(leader);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Hit);
}

#[test]
fn replicas_share_their_answers_and_do_without_them() {
    let shelf = Arc::new(Shelf::default());
    let shared = || Some(Arc::clone(&shelf) as Arc<dyn SharedCache>);
    let mut one = Cached::with(rules(), shared(), [Act::whole(200, ANSWER)]);
    let other = Cached::with(rules(), shared(), [Act::whole(200, ANSWER)]);
    assert_eq!(one.ask(ASK).0, CacheOutcome::Miss);
    one.finish_work();
    assert_eq!(other.ask(ASK), (CacheOutcome::Hit, ANSWER.to_owned()));
    assert_eq!((other.requests(), other.cache.stats().shared_hits), (0, 1));
    // It is remembered by now.
    shelf.is_away.store(true, Ordering::Relaxed);
    assert_eq!(other.ask(ASK).0, CacheOutcome::Hit);
    assert_eq!(other.ask(&ASK.replace("Hi", "Ho")).0, CacheOutcome::Miss);
    assert_eq!(other.cache.stats().shared_failures, 1);
}

#[test]
fn what_was_found_wrong_and_what_is_purged_is_gone_everywhere() {
    let shelf = Arc::new(Shelf::default());
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let mut cached = Cached::with(rules(), Some(shelf.clone()), acts);
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
    cached.finish_work();
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Hit);
    let hit = cached.last().request_id;
    let others = CacheTenant {
        organization_id: Some("org_00000000000000000000000000000009".parse().unwrap()),
        project_id: None,
    };
    let evict = |request, tenant| run(&cached.stage.clock, cached.cache.evict(request, tenant));
    assert_eq!(evict(hit, others).unwrap(), Evicted::Told);
    assert!(!shelf.kept.lock().unwrap().is_empty());
    let everybody = CacheTenant::default();
    assert_eq!(evict(hit, everybody).unwrap(), Evicted::Here);
    assert_eq!(evict(request_id(), everybody).unwrap(), Evicted::Told);
    assert!(shelf.kept.lock().unwrap().is_empty());
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
    cached.finish_work();
    let elsewhere = CacheTenant {
        project_id: Some(elsewhere(&cached.stage).project_id()),
        ..CacheTenant::default()
    };
    assert_eq!(
        run(&cached.stage.clock, cached.cache.purge(elsewhere)).unwrap(),
        0
    );
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Hit);
    let everything = CacheTenant::default();
    assert_eq!(
        run(&cached.stage.clock, cached.cache.purge(everything)).unwrap(),
        1
    );
    assert!(shelf.kept.lock().unwrap().is_empty());
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
}

#[test]
fn what_one_replica_forgets_the_others_forget_as_well() {
    let shelf = Arc::new(Shelf::default());
    let of = |acts: usize| {
        let acts = (0..acts).map(|_| Act::whole(200, ANSWER));
        Cached::on(Stage::of(acts), Some(Arc::clone(&shelf)))
    };
    let (mut one, two) = (of(2), of(1));
    let follow = |mark: Option<&ForgottenMark>| {
        run(&two.stage.clock, two.cache.follow(mark))
            .unwrap()
            .unwrap()
    };
    let mark = follow(None);
    one.ask(ASK);
    one.finish_work();
    assert_eq!(two.ask(ASK).0, CacheOutcome::Hit);
    let evicted = one
        .cache
        .evict(one.last().request_id, CacheTenant::default());
    assert_eq!(run(&one.stage.clock, evicted).unwrap(), Evicted::Here);
    assert_eq!(
        two.ask(ASK).0,
        CacheOutcome::Hit,
        "it has not heard of it yet"
    );
    let mark = follow(Some(&mark));
    assert_eq!(two.ask(ASK).0, CacheOutcome::Miss);
    let purged = one.cache.purge(CacheTenant::default());
    run(&one.stage.clock, purged).unwrap();
    assert_eq!(two.cache.stats().entries, 1);
    follow(Some(&mark));
    assert_eq!(two.cache.stats().entries, 0);
}

#[test]
fn feedback_reaches_the_replica_that_gave_the_answer() {
    let shelf = Arc::new(Shelf::default());
    let of = |acts: usize| {
        let acts = (0..acts).map(|_| Act::whole(200, ANSWER));
        Cached::on(Stage::of(acts), Some(Arc::clone(&shelf)))
    };
    let (mut one, two, three) = (of(2), of(1), of(1));
    let follow = |replica: &Cached, mark: Option<&ForgottenMark>| {
        run(&replica.stage.clock, replica.cache.follow(mark)).unwrap()
    };
    let mark = follow(&one, None);
    one.ask(ASK);
    one.finish_work();
    assert_eq!(two.ask(ASK).0, CacheOutcome::Hit);
    let everybody = CacheTenant::default();
    let told = three.cache.evict(one.last().request_id, everybody);
    assert_eq!(run(&three.stage.clock, told).unwrap(), Evicted::Told);
    // The one that gave it forgets it, and tells those that have it as well.
    follow(&one, mark.as_ref());
    assert!(shelf.kept.lock().unwrap().is_empty());
    follow(&two, mark.as_ref());
    assert_eq!(two.cache.stats().entries, 0);
    assert_eq!(one.ask(ASK).0, CacheOutcome::Miss);
    // Nobody else is asked where nothing is shared.
    let alone = Cached::of([]);
    let unknown = alone.cache.evict(request_id(), everybody);
    assert_eq!(run(&alone.stage.clock, unknown).unwrap(), Evicted::Unknown);
}

#[test]
fn vectors_are_given_again_and_pictures_are_not_looked_for() {
    const VECTORS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"model":"gpt-x","usage":{"prompt_tokens":7,"total_tokens":7}}"#;
    let cached = Cached::of([Act::whole(200, VECTORS)]);
    let ask = |body: &str| {
        let stage = &cached.stage;
        let chat = stage.inbound(body);
        let inbound: Inbound<dyn Task> = Inbound {
            request_id: chat.request_id,
            started_at: chat.started_at,
            received: chat.received,
            face: &OpenaiEmbeddings,
            face_name: Recorded::Openai,
            asked: chat.asked,
            body: chat.body,
            client_request_id: None,
            batch_id: None,
            traceparent: None,
            wishes: None,
            report: ReportWanted::default(),
        };
        match run(&stage.clock, stage.gateway.perform(&stage.caller, inbound)).unwrap() {
            Reply::Whole { facts, body, .. } => (facts.cache, body),
            Reply::Stream { .. } => panic!("vectors are no stream"),
        }
    };
    let (outcome, first) = ask(r#"{"model":"gpt","input":"Hi"}"#);
    assert_eq!(outcome, CacheOutcome::Miss);
    let (outcome, again) = ask(r#"{"input":"Hi","user":"u","model":"gpt"}"#);
    assert_eq!((outcome, again), (CacheOutcome::Hit, first));
    let call = cached.last();
    assert_eq!(
        (call.state, call.usage.input_tokens),
        (CallState::Settled, 7)
    );
    assert_eq!(cached.requests(), 1);
}

#[test]
fn an_entry_is_read_as_it_was_written_and_nothing_else_is_read() {
    let cached = Cached::of([Act::whole(200, ANSWER)]);
    cached.ask(ASK);
    let (_, entry) = cached.cache.memory.iter().next().unwrap();
    let bytes = entry.to_bytes().unwrap();
    assert_eq!(Entry::from_bytes(&bytes).as_ref(), Some(&*entry));
    for length in [0, 3, 4, 40] {
        assert_eq!(Entry::from_bytes(&bytes.slice(..length)), None);
    }
    let clock: &Hand = &cached.stage.clock;
    assert!(entry.is_fresh(clock.now(), Some(Duration::ZERO)));
}
