use serde_json::json;

use domain::tenant::{self, ProjectSettings};

use super::*;
use crate::routes::flag::Flag;
use crate::routes::inquiry::Inquiry;
use crate::routes::rollout::Percent;

fn verdict_of(text: &str, inquiry: &Inquiry) -> Verdict {
    let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let beta = Flag {
        projects: Vec::new(),
        percent: Percent::ALL,
    };
    let flags = Flags::new([("beta".to_owned(), beta)]);
    condition.verdict(&inquiry.question(), &flags)
}

fn holds(text: &str, inquiry: &Inquiry) -> bool {
    match verdict_of(text, inquiry) {
        Verdict::Holds => true,
        Verdict::DoesNotHold => false,
        Verdict::Failed(why) => panic!("{text}: {why}"),
    }
}

fn refusal(text: &str) -> (String, String) {
    let refused = Condition::parse(text).expect_err(text);
    (refused.problem, refused.remedy.unwrap_or_default())
}

#[test]
fn every_name_can_be_asked_for() {
    let inquiry = Inquiry::default();
    for name in super::resolve::NAMES {
        assert!(holds(&format!("{name} == {name}"), &inquiry), "{name}");
    }
    for name in super::resolve::MAPS {
        assert!(
            holds(&format!("!('nothing' in {name})"), &inquiry),
            "{name}"
        );
    }
}

#[test]
fn a_condition_sees_the_request_and_who_asks() {
    let inquiry = Inquiry {
        streamed: true,
        max_output_tokens: Some(300),
        ..Inquiry::with_body(&json!({
            "metadata": { "tier": "gold", "seats": 12 },
            "user": "ann",
            "tools": [{ "type": "function" }],
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Ich möchte morgen früh mit dem Zug nach Hamburg fahren und suche noch eine günstige Verbindung." }] }],
        }))
    };
    let inquiry = inquiry.header("x-team", "search");
    for text in [
        "caller.key == 'test' && caller.role == 'member'",
        "caller.project == caller.project && caller.organization != ''",
        "request.model == 'fast' && request.operation == 'chat'",
        "request.stream && request.tools && request.messages == 1",
        "request.input_tokens > 60 && request.input_tokens < 120",
        "request.max_output_tokens <= 300",
        "request.language == 'de'",
        "request.user == 'ann'",
        "headers['x-team'] == 'search' && 'x-team' in headers",
        "metadata.tier == 'gold' && metadata['seats'] == '12'",
        "has(metadata.tier) && !has(metadata.colour)",
        "metadata.tier in ['gold', 'silver']",
        "['gold', 'silver'].exists(tier, tier == metadata.tier)",
        "headers['x-team'].matches('^sea.*h$')",
        "metadata.tier.upperAscii() == 'GOLD'",
        "flags.beta",
        "time.hour >= 15 && time.hour < 16 && time.weekday == 6",
    ] {
        assert!(holds(text, &inquiry), "{text}");
    }
    assert!(!holds("request.language == 'en'", &inquiry));
}

