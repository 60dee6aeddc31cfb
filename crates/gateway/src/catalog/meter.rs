//! What can have a price, and which price stands in for a missing one.

use std::collections::BTreeMap;
use std::fmt;

use domain::money::{InvalidAmount, PicoDollars};
use serde::{Deserialize, Serialize};

/// One thing that a provider charges for.
///
/// The names are those of the usage's fields, in the singular for things that are counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// A token of input that is neither cached, written to the cache, nor priced by modality.
    Input,
    /// A token of input read from the prompt cache.
    CachedInput,
    /// A token written to the prompt cache for five minutes, or for the vendor's only lifetime.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// A token written to the prompt cache for one hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// A token of output.
    Output,
    /// A token of reasoning.
    Reasoning,
    /// A token of citations (search models).
    Citation,
    /// A token of audio input.
    InputAudio,
    /// A token of audio input read from the prompt cache.
    CachedInputAudio,
    /// A token of audio output.
    OutputAudio,
    /// A token of image input.
    InputImage,
    /// A token of image input read from the prompt cache.
    CachedInputImage,
    /// A token of image output.
    OutputImage,
    /// A token of video input.
    InputVideo,
    /// A token of video output.
    OutputVideo,
    /// One image made.
    Image,
    /// One web search run by the provider.
    WebSearch,
    /// One search unit of a reranker.
    SearchUnit,
    /// One character of input (speech).
    InputCharacter,
    /// One millisecond of input audio (transcription).
    InputAudioMillisecond,
    /// One page of a document (OCR).
    DocumentPage,
    /// The call itself.
    Request,
}

