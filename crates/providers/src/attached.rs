//! Files that a request refers to by an identifier of the gateway's own: found in the body, and put in
//! their place as the bytes themselves, in the words of the caller's format. What follows, verbatim or
//! translated, never sees that there was a reference.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::dialect::Format;
use crate::face::InvalidRequest;

/// What Gemini calls data that stands elsewhere, in either of protobuf's spellings.
const GEMINI_DATA: [&str; 2] = ["fileData", "file_data"];

/// A file, ready to stand in a request.
#[derive(Debug, Clone)]
pub struct AttachedFile {
    /// What its owner calls it.
    pub filename: String,
    /// What it holds, without parameters: `application/pdf`.
    pub media_type: String,
    /// Its bytes.
    pub content: Bytes,
}

/// The identifiers of files that `body` refers to, each once, in the order in which they stand there.
/// Formats that have no such references have none.
pub fn references(format: Format, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(body, &mut |part| {
        if let Some(id) = reference(format, part)
            && !found.iter().any(|known| known == id)
        {
            found.push(id.to_owned());
        }
    });
    found
}

/// Puts files in the place of the references to them; one that `file` does not know stays a reference.
/// Refuses a file that the format has no place for.
pub fn attach<'f>(
    format: Format,
    body: &mut Value,
    file: &impl Fn(&str) -> Option<&'f AttachedFile>,
) -> Result<(), InvalidRequest> {
    match body {
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| attach(format, item, file)),
        Value::Object(part) => {
            let id = reference(format, part).map(str::to_owned);
            match id.and_then(|id| file(&id).map(|file| (id, file))) {
                Some((id, file)) => put(format, part, &id, file),
                None => part
                    .values_mut()
                    .try_for_each(|value| attach(format, value, file)),
            }
        }
        _ => Ok(()),
    }
}

fn visit<'v>(value: &'v Value, see: &mut impl FnMut(&'v Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(part) => {
            see(part);
            part.values().for_each(|value| visit(value, see));
        }
        _ => {}
    }
}

/// The file that a part of a message refers to.
fn reference(format: Format, part: &Map<String, Value>) -> Option<&str> {
    if format == Format::Gemini {
        return gemini_reference(part);
    }
    let kind = part.get("type")?.as_str()?;
    match (format, kind) {
        // https://platform.openai.com/docs/guides/pdf-files?api-mode=chat
        (Format::OpenaiChat, "file") => part.get("file")?.get("file_id")?.as_str(),
        // https://platform.openai.com/docs/guides/pdf-files?api-mode=responses
        // https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool
        (Format::OpenaiResponses, "input_file" | "input_image")
        | (Format::AnthropicMessages, "container_upload") => part.get("file_id")?.as_str(),
        // https://platform.claude.com/docs/en/build-with-claude/files
        (Format::AnthropicMessages, "image" | "document") => {
            let source = part.get("source")?;
            (source.get("type")?.as_str()? == "file").then_some(())?;
            source.get("file_id")?.as_str()
        }
        _ => None,
    }
}

/// The file of the gateway's that a URI ends with, as its uploads name it: Gemini's own have no such names, and other
/// addresses no such end (<https://ai.google.dev/api/caching#FileData>).
fn gemini_reference(part: &Map<String, Value>) -> Option<&str> {
    let data = GEMINI_DATA.iter().find_map(|key| part.get(*key))?;
    let uri = data.get("fileUri").or_else(|| data.get("file_uri"))?;
    let (_, name) = uri.as_str()?.rsplit_once("files/")?;
    name.starts_with("file-").then_some(name)
}

