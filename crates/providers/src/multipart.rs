//! Forms with files (`multipart/form-data`, RFC 7578): where the parts of one stand, one part replaced with
//! every other byte untouched, and a new form put together for another vendor.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use domain::name::ModelName;
use http::{HeaderMap, HeaderValue, header};
use memchr::memmem;

use crate::face::InvalidRequest;

/// The most parts that a form may have. OpenAI's largest, an edit of sixteen pictures, has about forty.
const MAX_PARTS: usize = 128;

/// The most bytes that the fields of one part may take.
const MAX_PART_HEAD: usize = 16 * 1024;

/// The longest boundary, as RFC 2046 §5.1.1 has it.
const MAX_BOUNDARY: usize = 70;

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name, where the part is a file.
    pub file_name: Option<String>,
    /// The media type, where the part says one.
    pub content_type: Option<String>,
    /// Where in the body its content stands.
    pub span: Range<usize>,
}

/// The parts of one form, in their order; the contents stay in the body.
#[derive(Debug, Clone)]
pub struct Form<'a> {
    body: &'a [u8],
    parts: Vec<Part>,
}

impl<'a> Form<'a> {
    /// Finds the parts of a body whose boundary the fields of the request name.
    pub fn read(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, InvalidRequest> {
        let boundary = boundary(headers)?;
        let parts = parts(body, boundary.as_bytes())?;
        Ok(Self { body, parts })
    }

    /// Every part.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The content of a part.
    pub fn content(&self, part: &Part) -> &'a [u8] {
        self.body.get(part.span.clone()).unwrap_or_default()
    }

    /// The one part of this name; a second one is refused, since only one of them can be meant.
    pub fn one(&self, name: &str) -> Result<Option<&Part>, InvalidRequest> {
        let mut found = self.parts.iter().filter(|part| part.name == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(InvalidRequest::of(
                name,
                format!("`{name}` is there twice; only one of them can be meant."),
            ));
        }
        Ok(first)
    }

    /// The text of the one part of this name.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, InvalidRequest> {
        self.one(name)?.map(|part| self.text_of(part)).transpose()
    }

    /// The parts of a list, which clients write as `name[]`, `name[0]` or `name` again and again.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| {
            let rest = part.name.strip_prefix(name);
            rest.is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .strip_prefix('[')
                        .and_then(|rest| rest.strip_suffix(']'))
                        .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
            })
        })
    }

    /// The content of a part as text.
    pub fn text_of(&self, part: &Part) -> Result<&'a str, InvalidRequest> {
        std::str::from_utf8(self.content(part)).map_err(|_| {
            InvalidRequest::of(
                part.name.clone(),
                format!("`{}` must be UTF-8 text.", part.name),
            )
        })
    }
}

/// The body with one span replaced and every other byte as it was.
pub fn splice(body: &[u8], span: Range<usize>, replacement: &[u8]) -> Bytes {
    let mut spliced = BytesMut::with_capacity(body.len() + replacement.len());
    spliced.put_slice(body.get(..span.start).unwrap_or_default());
    spliced.put_slice(replacement);
    spliced.put_slice(body.get(span.end..).unwrap_or_default());
    spliced.freeze()
}

/// A model's name as a form writes it.
pub(crate) fn model_name(text: &str) -> Result<ModelName, InvalidRequest> {
    text.parse().map_err(|_| {
        InvalidRequest::of(
            "model",
            "`model` must have 1 to 256 bytes and no control characters.",
        )
    })
}

/// The boundary that the `Content-Type` field names.
fn boundary(headers: &HeaderMap) -> Result<String, InvalidRequest> {
    let refuse = |detail: &str| InvalidRequest {
        detail: detail.to_owned(),
        param: None,
    };
    let expected = "The request must be a form: `Content-Type: multipart/form-data; boundary=…`.";
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| refuse(expected))?;
    let (media_type, parameters) = value.split_once(';').ok_or_else(|| refuse(expected))?;
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return Err(refuse(expected));
    }
    let boundary = parameter(parameters, "boundary").ok_or_else(|| refuse(expected))?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return Err(refuse("The form's boundary must have 1 to 70 bytes."));
    }
    Ok(boundary)
}

/// The value of one of a field's parameters (`; name=value; name="value"`).
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// A parameter's value, and what follows. Within quotation marks only a quotation mark is escaped: browsers
/// leave the backslashes of a path alone.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' if characters.as_str().starts_with('"') => {
                characters.next();
                value.push('"');
            }
            other => value.push(other),
        }
    }
}

/// Where the parts stand between their boundaries.
fn parts(body: &[u8], boundary: &[u8]) -> Result<Vec<Part>, InvalidRequest> {
    let delimiter = [b"\r\n--", boundary].concat();
    let finder = memmem::Finder::new(&delimiter);
    // The first boundary has a line end before it only where a preamble stands there.
    let opening = delimiter.get(2..).unwrap_or_default();
    let mut place = if body.starts_with(opening) {
        opening.len()
    } else {
        match finder.find(body) {
            Some(found) => found + delimiter.len(),
            None => return Err(malformed("its boundary is nowhere in the body")),
        }
    };
    let mut parts = Vec::new();
    loop {
        match after_boundary(body, place) {
            After::End => return Ok(parts),
            After::Part(start) => {
                if parts.len() == MAX_PARTS {
                    return Err(malformed(&format!("it has more than {MAX_PARTS} parts")));
                }
                let (mut part, content) = head(body, start)?;
                let found = next_boundary(body, content, &finder, delimiter.len())
                    .ok_or_else(|| malformed("its last boundary is missing"))?;
                part.span = content..found.max(content);
                place = found + delimiter.len();
                parts.push(part);
            }
            After::Neither => return Err(malformed("its boundary is not followed by a line end")),
        }
    }
}

