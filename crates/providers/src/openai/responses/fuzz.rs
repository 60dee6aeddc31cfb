//! Whatever bytes come, nothing panics, and cutting them changes nothing. Seconds each; `cargo bolero test`
//! runs the same harnesses for longer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use proptest::prelude::*;
use serde_json::json;

use super::OpenaiResponses;
use super::state::Keeping;
use crate::dialect::{Dialect, End};
use crate::exchange::Exchange;
use crate::face::{Asked, Face, Rendering};

const TIME: Duration = Duration::from_secs(2);

fn rendering() -> Rendering {
    Rendering {
        id: "req_1".to_owned(),
        created: "2026-11-05T12:00:00Z".parse().unwrap(),
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    }
}

/// The events and whether the stream was refused.
fn decode(pieces: &[&[u8]]) -> (Vec<ChatEvent>, bool) {
    let mut decoder = OpenaiResponses.decoder(&Exchange::default());
    let mut events = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(End::Clean, &mut events));
    (events, result.is_err())
}

fn render(events: &[ChatEvent]) {
    let mut encoder = OpenaiResponses.encoder(&rendering());
    let mut out = BytesMut::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    encoder.finish(None, &mut out);
}

#[test]
fn no_stream_panics_the_decoder_and_its_events_can_be_rendered() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| render(&decode(&[input]).0));
}

#[test]
fn no_data_of_an_event_panics_the_decoder() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            render(&decode(&[b"data: {\"type\":\"response.", input, b"}\n\n"]).0);
            render(
                &decode(&[
                    b"data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"",
                    input,
                    b"}}\n\n",
                ])
                .0,
            );
        });
}

#[test]
fn no_body_panics_the_face_or_the_dialect() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            let head = http::Response::new(()).into_parts().0;
            drop(OpenaiResponses.parse(&Asked::default(), input));
            drop(OpenaiResponses.decode(&Exchange::default(), &head, input));
            drop(Keeping::read(input));
            let item = [
                br#"{"model":"m","input":[{"type":""#.as_slice(),
                input,
                br#""}]}"#.as_slice(),
            ]
            .concat();
            drop(OpenaiResponses.parse(&Asked::default(), &item));
            OpenaiResponses.attach_report(Bytes::copy_from_slice(input), &serde_json::Value::Null);
            if let Ok(envelope) = OpenaiResponses.envelope(&Asked::default(), input) {
                let body = Bytes::copy_from_slice(input);
                let spliced = OpenaiResponses.splice(&envelope, &body, "m");
                let again = OpenaiResponses.envelope(&Asked::default(), &spliced.body);
                assert!(again.is_ok());
            }
        });
}

/// Pieces of streams, well-formed and not, so that random sequences reach deep.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let item = |kind: &str, item: serde_json::Value| {
        let event = json!({"type": format!("response.output_item.{kind}"), "output_index": 0, "item": item});
        format!("event: x\ndata: {event}\n\n")
    };
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""});
    let done = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let thought = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "gAAAA"});
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]});
    let piece = prop_oneof![
        Just("data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"m\"}}\n\n".to_owned()),
        Just("data: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"delta\":\"grüß 😀\"}\r\n\r\n".to_owned()),
        Just("data: {\"type\":\"response.output_text.done\",\"output_index\":2,\"text\":\"whole\"}\n\n".to_owned()),
        Just("data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"{\"}\r\r".to_owned()),
        Just("data: {\"type\":\"response.function_call_arguments.done\",\"output_index\":0,\"arguments\":\"{}\"}\n\n".to_owned()),
        Just("data: {\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":3,\"delta\":\"hm\"}\n\n".to_owned()),
        Just("data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n".to_owned()),
        Just("data: {\"type\":\"error\",\"message\":\"no\"}\n\n".to_owned()),
        Just("data: [DONE]\n\n".to_owned()),
        Just(": comment\n".to_owned()),
        Just("{\"error\":\"whole\"}".to_owned()),
        Just(item("added", call)),
        Just(item("done", done)),
        Just(item("done", thought)),
        Just(item("done", message)),
        "[\\x00-\\x7f]{0,12}",
        Just("\n".to_owned()),
        Just("\r".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

fn relay(pieces: &[&[u8]], report: Option<&serde_json::Value>) -> BytesMut {
    let mut relay = OpenaiResponses.relay(false);
    let mut out = BytesMut::new();
    for piece in pieces {
        relay.push(piece, &mut out);
    }
    relay.finish(report, &mut out);
    out
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_events(bytes in stream(), length in 1_usize..40) {
        let whole = decode(&[&bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(length).collect();
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", decode(&pieces)));
    }

    #[test]
    fn a_relay_without_a_report_changes_no_byte(bytes in stream(), length in 1_usize..40) {
        let pieces: Vec<&[u8]> = bytes.chunks(length).collect();
        prop_assert_eq!(&relay(&pieces, None)[..], &bytes[..]);
    }

    #[test]
    fn a_relay_puts_the_report_in_the_same_place_in_any_split(bytes in stream(), length in 1_usize..40) {
        let report = json!({"cost": "0.1"});
        let pieces: Vec<&[u8]> = bytes.chunks(length).collect();
        prop_assert_eq!(relay(&pieces, Some(&report)), relay(&[&bytes], Some(&report)));
    }
}
