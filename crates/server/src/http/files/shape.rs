//! Files in the shape of the API that asks.

use axum::extract::Request;
use domain::file::StoredFile;
use http::HeaderMap;
use jiff::Timestamp;
use providers::anthropic::AnthropicMessages;
use providers::gemini::Gemini;
use providers::openai::OpenaiChat;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::faces::Api;

/// The API in whose shape files are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// <https://platform.openai.com/docs/api-reference/files>
    Openai,
    /// <https://platform.claude.com/docs/en/api/beta/files>
    Anthropic,
    /// <https://ai.google.dev/api/files>
    Gemini,
}

/// Files as whoever asks sees them.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) shape: Shape,
    /// Where the gateway is, as the caller addressed it: Gemini's files have addresses.
    base: String,
}

impl Shape {
    /// Anthropic's when `anthropic-version` is sent or the path is Anthropic's; Gemini's when the key is shown
    /// as its clients do or the path is Gemini's; else OpenAI's.
    pub(super) fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let is_anthropic =
            path.starts_with("/anthropic/") || request.headers().contains_key("anthropic-version");
        let is_gemini = path.starts_with("/v1beta/")
            || path.starts_with("/gemini/")
            || request.headers().contains_key("x-goog-api-key");
        if is_anthropic {
            Self::Anthropic
        } else if is_gemini {
            Self::Gemini
        } else {
            Self::Openai
        }
    }

    /// Who renders its problems.
    pub(super) fn api(self) -> Api {
        match self {
            Self::Openai => Api::Chat(&OpenaiChat),
            Self::Anthropic => Api::Chat(&AnthropicMessages),
            Self::Gemini => Api::Chat(&Gemini),
        }
    }

    /// How many files a page has when nobody says, and at most: the vendors' own bounds.
    pub(super) fn page_sizes(self) -> (u32, u32) {
        match self {
            Self::Openai => (10_000, 10_000),
            Self::Anthropic => (20, 1_000),
            Self::Gemini => (10, 100),
        }
    }

    /// What the size of a page is called.
    pub(super) fn page_size_name(self) -> &'static str {
        match self {
            Self::Openai | Self::Anthropic => "limit",
            Self::Gemini => "pageSize",
        }
    }
}

impl View {
    /// What a request of this shape sees.
    pub(super) fn of(shape: Shape, app: &App, headers: &HeaderMap) -> Self {
        let base = match shape {
            Shape::Gemini => app.files.base_of(headers),
            Shape::Openai | Shape::Anthropic => None,
        };
        Self {
            shape,
            base: base.unwrap_or_default(),
        }
    }

    /// What is known of a file.
    pub(super) fn file(&self, file: &StoredFile) -> Value {
        match self.shape {
            Shape::Openai => json!({
                "id": file.id,
                "object": "file",
                "bytes": file.bytes,
                "created_at": file.created_at.as_second(),
                "expires_at": file.expires_at.map(Timestamp::as_second),
                "filename": file.filename.as_str(),
                "purpose": file.purpose.as_str(),
                "status": "processed",
                "status_details": null,
            }),
            Shape::Gemini => {
                let name = format!("files/{}", file.id);
                let address = format!("{}/v1beta/{name}", self.base);
                let mut shown = json!({
                    "name": name,
                    "displayName": file.filename.as_str(),
                    "mimeType": file.media_type.as_str(),
                    // 64-bit integers are texts in protobuf's JSON.
                    "sizeBytes": file.bytes.to_string(),
                    "createTime": time(file.created_at),
                    "updateTime": time(file.created_at),
                    "uri": address,
                    "downloadUri": format!("{address}:download?alt=media"),
                    "state": "ACTIVE",
                    "source": "UPLOADED",
                });
                if let Some(end) = file.expires_at {
                    shown["expirationTime"] = time(end).into();
                }
                shown
            }
            Shape::Anthropic => json!({
                "id": file.id,
                "type": "file",
                "filename": file.filename.as_str(),
                "mime_type": file.media_type.as_str(),
                "size_bytes": file.bytes,
                "created_at": time(file.created_at),
                "downloadable": true,
            }),
        }
    }

    /// One page of the list.
    pub(super) fn page(&self, files: &[StoredFile], has_more: bool) -> Value {
        let shown: Vec<Value> = files.iter().map(|file| self.file(file)).collect();
        if self.shape == Shape::Gemini {
            let mut page = json!({ "files": shown });
            if let Some(last) = files.last().filter(|_| has_more) {
                page["nextPageToken"] = last.id.to_string().into();
            }
            return page;
        }
        let mut page = json!({
            "data": shown,
            "first_id": files.first().map(|file| file.id),
            "last_id": files.last().map(|file| file.id),
            "has_more": has_more,
        });
        if let (Shape::Openai, Some(page)) = (self.shape, page.as_object_mut()) {
            page.insert("object".to_owned(), "list".into());
        }
        page
    }

    /// That a file is gone.
    pub(super) fn deleted(&self, file: &StoredFile) -> Value {
        match self.shape {
            Shape::Gemini => json!({}),
            Shape::Openai => json!({"id": file.id, "object": "file", "deleted": true}),
            Shape::Anthropic => json!({"id": file.id, "type": "file_deleted"}),
        }
    }
}

/// A time as it is kept, also where the file has just been made.
fn time(at: Timestamp) -> String {
    let kept = Timestamp::from_microsecond(at.as_microsecond());
    kept.unwrap_or(at).to_string()
}
