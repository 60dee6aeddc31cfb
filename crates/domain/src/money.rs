//! Money, exactly. A price is whole pico-dollars per unit, a product is an `i128` of
//! pico-dollars, and a call's total is rounded once, half to even, to nano-dollars.
//! No floating point number ever holds an amount.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pico-dollars in one dollar.
pub const PICO_PER_DOLLAR: i64 = 1_000_000_000_000;
/// Nano-dollars in one dollar.
pub const NANO_PER_DOLLAR: i64 = 1_000_000_000;

const PICO_PER_NANO: i128 = 1_000;
const COST_DECIMALS: usize = 9;
const PRICE_DECIMALS: usize = 12;

/// The price of one unit (a token, an image, a search) in pico-dollars, never negative.
///
/// One dollar per million tokens is 1,000,000 pico-dollars per token. The largest price is about
/// 9.2 million dollars per unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PicoDollars(i64);

/// Why a text or number is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not an optional sign, digits, and optional decimals.
    #[error("an amount is written like 12 or 0.25")]
    Syntax,
    /// More decimals than the unit can hold; rounding here would lose money silently.
    #[error("an amount has at most {0} decimals")]
    TooPrecise(usize),
    /// Beyond what an `i64` of the unit can hold.
    #[error("the amount is too large")]
    TooLarge,
    /// A price below zero.
    #[error("a price is never negative")]
    Negative,
}

impl PicoDollars {
    /// A price that is free on purpose.
    pub const ZERO: Self = Self(0);

    /// A price of so many pico-dollars per unit.
    pub fn new(pico_dollars: i64) -> Result<Self, InvalidAmount> {
        if pico_dollars < 0 {
            return Err(InvalidAmount::Negative);
        }
        Ok(Self(pico_dollars))
    }

    /// Reads `dollars` for `units` units, such as `"2.50"` for 1,000,000 tokens.
    ///
    /// The quotient must be a whole number of pico-dollars: an inexact price is an error, not a
    /// rounded price.
    pub fn from_dollars_per(dollars: &str, units: u32) -> Result<Self, InvalidAmount> {
        let (digits, decimals) = decimal(dollars)?;
        if digits < 0 {
            return Err(InvalidAmount::Negative);
        }
        // dollars = digits / 10^decimals, so the price is digits × 10^12 / (10^decimals × units).
        let numerator = digits
            .checked_mul(i128::from(PICO_PER_DOLLAR))
            .ok_or(InvalidAmount::TooLarge)?;
        let denominator = power_of_ten(decimals)?
            .checked_mul(i128::from(units.max(1)))
            .ok_or(InvalidAmount::TooLarge)?;
        if numerator % denominator != 0 {
            return Err(InvalidAmount::TooPrecise(PRICE_DECIMALS));
        }
        i64::try_from(numerator / denominator)
            .map(Self)
            .map_err(|_| InvalidAmount::TooLarge)
    }

    /// Pico-dollars per unit.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// The exact product in pico-dollars. It cannot overflow: a count has 64 bits and a price 63.
    #[must_use]
    pub fn times(self, quantity: u64) -> i128 {
        i128::from(self.0) * i128::from(quantity)
    }
}

impl<'de> Deserialize<'de> for PicoDollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// An amount of dollars in nano-dollars: the total of one call, a spend, a budget.
///
/// Prints and serialises with nine decimals (`0.008755000`); reads the same, or fewer decimals,
/// or a plain number. Never negative for a call; the difference of two amounts may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(i64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, about 9.2 thousand million dollars.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of so many nano-dollars.
    #[must_use]
    pub const fn from_nano_dollars(nano_dollars: i64) -> Self {
        Self(nano_dollars)
    }

    /// Rounds an exact total to nano-dollars, a half to the even neighbour. Call this once, on the
    /// total; beyond the range of `i64` the amount stops at the edge.
    #[must_use]
    pub fn from_pico_dollars(total: i128) -> Self {
        let below = total.div_euclid(PICO_PER_NANO);
        let rest = total.rem_euclid(PICO_PER_NANO);
        let rounds_up = match rest.cmp(&(PICO_PER_NANO / 2)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => below % 2 != 0,
            std::cmp::Ordering::Greater => true,
        };
        let nano = below + i128::from(rounds_up);
        Self(i64::try_from(nano).unwrap_or(if nano < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The amount in nano-dollars.
    #[must_use]
    pub fn nano_dollars(self) -> i64 {
        self.0
    }

    /// The amount in dollars as a floating point number, for charts and for the one response
    /// shape whose `cost` is a JSON number. Never calculate with it.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "an approximation for display is what is asked for"
    )]
    pub fn to_dollars_f64(self) -> f64 {
        self.0 as f64 / NANO_PER_DOLLAR as f64
    }

    /// The sum, or `None` beyond the range.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The sum, stopping at the edge of the range: right for counters of spend, where the edge is
    /// beyond any budget.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, stopping at the edge of the range; negative when `other` is larger.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Cost {
    /// Adds up, stopping at the edge of the range.
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.write(&mut Text::default()))
    }
}

