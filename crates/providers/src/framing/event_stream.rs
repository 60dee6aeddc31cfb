//! Amazon's event stream (`application/vnd.amazon.eventstream`): binary messages with typed headers and
//! two checksums, in whatever pieces they arrive.
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The largest message that is taken, in bytes: what the encoding's own definition allows.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Two lengths and their checksum.
const PRELUDE: usize = 12;

/// The checksum at a message's end.
const CHECKSUM: usize = 4;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// What is said of the content, in order.
    pub headers: Vec<Header>,
    /// The content.
    pub payload: Bytes,
}

/// One header of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name; the encoding's own begin with a colon. At most 255 bytes.
    pub name: String,
    /// Its value.
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// True or false.
    Bool(bool),
    /// Eight bits.
    Byte(i8),
    /// Sixteen bits.
    Short(i16),
    /// Thirty-two bits.
    Integer(i32),
    /// Sixty-four bits.
    Long(i64),
    /// At most 65,535 bytes.
    Bytes(Bytes),
    /// At most 65,535 bytes of UTF-8.
    Text(String),
    /// Milliseconds since the beginning of 1970.
    Timestamp(i64),
    /// A universally unique identifier.
    Uuid([u8; 16]),
}

/// Why bytes are no event stream, or a message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventStreamError {
    /// A message is larger than [`MAX_MESSAGE`], or one of its parts larger than its length field can say.
    #[error("a message of the event stream is larger than {MAX_MESSAGE} bytes")]
    TooLarge,
    /// The lengths of a message contradict each other.
    #[error("the lengths of a message of the event stream contradict each other")]
    Lengths,
    /// A checksum is not that of the bytes.
    #[error("a checksum of the event stream is wrong")]
    Checksum,
    /// A header is not what the encoding allows.
    #[error("a header of the event stream is not readable")]
    Header,
    /// The stream ended within a message.
    #[error("the event stream ended within a message")]
    Truncated,
}

impl Message {
    /// The value of the first header of this name, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| match &header.value {
            HeaderValue::Text(text) if header.name == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// The message as bytes.
    pub fn encode(&self) -> Result<Bytes, EventStreamError> {
        let mut headers = BytesMut::new();
        for header in &self.headers {
            header.encode(&mut headers)?;
        }
        let total = PRELUDE + headers.len() + self.payload.len() + CHECKSUM;
        if total > MAX_MESSAGE {
            return Err(EventStreamError::TooLarge);
        }
        let mut message = BytesMut::with_capacity(total);
        message.put_u32(length(total)?);
        message.put_u32(length(headers.len())?);
        let prelude_checksum = crc32fast::hash(&message);
        message.put_u32(prelude_checksum);
        message.put(headers);
        message.put_slice(&self.payload);
        let checksum = crc32fast::hash(&message);
        message.put_u32(checksum);
        Ok(message.freeze())
    }

    /// Reads the headers and the payload of one whole message whose lengths and checksums are right.
    fn decode(mut message: Bytes, headers: usize) -> Result<Self, EventStreamError> {
        message.advance(PRELUDE);
        message.truncate(message.len() - CHECKSUM);
        let mut rest = message.split_to(headers);
        let mut headers = Vec::new();
        while !rest.is_empty() {
            headers.push(Header::decode(&mut rest)?);
        }
        Ok(Self {
            headers,
            payload: message,
        })
    }
}

