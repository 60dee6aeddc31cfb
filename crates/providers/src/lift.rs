//! Large pieces of base64 are lifted out of a body before a face reads it, and put back unread.
//!
//! A reader looks at the text of a value once for every level of JSON around it, and copies what it keeps. A
//! picture of ten megabytes lies under six levels. What is put back is a part of the caller's own body, shared,
//! so that it is looked at once and not copied at all.

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use domain::chat::{ChatRequest, Part, Source};
use memchr::{memchr, memchr_iter, memmem};

use crate::face::{Asked, Envelope, Face, InvalidRequest};
use crate::openai::media::is_standard;

/// The shortest piece that is lifted, in bytes.
const MIN_PIECE: usize = 64 * 1024;
/// What stands in a piece's place, before its number of [`DIGITS`] digits: itself base64, so that whoever takes
/// the one takes the other.
const STAND_IN: &str = "lifted/at/";
const DIGITS: usize = 6;
/// Before the comma of a data URL there is a media type, and there may be parameters.
const MAX_URL_HEAD: usize = 256;

/// Reads a whole request as [`Face::parse`] does, and refuses what that refuses.
pub fn parse(face: &dyn Face, asked: &Asked, body: &Bytes) -> Result<ChatRequest, InvalidRequest> {
    let lifted = Lifted::of(body).and_then(|lifted| lifted.parse(face, asked));
    lifted.map_or_else(|| face.parse(asked, body), Ok)
}

/// Reads what is needed to decide as [`Face::envelope`] does, and refuses what that refuses.
pub fn envelope(face: &dyn Face, asked: &Asked, body: &Bytes) -> Result<Envelope, InvalidRequest> {
    let lifted = Lifted::of(body).and_then(|lifted| lifted.envelope(face, asked));
    lifted.map_or_else(|| face.envelope(asked, body), Ok)
}

/// A body without its pieces.
struct Lifted<'b> {
    body: &'b Bytes,
    rest: Vec<u8>,
    pieces: Vec<Piece>,
}

/// Where a piece stands.
struct Piece {
    /// In the body.
    lifted: Range<usize>,
    /// Where what stands for it begins, without the pieces.
    stand_in: usize,
}

impl<'b> Lifted<'b> {
    /// `None` where nothing is worth it, or where the body holds what looks like a stand-in.
    fn of(body: &'b Bytes) -> Option<Self> {
        if body.len() < MIN_PIECE {
            return None;
        }
        let mut lifted = Self {
            body,
            rest: Vec::new(),
            pieces: Vec::new(),
        };
        let (mut begin, mut kept) = (0, 0);
        // Base64 has neither quotes nor escapes, so that a string of it lies between two quotes.
        for quote in memchr_iter(b'"', body) {
            let string = body.get(begin..quote).unwrap_or_default();
            if string.len() >= MIN_PIECE {
                let start = begin + url_head(string);
                if is_standard(body.get(start..quote)?) {
                    lifted.rest.extend_from_slice(body.get(kept..start)?);
                    let number = lifted.pieces.len();
                    lifted.pieces.push(Piece {
                        lifted: start..quote,
                        stand_in: lifted.rest.len(),
                    });
                    let stand_in = format!("{STAND_IN}{number:0DIGITS$}");
                    lifted.rest.extend_from_slice(stand_in.as_bytes());
                    kept = quote;
                }
            }
            begin = quote + 1;
        }
        lifted.rest.extend_from_slice(body.get(kept..)?);
        let stand_ins = memmem::find_iter(&lifted.rest, STAND_IN).count();
        (!lifted.pieces.is_empty() && stand_ins == lifted.pieces.len()).then_some(lifted)
    }

    /// `None` where the body has to be read as it is: because it is refused, whose reason names places in it, or
    /// because a piece was the model's name, which is too long.
    fn envelope(&self, face: &dyn Face, asked: &Asked) -> Option<Envelope> {
        let envelope = face.envelope(asked, &self.rest).ok()?;
        if envelope.model.as_str().contains(STAND_IN) {
            return None;
        }
        let in_the_body =
            |span: Range<usize>| self.in_the_body(span.start)..self.in_the_body(span.end);
        Some(Envelope {
            model_span: envelope.model_span.map(in_the_body),
            stream_options_span: envelope.stream_options_span.map(in_the_body),
            ..envelope
        })
    }

    /// Where in the body a place is that stands outside of the pieces.
    fn in_the_body(&self, place: usize) -> usize {
        let before = self
            .pieces
            .iter()
            .rev()
            .find(|piece| piece.stand_in < place);
        before.map_or(place, |piece| {
            let stand_in_end = piece.stand_in + STAND_IN.len() + DIGITS;
            piece.lifted.end + place.saturating_sub(stand_in_end)
        })
    }

    /// `None` where the body has to be read as it is: because it is refused, whose reason names places in it, or
    /// because a piece was no medium's.
    fn parse(&self, face: &dyn Face, asked: &Asked) -> Option<ChatRequest> {
        let mut request = face.parse(asked, &self.rest).ok()?;
        let mut put_back = 0;
        for message in &mut request.messages {
            for part in message.content_mut() {
                if let Part::Image(media) | Part::Document(media) | Part::Audio(media) = part
                    && let Source::Inline { base64, .. } = &mut media.source
                    && let Some(piece) = self.piece(base64)
                {
                    *base64 = piece;
                    put_back += 1;
                }
            }
        }
        (put_back == self.pieces.len()).then_some(request)
    }

    fn piece(&self, stand_in: &str) -> Option<ByteString> {
        let number = stand_in.strip_prefix(STAND_IN)?.parse::<usize>().ok()?;
        let place = self.pieces.get(number)?.lifted.clone();
        ByteString::try_from(self.body.slice(place)).ok()
    }
}

