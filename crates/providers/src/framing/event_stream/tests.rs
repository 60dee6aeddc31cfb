use std::time::Duration;

use bolero::check;
use proptest::prelude::*;

use super::*;

/// Messages as bytes, from AWS's published test vectors and from a second implementation.
const EMPTY: &str = "000000100000000005c248eb7d98c8ff";
const PAYLOAD: &str = "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936";
const EVENT: &str = "000000760000005296d5fade0b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22726f6c65223a22617373697374616e74227d6fa8c599";
const EVERY_TYPE: &str = "0000006a0000004dbecd8da8017400016601016202ff017303fffe0169040000a00c016c0500000000028757b2017906000200ff0178070002c3bc017708000000020516b5c80175090102030405060708090a0b0c0d0e0f107b27666f6f273a27626172277dab06d33e";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Message>, Result<(), EventStreamError>) {
    let mut decoder = EventStreamDecoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, decoder.finish())
}

fn every_type() -> Message {
    let header = |name: &str, value| Header {
        name: name.to_owned(),
        value,
    };
    Message {
        headers: vec![
            header("t", HeaderValue::Bool(true)),
            header("f", HeaderValue::Bool(false)),
            header("b", HeaderValue::Byte(-1)),
            header("s", HeaderValue::Short(-2)),
            header("i", HeaderValue::Integer(40_972)),
            header("l", HeaderValue::Long(42_424_242)),
            header("y", HeaderValue::Bytes(Bytes::from_static(b"\x00\xff"))),
            header("x", HeaderValue::Text("ü".to_owned())),
            header("w", HeaderValue::Timestamp(8_675_309_000)),
            header(
                "u",
                HeaderValue::Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
            ),
        ],
        payload: Bytes::from_static(b"{'foo':'bar'}"),
    }
}

#[test]
fn published_messages_are_read_and_written() {
    let cases = [
        (EMPTY, Message::default()),
        (
            PAYLOAD,
            Message {
                payload: Bytes::from_static(b"{'foo':'bar'}"),
                ..Message::default()
            },
        ),
        (
            EVENT,
            Message {
                headers: vec![
                    Header::text(":event-type", "messageStart"),
                    Header::text(":content-type", "application/json"),
                    Header::text(":message-type", "event"),
                ],
                payload: Bytes::from_static(br#"{"role":"assistant"}"#),
            },
        ),
        (EVERY_TYPE, every_type()),
    ];
    for (hex, message) in cases {
        let wire = bytes(hex);
        assert_eq!(decode([wire.as_slice()]), (vec![message.clone()], Ok(())));
        assert_eq!(message.encode().unwrap(), wire);
    }
}

#[test]
fn a_header_is_found_by_its_name_where_it_is_text() {
    let message = every_type();
    assert_eq!(message.text("x"), Some("ü"));
    assert_eq!(message.text("i"), None);
    assert_eq!(message.text(":event-type"), None);
}

#[test]
fn any_split_gives_the_same_messages() {
    let wire: Vec<u8> = [EMPTY, EVENT, EVERY_TYPE]
        .into_iter()
        .flat_map(bytes)
        .collect();
    let whole = decode([wire.as_slice()]);
    assert_eq!(whole.0.len(), 3);
    for at in 0..=wire.len() {
        let (left, right) = wire.split_at(at);
        assert_eq!(decode([left, right]), whole, "split at {at}");
    }
    assert_eq!(decode(wire.chunks(1)), whole);
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let wire = bytes(EVENT);
    for place in 0..wire.len() {
        let mut damaged = wire.clone();
        if let Some(byte) = damaged.get_mut(place) {
            *byte ^= 1;
        }
        let (messages, result) = decode([damaged.as_slice()]);
        assert!(messages.is_empty(), "byte {place}");
        assert_eq!(result, Err(EventStreamError::Checksum), "byte {place}");
    }
}

#[test]
fn a_stream_that_ends_within_a_message_is_cut() {
    let wire = bytes(EVENT);
    for length in 1..wire.len() {
        let piece = wire.get(..length).unwrap();
        assert_eq!(decode([piece]), (vec![], Err(EventStreamError::Truncated)));
    }
}

fn prelude(total: u32, headers: u32) -> Vec<u8> {
    let mut wire = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    let checksum = crc32fast::hash(&wire);
    wire.extend(checksum.to_be_bytes());
    wire
}

#[test]
fn a_message_above_the_bound_is_refused_at_its_prelude() {
    let wire = prelude(16 * 1024 * 1024 + 1, 0);
    assert_eq!(decode([wire.as_slice()]).1, Err(EventStreamError::TooLarge));
    let message = Message {
        payload: Bytes::from(vec![0; MAX_MESSAGE]),
        ..Message::default()
    };
    assert_eq!(message.encode(), Err(EventStreamError::TooLarge));
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    for (total, headers) in [(15, 0), (16, 1), (0, 0), (100, u32::MAX)] {
        let wire = prelude(total, headers);
        assert_eq!(
            decode([wire.as_slice()]).1,
            Err(EventStreamError::Lengths),
            "{total} {headers}"
        );
    }
}

fn with_headers(headers: &[u8]) -> Vec<u8> {
    let total = u32::try_from(PRELUDE + headers.len() + CHECKSUM).unwrap();
    let mut wire = prelude(total, u32::try_from(headers.len()).unwrap());
    wire.extend(headers);
    let checksum = crc32fast::hash(&wire);
    wire.extend(checksum.to_be_bytes());
    wire
}

#[test]
fn a_header_that_is_cut_or_of_an_unknown_type_is_refused() {
    let cases: [&[u8]; 6] = [
        &[1],
        &[1, b'a'],
        &[1, b'a', 10],
        &[1, b'a', 4, 0, 0],
        &[1, b'a', 7, 0, 2, b'x'],
        &[1, 0xff, 0],
    ];
    for headers in cases {
        assert_eq!(
            decode([with_headers(headers).as_slice()]).1,
            Err(EventStreamError::Header),
            "{headers:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        name in "[a-z:-]{0,40}",
        value in ".{0,200}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let message = Message {
            headers: vec![Header::text(name, value)],
            payload: payload.into(),
        };
        let wire = message.encode().unwrap();
        let (left, right) = wire.split_at(cut.index(wire.len() + 1));
        prop_assert_eq!(decode([left, right]), (vec![message], Ok(())));
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            // What is behind right lengths and checksums is reached only when they are made right.
            let _messages = decode([with_headers(bytes).as_slice()]);
            let _messages = decode([bytes]);
        });
}
