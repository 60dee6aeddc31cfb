//! What must hold for any bytes: neither the decoder nor the face panics, and how a stream is cut does not
//! matter.

use std::path::PathBuf;
use std::time::Duration;

use bolero::check;
use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use proptest::prelude::*;
use serde_json::Value;

use super::AnthropicMessages;
use super::stream::Decoder;
use crate::collect::Collector;
use crate::dialect::{End, StreamDecoder};
use crate::exchange::Exchange;
use crate::face::{Asked, Face as _, Rendering};

/// What comes of a stream in these pieces: its events, and the error if there is one.
fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, end: End) -> String {
    let mut decoder = Decoder::new(Exchange {
        answer_tool: Some("weather".to_owned()),
        ..Exchange::default()
    });
    let mut events = Vec::new();
    let result = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(end, &mut events));
    render(&events);
    format!("{events:#?}\n{result:?}")
}

/// Whatever was decoded can be rendered: as a stream, and as a whole.
pub(super) fn render(events: &[ChatEvent]) -> (BytesMut, Value) {
    let rendering = Rendering {
        id: "req_1".to_owned(),
        created: "2026-11-05T12:00:00Z".parse().unwrap(),
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 1,
        asked: Bytes::new(),
    };
    let mut encoder = AnthropicMessages.encoder(&rendering);
    let mut collector = Collector::default();
    let mut out = BytesMut::new();
    for event in events {
        encoder.push(event, &mut out);
        collector.push(event.clone());
    }
    encoder.finish(None, &mut out);
    let whole = AnthropicMessages.render(&collector.finish(), &rendering, None);
    (out, serde_json::from_slice(&whole).unwrap())
}

/// The recorded streams.
fn streams() -> Vec<Vec<u8>> {
    recorded("stream.txt")
}

/// The files of this name.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/anthropic/fixtures");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join(name)).ok())
        .collect();
    files.sort();
    assert!(files.len() > 10, "only {} of {name}", files.len());
    files
}

#[test]
fn single_bytes_give_the_same_events_as_the_whole() {
    for stream in streams() {
        for end in [End::Clean, End::Broken] {
            assert_eq!(
                outcome(stream.chunks(1), end),
                outcome([stream.as_slice()], end)
            );
        }
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in prop::sample::select(streams()),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
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
        prop_assert_eq!(outcome(pieces, End::Clean), outcome([stream.as_slice()], End::Clean));
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            outcome([bytes], End::Clean);
        });
}

#[test]
fn no_order_of_known_events_makes_the_decoder_panic() {
    let events: Vec<Vec<u8>> = streams()
        .iter()
        .filter_map(|stream| std::str::from_utf8(stream).ok())
        .flat_map(|stream| stream.split_inclusive("\n\n"))
        .map(|event| event.as_bytes().to_vec())
        .collect();
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|order: &[u8]| {
            let chosen = order
                .chunks(2)
                .map(|pair| {
                    pair.iter()
                        .fold(0, |sum, byte| sum * 256 + usize::from(*byte))
                })
                .map(|choice| events.get(choice % events.len()).unwrap().as_slice());
            outcome(chosen, End::Broken);
        });
}

/// Everything that the face does with a request.
fn ask(body: &[u8]) {
    let asked = Asked::default();
    if let Ok(request) = AnthropicMessages.parse(&asked, body) {
        for path in ["messages[1].tool_calls[0].function.arguments", "ü[", ""] {
            AnthropicMessages.field(&request, path);
        }
    }
    if let Ok(envelope) = AnthropicMessages.envelope(&asked, body) {
        let body = Bytes::copy_from_slice(body);
        let spliced = AnthropicMessages.splice(&envelope, &body, "m").body;
        assert!(AnthropicMessages.envelope(&asked, &spliced).is_ok());
    }
}

#[test]
fn no_bytes_make_the_face_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            ask(bytes);
            let mut relay = AnthropicMessages.relay(false);
            let mut out = BytesMut::new();
            relay.push(bytes, &mut out);
            relay.finish(None, &mut out);
            assert_eq!(out, bytes);
        });
}

proptest! {
    #[test]
    fn no_slip_in_a_request_makes_the_face_panic(
        mut request in prop::sample::select(recorded("request.json")),
        slips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..6),
    ) {
        for (place, byte, is_printable) in slips {
            let place = place.index(request.len());
            request[place] = if is_printable { b' ' + byte % 95 } else { byte };
        }
        ask(&request);
    }
}
