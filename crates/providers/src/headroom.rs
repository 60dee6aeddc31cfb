//! What a provider says is left of its rate limits.
//!
//! OpenAI and most of its like say `x-ratelimit-remaining-requests` and `-tokens` beside `-limit-` and `-reset-`
//! (<https://platform.openai.com/docs/guides/rate-limits>), Anthropic `anthropic-ratelimit-requests-remaining`,
//! `-input-tokens-` and `-output-tokens-` (<https://docs.anthropic.com/en/api/rate-limits>).

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// What is left of the rate limit that has the smallest part left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// In thousandths of the limit; 0 only where nothing at all is left.
    pub left: u32,
    /// When it is whole again.
    pub resets_after: Duration,
}

/// The fields of one limit.
struct Fields {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

const FIELDS: [Fields; 5] = [
    Fields {
        limit: "x-ratelimit-limit-requests",
        remaining: "x-ratelimit-remaining-requests",
        reset: "x-ratelimit-reset-requests",
    },
    Fields {
        limit: "x-ratelimit-limit-tokens",
        remaining: "x-ratelimit-remaining-tokens",
        reset: "x-ratelimit-reset-tokens",
    },
    Fields {
        limit: "anthropic-ratelimit-requests-limit",
        remaining: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
    },
    Fields {
        limit: "anthropic-ratelimit-input-tokens-limit",
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
    },
    Fields {
        limit: "anthropic-ratelimit-output-tokens-limit",
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
    },
];

impl Headroom {
    /// Reads an answer's fields; `None` where they do not say.
    pub fn read(fields: &HeaderMap, now: Timestamp) -> Option<Self> {
        let known = FIELDS
            .iter()
            .filter_map(|names| of_limit(names, fields, now));
        known.min_by_key(|headroom| headroom.left)
    }
}

fn of_limit(names: &Fields, fields: &HeaderMap, now: Timestamp) -> Option<Headroom> {
    let text = |name: &str| fields.get(name)?.to_str().ok().map(str::trim);
    let remaining: u64 = text(names.remaining)?.parse().ok()?;
    let limit: u64 = text(names.limit)?.parse().ok().filter(|limit| *limit > 0)?;
    let thousandths = remaining.saturating_mul(1_000) / limit;
    // What is little is not nothing.
    let left = thousandths.clamp(u64::from(remaining > 0), 1_000);
    Some(Headroom {
        left: u32::try_from(left).unwrap_or(1_000),
        resets_after: reset(text(names.reset)?, now)?,
    })
}

/// A time of day (RFC 3339), a number of seconds, or a duration such as `6m0s`, `1.5s` or `20ms`.
fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !(it.is_ascii_digit() || it == '.'))?;
        let (number, after) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let units = after
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(units)?;
        let seconds = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 0.000_001,
            "ns" => 0.000_000_001,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(fields: &[(&'static str, &str)]) -> Option<Headroom> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        Headroom::read(&map, now)
    }

    #[test]
    fn the_limit_with_the_smallest_part_left_counts() {
        let headroom = read(&[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "15000"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let expected = Headroom {
            left: 100,
            resets_after: Duration::from_mins(6),
        };
        assert_eq!(headroom, Some(expected));
    }

    #[test]
    fn anthropic_says_when_by_the_clock() {
        let headroom = read(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T12:00:30Z"),
        ]);
        let expected = Headroom {
            left: 0,
            resets_after: Duration::from_secs(30),
        };
        assert_eq!(headroom, Some(expected));
    }

    #[test]
    fn little_is_not_nothing() {
        let fields = |remaining| {
            [
                ("x-ratelimit-limit-tokens", "1000000"),
                ("x-ratelimit-remaining-tokens", remaining),
                ("x-ratelimit-reset-tokens", "12ms"),
            ]
        };
        assert_eq!(read(&fields("3")).unwrap().left, 1);
        assert_eq!(read(&fields("0")).unwrap().left, 0);
        assert_eq!(read(&fields("2000000")).unwrap().left, 1_000);
        assert_eq!(read(&fields("many")), None);
    }

    #[test]
    fn a_reset_is_read_in_every_form() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, millis) in [
            ("20ms", 20),
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("1h2m3.5s", 3_723_500),
            ("2.5", 2_500),
            ("2026-11-21T11:59:00Z", 0),
        ] {
            assert_eq!(
                reset(text, now),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["soon", "5x", "m", "-1"] {
            assert_eq!(reset(text, now), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[0-9a-zµ.:-]{0,20}") {
            let now = Timestamp::UNIX_EPOCH;
            prop_assert!(reset(&text, now).is_none_or(|it| it < Duration::MAX));
        }
    }
}
