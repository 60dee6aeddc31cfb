//! Whatever bytes come, nothing panics, and cutting them changes nothing. Seconds each; `cargo bolero test`
//! runs the same harnesses for longer.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use proptest::prelude::*;
use serde_json::json;

use super::OpenaiChat;
use crate::dialect::{Dialect, End};
use crate::exchange::Exchange;
use crate::face::{Asked, Envelope, Face, Rendering};

const TIME: Duration = Duration::from_secs(2);

fn rendering() -> Rendering {
    Rendering {
        id: "chatcmpl-1".to_owned(),
        created: "2026-11-05T12:00:00Z".parse().unwrap(),
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    }
}

/// The events and whether the stream was refused.
fn decode(pieces: &[&[u8]]) -> (Vec<ChatEvent>, bool) {
    let mut decoder = OpenaiChat.decoder(&Exchange::default());
    let mut events = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(End::Clean, &mut events));
    (events, result.is_err())
}

fn relay(pieces: &[&[u8]], withhold_usage: bool) -> BytesMut {
    let mut relay = OpenaiChat.relay(withhold_usage);
    let mut out = BytesMut::new();
    for piece in pieces {
        if relay.passes(piece) {
            out.extend_from_slice(piece);
        } else {
            relay.push(piece, &mut out);
        }
    }
    relay.finish(None, &mut out);
    out
}

#[test]
fn no_stream_panics_the_decoder_and_its_events_can_be_rendered() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            let mut encoder = OpenaiChat.encoder(&rendering());
            let mut out = BytesMut::new();
            for event in decode(&[input]).0 {
                encoder.push(&event, &mut out);
            }
            encoder.finish(None, &mut out);
        });
}

#[test]
fn no_data_of_an_event_panics_the_decoder() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            decode(&[b"data: {\"choices\":[{\"delta\":", input, b"}]}\n\n"]);
        });
}

#[test]
fn no_body_panics_the_face_or_the_dialect() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            let head = http::Response::new(()).into_parts().0;
            drop(OpenaiChat.parse(&Asked::default(), input));
            drop(OpenaiChat.decode(&Exchange::default(), &head, input));
            OpenaiChat.decode_error(&head, input, rendering().created);
            drop(OpenaiChat.usage(input));
            OpenaiChat.attach_report(Bytes::copy_from_slice(input), &serde_json::Value::Null);
            if let Ok(envelope) = OpenaiChat.envelope(&Asked::default(), input) {
                let body = Bytes::copy_from_slice(input);
                let spliced = OpenaiChat.splice(&envelope, &body, "m");
                assert!(
                    OpenaiChat
                        .envelope(&Asked::default(), &spliced.body)
                        .is_ok()
                );
            }
        });
}

