//! What must hold for any bytes: the decoders do not panic, and how a stream is cut does not matter.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bolero::check;
use domain::chat::ChatEvent;
use proptest::prelude::*;

use super::stream::Decoder;
use super::{decode, error, schema, usage};
use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::exchange::Exchange;

/// What comes of a stream in these pieces.
fn decoded<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    end: End,
) -> (Vec<ChatEvent>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(&Exchange::default());
    let mut events = Vec::new();
    let result = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(end, &mut events));
    (events, result)
}

/// The same, to be compared.
fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, end: End) -> String {
    let (events, result) = decoded(pieces, end);
    format!("{events:#?}\n{result:?}")
}

/// The recorded streams.
fn streams() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/gemini/fixtures");
    let mut streams: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join("stream.txt")).ok())
        .collect();
    streams.sort();
    assert!(streams.len() > 10, "only {} streams", streams.len());
    streams
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in prop::sample::select(streams()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for place in places {
            let (piece, after) = rest.split_at(place - (stream.len() - rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(outcome(pieces, End::Clean), outcome([stream.as_slice()], End::Clean));
    }

    #[test]
    fn a_damaged_stream_finishes_what_it_began_or_says_that_it_failed(
        stream in prop::sample::select(streams()),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        is_cut in any::<bool>(),
    ) {
        let mut stream = stream;
        let place = place.index(stream.len());
        if is_cut {
            stream.truncate(place);
        } else if let Some(damaged) = stream.get_mut(place) {
            *damaged = byte;
        }
        let (events, result) = decoded([stream.as_slice()], End::Broken);
        let mut open = BTreeSet::new();
        for event in &events {
            match event {
                ChatEvent::Text { choice, .. } => {
                    open.insert(*choice);
                }
                ChatEvent::Finish { choice, .. } => {
                    open.remove(choice);
                }
                _ => {}
            }
        }
        let told = events.iter().any(|event| matches!(event, ChatEvent::Error(_)));
        prop_assert!(open.is_empty() || told || result.is_err());
        prop_assert_eq!(
            outcome(stream.chunks(1), End::Broken),
            outcome([stream.as_slice()], End::Broken)
        );
    }
}

#[test]
fn no_bytes_make_the_stream_decoder_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            let whole = outcome([bytes], End::Broken);
            assert_eq!(outcome(bytes.chunks(3), End::Broken), whole);
        });
}

#[test]
fn no_bytes_make_the_other_readers_panic() {
    check!()
        .with_test_time(Duration::from_secs(1))
        .for_each(|bytes: &[u8]| {
            let head = http::Response::new(()).into_parts().0;
            let now = jiff::Timestamp::UNIX_EPOCH;
            let answer = decode::response(&Exchange::default(), &head, bytes);
            assert!(answer.is_err() || bytes.contains(&b'{'));
            assert!(!error::of_response(&head, bytes, now).message.is_empty());
            if let Ok(Some(usage)) = usage::extract(bytes) {
                assert!(usage.checked().is_ok());
            }
            if let Ok(text) = std::str::from_utf8(bytes) {
                let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
                assert!(schema::to_openapi(text, "tools").is_err() || is_json);
            }
        });
}
