//! Vectors of texts: of length one, the same for the same text, and nearer to one another the more words two texts share.

use crate::digest::{Digest, Draws};
use crate::media;

/// A unit vector of so many numbers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "thirty-two bits are what the vendors send, and the last of them do not matter"
)]
pub(crate) fn of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; dimensions];
    let words = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase);
    // Also a text without words has a direction.
    for word in words.chain([String::from("\0text")]) {
        let mut draws = Draws::new(Digest::new(0).with(word.as_bytes()));
        for slot in &mut sum {
            *slot += (draws.next() >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
        }
    }
    let length = sum
        .iter()
        .map(|number| number * number)
        .sum::<f64>()
        .sqrt()
        .max(f64::MIN_POSITIVE);
    sum.iter().map(|number| (number / length) as f32).collect()
}

/// How near two texts are, from zero to one.
pub(crate) fn nearness(one: &str, other: &str) -> f64 {
    let (one, other) = (of(one, 64), of(other, 64));
    let product: f64 = one
        .iter()
        .zip(&other)
        .map(|(one, other)| f64::from(*one) * f64::from(*other))
        .sum();
    f64::midpoint(product.clamp(-1.0, 1.0), 1.0)
}

/// A vector as OpenAI's base64: the low byte first.
pub(crate) fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    media::encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_like_texts_are_near() {
        let vector = of("a grey heron", 256);
        let length: f32 = vector.iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-4);
        assert_eq!(vector, of("A grey Heron!", 256));
        assert!(nearness("a grey heron", "the grey heron") > nearness("a grey heron", "tax law"));
    }
}
