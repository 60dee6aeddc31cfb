use std::time::Duration;

use domain::call::Face as Recorded;
use domain::usage::Usage;
use providers::anthropic::AnthropicMessages;
use providers::kind::ProviderKind;
use serde_json::{Value, json};

use super::*;
use crate::chat::{Inbound, ReportWanted};
use crate::reply::Reply;
use crate::testing::{Act, Rules, Stage, run};

/// An answer in Anthropic's format.
const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":2}}"#;

/// A system prompt of so many tokens, as they are estimated, that begins with a word.
fn long(word: &str, tokens: usize) -> String {
    format!("{word} {}", "word".repeat(tokens))
}

fn body(system: &str, turns: &[&str]) -> String {
    let turns = turns.iter().enumerate().map(|(index, text)| {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": text})
    });
    let turns: Vec<Value> = turns.collect();
    json!({"model": "claude", "max_tokens": 9, "system": system, "messages": turns}).to_string()
}

struct Helped {
    stage: Stage,
}

impl Helped {
    fn of(prompt_cache: PromptCaching, requests: usize) -> Self {
        let rules = Rules {
            kind: Some(ProviderKind::Anthropic),
            prompt_cache,
            ..Rules::default()
        };
        let acts = (0..requests).map(|_| Act::whole(200, ANSWER));
        Self {
            stage: Stage::with(rules, acts),
        }
    }

    fn inbound(&self, body: &str) -> Inbound {
        Inbound {
            face: &AnthropicMessages,
            face_name: Recorded::Anthropic,
            ..self.stage.inbound(body)
        }
    }

    /// What was sent for this, and what the caller was told of it.
    fn sent(&self, inbound: Inbound) -> (Value, Value) {
        let inbound = Inbound {
            report: ReportWanted {
                conversion: true,
                ..ReportWanted::default()
            },
            ..inbound
        };
        let chat = self.stage.gateway.chat(&self.stage.caller, inbound);
        let Reply::Whole { body, .. } = run(&self.stage.clock, chat).unwrap() else {
            panic!("a whole answer");
        };
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let sent = self.stage.script.sent.lock().unwrap().pop().unwrap();
        (
            serde_json::from_slice(sent.request.body()).unwrap(),
            answer["trunkline"]["conversion"]["changed"].clone(),
        )
    }

    fn ask(&self, body: &str) -> (Value, Value) {
        self.sent(self.inbound(body))
    }
}

fn is_marked(content: &Value) -> bool {
    content[0]["cache_control"] == json!({"type": "ephemeral"})
}

#[test]
fn a_system_prompt_that_comes_again_is_marked_and_the_caller_is_told() {
    let helped = Helped::of(PromptCaching::Auto, 4);
    let system = long("Be kind.", 5_000);
    let (first, told) = helped.ask(&body(&system, &["One"]));
    assert_eq!(first["system"], json!(system));
    assert_eq!(told, json!([]));
    let (second, told) = helped.ask(&body(&system, &["Two"]));
    assert!(is_marked(&second["system"]), "{second}");
    assert_eq!(second["system"][0]["text"], json!(system));
    assert_eq!(
        second["messages"],
        json!([{"role": "user", "content": "Two"}])
    );
    assert_eq!(told[0]["field"], "cache_control");
    // Another's prompts are another's, and so is what is too short, and what comes too late.
    let (short, _) = helped.ask(&body("Be brief.", &["One"]));
    assert_eq!(short["system"], "Be brief.");
    helped.stage.clock.forward(Duration::from_mins(6));
    let (late, _) = helped.ask(&body(&system, &["Three"]));
    assert_eq!(late["system"], json!(system));
}

#[test]
fn a_conversation_that_goes_on_is_marked_where_it_ended_and_where_it_ends() {
    let helped = Helped::of(PromptCaching::Auto, 2);
    let question = long("Why?", 5_000);
    helped.ask(&body("S", &[&question]));
    let (second, _) = helped.ask(&body("S", &[&question, "Because.", "And then?"]));
    assert!(is_marked(&second["messages"][0]["content"]), "{second}");
    assert_eq!(second["messages"][1]["content"], "Because.");
    assert!(is_marked(&second["messages"][2]["content"]), "{second}");
}

#[test]
fn a_translated_request_is_helped_in_the_same_way() {
    let helped = Helped::of(PromptCaching::Auto, 2);
    let system = long("Be kind.", 5_000);
    let of_openai = json!({"model": "claude", "messages": [
        {"role": "system", "content": system}, {"role": "user", "content": "One"},
    ]});
    let ask = || helped.sent(helped.stage.inbound(&of_openai.to_string()));
    assert!(!is_marked(&ask().0["system"]));
    let (second, told) = ask();
    assert!(is_marked(&second["system"]), "{second}");
    assert!(
        told.to_string().contains("prompt-cache breakpoints"),
        "{told}"
    );
}

