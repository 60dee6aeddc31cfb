//! Links: who has one may read one file until its time has passed, without a key.

use aws_lc_rs::{constant_time, hkdf, hmac};
use domain::id::FileId;
use domain::secret::Secret;
use jiff::Timestamp;

/// Signs links, and recognises them.
pub(super) struct Links(hmac::Key);

/// The link is not one of ours, or its time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLink {
    /// It was not signed here, or was changed since.
    #[error("the link is not one that was given out here, or it was changed")]
    Signature,
    /// Its time has passed.
    #[error("the link's time has passed")]
    Expired,
}

impl Links {
    /// Links that are signed (HMAC with SHA-256) with a key derived from `secret` (HKDF, RFC 5869), so
    /// that the secret's other uses learn nothing from them.
    pub(super) fn new(secret: &Secret<Vec<u8>>) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"trunkline links to media");
        let root = salt.extract(secret.reveal());
        // The one way to fail is a key longer than 255 hashes, and this one has the length of one.
        let key = root.expand(&[b"sign"], hmac::HMAC_SHA256).map(Into::into);
        Self(key.unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, secret.reveal())))
    }

    /// The path and query that lead to a file until `end`; a link to what has no end holds for good.
    pub(super) fn to(&self, id: FileId, end: Option<Timestamp>) -> String {
        let expires = end.unwrap_or(Timestamp::MAX).as_second();
        let signature = hex(self.signature(id, expires).as_ref());
        format!("/media/{id}?expires={expires}&signature={signature}")
    }

    /// The file that a link leads to at `now`, in the link's own words.
    pub(super) fn check(
        &self,
        id: &str,
        expires: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<FileId, InvalidLink> {
        let id: FileId = id.parse().map_err(|_| InvalidLink::Signature)?;
        let end: i64 = expires.parse().map_err(|_| InvalidLink::Signature)?;
        let expected = hex(self.signature(id, end).as_ref());
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes())
            .map_err(|_| InvalidLink::Signature)?;
        if end <= now.as_second() {
            return Err(InvalidLink::Expired);
        }
        Ok(id)
    }

    fn signature(&self, id: FileId, expires: i64) -> hmac::Tag {
        hmac::sign(&self.0, format!("{id}\n{expires}").as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(secret: u8) -> Links {
        Links::new(&Secret::new(vec![secret; 32]))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn parts(link: &str) -> (String, String, String) {
        let rest = link.strip_prefix("/media/").unwrap();
        let (id, query) = rest.split_once("?expires=").unwrap();
        let (expires, signature) = query.split_once("&signature=").unwrap();
        (id.to_owned(), expires.to_owned(), signature.to_owned())
    }

    fn id() -> FileId {
        "file-00000000000000000000000000000001".parse().unwrap()
    }

    #[test]
    fn a_link_leads_to_its_file_until_its_end() {
        let (file, expires, signature) = parts(&links(1).to(id(), Some(at(1_000))));
        let check = |now| links(1).check(&file, &expires, &signature, at(now));
        assert_eq!(check(999), Ok(id()));
        assert_eq!(check(1_000), Err(InvalidLink::Expired));
    }

    #[test]
    fn a_link_that_was_changed_leads_nowhere() {
        let (file, expires, signature) = parts(&links(1).to(id(), Some(at(1_000))));
        let other = "file-00000000000000000000000000000002";
        let shorter = signature.get(..63).unwrap();
        for (file, expires, signature) in [
            (other, expires.as_str(), signature.as_str()),
            (&file, "1001", &signature),
            (&file, "soon", &signature),
            (&file, &expires, shorter),
            (&file, &expires, ""),
            ("..", &expires, &signature),
        ] {
            let checked = links(1).check(file, expires, signature, at(0));
            assert_eq!(checked, Err(InvalidLink::Signature));
        }
        let checked = links(2).check(&file, &expires, &signature, at(0));
        assert_eq!(checked, Err(InvalidLink::Signature));
    }

    #[test]
    fn a_link_to_what_has_no_end_holds_for_good() {
        let (file, expires, signature) = parts(&links(1).to(id(), None));
        let checked = links(1).check(&file, &expires, &signature, at(4_000_000_000));
        assert_eq!(checked, Ok(id()));
    }
}