fn put(
    format: Format,
    part: &mut Map<String, Value>,
    id: &str,
    file: &AttachedFile,
) -> Result<(), InvalidRequest> {
    let is_image = file.media_type.starts_with("image/");
    match format {
        Format::OpenaiChat if is_image => {
            part.insert("type".to_owned(), "image_url".into());
            part.remove("file");
            part.insert("image_url".to_owned(), json!({"url": data_url(file)}));
        }
        Format::OpenaiChat => {
            let inline = json!({"filename": file.filename, "file_data": data_url(file)});
            part.insert("file".to_owned(), inline);
        }
        Format::OpenaiResponses => {
            part.remove("file_id");
            if is_image {
                part.remove("filename");
                part.insert("type".to_owned(), "input_image".into());
                part.insert("image_url".to_owned(), data_url(file).into());
            } else if part.get("type").and_then(Value::as_str) == Some("input_image") {
                return Err(unfit(id, file, "as an image"));
            } else {
                part.entry("filename")
                    .or_insert(file.filename.clone().into());
                part.insert("file_data".to_owned(), data_url(file).into());
            }
        }
        Format::AnthropicMessages
            if part.get("type").and_then(Value::as_str) == Some("container_upload") =>
        {
            let detail = format!(
                "The file {id} is kept here, and a container of the provider's (`container_upload`) takes files of \
                 the provider's own only. Put it into the message as a `document`, or upload it to the provider \
                 by /passthrough/{{provider}}/v1/files."
            );
            return Err(InvalidRequest::of("file_id", detail));
        }
        Format::AnthropicMessages => {
            let is_document = part.get("type").and_then(Value::as_str) == Some("document");
            let source = match file.media_type.as_str() {
                "application/pdf" if is_document => base64_source(file),
                _ if is_image && !is_document => base64_source(file),
                media_type if is_document && is_text(media_type) => {
                    let text = std::str::from_utf8(&file.content)
                        .map_err(|_| unfit(id, file, "as a document: it is not UTF-8 text"))?;
                    json!({"type": "text", "media_type": "text/plain", "data": text})
                }
                _ if is_document => return Err(unfit(id, file, "as a document")),
                _ => return Err(unfit(id, file, "as an image")),
            };
            if is_document {
                part.entry("title").or_insert(file.filename.clone().into());
            }
            part.insert("source".to_owned(), source);
        }
        Format::Gemini => {
            for key in GEMINI_DATA {
                part.remove(key);
            }
            let data = STANDARD.encode(&file.content);
            let inline = json!({"mimeType": file.media_type, "data": data});
            part.insert("inlineData".to_owned(), inline);
        }
        Format::OpenaiCompletions | Format::CohereChat | Format::BedrockConverse => {}
    }
    Ok(())
}

/// Types that are text whatever they are called.
fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || matches!(
            media_type,
            "application/json" | "application/jsonl" | "application/xml"
        )
}

fn base64_source(file: &AttachedFile) -> Value {
    json!({
        "type": "base64",
        "media_type": file.media_type,
        "data": STANDARD.encode(&file.content),
    })
}

fn data_url(file: &AttachedFile) -> String {
    let data = STANDARD.encode(&file.content);
    format!("data:{};base64,{data}", file.media_type)
}

