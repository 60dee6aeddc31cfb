//! Whatever bytes come, nothing panics, and how they are cut does not matter.

use std::path::PathBuf;
use std::time::Duration;

use bolero::check;
use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use proptest::prelude::*;
use serde_json::Value;

use super::CohereChat;
use crate::dialect::{Dialect, End};
use crate::exchange::Exchange;
use crate::face::{Asked, Face, Rendering};

const TIME: Duration = Duration::from_secs(2);

fn rendering() -> Rendering {
    Rendering {
        id: "id".to_owned(),
        created: "2026-11-05T12:00:00Z".parse().unwrap(),
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    }
}

/// The events of a stream in these pieces, and the error if there is one.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, end: End) -> (Vec<ChatEvent>, String) {
    let mut decoder = CohereChat.decoder(&Exchange::default());
    let mut events = Vec::new();
    let result = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(end, &mut events));
    (events, format!("{result:?}"))
}

fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, end: End) -> String {
    format!("{:?}", decode(pieces, end))
}

/// The recorded streams.
fn streams() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cohere/fixtures");
    let mut streams: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            !name.starts_with("face-stream-of-openai")
                && !name.starts_with("face-stream-of-anthropic")
        })
        .filter_map(|path| std::fs::read(path.join("stream.txt")).ok())
        .collect();
    streams.sort();
    assert!(streams.len() > 10, "only {} streams", streams.len());
    streams
}

#[test]
fn single_bytes_give_the_same_events_as_the_whole() {
    for stream in streams() {
        for end in [End::Clean, End::Broken] {
            let whole = outcome([stream.as_slice()], end);
            assert_eq!(outcome(stream.chunks(1), end), whole);
        }
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events_and_the_relay_the_same_bytes(
        stream in prop::sample::select(streams()),
        lengths in proptest::collection::vec(1_usize..60, 1..8),
    ) {
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let whole = outcome([stream.as_slice()], End::Clean);
        prop_assert_eq!(outcome(pieces.iter().copied(), End::Clean), whole);
        let mut relay = CohereChat.relay(false);
        let mut out = BytesMut::new();
        for piece in pieces {
            relay.push(piece, &mut out);
        }
        relay.finish(None, &mut out);
        prop_assert_eq!(&out[..], &stream[..]);
    }
}

#[test]
fn no_stream_panics_the_decoder_and_its_events_can_be_rendered() {
    check!().with_test_time(TIME).for_each(|bytes: &[u8]| {
        let mut encoder = CohereChat.encoder(&rendering());
        let mut out = BytesMut::new();
        for event in decode([bytes], End::Clean).0 {
            encoder.push(&event, &mut out);
        }
        encoder.finish(None, &mut out);
    });
}

#[test]
fn no_order_of_known_events_panics_the_decoder() {
    let events: Vec<Vec<u8>> = streams()
        .iter()
        .filter_map(|stream| std::str::from_utf8(stream).ok())
        .flat_map(|stream| stream.split_inclusive("\n\n"))
        .map(|event| event.as_bytes().to_vec())
        .collect();
    check!().with_test_time(TIME).for_each(|order: &[u8]| {
        let chosen = order.chunks(2).map(|pair| {
            let number = pair
                .iter()
                .fold(0, |sum, byte| sum * 256 + usize::from(*byte));
            events[number % events.len()].as_slice()
        });
        outcome(chosen, End::Broken);
    });
}

#[test]
fn no_body_panics_the_face_or_the_dialect() {
    check!().with_test_time(TIME).for_each(|input: &[u8]| {
        let head = http::Response::new(()).into_parts().0;
        drop(CohereChat.parse(&Asked::default(), input));
        drop(CohereChat.decode(&Exchange::default(), &head, input));
        CohereChat.decode_error(&head, input, rendering().created);
        drop(CohereChat.usage(input));
        let body = Bytes::copy_from_slice(input);
        CohereChat.attach_report(body.clone(), &Value::Null);
        if let Ok(envelope) = CohereChat.envelope(&Asked::default(), input) {
            let spliced = CohereChat.splice(&envelope, &body, "m");
            assert!(
                CohereChat
                    .envelope(&Asked::default(), &spliced.body)
                    .is_ok()
            );
        }
    });
}
