//! OpenAI's chat completions
//! (<https://platform.openai.com/docs/api-reference/chat/create>): what the load sends, and what it gets.

use bytes::Bytes;
use memchr::{memchr, memmem};

use super::words::{ANSWER, EARLIER, QUESTION, REPLY, SYSTEM, pieces};
use super::{Ask, Content, DELAY_MARK, NUMBER_MARK, PACE_MARK, Shape, WORDS_MARK, picture};

/// Where chat requests go, at every subject.
pub const PATH: &str = "/v1/chat/completions";
/// Where requests for vectors go.
pub const EMBEDDINGS_PATH: &str = "/v1/embeddings";
/// The model for vectors.
pub const EMBEDDINGS_MODEL: &str = "text-embedding-3-small";

/// A vector of 384 numbers, the same for every text.
pub fn vector() -> Bytes {
    let numbers = vec!["0.05103104"; 384].join(",");
    Bytes::from(format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{numbers}]}}],"model":"{EMBEDDINGS_MODEL}","usage":{{"prompt_tokens":40,"total_tokens":40}}}}"#
    ))
}

/// How every streamed answer ends.
pub const TERMINATOR: &[u8] = b"data: [DONE]\n\n";

/// A realistic chat request of about 1 KB, without the picture.
pub(super) fn request_body(ask: Ask) -> Bytes {
    let model = ask.format.model();
    let stream = if ask.shape.is_streamed() {
        r#""stream":true,"#
    } else {
        ""
    };
    let mark = match ask.shape {
        Shape::Whole | Shape::Stream => String::new(),
        Shape::Delayed(milliseconds) => format!(" {DELAY_MARK}{milliseconds}"),
        Shape::Paced(milliseconds) => format!(" {PACE_MARK}{milliseconds}"),
    };
    let question = match ask.content {
        Content::Numbered => format!(r#""{QUESTION}{mark} {NUMBER_MARK}""#),
        Content::Reworded => format!(r#""{QUESTION}{mark} {WORDS_MARK}""#),
        Content::Words => format!(r#""{QUESTION}{mark}""#),
        Content::Picture => format!(
            r#"[{{"type":"text","text":"{QUESTION}{mark}"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#,
            picture::base64()
        ),
    };
    Bytes::from(format!(
        r#"{{"model":"{model}","messages":[{{"role":"system","content":"{SYSTEM}"}},{{"role":"user","content":"{EARLIER}"}},{{"role":"assistant","content":"{REPLY}"}},{{"role":"user","content":{question}}}],{stream}"temperature":0.7,"max_tokens":256,"user":"customer-5471"}}"#
    ))
}

/// The whole answer, about 1 KB.
pub fn whole() -> Bytes {
    Bytes::from(format!(
        r#"{{"id":"chatcmpl-BmK2v7Qw9ZxYt4RsLpHn3JdE","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{ANSWER}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":221,"completion_tokens":74,"total_tokens":295,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_4b1f0e2a9c"}}"#
    ))
}

/// The streamed answer, in the pieces in which it is written to the socket: as providers do it, the chunk that
/// names the role goes with the first word, and the terminator with the last chunk. Chunks say
/// `"usage":null` whether usage was asked for or not, so that a caller gets the same bytes either way.
pub fn stream(with_usage: bool) -> Vec<Bytes> {
    let head = r#"data: {"id":"chatcmpl-BmK2v7Qw9ZxYt4RsLpHn3JdE","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_4b1f0e2a9c","choices":["#;
    let chunk = |delta: &str, finish: &str| {
        format!(
            "{head}{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let terminator = String::from_utf8_lossy(TERMINATOR);
    let mut opening = chunk(
        r#"{"role":"assistant","content":"","refusal":null}"#,
        "null",
    );
    let mut writes = Vec::new();
    for text in pieces() {
        let said = chunk(&format!(r#"{{"content":"{text}"}}"#), "null");
        writes.push(std::mem::take(&mut opening) + &said);
    }
    let end = chunk("{}", r#""stop""#);
    if with_usage {
        writes.push(end);
        writes.push(format!(
            "{head}],\"usage\":{{\"prompt_tokens\":221,\"completion_tokens\":48,\"total_tokens\":269,\"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}}}\n\n{terminator}"
        ));
    } else {
        writes.push(end + &terminator);
    }
    writes.into_iter().map(Bytes::from).collect()
}

/// Length in bytes of the answer when the provider speaks this format. The load never asks for the usage
/// chunk, so that a gateway that needs it has to ask for it and to withhold it.
pub fn answer_length(shape: Shape) -> usize {
    if shape.is_streamed() {
        stream(false).iter().map(Bytes::len).sum()
    } else {
        whole().len()
    }
}

/// Whether an answer in this format, from whatever provider, is complete and says `words`.
pub fn says(answer: &[u8], shape: Shape, words: &str) -> bool {
    let end = if shape.is_streamed() {
        TERMINATOR
    } else {
        b"}"
    };
    answer.trim_ascii_end().ends_with(end.trim_ascii_end())
        && memmem::find_iter(answer, br#""finish_reason":"stop""#).count() == 1
        && said(answer) == words.as_bytes()
}

/// What stands in the `content` fields, one after the other.
fn said(answer: &[u8]) -> Vec<u8> {
    const FIELD: &[u8] = br#""content":""#;
    let mut said = Vec::new();
    let mut rest = answer;
    while let Some(at) = memmem::find(rest, FIELD) {
        let text = rest.get(at + FIELD.len()..).unwrap_or_default();
        let (text, behind) = text.split_at(memchr(b'"', text).unwrap_or(text.len()));
        said.extend_from_slice(text);
        rest = behind;
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Format;

    #[test]
    fn every_body_is_json_and_about_a_kilobyte() {
        for body in [
            Ask::in_words(Format::Openai, Shape::Whole).body(),
            Ask::in_words(Format::Gemini, Shape::Paced(5)).body(),
            whole(),
        ] {
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
            assert!((900..1_500).contains(&body.len()), "{}", body.len());
        }
    }

    #[test]
    fn a_picture_is_a_data_url() {
        let body = Ask::about_a_picture(Format::Anthropic, Shape::Whole).body();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let url = body.pointer("/messages/3/content/1/image_url/url");
        let url = url.and_then(serde_json::Value::as_str).unwrap();
        let base64 = url.strip_prefix("data:image/png;base64,").unwrap();
        assert_eq!(base64.len(), picture::LENGTH);
    }

    #[test]
    fn a_stream_has_fifty_chunks_and_the_usage_when_asked() {
        for with_usage in [false, true] {
            let stream = stream(with_usage).concat();
            let stream = String::from_utf8(stream).unwrap();
            let mut events: Vec<&str> = stream.split_terminator("\n\n").collect();
            assert_eq!(events.pop(), Some("data: [DONE]"));
            assert_eq!(events.len(), 50 + usize::from(with_usage));
            for event in events {
                let json = event.strip_prefix("data: ").unwrap();
                serde_json::from_str::<serde_json::Value>(json).unwrap();
            }
        }
    }

    #[test]
    fn an_answer_that_lacks_something_is_not_right() {
        let words: String = pieces().collect();
        let stream = stream(true).concat();
        assert!(says(&stream, Shape::Stream, &words));
        assert!(says(&whole(), Shape::Whole, ANSWER));
        let text = String::from_utf8(stream).unwrap();
        for (part, instead) in [
            ("data: [DONE]\n\n", ""),
            (r#""finish_reason":"stop""#, r#""finish_reason":null"#),
            (r#""content":" driver""#, r#""content":" river""#),
        ] {
            let broken = text.replacen(part, instead, 1);
            assert!(!says(broken.as_bytes(), Shape::Stream, &words), "{part}");
        }
    }
}