impl FromStr for Cost {
    type Err = InvalidAmount;

    /// Reads dollars with up to nine decimals.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, decimals) = decimal(text)?;
        let missing = COST_DECIMALS
            .checked_sub(decimals)
            .ok_or(InvalidAmount::TooPrecise(COST_DECIMALS))?;
        digits
            .checked_mul(power_of_ten(missing)?)
            .and_then(|nano| i64::try_from(nano).ok())
            .map(Self)
            .ok_or(InvalidAmount::TooLarge)
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut Text::default()))
    }
}

/// Room for the text of any cost: a sign, ten digits, a point and nine more. Every call writes several.
#[derive(Default)]
struct Text([u8; 21]);

impl Cost {
    /// Writes dollars with nine decimals, from the last digit to the first.
    fn write(self, text: &mut Text) -> &str {
        let mut nano = self.0.unsigned_abs();
        let mut start = text.0.len();
        let mut put = |digit: u8| {
            start -= 1;
            text.0[start] = digit;
        };
        let mut decimals = 0;
        while decimals <= COST_DECIMALS || nano > 0 {
            if decimals == COST_DECIMALS {
                put(b'.');
            }
            put(b'0' + u8::try_from(nano % 10).unwrap_or_default());
            nano /= 10;
            decimals += 1;
        }
        if self.0 < 0 {
            put(b'-');
        }
        // ASCII from end to end.
        str::from_utf8(&text.0[start..]).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CostVisitor)
    }
}

/// Accepts `"0.25"`, `5` and `0.25`. A floating point number is read by its shortest decimal text,
/// which is what its writer wrote.
struct CostVisitor;

impl Visitor<'_> for CostVisitor {
    type Value = Cost;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an amount of dollars such as 5 or \"0.25\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cost, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Cost, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Cost, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Cost, E> {
        self.visit_str(&dollars.to_string())
    }
}

/// Splits `-12.50` into `(-125, 1)`: all digits as one integer, and how many of them are decimals.
/// Zeros at the end of the decimals do not count.
fn decimal(text: &str) -> Result<(i128, usize), InvalidAmount> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    if whole.is_empty() || fraction.is_empty() {
        return Err(InvalidAmount::Syntax);
    }
    let fraction = fraction.trim_end_matches('0');
    let mut digits: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(InvalidAmount::Syntax);
        }
        digits = digits
            .checked_mul(10)
            .and_then(|shifted| shifted.checked_add(i128::from(byte - b'0')))
            .ok_or(InvalidAmount::TooLarge)?;
    }
    Ok((if negative { -digits } else { digits }, fraction.len()))
}

