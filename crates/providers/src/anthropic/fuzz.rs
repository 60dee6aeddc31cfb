//! What must hold for any bytes: the decoder does not panic, and how they are cut does not matter.

use std::path::PathBuf;
use std::time::Duration;

use bolero::check;
use proptest::prelude::*;

use super::stream::Decoder;
use crate::dialect::{End, StreamDecoder};
use crate::exchange::Exchange;

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
    format!("{events:#?}\n{result:?}")
}

/// The recorded streams.
fn streams() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/anthropic/fixtures");
    let mut streams: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join("stream.txt")).ok())
        .collect();
    streams.sort();
    assert!(streams.len() > 10, "only {} streams", streams.len());
    streams
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