/// What stands behind a boundary.
enum After {
    /// Two hyphens: there are no more parts.
    End,
    /// A line end: here the next part begins.
    Part(usize),
    /// Something else: it was no boundary.
    Neither,
}

fn after_boundary(body: &[u8], place: usize) -> After {
    let rest = body.get(place..).unwrap_or_default();
    if rest.starts_with(b"--") {
        return After::End;
    }
    let padding = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    match rest.get(padding..padding + 2) {
        Some(b"\r\n") => After::Part(place + padding + 2),
        _ => After::Neither,
    }
}

/// Where the next boundary begins, and not something that merely begins like one.
fn next_boundary(
    body: &[u8],
    start: usize,
    finder: &memmem::Finder<'_>,
    length: usize,
) -> Option<usize> {
    // A part without content has its boundary right behind the empty line that ends its head.
    let mut from = start.checked_sub(2)?;
    loop {
        let found = from + finder.find(body.get(from..)?)?;
        match after_boundary(body, found + length) {
            After::Neither => from = found + 1,
            After::End | After::Part(_) => return Some(found),
        }
    }
}

/// Reads the fields of the part that begins here, and where its content begins.
fn head(body: &[u8], start: usize) -> Result<(Part, usize), InvalidRequest> {
    let rest = body.get(start..).unwrap_or_default();
    let window = rest.get(..MAX_PART_HEAD).unwrap_or(rest);
    let length = memmem::find(window, b"\r\n\r\n")
        .ok_or_else(|| malformed("a part's fields do not end, or are longer than 16 KiB"))?;
    let text = window
        .get(..length)
        .and_then(|head| std::str::from_utf8(head).ok())
        .ok_or_else(|| malformed("a part's fields are not UTF-8"))?;
    let mut part = Part {
        name: String::new(),
        file_name: None,
        content_type: None,
        span: 0..0,
    };
    let mut named = false;
    for line in text.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else {
            return Err(malformed("a part has a line that is no field"));
        };
        if name.eq_ignore_ascii_case("content-disposition") {
            let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
            if !kind.trim().eq_ignore_ascii_case("form-data") {
                return Err(malformed("a part's Content-Disposition is not form-data"));
            }
            if let Some(name) = parameter(parameters, "name") {
                part.name = name;
                named = true;
            }
            part.file_name = parameter(parameters, "filename");
        } else if name.eq_ignore_ascii_case("content-type") {
            part.content_type = Some(value.trim().to_owned());
        }
    }
    if !named {
        return Err(malformed("a part has no name"));
    }
    Ok((part, start + length + 4))
}

fn malformed(what: &str) -> InvalidRequest {
    InvalidRequest {
        detail: format!("The form cannot be read: {what}."),
        param: None,
    }
}

/// A form being put together.
#[derive(Debug, Default)]
pub struct NewForm<'a> {
    parts: Vec<(String, &'a [u8])>,
    texts: Vec<(String, String)>,
}

impl<'a> NewForm<'a> {
    /// Adds a field.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        let head = format!(
            "Content-Disposition: form-data; name=\"{}\"\r\n\r\n",
            escaped(name)
        );
        self.texts.push((head, value.into()));
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(
        mut self,
        name: &str,
        file_name: &str,
        content_type: &str,
        content: &'a [u8],
    ) -> Self {
        // A media type with a line end would be a field of its own.
        let content_type: String = content_type.chars().filter(|c| !c.is_control()).collect();
        let head = format!(
            "Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {content_type}\r\n\r\n",
            escaped(name),
            escaped(file_name),
        );
        self.parts.push((head, content));
        self
    }

    /// The value of the `Content-Type` field and the body: the texts first, then the files.
    pub fn finish(self) -> (HeaderValue, Bytes) {
        let boundary = self.boundary();
        let mut body = BytesMut::new();
        let texts = self
            .texts
            .iter()
            .map(|(head, text)| (head, text.as_bytes()));
        let files = self.parts.iter().map(|(head, content)| (head, *content));
        for (head, content) in texts.chain(files) {
            for piece in [b"--", boundary.as_bytes(), b"\r\n", head.as_bytes()] {
                body.put_slice(piece);
            }
            body.put_slice(content);
            body.put_slice(b"\r\n");
        }
        for piece in [b"--", boundary.as_bytes(), b"--\r\n"] {
            body.put_slice(piece);
        }
        let content_type =
            HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
                .unwrap_or(HeaderValue::from_static("multipart/form-data"));
        (content_type, body.freeze())
    }

    /// A boundary that no content holds: the same for the same parts, so that a request can be compared.
    fn boundary(&self) -> String {
        let mut boundary = "trunkline-form".to_owned();
        let mut number = 0_u32;
        while self.holds(&boundary) {
            number += 1;
            boundary.truncate("trunkline-form".len());
            // Writing to a string cannot fail.
            write!(boundary, "-{number}").ok();
        }
        boundary
    }

    fn holds(&self, boundary: &str) -> bool {
        let finder = memmem::Finder::new(boundary);
        let texts = self.texts.iter().map(|(_, text)| text.as_bytes());
        let files = self.parts.iter().map(|(_, content)| *content);
        texts
            .chain(files)
            .any(|content| finder.find(content).is_some())
    }
}

/// A name within quotation marks, as browsers write it
/// (<https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data>).
fn escaped(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests;