fn power_of_ten(exponent: usize) -> Result<i128, InvalidAmount> {
    u32::try_from(exponent)
        .ok()
        .and_then(|exponent| 10_i128.checked_pow(exponent))
        .ok_or(InvalidAmount::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_prints_with_nine_decimals() {
        assert_eq!(
            Cost::from_nano_dollars(8_755_000).to_string(),
            "0.008755000"
        );
        assert_eq!(Cost::from_nano_dollars(-1).to_string(), "-0.000000001");
        assert_eq!(Cost::MAX.to_string(), "9223372036.854775807");
        assert_eq!(
            Cost::from_nano_dollars(i64::MIN).to_string(),
            "-9223372036.854775808"
        );
    }

    #[test]
    fn halves_round_to_the_even_neighbour() {
        for (pico, nano) in [
            (0, 0),
            (499, 0),
            (500, 0),
            (501, 1),
            (1_499, 1),
            (1_500, 2),
            (2_500, 2),
            (2_501, 3),
            (-500, 0),
            (-501, -1),
            (-1_500, -2),
        ] {
            assert_eq!(
                Cost::from_pico_dollars(pico),
                Cost::from_nano_dollars(nano),
                "{pico}"
            );
        }
    }

    #[test]
    fn an_amount_beyond_the_range_stops_at_the_edge() {
        assert_eq!(Cost::from_pico_dollars(i128::MAX), Cost::MAX);
        assert_eq!(
            Cost::from_pico_dollars(i128::MIN),
            Cost::from_nano_dollars(i64::MIN)
        );
        assert_eq!(
            Cost::MAX.saturating_add(Cost::from_nano_dollars(1)),
            Cost::MAX
        );
        assert_eq!(Cost::MAX.checked_add(Cost::from_nano_dollars(1)), None);
    }

    #[test]
    fn what_is_printed_reads_back() {
        let mut nano: i64 = 1;
        while let Some(next) = nano.checked_mul(7) {
            for cost in [
                Cost::from_nano_dollars(nano),
                Cost::from_nano_dollars(-nano),
            ] {
                assert_eq!(cost.to_string().parse(), Ok(cost));
                let json = serde_json::to_string(&cost).unwrap();
                assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
            }
            nano = next;
        }
    }

    #[test]
    fn dollars_are_read_exactly_from_text_and_numbers() {
        let dime = Cost::from_nano_dollars(100_000_000);
        for json in ["\"0.1\"", "0.1", "\"0.100000000000\""] {
            assert_eq!(serde_json::from_str::<Cost>(json).unwrap(), dime, "{json}");
        }
        assert_eq!(
            serde_json::from_str::<Cost>("5").unwrap(),
            Cost::from_nano_dollars(5 * NANO_PER_DOLLAR)
        );
    }

    #[test]
    fn text_that_is_no_amount_is_refused() {
        for (text, problem) in [
            ("", InvalidAmount::Syntax),
            ("-", InvalidAmount::Syntax),
            (".5", InvalidAmount::Syntax),
            ("5.", InvalidAmount::Syntax),
            ("1e3", InvalidAmount::Syntax),
            ("1,000", InvalidAmount::Syntax),
            ("0.0000000001", InvalidAmount::TooPrecise(9)),
            ("9223372036.854775808", InvalidAmount::TooLarge),
        ] {
            assert_eq!(text.parse::<Cost>(), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_dollar_per_million_is_a_million_pico_dollars() {
        assert_eq!(
            PicoDollars::from_dollars_per("1", 1_000_000),
            PicoDollars::new(1_000_000)
        );
        assert_eq!(
            PicoDollars::from_dollars_per("0.0375", 1_000_000),
            PicoDollars::new(37_500)
        );
        assert_eq!(
            PicoDollars::from_dollars_per("10", 1_000),
            PicoDollars::new(10_000_000_000)
        );
    }

    #[test]
    fn a_price_is_neither_negative_nor_rounded() {
        assert_eq!(PicoDollars::new(-1), Err(InvalidAmount::Negative));
        assert_eq!(
            PicoDollars::from_dollars_per("-1", 1),
            Err(InvalidAmount::Negative)
        );
        assert_eq!(
            PicoDollars::from_dollars_per("1", 3),
            Err(InvalidAmount::TooPrecise(12))
        );
        assert!(serde_json::from_str::<PicoDollars>("-3").is_err());
    }

    #[test]
    fn the_largest_product_is_exact() {
        let price = PicoDollars::new(i64::MAX).unwrap();
        assert_eq!(
            price.times(u64::MAX),
            i128::from(i64::MAX) * i128::from(u64::MAX)
        );
    }

    proptest::proptest! {
        #[test]
        fn any_amount_reads_back_from_its_text(nano: i64) {
            let cost = Cost::from_nano_dollars(nano);
            proptest::prop_assert_eq!(cost.to_string().parse(), Ok(cost));
        }

        #[test]
        fn rounding_never_moves_an_amount_by_more_than_half_a_nano_dollar(pico in -(1_i128 << 70)..1 << 70) {
            let rounded = i128::from(Cost::from_pico_dollars(pico).nano_dollars()) * PICO_PER_NANO;
            proptest::prop_assert!((rounded - pico).abs() * 2 <= PICO_PER_NANO);
        }

        #[test]
        fn no_text_makes_reading_an_amount_panic(text in "\\PC*") {
            let _any_result = text.parse::<Cost>();
            let _any_result = PicoDollars::from_dollars_per(&text, 1_000_000);
        }
    }
}
