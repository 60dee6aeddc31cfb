//! What crosses the wire: the chat request that is sent, and the answers that the mock provider gives.
//!
//! Everything is fixed, so that the load generator knows each answer's length to the byte and a proxy
//! that loses or alters a byte is a failure, not a good figure.

use bytes::Bytes;
use memchr::memmem;

/// Where chat requests go, at every subject.
pub const PATH: &str = "/v1/chat/completions";
/// The model that the requests name; Trunkline has a route of this name.
pub const MODEL: &str = "gpt-4o-mini";
/// Chunks of a streamed answer, without the usage chunk and the terminator.
pub const CHUNKS: usize = 50;
/// How every streamed answer ends.
pub const TERMINATOR: &[u8] = b"data: [DONE]\n\n";

/// Before the number in a request's `user` field by which the load generator sets the mock's pace.
const PACE_MARK: &[u8] = b"chunk-every-ms=";

const SYSTEM: &str = "You are the support assistant of a mid-sized logistics company. Answer in at most \
    three sentences, in the customer's language, and never promise a delivery date that the tracking \
    data does not show. If the customer is upset, acknowledge it once and move on to what can be done.";
const EARLIER: &str = "Hello, my parcel 0048-2210-77 was due on Tuesday and the page still says that it \
    is in transit. I have already called twice and nobody could tell me where it is.";
const ANSWER: &str = "I am sorry about the wait. The parcel left the Rotterdam hub this morning at \
    06:40 and the carrier shows it on the van for your area, so I will keep an eye on it and write to \
    you as soon as it is scanned again.";
const QUESTION: &str = "Thank you. If nobody is at home, can the driver leave it with the bakery next \
    door? They are open until six and they know me.";

/// How the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object.
    Whole,
    /// A stream whose chunks follow each other as fast as they are taken.
    Stream,
    /// A stream with a chunk every so many milliseconds.
    Paced(u64),
}

/// A realistic chat request of about 1 KB.
pub fn request_body(shape: Shape) -> Bytes {
    let (stream, user) = match shape {
        Shape::Whole => ("", "customer-5471".to_owned()),
        Shape::Stream => (r#""stream":true,"#, "customer-5471".to_owned()),
        Shape::Paced(milliseconds) => (
            r#""stream":true,"#,
            format!("chunk-every-ms={milliseconds}"),
        ),
    };
    let body = format!(
        r#"{{"model":"{MODEL}","messages":[{{"role":"system","content":"{SYSTEM}"}},{{"role":"user","content":"{EARLIER}"}},{{"role":"assistant","content":"{ANSWER}"}},{{"role":"user","content":"{QUESTION}"}}],{stream}"temperature":0.7,"max_tokens":256,"user":"{user}"}}"#
    );
    Bytes::from(body)
}

/// The shape that a request asks for. Searches instead of parsing: the mock's own cost must be small.
pub fn wanted_shape(body: &[u8]) -> Shape {
    if memmem::find(body, br#""stream":true"#).is_none() {
        return Shape::Whole;
    }
    let digits = memmem::find(body, PACE_MARK)
        .and_then(|at| body.get(at + PACE_MARK.len()..))
        .unwrap_or_default()
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let milliseconds = digits.fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    if milliseconds == 0 {
        Shape::Stream
    } else {
        Shape::Paced(milliseconds)
    }
}

/// Whether a request asks for the usage chunk.
pub fn wants_usage(body: &[u8]) -> bool {
    memmem::find(body, br#""include_usage":true"#).is_some()
}

/// The mock's whole answer, about 1 KB.
pub fn whole_answer() -> Bytes {
    let text = "Yes, that is possible. I have added a note for the driver to leave parcel \
        0048-2210-77 with the bakery next door if nobody answers, and you will get a message with \
        the name of the person who signed for it. If the bakery is closed by then, the driver takes \
        it to the collection point in Station Street, where it waits for you for seven days.";
    Bytes::from(format!(
        r#"{{"id":"chatcmpl-BmK2v7Qw9ZxYt4RsLpHn3JdE","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":221,"completion_tokens":74,"total_tokens":295,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_4b1f0e2a9c"}}"#
    ))
}

/// The frames of a streamed answer; the last one holds the terminator alone. Chunks say `"usage":null`
/// whether usage was asked for or not, so that a caller gets the same bytes either way.
pub fn stream_frames(with_usage: bool) -> Vec<Bytes> {
    let head = r#"data: {"id":"chatcmpl-BmK2v7Qw9ZxYt4RsLpHn3JdE","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_4b1f0e2a9c","choices":["#;
    let chunk = |delta: &str, finish: &str| {
        Bytes::from(format!(
            "{head}{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        ))
    };
    let words = [
        "Yes",
        ",",
        " that",
        " is",
        " possible",
        ".",
        " The",
        " driver",
        " will",
        " call",
    ];
    let texts = words.iter().cycle().take(CHUNKS - 2);
    let mut frames = vec![chunk(
        r#"{"role":"assistant","content":"","refusal":null}"#,
        "null",
    )];
    frames.extend(texts.map(|text| chunk(&format!(r#"{{"content":"{text}"}}"#), "null")));
    frames.push(chunk("{}", r#""stop""#));
    if with_usage {
        frames.push(Bytes::from(format!(
            "{head}],\"usage\":{{\"prompt_tokens\":221,\"completion_tokens\":48,\"total_tokens\":269,\"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}}}\n\n"
        )));
    }
    frames.push(Bytes::from_static(TERMINATOR));
    frames
}

/// Length in bytes of the answer to a request of this shape. The load generator never asks for the usage
/// chunk, so that a gateway that needs it has to ask for it and to withhold it.
pub fn answer_length(shape: Shape) -> usize {
    match shape {
        Shape::Whole => whole_answer().len(),
        Shape::Stream | Shape::Paced(_) => stream_frames(false).iter().map(Bytes::len).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_and_about_a_kilobyte() {
        for body in [
            request_body(Shape::Whole),
            request_body(Shape::Paced(5)),
            whole_answer(),
        ] {
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
            assert!((900..1_500).contains(&body.len()), "{}", body.len());
        }
    }

    #[test]
    fn every_frame_but_the_last_carries_json() {
        for with_usage in [false, true] {
            let frames = stream_frames(with_usage);
            assert_eq!(frames.len(), CHUNKS + 1 + usize::from(with_usage));
            let (terminator, chunks) = frames.split_last().unwrap();
            assert_eq!(terminator, TERMINATOR);
            for chunk in chunks {
                let json = chunk.strip_prefix(b"data: ").unwrap();
                serde_json::from_slice::<serde_json::Value>(json).unwrap();
            }
        }
    }

    #[test]
    fn the_mock_reads_the_shape_that_was_written() {
        for shape in [
            Shape::Whole,
            Shape::Stream,
            Shape::Paced(1),
            Shape::Paced(2_000),
        ] {
            assert_eq!(wanted_shape(&request_body(shape)), shape);
        }
    }

    #[test]
    fn usage_is_seen_only_when_asked_for() {
        assert!(!wants_usage(&request_body(Shape::Stream)));
        assert!(wants_usage(
            br#"{"stream":true,"stream_options":{"include_usage":true}}"#
        ));
    }
}
