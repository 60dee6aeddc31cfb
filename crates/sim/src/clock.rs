//! Times as vendors write them.

/// A time in seconds since 1970 as `2026-11-21T09:30:00Z` (RFC 3339).
pub(crate) fn written(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let rest = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// A time of the form `20261121T093000Z`, in seconds since 1970.
pub(crate) fn read_compact(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('Z')?;
    let (date, time) = digits.split_once('T')?;
    if date.len() != 8 || time.len() != 6 {
        return None;
    }
    let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let day = days(part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?)?;
    let (hour, minute, second) = (part(time, 0, 2)?, part(time, 2, 4)?, part(time, 4, 6)?);
    (hour < 24 && minute < 60 && second < 60)
        .then(|| day * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A time as `20261121T093000Z`.
pub(crate) fn compact(seconds: u64) -> String {
    written(seconds).replace(['-', ':'], "")
}

/// The date of a day since 1970 (<https://howardhinnant.github.io/date_algorithms.html>, years from 1970 on only).
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        year + era * 400 + u64::from(month <= 2),
        month,
        of_year - (153 * shifted + 2) / 5 + 1,
    )
}

/// The day since 1970 of a date, from 1970 on.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let era = year / 400;
    let of_era = year % 400;
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_were_written() {
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(1_795_219_200), "2026-11-21T00:00:00Z");
        assert_eq!(written(951_782_399), "2000-02-28T23:59:59Z");
        for seconds in (0..4_000_000_000).step_by(7_654_321) {
            assert_eq!(read_compact(&compact(seconds)), Some(seconds));
        }
        for wrong in [
            "",
            "20261121",
            "20261321T000000Z",
            "20261121T250000Z",
            "2026-11-21T00:00:00Z",
        ] {
            assert_eq!(read_compact(wrong), None, "{wrong}");
        }
    }
}
