//! Values of header fields.

use std::fmt::{Display, Write};

use bytes::BytesMut;
use http::HeaderValue;

/// Room for what most answers say of themselves, in bytes.
const ROOM: usize = 256;

/// Values of fields, written one behind the other into one piece of memory: every answer has a dozen.
pub(super) struct Values(BytesMut);

impl Values {
    /// Room for the values of one answer.
    pub(super) fn new() -> Self {
        Self(BytesMut::with_capacity(ROOM))
    }

    /// What is shown, as a field's value; `None` where it holds what no value may hold: model names may hold
    /// any character.
    pub(super) fn shown(&mut self, value: impl Display) -> Option<HeaderValue> {
        // Writing to memory does not fail.
        let written = write!(self.0, "{value}");
        debug_assert!(written.is_ok());
        self.taken()
    }

    /// A text, as a field's value.
    pub(super) fn text(&mut self, text: &str) -> Option<HeaderValue> {
        self.0.extend_from_slice(text.as_bytes());
        self.taken()
    }

    /// A whole number, as a field's value.
    pub(super) fn number(&mut self, number: impl itoa::Integer) -> Option<HeaderValue> {
        self.text(itoa::Buffer::new().format(number))
    }

    /// Microseconds as milliseconds with three decimals, as a field's value.
    pub(super) fn milliseconds(&mut self, micros: u128) -> Option<HeaderValue> {
        let mut digits = itoa::Buffer::new();
        self.0
            .extend_from_slice(digits.format(micros / 1000).as_bytes());
        // Of a thousand more than the decimals, all but the first digit.
        let decimals = digits.format(1000 + micros % 1000).as_bytes();
        self.0.extend_from_slice(b".");
        self.0
            .extend_from_slice(decimals.get(1..).unwrap_or_default());
        self.taken()
    }

    fn taken(&mut self) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.0.split().freeze()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_and_what_is_long_is_shown() {
        let mut values = Values::new();
        assert_eq!(values.number(0).unwrap(), "0");
        let most = u64::MAX.to_string();
        assert_eq!(values.number(u64::MAX).unwrap(), most.as_str());
        assert_eq!(values.milliseconds(1_002).unwrap(), "1.002");
        assert_eq!(values.milliseconds(0).unwrap(), "0.000");
        assert_eq!(values.milliseconds(12_999_999).unwrap(), "12999.999");
        let long: Vec<String> = [ROOM - 1, ROOM, 4 * ROOM].map(|it| "x".repeat(it)).into();
        let shown: Vec<HeaderValue> = long.iter().map(|it| values.shown(it).unwrap()).collect();
        assert_eq!(shown, long);
        assert_eq!(values.text("").unwrap(), "");
    }

    #[test]
    fn what_would_end_a_field_is_no_value_and_spoils_no_other() {
        let mut values = Values::new();
        assert_eq!(values.shown("a\r\nb"), None);
        assert_eq!(values.text("c\n"), None);
        assert_eq!(values.text("d").unwrap(), "d");
    }
}
