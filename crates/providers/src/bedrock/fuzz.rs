//! What must hold for any bytes: nothing panics, and how a stream is cut does not matter.

use std::time::Duration;

use bolero::check;
use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use jiff::Timestamp;
use proptest::prelude::*;

use super::{AnthropicOnBedrock, BedrockConverse};
use crate::dialect::{Dialect, End};
use crate::exchange::Exchange;
use crate::framing::event_stream::{Header, Message};

/// Events of both formats, in an order that makes sense for Converse's.
const EVENTS: [(&str, &str); 22] = [
    ("messageStart", r#"{"role":"assistant"}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm."}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":1,"delta":{"text":"Grüße"},"p":"abc"}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":1,"delta":{"citation":{"title":"t","source":"https://a"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
    (
        "contentBlockStart",
        r#"{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t","name":"look"}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
    (
        "contentBlockStart",
        r#"{"contentBlockIndex":3,"start":{"toolUse":{"toolUseId":"t","name":"answer"}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":3,"delta":{"toolUse":{"input":"{}"}}}"#,
    ),
    (
        "contentBlockStart",
        r#"{"contentBlockIndex":4,"start":{"image":{"format":"png"}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":4,"delta":{"image":{"source":{"bytes":"AAAA"}}}}"#,
    ),
    (
        "contentBlockStart",
        r#"{"contentBlockIndex":5,"start":{"toolResult":{"toolUseId":"t"}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":5,"delta":{"toolResult":[{"text":"x"}]}}"#,
    ),
    ("somethingNew", r#"{"a":[1]}"#),
    ("chunk", r#"{"bytes":"eyJ0eXBlIjoicGluZyJ9"}"#),
    ("chunk", r#"{"bytes":"AA=="}"#),
    (
        "messageStop",
        r#"{"stopReason":"tool_use","additionalModelResponseFields":{"stop_sequence":null}}"#,
    ),
    (
        "metadata",
        r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":4},"trace":{}}"#,
    ),
    (
        "metadata",
        r#"{"usage":{"inputTokens":18446744073709551615,"outputTokens":2,"cacheReadInputTokens":9}}"#,
    ),
];

fn message(name: &str, payload: impl Into<Bytes>) -> Vec<u8> {
    let message = Message {
        headers: vec![
            Header::text(":message-type", "event"),
            Header::text(":event-type", name),
        ],
        payload: payload.into(),
    };
    message.encode().unwrap().to_vec()
}

fn known() -> Vec<Vec<u8>> {
    let known = EVENTS.iter();
    known
        .map(|(name, payload)| message(name, *payload))
        .collect()
}

/// What comes of a stream in these pieces: its events, and the error if there is one.
fn outcome<'a>(
    dialect: &dyn Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    end: End,
) -> String {
    let mut decoder = dialect.decoder(&Exchange {
        answer_tool: Some("answer".to_owned()),
        ..Exchange::default()
    });
    let mut events = Vec::new();
    let result = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(end, &mut events));
    format!("{events:#?}\n{result:?}")
}

fn reframed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (BytesMut, bool) {
    let mut reframer = AnthropicOnBedrock.reframer().unwrap();
    let mut out = BytesMut::new();
    let result = pieces
        .into_iter()
        .try_for_each(|piece| reframer.push(piece, &mut out));
    (out, result.is_ok())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        order in prop::collection::vec(prop::sample::select(known()), 0..12),
        garbage in prop::collection::vec(any::<u8>(), 0..6),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = [order.concat(), garbage].concat();
        let mut places: Vec<usize> = cuts.drain(..).map(|cut| cut.index(stream.len() + 1)).collect();
        places.sort_unstable();
        let mut rest = stream.as_slice();
        let mut taken = 0;
        let mut pieces = Vec::new();
        for place in places {
            let (piece, tail) = rest.split_at(place - taken);
            pieces.push(piece);
            (rest, taken) = (tail, place);
        }
        pieces.push(rest);
        for dialect in [&BedrockConverse as &dyn Dialect, &AnthropicOnBedrock] {
            prop_assert_eq!(
                outcome(dialect, pieces.iter().copied(), End::Clean),
                outcome(dialect, [stream.as_slice()], End::Clean)
            );
        }
        prop_assert_eq!(reframed(pieces), reframed([stream.as_slice()]));
    }
}

#[test]
fn an_answer_in_order_is_whole() {
    let mut decoder = BedrockConverse.decoder(&Exchange::default());
    let mut events = Vec::new();
    for bytes in known() {
        decoder.push(&bytes, &mut events).unwrap();
    }
    decoder.finish(End::Clean, &mut events).unwrap();
    assert!(matches!(events.first(), Some(ChatEvent::Start { .. })));
    assert!(matches!(events.last(), Some(ChatEvent::Finish { .. })));
}

#[test]
fn no_bytes_make_the_stream_decoders_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            let (name, payload) = bytes.split_at(bytes.len().min(3));
            let place = name.iter().map(|byte| usize::from(*byte)).sum::<usize>();
            let known = EVENTS.get(place % EVENTS.len()).unwrap();
            let framed = message(known.0, payload.to_vec());
            for stream in [bytes, framed.as_slice()] {
                outcome(&BedrockConverse, [stream], End::Clean);
                outcome(&AnthropicOnBedrock, [stream], End::Broken);
                reframed([stream]);
            }
        });
}

#[test]
fn no_order_of_known_events_makes_the_stream_decoders_panic() {
    let known = known();
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|order: &[u8]| {
            let chosen = order.iter().map(|byte| {
                known
                    .get(usize::from(*byte) % known.len())
                    .unwrap()
                    .as_slice()
            });
            outcome(&BedrockConverse, chosen.clone(), End::Broken);
            outcome(&AnthropicOnBedrock, chosen.clone(), End::Clean);
            reframed(chosen);
        });
}

#[test]
fn no_body_makes_the_decoders_panic() {
    let now: Timestamp = "2026-11-05T12:00:00Z".parse().unwrap();
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|body: &[u8]| {
            let head = |status: u16| {
                let head = http::Response::builder().status(status);
                head.body(()).unwrap().into_parts().0
            };
            let cut = body.len() / 2;
            let (content, rest) = body.split_at(cut);
            let answer = [
                br#"{"output":{"message":{"content":["#.as_slice(),
                content,
                br#"]}},"usage":{"inputTokens":1,"outputTokens":1},"trace":"#,
                rest,
                b"}",
            ]
            .concat();
            for body in [body, answer.as_slice()] {
                let _answer = BedrockConverse.decode(&Exchange::default(), &head(200), body);
                BedrockConverse.decode_error(&head(400), body, now);
                let _usage = BedrockConverse.usage(body);
            }
        });
}
