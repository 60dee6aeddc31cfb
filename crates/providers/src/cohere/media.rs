//! Pictures and documents. <https://docs.cohere.com/docs/image-inputs>,
//! <https://docs.cohere.com/docs/retrieval-augmented-generation-rag>

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::chat::{Conversion, Media, Source};

use super::wire::{self, Block};
use crate::dialect::Refusal;

/// A picture, which Cohere takes as a URL of any kind.
pub(super) fn image<'a>(
    path: &str,
    image: &'a Media,
    report: &mut Conversion,
) -> Result<Block<'a>, Refusal> {
    if image.cache.is_some() {
        report_cache(path, report);
    }
    let url: Cow<'a, str> = match &image.source {
        Source::Inline { media_type, base64 } => {
            format!("data:{media_type};base64,{base64}").into()
        }
        Source::Url { url, .. } => url.into(),
        Source::File(_) | Source::Text(_) => {
            let detail = "The target has no file store to take a picture from. Send its bytes.";
            return Err(Refusal::of(path, detail));
        }
    };
    let detail = image.detail.as_deref();
    let known = detail.filter(|word| matches!(*word, "auto" | "low" | "high"));
    if detail != known {
        report.drop(
            format!("{path}.image_url.detail"),
            "the provider knows `auto`, `low` and `high`",
        );
    }
    Ok(Block::ImageUrl {
        image_url: wire::ImageUrl { url, detail: known },
    })
}

/// Cohere reads documents as text.
pub(super) fn document<'a>(
    path: &str,
    document: &'a Media,
    report: &mut Conversion,
) -> Result<wire::Document<'a>, Refusal> {
    if document.cache.is_some() {
        report_cache(path, report);
    }
    let text: Option<Cow<'a, str>> = match &document.source {
        Source::Text(text) => Some(text.into()),
        Source::Inline { media_type, base64 } if is_text(media_type) => {
            let bytes = STANDARD.decode(base64).ok();
            bytes.and_then(|bytes| String::from_utf8(bytes).ok().map(Cow::Owned))
        }
        _ => None,
    };
    let Some(text) = text else {
        let detail =
            "Cohere models read documents as plain text only. Send the document's text instead.";
        return Err(Refusal::of(path, detail));
    };
    Ok(wire::Document {
        data: wire::DocumentData {
            text,
            title: document.name.as_deref(),
        },
    })
}

/// A document as a block of text, after its title.
pub(super) fn as_text(document: wire::Document<'_>) -> Block<'_> {
    let wire::DocumentData { text, title } = document.data;
    let text = match title {
        Some(title) => format!("{title}\n\n{text}").into(),
        None => text,
    };
    Block::Text { text }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

/// A prompt-cache breakpoint does not arrive.
pub(super) fn report_cache(path: &str, report: &mut Conversion) {
    let reason = "Cohere caches what repeats by itself and takes no breakpoints";
    report.drop(format!("{path}.cache_control"), reason);
}
