//! Texts in quotes, and where they are written.

use std::ops::Deref;
use std::{fmt, io};

use bytes::BytesMut;

/// Memory that JSON is appended to.
pub trait Output: Deref<Target = [u8]> {
    /// Appends one byte.
    fn put(&mut self, byte: u8);

    /// Appends bytes.
    fn put_all(&mut self, bytes: &[u8]);

    /// Takes back what follows the first `length` bytes.
    fn cut(&mut self, length: usize);
}

macro_rules! outputs {
    ($($memory:ty),+) => {
        $(impl Output for $memory {
            #[inline]
            fn put(&mut self, byte: u8) {
                self.extend_from_slice(&[byte]);
            }

            #[inline]
            fn put_all(&mut self, bytes: &[u8]) {
                self.extend_from_slice(bytes);
            }

            #[inline]
            fn cut(&mut self, length: usize) {
                self.truncate(length);
            }
        })+
    };
}

outputs!(Vec<u8>, BytesMut);

/// Appends a text in quotes.
pub(super) fn quoted(text: &str, out: &mut impl Output) {
    out.put(b'"');
    escaped(text, out);
    out.put(b'"');
}

/// Appends a text without quotes.
fn escaped(text: &str, out: &mut impl Output) {
    let bytes = text.as_bytes();
    if is_plain(bytes) {
        return out.put_all(bytes);
    }
    let (mut copied, mut begin) = (0, 0);
    for block in bytes.chunks(BLOCK) {
        if !is_plain(block) {
            for (at, &byte) in (begin..).zip(block) {
                if is_escaped(byte) {
                    out.put_all(bytes.get(copied..at).unwrap_or_default());
                    escape(byte, out);
                    copied = at + 1;
                }
            }
        }
        begin += block.len();
    }
    out.put_all(bytes.get(copied..).unwrap_or_default());
}

/// Bytes of a text of which some are escaped that are looked at together before each is.
const BLOCK: usize = 64;

/// Appends a character that is escaped (RFC 8259, section 7).
fn escape(byte: u8, out: &mut impl Output) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.put_all(br#"\""#),
        b'\\' => out.put_all(br"\\"),
        0x08 => out.put_all(br"\b"),
        0x0c => out.put_all(br"\f"),
        b'\n' => out.put_all(br"\n"),
        b'\r' => out.put_all(br"\r"),
        b'\t' => out.put_all(br"\t"),
        control => {
            let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
            out.put_all(br"\u00");
            out.put_all(&[digit(control >> 4), digit(control & 0xf)]);
        }
    }
}

/// Whether a byte of UTF-8 is a character that JSON escapes.
const fn is_escaped(byte: u8) -> bool {
    matches!(byte, ..b' ' | b'"' | b'\\')
}

/// Bytes that are looked at together.
const LANES: usize = 16;

/// Whether nothing has to be escaped. There is no early way out, and what is left over is looked at together with
/// what came before it, so that it is done many bytes at a time.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let mut found = [0; LANES];
    let mut look = |lanes: &[u8; LANES]| {
        for (found, byte) in found.iter_mut().zip(lanes) {
            *found |= u8::from(is_escaped(*byte));
        }
    };
    if let Some(last) = bytes.last_chunk() {
        bytes.as_chunks().0.iter().for_each(&mut look);
        look(last);
    } else {
        let mut short = [b'-'; LANES];
        for (lane, byte) in short.iter_mut().zip(bytes) {
            *lane = *byte;
        }
        look(&short);
    }
    u128::from_ne_bytes(found) == 0
}

/// What a value displays, escaped piece by piece.
pub(super) struct Displayed<'o, O>(pub(super) &'o mut O);

impl<O: Output> fmt::Write for Displayed<'_, O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(text, self.0);
        Ok(())
    }
}

/// What is written as it is, for writers that know `std` only.
pub(super) struct AsWritten<'o, O>(pub(super) &'o mut O);

impl<O: Output> io::Write for AsWritten<'_, O> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
