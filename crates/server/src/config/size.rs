//! Amounts of bytes: `64MiB`, `4GiB`, `512KB`.

use serde_json::{Value, json};

use super::scalar::{Misfit, Scalar};

/// An amount of bytes, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// The units and their bytes.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl ByteSize {
    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The amount in bytes, as far as memory can be addressed.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Scalar for ByteSize {
    const EXPECTED: &'static str = "a size such as `64MiB` or `4GiB`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let end = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(Misfit::default());
        }
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(wrong_unit(digits, unit));
        };
        let size = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(*bytes));
        match size {
            Some(0) => Err(Misfit::because("it must be more than nothing")),
            Some(bytes) if i64::try_from(bytes).is_ok() => Ok(Self(bytes)),
            _ => Err(Misfit::because("it is larger than any memory or disk")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]*[1-9][0-9]*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$" })
    }
}

fn wrong_unit(digits: &str, unit: &str) -> Misfit {
    let meant = match unit.trim().to_lowercase().as_str() {
        "" => {
            return Misfit {
                reason: Some("the unit is missing".to_owned()),
                suggestion: Some(format!("write `{digits}B` for bytes, or KiB, MiB, GiB")),
            };
        }
        "b" | "byte" | "bytes" => "B",
        "k" | "kib" | "ki" => "KiB",
        "m" | "mib" | "mi" => "MiB",
        "g" | "gib" | "gi" => "GiB",
        "t" | "tib" | "ti" => "TiB",
        "kb" => "KB",
        "mb" => "MB",
        "gb" => "GB",
        "tb" => "TB",
        _ => return Misfit::because("the units are B, KiB, MiB, GiB and TiB, with a whole number"),
    };
    Misfit::suggest(format!("write `{digits}{meant}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [
            ("1B", 1),
            ("64MiB", 64 * 1024 * 1024),
            ("4GiB", 4 * 1024 * 1024 * 1024),
            ("512KB", 512_000),
        ] {
            assert_eq!(
                ByteSize::parse(text).map(ByteSize::bytes),
                Ok(bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_unit_is_corrected() {
        for (text, suggestion) in [
            ("1048576", "write `1048576B` for bytes, or KiB, MiB, GiB"),
            ("64M", "write `64MiB`"),
            ("64 mib", "write `64MiB`"),
            ("10mb", "write `10MB`"),
        ] {
            let misfit = ByteSize::parse(text).unwrap_err();
            assert_eq!(misfit.suggestion.as_deref(), Some(suggestion), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "0MiB", "-1B", "1.5GiB", "99999999TiB"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }
}
