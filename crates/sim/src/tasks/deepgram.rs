//! Deepgram: speech and transcripts. See <https://developers.deepgram.com/reference>.

use serde_json::{Value, json};

use super::elevenlabs::recording;
use super::{Asked, Output, SimTaskUsage, Wish, sound};
use crate::clock;
use crate::directive::Directive;
use crate::escape::decoded;
use crate::route::query;
use crate::vendor::Failure;

/// `POST /v1/speak`
pub(super) fn speak(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let (Value::String(text), Some(1)) =
        (&body["text"], body.as_object().map(serde_json::Map::len))
    else {
        return Err(bad(
            "INVALID_PAYLOAD",
            "Failed to deserialize JSON payload. Please specify exactly one of `text` or `url` in the JSON body.",
        ));
    };
    if text.chars().count() > 2_000 {
        return Err(Failure::new(
            413,
            "PAYLOAD_TOO_LARGE",
            "Input text exceeds maximum character limit of 2000.",
        ));
    }
    let model = query(asked.head, "model")
        .unwrap_or("aura-asteria-en")
        .to_owned();
    let parts: Vec<&str> = model.split('-').collect();
    if parts.first() != Some(&"aura") || parts.len() < 3 {
        return Err(bad(
            "INVALID_QUERY_PARAMETER",
            "Failed to deserialize query parameters: No such model/version combination found.",
        ));
    }
    let encoding = query(asked.head, "encoding").unwrap_or("mp3");
    let container = query(asked.head, "container");
    let format = match (encoding, container) {
        ("mp3", None) => "mp3",
        ("opus", None | Some("ogg")) => "opus",
        ("aac", None) => "aac",
        ("flac", None) => "flac",
        ("linear16", None | Some("wav")) => "wav",
        ("linear16", Some("none")) => "pcm",
        _ => {
            return Err(bad(
                "INVALID_QUERY_PARAMETER",
                "`container` is not applicable when `encoding` is set so.",
            ));
        }
    };
    if let Some(speed) = query(asked.head, "speed")
        && !speed
            .parse::<f64>()
            .is_ok_and(|speed| (0.7..=1.5).contains(&speed))
    {
        return Err(bad(
            "INVALID_QUERY_PARAMETER",
            "`speed` must be between 0.7 and 1.5.",
        ));
    }
    let text = text.clone();
    Ok(Wish {
        model,
        said: text,
        stream: false,
        make: Box::new(move |understood| {
            let usage = SimTaskUsage {
                characters: understood.said.chars().count() as u64,
                ..SimTaskUsage::default()
            };
            (
                Output::Bytes(
                    sound::media_type(format),
                    sound::make(format, understood.said),
                ),
                usage,
            )
        }),
    })
}

const PARAMETERS: [&str; 16] = [
    "model",
    "language",
    "detect_language",
    "smart_format",
    "punctuate",
    "diarize",
    "utterances",
    "paragraphs",
    "keyterm",
    "keywords",
    "numerals",
    "filler_words",
    "multichannel",
    "tag",
    "mip_opt_out",
    "profanity_filter",
];

/// `POST /v1/listen`
pub(super) fn listen(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let pairs = asked.head.uri.query().unwrap_or_default();
    for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        if !PARAMETERS.contains(&name) {
            return Err(bad(
                "Bad Request",
                &format!("Failed to deserialize query parameters: unknown field `{name}`"),
            ));
        }
    }
    let model = query(asked.head, "model").unwrap_or("base").to_owned();
    let families = ["nova", "base", "enhanced", "whisper", "flux"];
    if !families.iter().any(|family| model.starts_with(family)) {
        let message = "Bad Request: No such model/language/tier combination found.";
        return Err(bad("INVALID_QUERY_PARAMETER", message));
    }
    if query(asked.head, "keyterm").is_some() && !model.starts_with("nova-3") {
        return Err(bad(
            "INVALID_QUERY_PARAMETER",
            "Keyterm is only supported for nova-3 models.",
        ));
    }
    let Some(bytes) = recording(asked.body) else {
        return Err(bad(
            "Bad Request",
            "Bad Request: failed to process audio: corrupt or unsupported data",
        ));
    };
    let (heard, milliseconds) = sound::hear(&bytes, "the recording");
    let on = |name: &str| query(asked.head, name) == Some("true");
    let (diarizes, utters, detects) = (on("diarize"), on("utterances"), on("detect_language"));
    let language = query(asked.head, "language").map(decoded);
    let name = model.clone();
    Ok(Wish {
        model,
        said: heard.clone(),
        stream: false,
        make: Box::new(move |understood| {
            let said = Directive::extract(&heard).map_or(heard, |(_, said)| said);
            let usage = SimTaskUsage {
                milliseconds,
                ..SimTaskUsage::default()
            };
            let told = Heard {
                said: &said,
                seconds: seconds(milliseconds),
                speaker: diarizes.then_some(0),
            };
            let mut channel = json!({"alternatives": [{"transcript": said, "confidence": 0.98, "words": told.words()}]});
            if detects && language.is_none() {
                channel["detected_language"] = json!("en");
                channel["language_confidence"] = json!(0.99);
            }
            let mut results = json!({"channels": [channel]});
            if utters {
                results["utterances"] = json!([told.utterance()]);
            }
            let metadata = json!({
                "request_id": format!("sim{:016x}", understood.sequence), "sha256": format!("{:064x}", understood.digest.value()),
                "created": clock::written(understood.now), "duration": told.seconds, "channels": 1, "models": ["sim"],
                "model_info": {"sim": {"name": name, "version": "sim", "arch": name}},
            });
            (
                Output::Json(json!({"metadata": metadata, "results": results})),
                usage,
            )
        }),
    })
}

struct Heard<'a> {
    said: &'a str,
    seconds: f64,
    speaker: Option<u32>,
}

impl Heard<'_> {
    fn words(&self) -> Vec<Value> {
        let words: Vec<&str> = self.said.split_whitespace().collect();
        let step = self.seconds / f64::from(u32::try_from(words.len().max(1)).unwrap_or(1));
        let mut start = 0.0;
        words
            .iter()
            .map(|word| {
                let plain: String = word.chars().filter(|letter| letter.is_alphanumeric()).collect();
                let mut told = json!({
                    "word": plain.to_lowercase(), "punctuated_word": word, "start": start, "end": start + step, "confidence": 0.98,
                });
                if let Some(speaker) = self.speaker {
                    told["speaker"] = json!(speaker);
                }
                start += step;
                told
            })
            .collect()
    }

    fn utterance(&self) -> Value {
        json!({
            "start": 0.0, "end": self.seconds, "confidence": 0.98, "channel": 0, "transcript": self.said, "words": self.words(),
            "speaker": self.speaker, "id": "sim",
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "recordings are shorter than millions of years"
)]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}

fn bad(code: &'static str, message: &str) -> Failure {
    Failure::new(400, code, message)
}
