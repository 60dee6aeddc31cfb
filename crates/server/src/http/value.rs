//! Values of header fields.

use std::fmt::{self, Display, Write};

use http::HeaderValue;

/// Room for an identifier, an amount or a number.
const ROOM: usize = 48;

/// What is shown, as a field's value; `None` where it holds what no value may hold. It is written in place, so
/// that the value itself is all that takes memory: every answer has a dozen.
pub(super) fn shown(value: impl Display) -> Option<HeaderValue> {
    let mut short = Short {
        bytes: [0; ROOM],
        length: 0,
    };
    match write!(short, "{value}") {
        Ok(()) => HeaderValue::from_bytes(short.bytes.get(..short.length)?).ok(),
        Err(fmt::Error) => HeaderValue::try_from(value.to_string()).ok(),
    }
}

/// A whole number, as a field's value.
pub(super) fn number(number: impl itoa::Integer) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    // Digits may stand in any value.
    HeaderValue::from_str(digits.format(number)).unwrap_or(HeaderValue::from_static("0"))
}

struct Short {
    bytes: [u8; ROOM],
    length: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_and_what_is_long_is_shown() {
        assert_eq!(number(0), "0");
        assert_eq!(number(u64::MAX), u64::MAX.to_string().as_str());
        assert_eq!(shown(format_args!("{}.{:03}", 1, 2)).unwrap(), "1.002");
        for length in [ROOM - 1, ROOM, ROOM + 1, 4 * ROOM] {
            let text = "x".repeat(length);
            assert_eq!(shown(&text).unwrap(), text.as_str());
        }
        assert_eq!(shown("").unwrap(), "");
    }

    #[test]
    fn what_would_end_a_field_is_no_value() {
        assert_eq!(shown("a\r\nb"), None);
        assert_eq!(shown(format!("{}\n", "x".repeat(ROOM))), None);
    }
}
