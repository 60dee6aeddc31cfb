//! Gemini's `generateContent`, as the mock answers it
//! (<https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>).

use bytes::Bytes;

use super::words::{ANSWER, PIECES, pieces};

/// How every path begins; the model's name and the verb follow.
pub const PATH: &str = "/v1beta/models/";
/// How the path of a request for a stream ends.
pub const STREAM_VERB: &str = ":streamGenerateContent";

/// The whole answer.
pub fn whole() -> Bytes {
    Bytes::from(answer(ANSWER, r#","finishReason":"STOP""#, 74))
}

/// The streamed answer, in the pieces in which it is written to the socket; the last word says the end.
pub fn stream() -> Vec<Bytes> {
    let said = (1..).zip(pieces()).map(|(count, text)| {
        let finish = if count == PIECES {
            r#","finishReason":"STOP""#
        } else {
            ""
        };
        format!("data: {}\r\n\r\n", answer(text, finish, count))
    });
    said.map(Bytes::from).collect()
}

fn answer(text: &str, finish: &str, tokens: usize) -> String {
    let total = 221 + tokens;
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}}{finish},"index":0}}],"usageMetadata":{{"promptTokenCount":221,"candidatesTokenCount":{tokens},"totalTokenCount":{total},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":221}}]}},"modelVersion":"gemini-2.5-flash","responseId":"kZ0xaYr3D7KJ1PIPt8KuiQs"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_an_answer_of_its_own() {
        serde_json::from_slice::<serde_json::Value>(&whole()).unwrap();
        let stream = String::from_utf8(stream().concat()).unwrap();
        let chunks: Vec<&str> = stream.split_terminator("\r\n\r\n").collect();
        assert_eq!(chunks.len(), PIECES);
        let read = |chunk: &str| {
            let json = chunk.strip_prefix("data: ").unwrap();
            serde_json::from_str::<serde_json::Value>(json).unwrap()
        };
        let ends = chunks.iter().map(|chunk| read(chunk));
        let ends = ends.filter(|chunk| chunk["candidates"][0]["finishReason"] == "STOP");
        assert_eq!(ends.count(), 1);
    }
}
