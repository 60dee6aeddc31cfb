//! Spans of time: `50ms`, `10s`, `5m`, `12h`, `30d`.

use std::time::Duration;

use serde_json::{Value, json};

use super::scalar::{Misfit, Scalar};

/// The longest span: beyond ten years a number is a mistake.
const LONGEST: Duration = Duration::from_hours(24 * 3650);

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration such as `10s`, `50ms` or `5m`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let end = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(Misfit::default());
        }
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong_unit(digits, unit)),
        };
        let duration = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(milliseconds))
            .map(Self::from_millis)
            .filter(|duration| *duration <= LONGEST)
            .ok_or_else(|| Misfit::because("it is longer than ten years"))?;
        if duration.is_zero() {
            return Err(Misfit::because("it must be longer than nothing"));
        }
        Ok(duration)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]*[1-9][0-9]*(ms|s|m|h|d)$" })
    }
}

fn wrong_unit(digits: &str, unit: &str) -> Misfit {
    let meant = match unit.trim().to_lowercase().as_str() {
        "" => {
            return Misfit {
                reason: Some("the unit is missing".to_owned()),
                suggestion: Some(format!(
                    "write `{digits}s` for seconds, or `ms`, `m`, `h`, `d`"
                )),
            };
        }
        "ms" | "msec" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return Misfit::because("the units are ms, s, m, h and d, with a whole number"),
    };
    Misfit::suggest(format!("write `{digits}{meant}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("50ms", Duration::from_millis(50)),
            ("10s", Duration::from_secs(10)),
            ("5m", Duration::from_mins(5)),
            ("12h", Duration::from_hours(12)),
            ("30d", Duration::from_hours(720)),
        ] {
            assert_eq!(Duration::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_is_corrected() {
        for (text, suggestion) in [
            ("600", "write `600s` for seconds, or `ms`, `m`, `h`, `d`"),
            ("10 s", "write `10s`"),
            ("5min", "write `5m`"),
            ("2 Hours", "write `2h`"),
        ] {
            let misfit = Duration::parse(text).unwrap_err();
            assert_eq!(misfit.suggestion.as_deref(), Some(suggestion), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_of_time_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1h30m",
            "0s",
            "4000d",
            "99999999999999999999s",
        ] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }
}
