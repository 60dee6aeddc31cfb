//! What must hold for any bytes: the caller's side does not panic, and refuses what it cannot read.

use std::path::PathBuf;
use std::time::Duration;

use bolero::check;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{ChunkRelay, Framing, custody, envelope, parse};
use crate::face::{Asked, StreamRelay};

fn asked() -> Asked {
    Asked {
        model: Some("m".parse().unwrap()),
        stream: Some(true),
        ..Asked::default()
    }
}

/// The recorded requests of callers.
fn requests() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/gemini/fixtures");
    let mut requests: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("target.json").exists())
        .filter_map(|folder| std::fs::read(folder.join("request.json")).ok())
        .filter(|body| body.windows(10).any(|window| window == b"\"contents\""))
        .collect();
    requests.sort();
    assert!(requests.len() > 20, "only {} requests", requests.len());
    requests
}

/// What is read before anything is decided is no stricter than the whole.
fn read(body: &[u8]) {
    let parsed = parse::request(&asked(), body);
    let envelope = envelope::read(&asked(), body);
    if let Ok(request) = parsed {
        let envelope = envelope.unwrap();
        assert_eq!(request.choices, envelope.choices);
        assert_eq!(request.max_output_tokens, envelope.max_output_tokens);
        assert!(!request.messages.is_empty());
    }
    let spliced = envelope::splice(&Bytes::copy_from_slice(body)).body;
    assert!(spliced == body || custody::without_seals(body).is_some());
}

proptest! {
    #[test]
    fn a_damaged_request_is_read_or_refused(
        body in prop::sample::select(requests()),
        place in any::<prop::sample::Index>(),
        piece in prop::collection::vec(any::<u8>(), 0..4),
        removed in 0_usize..40,
    ) {
        let mut body = body;
        let start = place.index(body.len());
        let end = body.len().min(start + removed);
        body.splice(start..end, piece);
        read(&body);
    }
}

#[test]
fn no_bytes_make_the_reader_of_requests_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| read(bytes));
}

#[test]
fn no_bytes_make_the_relay_panic_and_any_split_relays_the_same() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            let relayed = |framing, size| {
                let mut relay = ChunkRelay::new(framing);
                let mut out = BytesMut::new();
                for piece in bytes.chunks(size) {
                    relay.push(piece, &mut out);
                }
                relay.finish(None, &mut out);
                out
            };
            assert_eq!(relayed(Framing::Events, 3), bytes);
            assert_eq!(
                relayed(Framing::ARRAY, 3),
                relayed(Framing::ARRAY, bytes.len().max(1))
            );
        });
}