impl Meter {
    /// Every meter, in the order of a bill.
    pub const ALL: [Self; 22] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::Citation,
        Self::InputAudio,
        Self::CachedInputAudio,
        Self::OutputAudio,
        Self::InputImage,
        Self::CachedInputImage,
        Self::OutputImage,
        Self::InputVideo,
        Self::OutputVideo,
        Self::Image,
        Self::WebSearch,
        Self::SearchUnit,
        Self::InputCharacter,
        Self::InputAudioMillisecond,
        Self::DocumentPage,
        Self::Request,
    ];

    /// The meter's name in data files, bills and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::Citation => "citation",
            Self::InputAudio => "input_audio",
            Self::CachedInputAudio => "cached_input_audio",
            Self::OutputAudio => "output_audio",
            Self::InputImage => "input_image",
            Self::CachedInputImage => "cached_input_image",
            Self::OutputImage => "output_image",
            Self::InputVideo => "input_video",
            Self::OutputVideo => "output_video",
            Self::Image => "image",
            Self::WebSearch => "web_search",
            Self::SearchUnit => "search_unit",
            Self::InputCharacter => "input_character",
            Self::InputAudioMillisecond => "input_audio_millisecond",
            Self::DocumentPage => "document_page",
            Self::Request => "request",
        }
    }

    /// Whether it is a token that the model puts out: how many there will be is known when there are no more.
    #[must_use]
    pub fn is_output(self) -> bool {
        matches!(
            self,
            Self::Output
                | Self::Reasoning
                | Self::Citation
                | Self::OutputAudio
                | Self::OutputImage
                | Self::OutputVideo
        )
    }

    /// The meter whose price applies when this one has none: a cached token is still an input
    /// token. `None` where nothing else is a fair substitute.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::CachedInput
            | Self::CacheWrite5m
            | Self::InputAudio
            | Self::InputImage
            | Self::InputVideo => Some(Self::Input),
            Self::CacheWrite1h => Some(Self::CacheWrite5m),
            Self::CachedInputAudio | Self::CachedInputImage => Some(Self::CachedInput),
            Self::Reasoning
            | Self::Citation
            | Self::OutputAudio
            | Self::OutputImage
            | Self::OutputVideo => Some(Self::Output),
            Self::Input
            | Self::Output
            | Self::Image
            | Self::WebSearch
            | Self::SearchUnit
            | Self::InputCharacter
            | Self::InputAudioMillisecond
            | Self::DocumentPage
            | Self::Request => None,
        }
    }

    /// How many units a vendor's quoted price is for: a million tokens or characters, a minute of
    /// audio, or one of everything else.
    #[must_use]
    pub fn quoted_units(self) -> u32 {
        match self {
            Self::Image
            | Self::WebSearch
            | Self::SearchUnit
            | Self::DocumentPage
            | Self::Request => 1,
            Self::InputAudioMillisecond => 60_000,
            _ => 1_000_000,
        }
    }

    /// Reads a price as vendors quote it: `"2.50"` is dollars for [`Meter::quoted_units`] units.
    pub fn quoted(self, dollars: &str) -> Result<PicoDollars, InvalidAmount> {
        PicoDollars::from_dollars_per(dollars, self.quoted_units())
    }

    /// The largest price per unit that can be true: ten dollars for a token or a character, a
    /// hundred for anything else. A larger one is a slip of the decimal point in the facts.
    #[must_use]
    pub fn largest_believable(self) -> i64 {
        let dollars = if self.quoted_units() == 1 { 100 } else { 10 };
        dollars * domain::money::PICO_PER_DOLLAR
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Prices by meter, in pico-dollars per unit. A price of zero is free; no price is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(BTreeMap<Meter, PicoDollars>);

impl Prices {
    /// The price of exactly this meter.
    #[must_use]
    pub fn get(&self, meter: Meter) -> Option<PicoDollars> {
        self.0.get(&meter).copied()
    }

    /// Sets a price; returns the one it replaces.
    pub fn set(&mut self, meter: Meter, price: PicoDollars) -> Option<PicoDollars> {
        self.0.insert(meter, price)
    }

    /// Forgets a price.
    pub fn unset(&mut self, meter: Meter) {
        self.0.remove(&meter);
    }

    /// Takes over each price of `other` that is unknown here; says whether there was any.
    pub fn fill_from(&mut self, other: &Self) -> bool {
        let known = self.0.len();
        for (meter, price) in other.iter() {
            self.0.entry(meter).or_insert(price);
        }
        self.0.len() > known
    }

    /// The prices of what is charged one by one, which do not depend on how long the input is, on
    /// the hour, or on the tier.
    #[must_use]
    pub fn by_the_piece(&self) -> Self {
        self.iter()
            .filter(|(meter, _)| meter.quoted_units() == 1)
            .collect()
    }

    /// The price of this meter or of the nearest ancestor that has one, and whose price it is.
    ///
    /// Cached audio without any price for cache reads is charged as audio, not as text: the
    /// discount is unknown, the modality is not.
    #[must_use]
    pub fn nearest(&self, meter: Meter) -> Option<(Meter, PicoDollars)> {
        let modality = match meter {
            Meter::CachedInputAudio => Some(Meter::InputAudio),
            Meter::CachedInputImage => Some(Meter::InputImage),
            _ => None,
        };
        let chain = [
            Some(meter),
            meter.parent(),
            modality,
            meter.parent().and_then(Meter::parent),
        ];
        chain
            .into_iter()
            .flatten()
            .find_map(|candidate| self.get(candidate).map(|price| (candidate, price)))
    }

    /// Every known price, in the order of a bill.
    pub fn iter(&self) -> impl Iterator<Item = (Meter, PicoDollars)> + '_ {
        self.0.iter().map(|(meter, price)| (*meter, *price))
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Meter, PicoDollars)> for Prices {
    fn from_iter<I: IntoIterator<Item = (Meter, PicoDollars)>>(prices: I) -> Self {
        Self(prices.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(known: &[(Meter, i64)]) -> Prices {
        known
            .iter()
            .map(|(meter, price)| (*meter, PicoDollars::new(*price).unwrap()))
            .collect()
    }

    #[test]
    fn a_meter_is_written_as_it_is_called() {
        for meter in Meter::ALL {
            let json = serde_json::to_string(&meter).unwrap();
            assert_eq!(json, format!("\"{meter}\""));
            assert_eq!(serde_json::from_str::<Meter>(&json).unwrap(), meter);
        }
    }

    #[test]
    fn a_one_hour_write_falls_back_to_the_short_write_and_then_to_input() {
        let both = prices(&[(Meter::Input, 1), (Meter::CacheWrite5m, 2)]);
        assert_eq!(
            both.nearest(Meter::CacheWrite1h).unwrap().0,
            Meter::CacheWrite5m
        );
        let input = prices(&[(Meter::Input, 1)]);
        assert_eq!(input.nearest(Meter::CacheWrite1h).unwrap().0, Meter::Input);
    }

    #[test]
    fn cached_audio_falls_back_to_cached_input_before_audio_before_input() {
        let all = prices(&[
            (Meter::Input, 1),
            (Meter::CachedInput, 2),
            (Meter::InputAudio, 3),
        ]);
        assert_eq!(
            all.nearest(Meter::CachedInputAudio).unwrap().0,
            Meter::CachedInput
        );
        let no_cache = prices(&[(Meter::Input, 1), (Meter::InputAudio, 3)]);
        assert_eq!(
            no_cache.nearest(Meter::CachedInputAudio).unwrap().0,
            Meter::InputAudio
        );
    }

    #[test]
    fn a_search_has_no_substitute() {
        let tokens = prices(&[(Meter::Input, 1), (Meter::Output, 1)]);
        assert_eq!(tokens.nearest(Meter::WebSearch), None);
    }

    #[test]
    fn a_price_of_zero_is_a_price() {
        let free = prices(&[(Meter::Input, 5), (Meter::CachedInput, 0)]);
        assert_eq!(
            free.nearest(Meter::CachedInput),
            Some((Meter::CachedInput, PicoDollars::ZERO))
        );
    }

    #[test]
    fn a_price_is_read_as_vendors_quote_it() {
        assert_eq!(Meter::Input.quoted("2.50").unwrap().get(), 2_500_000);
        assert_eq!(
            Meter::WebSearch.quoted("0.01").unwrap().get(),
            10_000_000_000
        );
        assert_eq!(
            Meter::InputAudioMillisecond.quoted("0.006").unwrap().get(),
            100_000
        );
    }
}
