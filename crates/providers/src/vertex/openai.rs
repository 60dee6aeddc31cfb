//! Models of other publishers, which the platform serves in OpenAI's format
//! (<https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis>).

use bytes::Bytes;
use domain::chat::ChatRequest;
use domain::provider_error::ProviderError;
use http::HeaderMap;
use http::response::Parts;
use jiff::Timestamp;

use super::{parent, without_resource};
use crate::dialect::{Dialect, Encoded, Refusal, Target};
use crate::elsewhere::Elsewhere;
use crate::gemini::Gemini;
use crate::openai::OpenaiChat;
use crate::url;

/// OpenAI's chat completions at Vertex AI. The model is `publisher/name`.
#[derive(Debug, Clone, Copy, Default)]
pub struct VertexOpenai;

impl Elsewhere for VertexOpenai {
    type Own = OpenaiChat;

    fn own(&self) -> &OpenaiChat {
        &OpenaiChat
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        let model = without_resource(target.model);
        let target = Target {
            model: &model,
            ..*target
        };
        OpenaiChat.encode(request, &target, now)
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        if target.host.project.is_none() {
            return Err(Refusal::of(
                "model",
                "Models of this publisher are not part of express mode: the provider needs a \
                 `project` in its configuration.",
            ));
        }
        let mut request = OpenaiChat.request(target, stream, fields, body)?;
        let parent = parent(target)?;
        url::replace(
            &mut request,
            &format!("{parent}/endpoints/openapi/chat/completions"),
        )?;
        Ok(request)
    }

    /// Errors are the platform's, which it also wraps into an array.
    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        ProviderError {
            // It is no error of this format, so that it is not shown as one.
            body: None,
            ..Gemini.decode_error(head, body, now)
        }
    }
}