#[test]
fn what_cannot_be_told_counts_as_not_fulfilled_and_says_why() {
    let inquiry = Inquiry::default();
    for (text, why) in [
        ("headers['x-team'] == 'search'", "x-team"),
        ("metadata.tier == 'gold'", "tier"),
        ("flags.beta ? request.model : 'x'", "not true or false"),
        ("1 / (request.messages - 1) == 1", "zero"),
    ] {
        match verdict_of(text, &inquiry) {
            Verdict::Failed(said) => assert!(said.contains(why), "{text}: {said}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_never_a_condition_whatever_is_asked_is_refused_when_it_is_read() {
    for (text, problem) in [
        ("1 + 1", "it is int, not true or false"),
        ("request.model", "it is string, not true or false"),
        ("request.input_tokens > 'many'", "int"),
        (
            "time.hour == 1 && request.stream + 1 > 2",
            "Bool(true), Int(1)",
        ),
    ] {
        let (refused, _) = refusal(text);
        assert!(refused.contains(problem), "{text}: {refused}");
    }
    // What the values decide is found out when they are there.
    for text in [
        "request.input_tokens / request.max_output_tokens > 9",
        "caller.key.substring(3) == 'batch'",
        "int(request.user) % 2 == 0",
    ] {
        assert!(Condition::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn a_typing_error_is_found_when_the_expression_is_read() {
    for (text, problem, remedy) in [
        (
            "request.langauge == 'de'",
            "there is no `request.langauge`",
            "did you mean `request.language`?",
        ),
        (
            "header['x-team'] == ''",
            "there is no `header`",
            "did you mean `headers`?",
        ),
        ("caller == 'x'", "there is no `caller`", "did you mean"),
        (
            "request.model.startWith('x')",
            "no function `startWith`",
            "did you mean `startsWith`?",
        ),
        ("metadata.tier == ", "at column", ""),
        ("", "at column", ""),
        ("metadata.tier.matches('(')", "not a regular expression", ""),
    ] {
        let (said, suggested) = refusal(text);
        assert!(said.contains(problem), "{text}: {said}");
        assert!(suggested.contains(remedy), "{text}: {suggested}");
    }
}

#[test]
fn secrets_of_the_caller_are_not_seen() {
    for text in [
        "headers['authorization'] == 'x'",
        "headers.cookie == 'x'",
        "headers['X-API-Key'] != ''",
    ] {
        assert!(refusal(text).0.contains("secret"), "{text}");
    }
    let inquiry = Inquiry::default().header("authorization", "Bearer tl_secret");
    assert!(holds(
        "!headers.exists(name, name == 'authorization')",
        &inquiry
    ));
}

#[test]
fn what_would_take_long_is_refused() {
    let (said, _) = refusal("headers.exists(a, headers.exists(b, a == b))");
    assert!(said.contains("every item"), "{said}");
    let (said, _) = refusal("'x'.matches(headers['x-pattern'])");
    assert!(said.contains("pattern"), "{said}");
    let (said, _) = refusal(&format!(
        "request.model == '{}'",
        "x".repeat(MAX_EXPRESSION)
    ));
    assert!(said.contains("longer"), "{said}");
}

#[test]
fn what_a_projects_record_says_of_a_flag_wins() {
    let record = |flag: tenant::Flag| {
        let settings = ProjectSettings {
            flags: [("beta".to_owned(), flag)].into(),
            ..ProjectSettings::default()
        };
        let inquiry = Inquiry::default();
        let caller = inquiry.caller.clone();
        Inquiry {
            caller: caller.of_project(Some(Arc::new(settings)), false),
            ..inquiry
        }
    };
    assert!(holds("flags.beta", &Inquiry::default()));
    assert!(!holds("flags.beta", &record(tenant::Flag::Switch(false))));
    let warm = record(tenant::Flag::Variant("warm".to_owned()));
    assert!(holds("flags.beta == 'warm'", &warm));
    assert!(!holds("flags.beta == 'cold'", &warm));
}

#[test]
fn a_condition_says_which_flags_it_names() {
    let condition =
        Condition::parse("flags.beta && flags['dark'] && metadata.flags == 'x'").unwrap();
    assert_eq!(condition.flags(), ["beta", "dark"]);
}

#[test]
fn nothing_is_read_that_is_not_asked_for() {
    let inquiry = Inquiry::by("ann", 10);
    let question = inquiry.question();
    let condition = Condition::parse("request.model == 'fast' && caller.key == 'test'").unwrap();
    assert_eq!(
        condition.verdict(&question, &Flags::default()),
        Verdict::Holds
    );
    assert!(question.read.is_empty());
    let condition = Condition::parse("request.user == 'ann'").unwrap();
    assert_eq!(
        condition.verdict(&question, &Flags::default()),
        Verdict::Holds
    );
    assert!(!question.read.is_empty());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,80}") {
            if let Ok(condition) = Condition::parse(&text) {
                prop_assert_eq!(condition.as_str(), text);
            }
        }

        #[test]
        fn no_request_breaks_an_evaluation(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let inquiry = Inquiry { body, ..Inquiry::default() };
            let text = "request.language == 'de' || request.tools || request.user == '' || metadata.x == 'y'";
            let condition = Condition::parse(text).unwrap();
            condition.verdict(&inquiry.question(), &Flags::default());
        }
    }
}
