//! Files in the shape of the API that asks.

use axum::extract::Request;
use domain::file::StoredFile;
use jiff::Timestamp;
use providers::anthropic::AnthropicMessages;
use providers::openai::OpenaiChat;
use serde_json::{Value, json};

use crate::http::faces::Api;

/// The API in whose shape files are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// <https://platform.openai.com/docs/api-reference/files>
    Openai,
    /// <https://platform.claude.com/docs/en/api/beta/files>
    Anthropic,
}

impl Shape {
    /// Anthropic's when `anthropic-version` is sent or the path is Anthropic's, else OpenAI's.
    pub(super) fn of(request: &Request) -> Self {
        let is_anthropic = request.uri().path().starts_with("/anthropic/")
            || request.headers().contains_key("anthropic-version");
        if is_anthropic {
            Self::Anthropic
        } else {
            Self::Openai
        }
    }

    /// Who renders its problems.
    pub(super) fn api(self) -> Api {
        match self {
            Self::Openai => Api::Chat(&OpenaiChat),
            Self::Anthropic => Api::Chat(&AnthropicMessages),
        }
    }

    /// How many files a page has when nobody says, and at most: the vendors' own bounds.
    pub(super) fn page_sizes(self) -> (u32, u32) {
        match self {
            Self::Openai => (10_000, 10_000),
            Self::Anthropic => (20, 1_000),
        }
    }

    /// What is known of a file.
    pub(super) fn file(self, file: &StoredFile) -> Value {
        match self {
            Self::Openai => json!({
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
            Self::Anthropic => json!({
                "id": file.id,
                "type": "file",
                "filename": file.filename.as_str(),
                "mime_type": file.media_type.as_str(),
                "size_bytes": file.bytes,
                "created_at": file.created_at.to_string(),
                "downloadable": true,
            }),
        }
    }

    /// One page of the list.
    pub(super) fn page(self, files: &[StoredFile], has_more: bool) -> Value {
        let mut page = json!({
            "data": files.iter().map(|file| self.file(file)).collect::<Vec<_>>(),
            "first_id": files.first().map(|file| file.id),
            "last_id": files.last().map(|file| file.id),
            "has_more": has_more,
        });
        if let (Self::Openai, Some(page)) = (self, page.as_object_mut()) {
            page.insert("object".to_owned(), "list".into());
        }
        page
    }

    /// That a file is gone.
    pub(super) fn deleted(self, file: &StoredFile) -> Value {
        match self {
            Self::Openai => json!({"id": file.id, "object": "file", "deleted": true}),
            Self::Anthropic => json!({"id": file.id, "type": "file_deleted"}),
        }
    }
}
