//! Makes segments of words, for providers that time each word and nothing larger.

use super::transcript::{Segment, Word};

/// The longest segment, in bytes: two lines of a subtitle.
const MAX_LENGTH: usize = 84;

/// The longest silence within a segment, in seconds.
const MAX_SILENCE: f64 = 1.5;

/// Joins words until a sentence ends, another speaker begins, nobody speaks for a while, or it gets long.
pub(super) fn of_words(words: &[Word]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut open: Vec<&Word> = Vec::new();
    let mut length = 0;
    for word in words {
        if let Some(last) = open.last()
            && (ends_sentence(&last.text)
                || last.speaker != word.speaker
                || word.start - last.end > MAX_SILENCE
                || length + word.text.len() > MAX_LENGTH)
        {
            segments.extend(joined(&open));
            open.clear();
            length = 0;
        }
        length += word.text.len() + 1;
        open.push(word);
    }
    segments.extend(joined(&open));
    segments
}

fn ends_sentence(word: &str) -> bool {
    word.ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

fn joined(words: &[&Word]) -> Option<Segment> {
    let (first, last) = (words.first()?, words.last()?);
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    Some(Segment {
        text: texts.join(" "),
        start: first.start,
        end: last.end,
        speaker: first.speaker,
        log_probability: mean(words.iter().filter_map(|word| word.log_probability)),
    })
}

/// The mean of numbers, if there are any.
pub(super) fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| {
        (sum + number, count + 1.0)
    });
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: f64, speaker: usize) -> Word {
        Word {
            text: text.to_owned(),
            start,
            end: start + 0.5,
            speaker: Some(speaker),
            log_probability: Some(-0.5),
        }
    }

    #[test]
    fn a_segment_ends_with_its_sentence_its_speaker_or_a_silence() {
        let words = [
            word("Good", 0.0, 0),
            word("morning.", 0.5, 0),
            word("Hello", 1.0, 0),
            word("there", 1.5, 1),
            word("again", 9.0, 1),
        ];
        let segments = of_words(&words);
        let texts: Vec<&str> = segments
            .iter()
            .map(|segment| segment.text.as_str())
            .collect();
        assert_eq!(texts, ["Good morning.", "Hello", "there", "again"]);
        assert_eq!((segments[0].start, segments[0].end), (0.0, 1.0));
        assert_eq!(segments[0].log_probability, Some(-0.5));
    }

    #[test]
    fn a_segment_fits_two_lines() {
        let words: Vec<Word> = (0..60)
            .map(|at| word("another", f64::from(at) * 0.5, 0))
            .collect();
        let segments = of_words(&words);
        assert!(segments.len() > 1);
        assert!(
            segments
                .iter()
                .all(|segment| segment.text.len() <= MAX_LENGTH)
        );
    }
}