fn unfit(id: &str, file: &AttachedFile, place: &str) -> InvalidRequest {
    let detail = format!(
        "The file {id} is of type {}, which cannot be given {place}.",
        file.media_type
    );
    InvalidRequest::of("file_id", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(filename: &str, media_type: &str, content: &'static [u8]) -> AttachedFile {
        AttachedFile {
            filename: filename.to_owned(),
            media_type: media_type.to_owned(),
            content: Bytes::from_static(content),
        }
    }

    fn attached(
        format: Format,
        part: &Value,
        file: &AttachedFile,
    ) -> Result<Value, InvalidRequest> {
        let mut body = json!({"messages": [{"role": "user", "content": [part]}]});
        assert_eq!(references(format, &body), ["file-1"]);
        attach(format, &mut body, &|id| (id == "file-1").then_some(file))?;
        Ok(body["messages"][0]["content"][0].take())
    }

    #[test]
    fn chat_completions_get_the_file_or_an_image() {
        let part = || json!({"type": "file", "file": {"file_id": "file-1"}});
        let pdf = file("a.pdf", "application/pdf", b"%PDF");
        assert_eq!(
            attached(Format::OpenaiChat, &part(), &pdf).unwrap(),
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}})
        );
        let png = file("a.png", "image/png", b"PNG");
        assert_eq!(
            attached(Format::OpenaiChat, &part(), &png).unwrap(),
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,UE5H"}})
        );
    }

    #[test]
    fn responses_get_files_and_images_and_keep_the_detail() {
        let pdf = file("a.pdf", "application/pdf", b"%PDF");
        let part = json!({"type": "input_file", "file_id": "file-1"});
        assert_eq!(
            attached(Format::OpenaiResponses, &part, &pdf).unwrap(),
            json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="})
        );
        let part = || json!({"type": "input_image", "detail": "low", "file_id": "file-1"});
        let png = file("a.png", "image/png", b"PNG");
        assert_eq!(
            attached(Format::OpenaiResponses, &part(), &png).unwrap(),
            json!({"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,UE5H"})
        );
        let refused = attached(Format::OpenaiResponses, &part(), &pdf).unwrap_err();
        assert!(refused.detail.contains("file-1") && refused.detail.contains("application/pdf"));
    }

    #[test]
    fn messages_get_documents_texts_and_images() {
        let part =
            |kind: &str| json!({"type": kind, "source": {"type": "file", "file_id": "file-1"}});
        let pdf = file("a.pdf", "application/pdf", b"%PDF");
        assert_eq!(
            attached(Format::AnthropicMessages, &part("document"), &pdf).unwrap(),
            json!({"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}})
        );
        let csv = file("a.csv", "text/csv", b"a,b");
        assert_eq!(
            attached(Format::AnthropicMessages, &part("document"), &csv).unwrap(),
            json!({"type": "document", "title": "a.csv", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}})
        );
        let png = file("a.png", "image/png", b"PNG");
        assert_eq!(
            attached(Format::AnthropicMessages, &part("image"), &png).unwrap(),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "UE5H"}})
        );
        for (kind, file) in [
            ("image", &pdf),
            ("document", &png),
            ("document", &file("a.bin", "application/zip", b"PK")),
            ("document", &file("a.txt", "text/plain", b"\xff")),
        ] {
            assert!(attached(Format::AnthropicMessages, &part(kind), file).is_err());
        }
    }

    #[test]
    fn gemini_gets_the_bytes_of_what_its_uri_names() {
        let pdf = file("a.pdf", "application/pdf", b"%PDF");
        for part in [
            json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://gateway/v1beta/files/file-1"}}),
            json!({"file_data": {"file_uri": "files/file-1"}}),
        ] {
            let attached = attached(Format::Gemini, &part, &pdf).unwrap();
            let inline = json!({"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}});
            assert_eq!(attached, inline);
        }
        for uri in [
            "https://youtu.be/x",
            "https://generativelanguage.googleapis.com/v1beta/files/abc",
        ] {
            let body = json!({"contents": [{"parts": [{"fileData": {"fileUri": uri}}]}]});
            assert!(references(Format::Gemini, &body).is_empty(), "{uri}");
        }
    }

    #[test]
    fn a_providers_container_takes_no_file_that_is_kept_here() {
        let part = json!({"type": "container_upload", "file_id": "file-1"});
        let csv = file("a.csv", "text/csv", b"a,b");
        let refused = attached(Format::AnthropicMessages, &part, &csv).unwrap_err();
        assert!(
            refused.detail.contains("container_upload"),
            "{}",
            refused.detail
        );
        let mut body = json!({"content": [part]});
        attach(Format::AnthropicMessages, &mut body, &|_| None).unwrap();
        assert_eq!(
            body["content"][0]["file_id"], "file-1",
            "the provider's own passes"
        );
    }

    #[test]
    fn what_is_not_known_here_stays_a_reference() {
        let part = json!({"type": "input_file", "file_id": "file-other"});
        let mut body = json!({"input": [{"content": [part.clone(), {"type": "input_text", "text": "file-1"}]}]});
        assert_eq!(references(Format::OpenaiResponses, &body), ["file-other"]);
        attach(Format::OpenaiResponses, &mut body, &|_| None).unwrap();
        assert_eq!(body["input"][0]["content"][0], part);
        assert!(references(Format::Gemini, &body).is_empty());
    }
}