/// How many bytes of a string stand before its data: those of a data URL's head (RFC 2397).
fn url_head(string: &[u8]) -> usize {
    let head = string.get(..MAX_URL_HEAD).unwrap_or_default();
    memchr(b',', head).map_or(0, |comma| comma + 1)
}

#[cfg(test)]
mod tests {
    use domain::chat::Message;

    use super::*;
    use crate::anthropic::AnthropicMessages;
    use crate::openai::OpenaiChat;

    fn base64() -> String {
        "iVBORw0K".repeat(MIN_PIECE / 8)
    }

    fn openai(content: &str) -> Bytes {
        Bytes::from(format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{content}]}}]}}"#
        ))
    }

    fn image(url: &str) -> String {
        format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#)
    }

    /// What is read, which must be what is read without lifting; and whether anything was lifted.
    #[track_caller]
    fn read(face: &dyn Face, body: &Bytes) -> (Result<ChatRequest, InvalidRequest>, bool) {
        let asked = Asked::default();
        let plain = face.parse(&asked, body);
        let read = parse(face, &asked, body);
        assert_eq!(format!("{read:?}"), format!("{plain:?}"));
        let lifted = Lifted::of(body).and_then(|lifted| lifted.parse(face, &asked));
        (read, lifted.is_some())
    }

    #[test]
    fn a_picture_is_shared_with_the_body_and_not_copied() {
        let base64 = base64();
        let second = base64.replace('K', "L");
        let pictures = [
            image(&format!("data:image/png;name=a;base64,{base64}")),
            image(&format!("data:image/png;base64,{second}")),
        ];
        let body = openai(&pictures.join(","));
        let (request, was_lifted) = read(&OpenaiChat, &body);
        assert!(was_lifted);
        let request = request.unwrap();
        for part in request.messages.iter().flat_map(Message::content) {
            let Part::Image(media) = part else {
                panic!("a picture");
            };
            let Source::Inline { base64, .. } = &media.source else {
                panic!("it is inline");
            };
            assert!(body.as_ptr_range().contains(&base64.as_ptr()));
        }
    }

    /// The envelope, which must be what is read without lifting.
    #[track_caller]
    fn read_envelope(face: &dyn Face, body: &Bytes) -> Result<Envelope, InvalidRequest> {
        let asked = Asked::default();
        let read = envelope(face, &asked, body);
        assert_eq!(
            format!("{read:?}"),
            format!("{:?}", face.envelope(&asked, body))
        );
        read
    }

    #[test]
    fn an_envelope_says_where_its_fields_stand_among_pictures() {
        let picture = image(&format!("data:image/png;base64,{}", base64()));
        let options = r#""stream":true,"stream_options":{"include_usage":false}"#;
        for body in [
            format!(
                r#"{{"model":"m",{options},"messages":[{{"role":"user","content":[{picture}]}}]}}"#
            ),
            format!(
                r#"{{"messages":[{{"role":"user","content":[{picture},{picture}]}}],{options},"model":"m"}}"#
            ),
            format!(
                r#"{{"a":[{picture}],"model":"m","messages":[{{"role":"user","content":[{picture}]}}],{options}}}"#
            ),
            // Options that hold a piece themselves.
            format!(
                r#"{{"model":"m","messages":[1],"stream_options":{{"a":"{}"}}}}"#,
                base64()
            ),
        ] {
            let body = Bytes::from(body);
            let envelope = read_envelope(&OpenaiChat, &body).unwrap();
            assert_eq!(&body[envelope.model_span.clone().unwrap()], b"\"m\"");
            assert!(
                Lifted::of(&body)
                    .unwrap()
                    .envelope(&OpenaiChat, &Asked::default())
                    .is_some()
            );
        }
    }

    #[test]
    fn an_envelope_that_is_refused_is_refused_by_its_place_in_the_body() {
        let picture = image(&format!("data:image/png;base64,{}", base64()));
        for body in [
            format!(r#"{{"messages":[{picture}]}}"#),
            format!(r#"{{"model":"m","messages":[{picture}"#),
            format!(r#"{{"model":"{}","messages":[1]}}"#, base64()),
        ] {
            read_envelope(&OpenaiChat, &Bytes::from(body)).unwrap_err();
        }
    }

    #[test]
    fn data_without_a_url_is_lifted_too() {
        let body = Bytes::from(format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{}"}}}}]}}]}}"#,
            base64()
        ));
        let (request, was_lifted) = read(&AnthropicMessages, &body);
        request.unwrap();
        assert!(was_lifted);
    }

    #[test]
    fn what_is_no_medium_is_read_as_it_is() {
        let base64 = base64();
        for content in [
            format!(r#"{{"type":"text","text":"{base64}"}}"#),
            format!(
                r#"{{"type":"text","text":"data:image/png;base64,{base64}"}},{}"#,
                image(&format!("data:image/png;base64,{base64}"))
            ),
            // The body spells a stand-in itself.
            format!(
                "{},{}",
                image("data:image/png;base64,lifted/at/000000"),
                image(&format!("data:image/png;base64,{base64}"))
            ),
            // Not the standard alphabet.
            image(&format!("data:image/png;base64,{base64}_-==")),
        ] {
            let (request, was_lifted) = read(&OpenaiChat, &openai(&content));
            request.unwrap();
            assert!(!was_lifted);
        }
    }

    #[test]
    fn a_refusal_names_the_place_in_the_callers_body() {
        let picture = image(&format!("data:image/png;base64,{}", base64()));
        for content in [format!("{picture},"), format!("{picture},{{}}")] {
            let (request, was_lifted) = read(&OpenaiChat, &openai(&content));
            request.unwrap_err();
            assert!(!was_lifted);
        }
    }
}
