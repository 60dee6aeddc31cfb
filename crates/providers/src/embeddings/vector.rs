//! Vectors as numbers and as base64 of little-endian 32-bit floats, which is how OpenAI and Cohere write
//! them when asked for `base64`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The vector in base64. Vendors compute in 32 bits or fewer, so that nothing is lost.
pub(super) fn to_base64(vector: &[f64]) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the nearest 32-bit float is what the format is"
    )]
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| (*number as f32).to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}

/// Reads a vector in base64; `None` when it is not one.
pub(super) fn from_base64(text: &str) -> Option<Vec<f64>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| {
        numbers
            .iter()
            .map(|number| f64::from(f32::from_le_bytes(*number)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_is_written_as_openai_writes_it() {
        assert_eq!(to_base64(&[1.0, -0.5]), "AACAPwAAAL8=");
        assert_eq!(from_base64("AACAPwAAAL8="), Some(vec![1.0, -0.5]));
    }

    #[test]
    fn what_is_no_vector_is_told() {
        for text in ["AAA=", "?", "AACAPw"] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_float_survives_both_ways(numbers in proptest::collection::vec(any::<f32>().prop_filter("finite", |it| it.is_finite()), 0..20)) {
            let wide: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
            prop_assert_eq!(from_base64(&to_base64(&wide)), Some(wide));
        }
    }
}
