//! What the end of a file's name says of what it holds.

use super::MediaType;
use crate::file::FileName;

/// Extensions and the types that they stand for; of several extensions the first is the one that is given.
const KNOWN: [(&str, &str); 24] = [
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("xml", "application/xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("mp3", "audio/mpeg"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
];

impl MediaType {
    /// The type that a file of this name most probably holds; `None` where its ending says nothing.
    pub fn of_file(name: &FileName) -> Option<Self> {
        let (_, extension) = name.as_str().rsplit_once('.')?;
        let (_, media_type) = KNOWN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))?;
        Some(Self((*media_type).into()))
    }

    /// A name for a file of this type that nobody has named: `generated.png`.
    pub fn generated_name(&self) -> FileName {
        let known = KNOWN
            .iter()
            .find(|(_, media_type)| media_type.eq_ignore_ascii_case(self.essence()));
        FileName::generated(known.map_or("bin", |(extension, _)| extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_holds() {
        let of = |name: &str| MediaType::of_file(&name.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(of("a.b.PDF").as_deref(), Some("application/pdf"));
        assert_eq!(of("photo.jpeg").as_deref(), Some("image/jpeg"));
        assert_eq!(of("pdf"), None);
        assert_eq!(of("a.unheard-of"), None);
    }

    #[test]
    fn a_type_gives_a_name() {
        let name = |text: &str| {
            text.parse::<MediaType>()
                .unwrap()
                .generated_name()
                .to_string()
        };
        assert_eq!(name("image/jpeg"), "generated.jpg");
        assert_eq!(name("audio/wav; rate=24000"), "generated.wav");
        assert_eq!(name("application/x-unheard-of"), "generated.bin");
    }
}
