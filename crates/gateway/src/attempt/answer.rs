//! A provider's answer that has begun well.

use bytes::Bytes;
use domain::chat::ChatResponse;
use domain::egress::EgressBody;
use domain::provider_error::{Cause, ProviderError};
use futures_util::StreamExt;
use http::HeaderValue;
use http::response::Parts;
use providers::dialect::End;
use providers::tap::Observed;

use super::failure::{broken, with_status};
use crate::chat::Gateway;
use crate::continuation::Continuation;
use crate::pipeline::Pipeline;

/// The most of a stream that is held back until its first content is there, in bytes.
pub(crate) const MAX_PREFACE: usize = 1024 * 1024;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A provider's answer that has begun well.
pub(crate) enum Answered {
    /// It is whole.
    Whole(Box<Whole>),
    /// Its first content is there.
    Stream(Begun),
}

/// An answer that is whole.
pub(crate) struct Whole {
    /// The media type that the caller gets.
    pub(crate) content_type: HeaderValue,
    /// The bytes for the caller, but for a chat that is translated.
    pub(crate) body: Bytes,
    /// What a chat's answer says, where it is translated.
    pub(crate) response: Option<Box<ChatResponse>>,
    /// What the ledger wants to know of it.
    pub(crate) observed: Observed,
}

/// A stream whose first content is there.
pub(crate) struct Begun {
    /// The media type that the caller gets.
    pub(crate) content_type: HeaderValue,
    /// What is to follow.
    pub(crate) body: EgressBody,
    /// Turns it into the caller's stream.
    pub(crate) pipeline: Box<Pipeline>,
    /// What the caller gets for what has come so far.
    pub(crate) ready: Vec<Bytes>,
    /// The provider's stream is over already.
    pub(crate) is_over: bool,
    /// What it takes to go on with it elsewhere; `None` where that is not wanted, or not possible.
    pub(crate) continuation: Option<Box<Continuation>>,
}

impl Whole {
    pub(super) fn translated(response: ChatResponse) -> Self {
        Self {
            content_type: JSON,
            body: Bytes::new(),
            observed: Observed::of(&response),
            response: Some(Box::new(response)),
        }
    }
}

impl Gateway {
    /// Waits for the first content, so that a failure before it is still a failure of the whole
    /// request.
    pub(crate) async fn begun(
        &self,
        content_type: HeaderValue,
        mut pipeline: Pipeline,
        head: &Parts,
        mut body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        let mut ready = Vec::new();
        let mut length = 0;
        let mut is_over = false;
        while !pipeline.observed().has_content && !is_over {
            let pushed = match body.next().await {
                Some(Ok(piece)) => {
                    length += piece.len();
                    pipeline.push(piece, &mut ready)
                }
                Some(Err(error)) => Err(broken(&error)),
                None => {
                    is_over = true;
                    pipeline.finish(End::Clean, &mut ready)
                }
            };
            pushed.map_err(|error| with_status(error, head))?;
            if let Some(error) = pipeline.error() {
                return Err(with_status(error.clone(), head));
            }
            if length > MAX_PREFACE {
                let what = format!("The provider sent {MAX_PREFACE} bytes and no content.");
                return Err(with_status(
                    ProviderError::new(Cause::Malformed, what),
                    head,
                ));
            }
        }
        if !pipeline.observed().has_content {
            let what = "The provider's stream ended before it said anything.";
            return Err(with_status(
                ProviderError::new(Cause::Malformed, what),
                head,
            ));
        }
        Ok(Answered::Stream(Begun {
            content_type,
            body,
            pipeline: Box::new(pipeline),
            ready,
            is_over,
            continuation: None,
        }))
    }
}
