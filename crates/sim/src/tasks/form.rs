//! Forms with files (`multipart/form-data`, RFC 7578), read as strictly as the vendors do.

use bytes::Bytes;
use http::request::Parts;

use crate::vendor::field;

/// One part of a form.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// A part with a file name is a file, and one without is text.
    pub(crate) file_name: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The parts of a form, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<Part>);

impl Form {
    /// Reads a body; the error is a sentence.
    pub(crate) fn read(head: &Parts, body: &Bytes) -> Result<Self, String> {
        let told = field(head, "content-type").unwrap_or_default();
        let (kind, parameters) = told.split_once(';').unwrap_or((told, ""));
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(format!(
                "the content type is '{told}', not multipart/form-data"
            ));
        }
        let boundary = parameters
            .split(';')
            .find_map(|parameter| parameter.trim().strip_prefix("boundary="))
            .map(|boundary| boundary.trim_matches('"'))
            .filter(|boundary| !boundary.is_empty())
            .ok_or("the content type has no boundary")?;
        let mark = format!("--{boundary}");
        let mut parts = Vec::new();
        // With a line end before it, the first boundary is like every other.
        let mut padded = b"\r\n".to_vec();
        padded.extend_from_slice(body);
        let all = Bytes::from(padded);
        let line = format!("\r\n{mark}").into_bytes();
        let mut places = starts(&all, &line);
        let mut from = places.next().ok_or("the boundary is not in the body")? + line.len();
        loop {
            if all.get(from..from + 2) == Some(b"--") {
                return Ok(Self(parts));
            }
            if all.get(from..from + 2) != Some(b"\r\n") {
                return Err("a boundary is not followed by a line end".to_owned());
            }
            let until = places.next().ok_or("the closing boundary is missing")?;
            parts.push(part(&all, from + 2, until)?);
            from = until + line.len();
        }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The first part of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|part| part.name == name)
    }

    /// The text of the first part of this name.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|part| String::from_utf8_lossy(&part.bytes).into_owned())
    }

    /// The parts that are called `name` or `name[]`.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Part> {
        self.0
            .iter()
            .filter(move |part| part.name.strip_suffix("[]").unwrap_or(&part.name) == name)
    }
}

/// Where `needle` stands.
fn starts<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    text.windows(needle.len())
        .enumerate()
        .filter(move |(_, window)| *window == needle)
        .map(|(place, _)| place)
}

fn part(all: &Bytes, from: usize, until: usize) -> Result<Part, String> {
    let piece = all.slice(from.min(until)..until);
    let end = starts(&piece, b"\r\n\r\n")
        .next()
        .ok_or("a part has no empty line after its fields")?;
    let head = std::str::from_utf8(piece.get(..end).unwrap_or_default())
        .map_err(|_| "a part's fields are not UTF-8")?;
    let mut read = Part {
        name: String::new(),
        file_name: None,
        content_type: None,
        bytes: piece.slice(end + 4..),
    };
    for line in head.split("\r\n") {
        let (name, value) = line
            .split_once(':')
            .ok_or("a part has a line that is no field")?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => {
                read.name = quoted(value, "name").ok_or("a part has no name")?;
                read.file_name = quoted(value, "filename");
            }
            "content-type" => read.content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Ok(read)
}

/// The value of `; name="…"`.
fn quoted(value: &str, name: &str) -> Option<String> {
    value.split(';').find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}
