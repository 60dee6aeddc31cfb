use domain::usage::Usage;
use proptest::prelude::*;
use providers::anthropic::AnthropicMessages;
use providers::exchange::Exchange;
use providers::openai::OpenaiChat;

use super::*;

const OPENAI: &str = concat!(
    ": odd\r\n\r\n",
    "data:{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Grüße, 世界\"},\"finish_reason\":null}],\"unknown\":9007199254740993}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100,\"total_tokens\":1100}}\n\n",
    "data: [DONE]\n\n",
);
const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1000,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße, 世界"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":100}}

event: message_stop
data: {"type":"message_stop"}

"#;

fn pipeline(is_verbatim: bool, withhold_usage: bool, reports: bool) -> Pipeline {
    let exchange = Exchange {
        streamed: true,
        ..Exchange::default()
    };
    let passage = if is_verbatim {
        Passage::Verbatim {
            withhold_usage,
            exchange,
            left_out: domain::chat::Conversion::default(),
        }
    } else {
        Passage::Translated {
            exchange,
            report: domain::chat::Conversion::default(),
        }
    };
    let rendering = Rendering {
        id: "req_1".to_owned(),
        created: jiff::Timestamp::UNIX_EPOCH,
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    };
    let dialect: &dyn Dialect = if is_verbatim {
        &OpenaiChat
    } else {
        &AnthropicMessages
    };
    Pipeline::new(&OpenaiChat, dialect, &passage, &rendering, reports, None)
}

/// Sends `stream` through in pieces that end at `cuts`; answers what the caller gets and what was read.
fn through(
    mut pipeline: Pipeline,
    stream: &str,
    cuts: &[prop::sample::Index],
    report: Option<&Value>,
) -> (String, Observed) {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(stream.as_bytes());
    let mut start = 0;
    for end in ends {
        pipeline.push(rest.split_to(end - start), &mut out).unwrap();
        start = end;
    }
    pipeline.finish(End::Clean, &mut out).unwrap();
    pipeline.close(report, &mut out);
    let observed = pipeline.observed().clone();
    (String::from_utf8(out.concat()).unwrap(), observed)
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #[test]
    fn bytes_pass_untouched_however_they_are_cut(cuts in cuts()) {
        let (text, observed) = through(pipeline(true, false, false), OPENAI, &cuts, None);
        prop_assert_eq!(text, OPENAI);
        prop_assert_eq!(observed.usage, Some(Usage::text(1_000, 100)));
        prop_assert_eq!(observed.output_bytes, "Grüße, 世界".len() as u64);
    }

    #[test]
    fn only_the_withheld_usage_is_missing_however_the_bytes_are_cut(cuts in cuts()) {
        let (text, observed) = through(pipeline(true, true, false), OPENAI, &cuts, None);
        let usage = OPENAI.split_inclusive("\n\n").find(|event| event.contains("\"usage\""));
        prop_assert_eq!(text, OPENAI.replace(usage.unwrap(), ""));
        prop_assert_eq!(observed.usage, Some(Usage::text(1_000, 100)));
    }

    #[test]
    fn a_report_stands_before_the_end_however_the_bytes_are_cut(cuts in cuts()) {
        let report = serde_json::json!({"cost": "0.1"});
        let (text, _) = through(pipeline(true, false, true), OPENAI, &cuts, Some(&report));
        let (before, after) = OPENAI.split_once("data: [DONE]").unwrap();
        prop_assert!(text.starts_with(before) && text.ends_with(after));
        prop_assert!(text.contains(r#""trunkline":{"cost":"0.1"}"#), "{}", text);
        prop_assert_eq!(text.matches("[DONE]").count(), 1);
    }

    #[test]
    fn a_translation_says_the_same_however_the_bytes_are_cut(cuts in cuts()) {
        let (whole, _) = through(pipeline(false, false, false), ANTHROPIC, &[], None);
        let (text, observed) = through(pipeline(false, false, false), ANTHROPIC, &cuts, None);
        prop_assert!(text.ends_with("data: [DONE]\n\n"), "{}", text);
        prop_assert_eq!(text, whole);
        prop_assert_eq!(observed.usage, Some(Usage::text(1_000, 100)));
    }
}

#[test]
fn what_the_tap_cannot_read_passes_all_the_same() {
    let mut pipeline = pipeline(true, false, false);
    let mut out = Vec::new();
    let garbage = Bytes::from_static(b"data: {not json}\n\ndata: [DONE]\n\n");
    assert_eq!(pipeline.push(garbage.clone(), &mut out), Ok(()));
    assert_eq!(out, [garbage]);
    assert_eq!(
        pipeline.error().map(|error| error.cause),
        Some(Cause::Malformed)
    );
    assert!(pipeline.finish(End::Clean, &mut out).is_err());
}