impl Header {
    /// A header with a value of text.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: HeaderValue::Text(value.into()),
        }
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), EventStreamError> {
        let length = u8::try_from(self.name.len()).map_err(|_| EventStreamError::TooLarge)?;
        out.put_u8(length);
        out.put_slice(self.name.as_bytes());
        match &self.value {
            HeaderValue::Bool(true) => out.put_u8(0),
            HeaderValue::Bool(false) => out.put_u8(1),
            HeaderValue::Byte(value) => {
                out.put_u8(2);
                out.put_i8(*value);
            }
            HeaderValue::Short(value) => {
                out.put_u8(3);
                out.put_i16(*value);
            }
            HeaderValue::Integer(value) => {
                out.put_u8(4);
                out.put_i32(*value);
            }
            HeaderValue::Long(value) => {
                out.put_u8(5);
                out.put_i64(*value);
            }
            HeaderValue::Bytes(value) => put_sized(6, value, out)?,
            HeaderValue::Text(value) => put_sized(7, value.as_bytes(), out)?,
            HeaderValue::Timestamp(value) => {
                out.put_u8(8);
                out.put_i64(*value);
            }
            HeaderValue::Uuid(value) => {
                out.put_u8(9);
                out.put_slice(value);
            }
        }
        Ok(())
    }

    fn decode(rest: &mut Bytes) -> Result<Self, EventStreamError> {
        let unreadable = |_| EventStreamError::Header;
        let length = rest.try_get_u8().map_err(unreadable)?;
        let name = text(take(rest, usize::from(length))?)?;
        let value = match rest.try_get_u8().map_err(unreadable)? {
            0 => HeaderValue::Bool(true),
            1 => HeaderValue::Bool(false),
            2 => HeaderValue::Byte(rest.try_get_i8().map_err(unreadable)?),
            3 => HeaderValue::Short(rest.try_get_i16().map_err(unreadable)?),
            4 => HeaderValue::Integer(rest.try_get_i32().map_err(unreadable)?),
            5 => HeaderValue::Long(rest.try_get_i64().map_err(unreadable)?),
            6 => HeaderValue::Bytes(take_sized(rest)?),
            7 => HeaderValue::Text(text(take_sized(rest)?)?),
            8 => HeaderValue::Timestamp(rest.try_get_i64().map_err(unreadable)?),
            9 => {
                let mut uuid = [0; 16];
                rest.try_copy_to_slice(&mut uuid).map_err(unreadable)?;
                HeaderValue::Uuid(uuid)
            }
            _ => return Err(EventStreamError::Header),
        };
        Ok(Self { name, value })
    }
}

fn put_sized(kind: u8, value: &[u8], out: &mut BytesMut) -> Result<(), EventStreamError> {
    let length = u16::try_from(value.len()).map_err(|_| EventStreamError::TooLarge)?;
    out.put_u8(kind);
    out.put_u16(length);
    out.put_slice(value);
    Ok(())
}

fn take_sized(rest: &mut Bytes) -> Result<Bytes, EventStreamError> {
    let length = rest.try_get_u16().map_err(|_| EventStreamError::Header)?;
    take(rest, usize::from(length))
}

fn take(rest: &mut Bytes, length: usize) -> Result<Bytes, EventStreamError> {
    if rest.len() < length {
        return Err(EventStreamError::Header);
    }
    Ok(rest.split_to(length))
}

fn text(bytes: Bytes) -> Result<String, EventStreamError> {
    String::from_utf8(bytes.into()).map_err(|_| EventStreamError::Header)
}

fn length(count: usize) -> Result<u32, EventStreamError> {
    u32::try_from(count).map_err(|_| EventStreamError::TooLarge)
}

/// Cuts a stream into messages. After an error it is not to be used any more: there is no way to find
/// the next message.
#[derive(Debug, Default)]
pub struct EventStreamDecoder {
    buffer: BytesMut,
}

impl EventStreamDecoder {
    /// Takes the next bytes; [`EventStreamDecoder::next_message`] then gives the messages that are complete.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message. The lengths are believed only when their checksum is right, so that
    /// nothing is waited for that will not come.
    pub fn next_message(&mut self) -> Result<Option<Message>, EventStreamError> {
        let Some(prelude) = self.buffer.first_chunk::<PRELUDE>() else {
            return Ok(None);
        };
        let (lengths, checksum) = prelude.split_at(PRELUDE - CHECKSUM);
        if crc32fast::hash(lengths) != number(checksum) {
            return Err(EventStreamError::Checksum);
        }
        let (total, headers) = lengths.split_at(4);
        let (total, headers) = (size(total)?, size(headers)?);
        if total > MAX_MESSAGE {
            return Err(EventStreamError::TooLarge);
        }
        if headers.saturating_add(PRELUDE + CHECKSUM) > total {
            return Err(EventStreamError::Lengths);
        }
        if self.buffer.len() < total {
            self.buffer.reserve(total - self.buffer.len());
            return Ok(None);
        }
        let message = self.buffer.split_to(total).freeze();
        let (checked, checksum) = message.split_at(total - CHECKSUM);
        if crc32fast::hash(checked) != number(checksum) {
            return Err(EventStreamError::Checksum);
        }
        Message::decode(message, headers).map(Some)
    }

    /// Says that no more bytes come.
    pub fn finish(&self) -> Result<(), EventStreamError> {
        if self.buffer.is_empty() {
            Ok(())
        } else {
            Err(EventStreamError::Truncated)
        }
    }
}

/// A number of four bytes, the highest first.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn size(bytes: &[u8]) -> Result<usize, EventStreamError> {
    usize::try_from(number(bytes)).map_err(|_| EventStreamError::TooLarge)
}

#[cfg(test)]
mod tests;