#[test]
fn nothing_is_touched_where_it_is_not_wanted_or_the_caller_has_placed_its_own() {
    let system = long("Be kind.", 5_000);
    let off = Helped::of(PromptCaching::Off, 2);
    let own = Helped::of(PromptCaching::Auto, 2);
    let text = json!([{"type": "text", "text": system}, {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]);
    let placed = json!({"model": "claude", "max_tokens": 9, "system": text, "messages": [{"role": "user", "content": "One"}]});
    for _ in 0..2 {
        assert_eq!(off.ask(&body(&system, &["One"])).0["system"], json!(system));
        assert_eq!(own.ask(&placed.to_string()).0["system"], text);
    }
}

#[test]
fn reads_pay_for_writes_at_the_prices_of_the_model() {
    let facts = crate::catalog::Catalog::builtin();
    let of = |model: &str| {
        let facts = facts.find("anthropic", model);
        reads_that_pay(facts, Timestamp::UNIX_EPOCH)
    };
    // A quarter more to write, nine tenths less to read.
    let enough = of("claude-3-5-sonnet").unwrap();
    assert!((enough - 0.25 / 0.9).abs() < 0.001, "{enough}");
    assert_eq!(of("claude-2"), None, "it has no price for reading");
    let unknown = reads_that_pay(None, Timestamp::UNIX_EPOCH).unwrap();
    assert!((unknown - enough).abs() < 0.001);
}

mod watched {
    use domain::call::{Call, CallObserver};
    use domain::event::EventKind;
    use jiff::SignedDuration;

    use super::*;
    use crate::testing::{Zeros, call};

    fn wrote(read: u64, written: u64, at: i64) -> Call {
        let at = Timestamp::from_second(at).unwrap();
        let mut attempts = call().attempts;
        attempts[0].model = "claude".to_owned();
        Call {
            provider: Some("sim".parse().unwrap()),
            attempts,
            started_at: at,
            ended_at: at,
            usage: Usage {
                cached_input_tokens: read,
                cache_write_5m_tokens: written,
                ..Usage::text(read + written + 10, 5)
            },
            ..call()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    const RULES: WatchRules = WatchRules {
        tokens: 10_000,
        share: 0.5,
    };

    #[test]
    fn what_is_read_in_time_is_not_unread() {
        let (watch, mut alarms) = Watch::new(RULES);
        // A conversation: each request reads what the one before wrote.
        for turn in 0..5 {
            watch.ended(
                &wrote(turn * 9_000, 9_000, i64::try_from(turn).unwrap()),
                None,
            );
        }
        assert_eq!(
            watch.sweep(at(4 + 300)),
            9_000,
            "only what the last one wrote"
        );
        assert!(alarms.try_recv().is_err());
    }

    #[test]
    fn what_nobody_reads_is_told_of_once_a_day() {
        let (watch, mut alarms) = Watch::new(RULES);
        for number in 0..4 {
            watch.ended(&wrote(0, 4_000, number), None);
        }
        assert_eq!(watch.sweep(at(200)), 0, "it may still be read");
        assert_eq!(watch.sweep(at(400)), 16_000);
        let alarm = alarms.try_recv().unwrap();
        assert_eq!(
            (alarm.written_tokens, alarm.unread_tokens),
            (16_000, 16_000)
        );
        let event = alarm.event(at(400), &Zeros);
        assert_eq!(event.kind, EventKind::PromptCacheUnread);
        assert!(event.mark.ends_with("/1970-01-01"), "{}", event.mark);
        watch.ended(&wrote(0, 40_000, 500), None);
        watch.sweep(at(900));
        assert!(alarms.try_recv().is_err(), "once a day");
        watch.ended(&wrote(0, 40_000, 90_000), None);
        watch.sweep(at(90_400));
        assert!(alarms.try_recv().is_ok());
    }

    #[test]
    fn the_report_says_what_was_wasted_and_what_was_saved() {
        let stage = Stage::of([]);
        let (watch, _alarms) = Watch::new(RULES);
        // The simulated models' prices: $1.00 a million tokens, $1.25 written, $0.10 read.
        watch.ended(&wrote(0, 1_000_000, 0), None);
        watch.ended(&wrote(1_000_000, 0, 10), None);
        watch.ended(&wrote(0, 1_000_000, 20), None);
        watch.sweep(at(1_000));
        let routes = stage.gateway.routes();
        let report = watch.report(None, &routes, at(1_000));
        let [line] = report.lines.as_slice() else {
            panic!("one line: {report:?}");
        };
        assert_eq!(
            (line.written_tokens, line.read_tokens, line.unread_tokens),
            (2_000_000, 1_000_000, 1_000_000)
        );
        assert_eq!(line.wasted_usd, Some("0.25".parse().unwrap()));
        assert_eq!(line.saved_usd, Some("0.9".parse().unwrap()));
        let other = "org_00000000000000000000000000000009".parse().unwrap();
        assert!(
            watch
                .report(Some(other), &routes, at(1_000))
                .lines
                .is_empty()
        );
        // What is not heard of any more is forgotten.
        let long_after = at(1_000)
            .checked_add(SignedDuration::from_hours(25))
            .unwrap();
        watch.sweep(long_after);
        assert!(watch.report(None, &routes, long_after).lines.is_empty());
    }
}
