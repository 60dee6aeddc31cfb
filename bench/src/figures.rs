//! The values that were measured, and what they say together.

use crate::figure::{Figure, Target};
use crate::subject::Subject;

/// Every value that was measured.
#[derive(Debug, Default)]
pub struct Figures(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    figure: Figure,
    subject: Subject,
    round: usize,
    value: f64,
}

/// What the rounds say together about one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The figure.
    pub figure: Figure,
    /// The median of the direct way's values.
    pub direct: Option<f64>,
    /// The median of the bare proxy's.
    pub bare: Option<f64>,
    /// The median of Trunkline's.
    pub trunkline: Option<f64>,
    /// The median over the rounds of Trunkline's value divided by the [baseline](Figure::baseline)'s in the
    /// same round.
    pub ratio: Option<f64>,
    /// Whether the target is met; `None` when there is none.
    pub met: Option<bool>,
}

impl Figures {
    /// Notes what `subject` showed in `round`.
    pub fn note(&mut self, figure: Figure, subject: Subject, round: usize, value: f64) {
        self.0.push(Sample {
            figure,
            subject,
            round,
            value,
        });
    }

    /// What was noted about `figure`, in the order of the rounds.
    pub fn values(&self, figure: Figure, subject: Subject) -> Vec<f64> {
        let mut samples: Vec<&Sample> = self
            .0
            .iter()
            .filter(|sample| sample.figure == figure && sample.subject == subject)
            .collect();
        samples.sort_by_key(|sample| sample.round);
        samples.iter().map(|sample| sample.value).collect()
    }

    /// The summary of one figure. The ratio is taken within each round, where Trunkline and the baseline met
    /// the same machine, and the median over the rounds leaves out those that something disturbed.
    pub fn summary(&self, figure: Figure) -> Summary {
        let trunkline = self.values(figure, Subject::Trunkline);
        let (baseline, subject) = figure.baseline();
        let ratios: Vec<f64> = trunkline
            .iter()
            .zip(self.values(baseline, subject))
            .filter(|(_, baseline)| *baseline > 0.0)
            .map(|(trunkline, baseline)| trunkline / baseline)
            .collect();
        let ratio = median(&ratios);
        let trunkline = median(&trunkline);
        let met = figure.definition().target.and_then(|target| match target {
            Target::Ratio(most) => ratio.map(|ratio| ratio <= most),
            Target::Value(most) => trunkline.map(|value| value <= most),
        });
        Summary {
            figure,
            direct: median(&self.values(figure, Subject::Direct)),
            bare: median(&self.values(figure, Subject::Bare)),
            trunkline,
            ratio,
            met,
        }
    }
}

/// The middle value; the mean of the middle two when there are two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// A count as a number to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "measured values are far below 2^52"
)]
pub fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut figures = Figures::default();
        // The machine was three times slower in the second round: the ratio does not care.
        for (round, bare, trunkline) in [(0, 10.0, 18.0), (1, 30.0, 54.0), (2, 10.0, 18.0)] {
            figures.note(Figure::CpuPerRequest, Subject::Bare, round, bare);
            figures.note(Figure::CpuPerRequest, Subject::Trunkline, round, trunkline);
        }
        let summary = figures.summary(Figure::CpuPerRequest);
        assert_eq!(summary.ratio, Some(1.8));
        assert_eq!(summary.met, Some(true));
    }

    #[test]
    fn a_translation_is_compared_with_what_passes_verbatim() {
        let mut figures = Figures::default();
        let subject = Subject::Trunkline;
        for (round, verbatim, translated) in [(0, 40.0, 64.0), (1, 80.0, 128.0)] {
            figures.note(Figure::CpuPerRequest, subject, round, verbatim);
            figures.note(Figure::CpuPerGeminiRequest, subject, round, translated);
        }
        // Whatever the bare proxy costs.
        figures.note(Figure::CpuPerRequest, Subject::Bare, 0, 1_000.0);
        let summary = figures.summary(Figure::CpuPerGeminiRequest);
        assert_eq!(summary.ratio, Some(1.6));
        assert_eq!(summary.met, Some(false));
        assert_eq!(summary.bare, None);
    }

    #[test]
    fn a_missed_target_is_said_to_be_missed() {
        let mut figures = Figures::default();
        figures.note(Figure::IdleMemory, Subject::Bare, 0, 5.0);
        figures.note(Figure::IdleMemory, Subject::Trunkline, 0, 41.0);
        assert_eq!(figures.summary(Figure::IdleMemory).met, Some(false));
    }
}
