//! The rules of images, sounds and files inside a message, which chat completions and responses share.

use super::check::{INVALID, bad, object, one_of, plain, required, text};
use crate::media;
use crate::node::Node;
use crate::tokens;
use crate::vendor::Failure;

/// Checks how closely an image is to be looked at.
pub(super) fn detail(image: &Node<'_, '_>) -> Result<(), Failure> {
    if let Some(detail) = image.present("detail") {
        one_of(&detail, &["auto", "low", "high", "original"])?;
    }
    Ok(())
}

/// Checks the address or the data URL of an image; gives back what it costs in tokens.
pub(super) fn image_url(place: &Node<'_, '_>) -> Result<u64, Failure> {
    let url = text(place)?;
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(tokens::IMAGE);
    }
    let Some(data) = data_url(url) else {
        let sentence = format!(
            "Invalid '{}'. Expected a valid URL, but got a value with an invalid format.",
            place.bracketed()
        );
        return Err(bad(place, "invalid_value", sentence));
    };
    let Some(bytes) = media::decode_standard(data.1) else {
        let sentence = format!(
            "Invalid '{}'. Expected a base64-encoded data URL with an image MIME type.",
            place.bracketed()
        );
        return Err(bad(place, "invalid_base64", sentence));
    };
    if media::image_type(&bytes).is_none() {
        let sentence = "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp'].";
        return Err(plain(sentence).code("invalid_image_format"));
    }
    Ok(tokens::IMAGE)
}

/// Checks an attached sound, and refuses it: none of these models hears.
pub(super) fn audio(audio: &Node<'_, '_>) -> Result<(), Failure> {
    object(audio, &["data", "format"])?;
    one_of(&required(audio, "format")?, &["wav", "mp3"])?;
    let data = required(audio, "data")?;
    if media::decode_standard(text(&data)?).is_none() {
        return Err(bad(
            &data,
            "invalid_base64",
            format!(
                "Invalid '{}'. Expected base64-encoded audio.",
                data.bracketed()
            ),
        ));
    }
    Err(plain("This model does not support audio inputs.")
        .at(audio.bracketed())
        .code("invalid_value"))
}

/// Checks the data URL of a PDF; gives back what it costs in tokens.
pub(super) fn file_data(place: &Node<'_, '_>) -> Result<u64, Failure> {
    let data = data_url(text(place)?);
    let bytes = data.and_then(|(kind, data)| Some((kind, media::decode_standard(data)?)));
    match bytes {
        Some(("application/pdf", bytes)) if media::is_pdf(&bytes) => {
            Ok(tokens::of_document(bytes.len()))
        }
        Some((kind, _)) if kind != "application/pdf" => {
            let sentence = format!(
                "Invalid file data: '{}'. Expected a file with an application/pdf MIME type, but got unsupported MIME type '{kind}'.",
                place.bracketed()
            );
            Err(bad(place, "unsupported_file", sentence))
        }
        _ => {
            let sentence = format!(
                "Invalid file data: '{}'. Expected a base64-encoded data URL with an application/pdf MIME type.",
                place.bracketed()
            );
            Err(bad(place, "invalid_value", sentence))
        }
    }
}

/// The refusal of a file that was never uploaded.
pub(super) fn no_such_file(id: &str) -> Failure {
    Failure::new(404, INVALID, format!("No such File object: {id}")).at("id")
}

/// The media type and the base64 of a data URL (RFC 2397).
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((kind.strip_suffix(";base64")?, data))
}
