//! Gemini, and what was tuned from it
//! (<https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>).

use bytes::Bytes;
use domain::chat::{ChatRequest, Part, Source};
use http::HeaderMap;
use jiff::Timestamp;
use memchr::memmem;

use super::model_url;
use crate::dialect::{Dialect, Encoded, Refusal, Target};
use crate::elsewhere::Elsewhere;
use crate::gemini::{self, Gemini, Service};
use crate::url;

/// Gemini's format at Vertex AI: the same bodies and answers at other URLs. The platform has no Files
/// API; files are in Cloud Storage (`gs://…`).
#[derive(Debug, Clone, Copy, Default)]
pub struct VertexGemini;

impl Elsewhere for VertexGemini {
    type Own = Gemini;

    fn own(&self) -> &Gemini {
        &Gemini
    }

    /// The platform wants to know who speaks, where the Gemini API takes the user to. Contents of which some say it
    /// and some do not are left to it.
    fn takes_as_written(&self, body: &[u8]) -> bool {
        memmem::find(body, b"\"role\"").is_some() && Gemini.takes_as_written(body)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        _now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        refuse_files_api(request)?;
        gemini::encode_for(Service::VertexAi, request, target)
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let verb = if stream {
            "streamGenerateContent?alt=sse"
        } else {
            "generateContent"
        };
        let url = model_url(target, "google", verb)?;
        // Its own URL is of no use here, and need not be one.
        let somewhere = Target {
            model: "model",
            ..*target
        };
        let mut request = Gemini.request(&somewhere, stream, fields, body)?;
        url::replace(&mut request, &url)?;
        Ok(request)
    }
}

/// A name in the Files API of Gemini's own service means nothing on the platform.
fn refuse_files_api(request: &ChatRequest) -> Result<(), Refusal> {
    for (index, message) in request.messages.iter().enumerate() {
        for (place, part) in message.content().iter().enumerate() {
            if let Part::Image(media) | Part::Document(media) | Part::Audio(media) = part
                && let Source::File(name) = &media.source
                && !name.contains("://")
            {
                return Err(Refusal::of(
                    format!("messages[{index}].content[{place}].file.file_id"),
                    format!(
                        "Vertex AI does not know the file {name:?}: it reads files from Cloud \
                         Storage (`gs://BUCKET/NAME`); send that, or the file's content."
                    ),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_of_nobody_are_written_anew() {
        let taken = |body: &str| Dialect::takes_as_written(&VertexGemini, body.as_bytes());
        assert!(taken(
            r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#
        ));
        let of_nobody = r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#;
        assert!(!taken(of_nobody));
        assert!(Gemini.takes_as_written(of_nobody.as_bytes()));
    }
}
