//! Whatever bytes come, nothing panics, and cutting them changes nothing. Seconds each; `cargo bolero test`
//! runs the same harnesses for longer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use proptest::prelude::*;

use super::OpenaiCompletions;
use crate::dialect::{Dialect, End};
use crate::exchange::Exchange;
use crate::face::{Asked, Face, Rendering};

const TIME: Duration = Duration::from_secs(2);

fn decode(pieces: &[&[u8]]) -> (Vec<ChatEvent>, bool) {
    let mut decoder = OpenaiCompletions.decoder(&Exchange::default());
    let mut events = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| decoder.push(piece, &mut events))
        .and_then(|()| decoder.finish(End::Clean, &mut events));
    (events, result.is_err())
}

#[test]
fn no_stream_panics_the_decoder_and_its_events_can_be_rendered() {
    let rendering = Rendering {
        id: "req_1".to_owned(),
        created: "2026-11-05T12:00:00Z".parse().unwrap(),
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::from_static(br#"{"prompt":"P","echo":true}"#),
    };
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            let mut encoder = OpenaiCompletions.encoder(&rendering);
            let mut out = BytesMut::new();
            for event in decode(&[b"data: {\"choices\":[", input, b"]}\n\n", input]).0 {
                encoder.push(&event, &mut out);
            }
            encoder.finish(None, &mut out);
        });
}

#[test]
fn no_body_panics_the_face_or_the_dialect() {
    bolero::check!()
        .with_test_time(TIME)
        .for_each(|input: &[u8]| {
            let head = http::Response::new(()).into_parts().0;
            drop(OpenaiCompletions.envelope(&Asked::default(), input));
            drop(OpenaiCompletions.parse(&Asked::default(), input));
            drop(OpenaiCompletions.decode(&Exchange::default(), &head, input));
        });
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("data: {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"grüß 😀\",\"logprobs\":null,\"finish_reason\":null}]}\n\n".to_owned()),
        Just("data: {\"choices\":[{\"index\":1,\"text\":\"x\",\"logprobs\":{\"tokens\":[\"x\"],\"token_logprobs\":[-1]}}]}\r\n\r\n".to_owned()),
        Just("data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n".to_owned()),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n".to_owned()),
        Just("data: [DONE]\n\n".to_owned()),
        Just("data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned()),
        "[\\x00-\\x7f]{0,12}",
        Just("\r".to_owned()),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_events(bytes in stream(), length in 1_usize..40) {
        let whole = decode(&[&bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(length).collect();
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", decode(&pieces)));
    }
}