/// Pieces of streams, well-formed and not, so that random sequences reach deep.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("data: {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"grüß 😀\"}}]}\n\n".to_owned()),
        Just("data: {\"choices\":[{\"index\":1,\"delta\":{\"reasoning_content\":\"hm\"}}]}\r\n\r\n".to_owned()),
        Just("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\r\r".to_owned()),
        Just("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n".to_owned()),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n".to_owned()),
        Just("data: [DONE]\n\n".to_owned()),
        Just("data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned()),
        Just(": comment\n".to_owned()),
        Just("data: {\"choices\":\ndata: []}\n\n".to_owned()),
        Just("{\"error\":\"whole\"}".to_owned()),
        "[\\x00-\\x7f]{0,12}",
        Just("\n".to_owned()),
        Just("\r".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

/// The same bytes, cut where the numbers say.
fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for length in lengths.iter().cycle() {
        if rest.is_empty() || lengths.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The same bytes, cut behind every pair of line feeds: as providers write them, an event at a time.
fn at_events(bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, b"\n\n") {
        let (piece, after) = rest.split_at(at + 2);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_events(bytes in stream(), lengths in proptest::collection::vec(1_usize..40, 1..8)) {
        let whole = decode(&[&bytes]);
        let pieces = decode(&cut(&bytes, &lengths));
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", pieces));
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", decode(&at_events(&bytes))));
    }

    #[test]
    fn chunks_that_are_alike_are_read_as_if_each_came_alone(
        pieces in proptest::collection::vec((0_u8..3, "([a-z\"\\\\ü😀{}\n]|\\PC){0,6}", "[a-z]{0,3}"), 0..12),
        pads in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        let mut expected = (String::new(), String::new(), String::new());
        for (kind, piece, padding) in &pieces {
            let delta = match kind {
                0 => {
                    expected.0.push_str(piece);
                    json!({"content": piece})
                }
                1 => {
                    expected.1.push_str(piece);
                    json!({"content": "", "reasoning_content": piece})
                }
                _ => {
                    expected.2.push_str(piece);
                    json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
                }
            };
            let mut chunk = json!({"id": "a", "choices": [{"index": 0, "delta": delta}], "usage": null});
            if pads {
                chunk["obfuscation"] = padding.as_str().into();
            }
            bytes.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
        }
        let mut read = (String::new(), String::new(), String::new());
        for event in decode(&[&bytes]).0 {
            match event {
                ChatEvent::Text { text, .. } => read.0.push_str(&text),
                ChatEvent::Reasoning { text, .. } => read.1.push_str(&text),
                ChatEvent::ToolCallArguments { fragment, .. } => read.2.push_str(&fragment),
                _ => {}
            }
        }
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_relay_that_withholds_nothing_changes_no_byte(bytes in stream(), lengths in proptest::collection::vec(1_usize..40, 1..8)) {
        prop_assert_eq!(&relay(&cut(&bytes, &lengths), false)[..], &bytes[..]);
        prop_assert_eq!(&relay(&at_events(&bytes), false)[..], &bytes[..]);
    }

    #[test]
    fn a_relay_withholds_the_same_in_any_split(bytes in stream(), lengths in proptest::collection::vec(1_usize..40, 1..8)) {
        prop_assert_eq!(relay(&[&bytes], true), relay(&cut(&bytes, &lengths), true));
        prop_assert_eq!(relay(&[&bytes], true), relay(&at_events(&bytes), true));
    }

    #[test]
    fn a_splice_changes_the_model_and_nothing_else(
        model in "[a-z\"\\\\/é.-]{1,20}",
        before in "( |\t|\n){0,3}",
        number in "-?[1-9][0-9]{0,30}",
        stream in any::<bool>(),
    ) {
        let body = format!(
            "{before}{{\"x\":{number},{before}\"model\":{before}\"old\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"\\u00e9\"}}],\"y\":null}}{before}"
        );
        let envelope = OpenaiChat.envelope(&Asked::default(), body.as_bytes()).unwrap();
        let spliced = OpenaiChat.splice(&envelope, &Bytes::from(body.clone()), &model);
        let written = serde_json::to_string(&model).unwrap();
        let asking = if stream { ",\"stream_options\":{\"include_usage\":true}" } else { "" };
        let expected = body.replacen("\"old\"", &format!("{written}{asking}"), 1);
        prop_assert_eq!(std::str::from_utf8(&spliced.body).unwrap(), expected);
        prop_assert_eq!(spliced.withhold_usage, stream);
        let Envelope { model: read, stream_usage, .. } = OpenaiChat.envelope(&Asked::default(), &spliced.body).unwrap();
        prop_assert_eq!(read.as_str(), &model);
        prop_assert_eq!(stream_usage, stream);
    }
}

/// The events of a stream whose text comes in these pieces, with thoughts between tags.
fn thinking(texts: &[&str], is_cut: bool) -> Vec<ChatEvent> {
    let mut stream = String::new();
    for text in texts {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
        write!(stream, "data: {chunk}\n\n").unwrap();
    }
    stream.push_str("data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n");
    let exchange = Exchange {
        thinks_in_tags: true,
        ..Exchange::default()
    };
    let mut decoder = OpenaiChat.decoder(&exchange);
    let mut events = Vec::new();
    let size = if is_cut { 1 } else { stream.len() };
    for piece in stream.as_bytes().chunks(size) {
        decoder.push(piece, &mut events).unwrap();
    }
    decoder.finish(End::Clean, &mut events).unwrap();
    events
}

#[test]
fn thoughts_between_tags_are_told_from_text_in_any_pieces_and_nothing_is_lost() {
    const PIECES: [&str; 12] = [
        "<think>", "</think>", "<", "/", "think", ">", "\n", " ", "a", "é", "</thi", "nk>",
    ];
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            let texts: Vec<&str> = input
                .iter()
                .map(|byte| PIECES[usize::from(*byte) % PIECES.len()])
                .collect();
            let events = thinking(&texts, false);
            assert_eq!(
                format!("{events:?}"),
                format!("{:?}", thinking(&texts, true))
            );
            let mut told = (String::new(), String::new());
            for event in &events {
                match event {
                    ChatEvent::Reasoning { text, .. } => told.0.push_str(text),
                    ChatEvent::Text { text, .. } => told.1.push_str(text),
                    _ => {}
                }
            }
            let whole = texts.concat();
            let expected = match whole.trim_start().strip_prefix("<think>") {
                None => ("", whole.as_str()),
                Some(rest) => match rest.split_once("</think>") {
                    Some((thoughts, text)) => (thoughts.trim(), text.trim_start()),
                    None => (rest.trim(), ""),
                },
            };
            assert_eq!((told.0.as_str(), told.1.as_str()), expected);
        });
}
