//! Reads a whole request into the domain. Strict: what is known must have its type; what is unknown, or
//! means something to Google only, is kept by its path in [`ChatRequest::extensions`], so that a
//! translation can pass it on or report it.

use domain::chat::ChatRequest;

use super::{config, contents, envelope, tools};
use crate::face::{Asked, InvalidRequest};
use crate::gemini::{FORMAT, usage};
use crate::openai::envelope::text;
use crate::openai::fields::{self, Fields};

/// Reads a request body.
pub(in crate::gemini) fn request(
    asked: &Asked,
    body: &[u8],
) -> Result<ChatRequest, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?.in_camel_case()?;
    let mut request = ChatRequest::new(envelope::model(asked)?);
    request.format = FORMAT;
    request.stream = asked.stream.unwrap_or(false);
    // Every chunk of the vendor's tells what was used so far.
    request.stream_usage = request.stream;
    // The URL names the model; some clients repeat it.
    fields.take("model");
    contents::read(&mut fields, &mut request)?;
    tools::read(&mut fields, &mut request)?;
    config::read(&mut fields, &mut request)?;
    if let Some(raw) = fields.look("serviceTier") {
        let word = fields::text(raw, || "serviceTier".to_owned())?;
        request.service_tier = usage::tier_of(&word);
        if request.service_tier.is_some() {
            fields.take("serviceTier");
        }
    }
    fields.keep_rest(&mut request.extensions);
    Ok(request)
}
