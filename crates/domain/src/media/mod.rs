//! Bytes that are too large for a database row: where they lie and what they are.

mod extension;
mod port;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::id::{FileId, ProjectId};

pub use port::{MediaBody, MediaError, MediaStore, MediaWriter};

/// Where an object lies in the media store: segments of letters, digits, `-` and `_`, joined by `/`, at
/// most 256 bytes. No segment can climb out of the store. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(Arc<str>);

/// The text is not the name of an object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "an object's name is segments of letters, digits, '-' and '_', joined by '/', at most 256 bytes"
)]
pub struct InvalidObjectName;

/// A media type such as `image/png`, parameters included: at most 128 visible ASCII characters and spaces
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-media-type>). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MediaType(Arc<str>);

/// The text is not a media type.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a media type is 'type/subtype' in at most 128 visible ASCII characters")]
pub struct InvalidMediaType;

impl ObjectName {
    /// Where a file of a project lies. Objects of one project stand together, so that an operator can
    /// find and remove them.
    pub fn of_file(project_id: ProjectId, id: FileId) -> Self {
        Self(format!("{project_id}/{id}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MediaType {
    /// `application/octet-stream`: bytes of which nothing is known.
    pub fn octet_stream() -> Self {
        Self("application/octet-stream".into())
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type without its parameters: `text/plain` of `text/plain; charset=utf-8`.
    pub fn essence(&self) -> &str {
        self.0.split(';').next().unwrap_or_default().trim_end()
    }
}

impl FromStr for ObjectName {
    type Err = InvalidObjectName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(is_allowed);
        if text.len() > 256 || !text.split('/').all(is_segment) {
            return Err(InvalidObjectName);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let is_token = |token: &str| {
            let is_allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            !token.is_empty() && token.bytes().all(is_allowed)
        };
        let has_both = essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
        let is_visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.len() > 128 || !has_both || !is_visible {
            return Err(InvalidMediaType);
        }
        Ok(Self(text.trim().into()))
    }
}

/// Writes what both texts share: how they print.
macro_rules! shown_as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}
shown_as_text!(ObjectName);
shown_as_text!(MediaType);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_object_stays_inside_the_store() {
        for text in ["a", "proj_1/file-2", "A/b/c-_9"] {
            assert_eq!(text.parse::<ObjectName>().unwrap().as_str(), text);
        }
        let long = "a".repeat(257);
        for text in [
            "", "/a", "a/", "a//b", "..", "a/../b", "a\\b", "a b", "é", &long,
        ] {
            assert_eq!(text.parse::<ObjectName>(), Err(InvalidObjectName), "{text}");
        }
    }

    #[test]
    fn the_object_of_a_file_is_named_by_its_project_and_identifier() {
        let id = "file-00000000000000000000000000000002".parse().unwrap();
        let name = ObjectName::of_file(ProjectId::DEFAULT, id);
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert!(
            name.as_str()
                .ends_with("/file-00000000000000000000000000000002")
        );
    }

    #[test]
    fn a_media_type_has_a_type_and_a_subtype() {
        let plain: MediaType = "text/plain; charset=utf-8".parse().unwrap();
        assert_eq!(plain.essence(), "text/plain");
        assert_eq!(plain.as_str(), "text/plain; charset=utf-8");
        let long = format!("a/{}", "b".repeat(127));
        for text in [
            "",
            "png",
            "/png",
            "image/",
            "im age/png",
            "a/b\r\nc",
            "ä/b",
            &long,
        ] {
            assert_eq!(text.parse::<MediaType>(), Err(InvalidMediaType), "{text}");
        }
    }
}
