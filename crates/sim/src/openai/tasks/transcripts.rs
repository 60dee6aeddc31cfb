//! The rules of transcripts. See <https://platform.openai.com/docs/api-reference/audio/createTranscription>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    GENEROUS, file, form, no_such_model, one_of, plain, required, unknown_parameter, wish,
};
use crate::tasks::form::Form;
use crate::tasks::{Asked, Output, SimTaskUsage, Understood, Wish, sound};
use crate::tokens;
use crate::vendor::Failure;

const LARGEST: usize = 25 * 1024 * 1024;
const ENDINGS: [&str; 10] = [
    "flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm",
];
const OF_TRANSCRIPTS: [&str; 15] = [
    "file",
    "model",
    "chunking_strategy",
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "language",
    "languages",
    "prompt",
    "response_format",
    "stream",
    "temperature",
    "timestamp_granularities",
    "user",
];
const OF_TRANSLATIONS: [&str; 5] = ["file", "model", "prompt", "response_format", "temperature"];

/// How a model is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Billing {
    ByTime,
    ByToken,
}

/// What is written.
#[derive(Clone, Debug)]
struct Order {
    shape: String,
    billing: Billing,
    task: &'static str,
    language: String,
    words: bool,
    segments: bool,
    stream: bool,
    heard: String,
    milliseconds: u64,
}

/// `POST /v1/audio/transcriptions`
pub(crate) fn transcribe(asked: &Asked<'_>) -> Result<Wish, Failure> {
    read(asked, "transcribe", &OF_TRANSCRIPTS)
}

/// `POST /v1/audio/translations`
pub(crate) fn translate(asked: &Asked<'_>) -> Result<Wish, Failure> {
    read(asked, "translate", &OF_TRANSLATIONS)
}

fn read(asked: &Asked<'_>, task: &'static str, names: &[&str]) -> Result<Wish, Failure> {
    let form = form(asked)?;
    for part in form.parts() {
        let name = part.name.split('[').next().unwrap_or_default();
        if !names.contains(&name) {
            return Err(unknown_parameter(&part.name));
        }
    }
    let model = required(&form, "model")?;
    let is_whisper = model.starts_with("whisper") || model == GENEROUS;
    let is_modern = model.starts_with("gpt-4o-") || model.starts_with("gpt-transcribe");
    if !(is_whisper || is_modern && task == "transcribe") {
        return Err(no_such_model(&model));
    }
    let (recording, name) = recording(&form)?;
    let is_diarizing = model.contains("diarize") || model == GENEROUS;
    let shapes: &[&str] = if is_diarizing {
        &[
            "json",
            "text",
            "srt",
            "vtt",
            "verbose_json",
            "diarized_json",
        ]
    } else if is_whisper {
        &["json", "text", "srt", "vtt", "verbose_json"]
    } else {
        &["json", "text"]
    };
    let shape = form
        .text("response_format")
        .unwrap_or_else(|| "json".to_owned());
    one_of("response_format", &shape, shapes)?;
    let granularities: Vec<String> = form
        .list("timestamp_granularities")
        .map(|part| String::from_utf8_lossy(&part.bytes).into_owned())
        .collect();
    for granularity in &granularities {
        one_of("timestamp_granularities", granularity, &["word", "segment"])?;
    }
    if !granularities.is_empty() && shape != "verbose_json" {
        return Err(plain(
            "`timestamp_granularities` is only supported with the `verbose_json` response format.",
        )
        .at("timestamp_granularities"));
    }
    if let Some(temperature) = form.text("temperature")
        && !temperature
            .parse::<f64>()
            .is_ok_and(|number| (0.0..=1.0).contains(&number))
    {
        return Err(
            plain("Invalid 'temperature': expected a number from 0 to 1.").at("temperature"),
        );
    }
    let stream = form.text("stream").unwrap_or_else(|| "false".to_owned());
    one_of("stream", &stream, &["true", "false"])?;
    let (heard, milliseconds) = sound::hear(&recording, &name);
    let prompt = form.text("prompt").unwrap_or_default();
    let has = |word: &str| granularities.iter().any(|granularity| granularity == word);
    let order = Order {
        shape,
        billing: if is_whisper {
            Billing::ByTime
        } else {
            Billing::ByToken
        },
        task,
        language: form
            .text("language")
            .unwrap_or_else(|| "english".to_owned()),
        words: has("word"),
        segments: granularities.is_empty() || has("segment"),
        // The old model ignores it.
        stream: stream == "true" && !model.starts_with("whisper"),
        heard: heard.clone(),
        milliseconds,
    };
    let said = format!("{heard} {prompt}");
    Ok(wish(&model, &said, order.stream, move |understood| {
        make(&order, understood)
    }))
}

/// The recording must be a file whose name tells what it is, and must be that.
fn recording(form: &Form) -> Result<(Bytes, String), Failure> {
    let Some(part) = form.get("file") else {
        required(form, "file")?;
        return Err(plain("Missing required parameter: 'file'.").at("file"));
    };
    let (part, name) = file(part)?;
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) {
        return Err(plain(format!(
            "Unrecognized file format. Supported formats: ['{}']",
            ENDINGS.join("', '")
        )));
    }
    if part.bytes.len() > LARGEST {
        let message = format!(
            "Maximum content size limit ({LARGEST}) exceeded ({} bytes read)",
            part.bytes.len()
        );
        return Err(Failure::new(413, "server_error", message));
    }
    if !sound::is_sound(&part.bytes) {
        return Err(plain("Audio file might be corrupted or unsupported")
            .at("file")
            .code("invalid_value"));
    }
    Ok((part.bytes.clone(), name.to_owned()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "recordings are shorter than millions of years"
)]
fn make(order: &Order, _: &Understood<'_>) -> (Output, SimTaskUsage) {
    // A wish in the recording is no word of the transcript.
    let text = crate::directive::Directive::extract(&order.heard)
        .map_or_else(|_| order.heard.clone(), |(_, said)| said);
    let seconds = order.milliseconds as f64 / 1_000.0;
    let (input, output) = (order.milliseconds.div_ceil(100), tokens::of_text(&text));
    let mut usage = SimTaskUsage {
        milliseconds: order.milliseconds,
        ..SimTaskUsage::default()
    };
    let told = if order.billing == Billing::ByTime {
        json!({"type": "duration", "seconds": order.milliseconds.div_ceil(1_000)})
    } else {
        usage.input_tokens = input;
        usage.output_tokens = output;
        json!({
            "type": "tokens",
            "input_tokens": input,
            "input_token_details": {"text_tokens": 0, "audio_tokens": input},
            "output_tokens": output,
            "total_tokens": input + output,
        })
    };
    if order.stream {
        return (Output::Events(events(order, &text, seconds, &told)), usage);
    }
    let plain = |text: String| Output::Bytes("text/plain; charset=utf-8", text.into());
    let output = match order.shape.as_str() {
        "text" => plain(format!("{text}\n")),
        "srt" => plain(format!(
            "1\n{} --> {}\n{text}\n\n\n",
            time(0, ','),
            time(order.milliseconds, ',')
        )),
        "vtt" => plain(format!(
            "WEBVTT\n\n{} --> {}\n{text}\n\n",
            time(0, '.'),
            time(order.milliseconds, '.')
        )),
        "verbose_json" => Output::Json(verbose(order, &text, seconds, &told)),
        "diarized_json" => Output::Json(json!({
            "task": order.task, "duration": seconds, "text": text, "segments": [segment(&text, seconds)], "usage": told,
        })),
        _ => Output::Json(json!({"text": text, "usage": told})),
    };
    (output, usage)
}

fn segment(text: &str, seconds: f64) -> Value {
    json!({"type": "transcript.text.segment", "id": "seg_001", "start": 0.0, "end": seconds, "text": text, "speaker": "A"})
}

fn verbose(order: &Order, text: &str, seconds: f64, told: &Value) -> Value {
    let mut answer = json!({
        "task": order.task, "language": order.language, "duration": seconds, "text": text, "usage": told,
    });
    if order.segments {
        answer["segments"] = json!([{
            "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": format!(" {text}"), "tokens": [50364, 50414],
            "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 0.9, "no_speech_prob": 0.01,
        }]);
    }
    if order.words {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut start = 0.0;
        let step = seconds / f64::from(u32::try_from(words.len().max(1)).unwrap_or(1));
        let timed: Vec<Value> = words
            .iter()
            .map(|word| {
                let timed = json!({"word": word, "start": start, "end": start + step});
                start += step;
                timed
            })
            .collect();
        answer["words"] = timed.into();
    }
    answer
}

fn events(
    order: &Order,
    text: &str,
    seconds: f64,
    told: &Value,
) -> Vec<(Option<&'static str>, Value)> {
    let mut events = Vec::new();
    if order.shape == "diarized_json" {
        events.push((None, segment(text, seconds)));
    }
    for word in text.split_inclusive(' ') {
        events.push((
            None,
            json!({"type": "transcript.text.delta", "delta": word}),
        ));
    }
    events.push((
        None,
        json!({"type": "transcript.text.done", "text": text, "usage": told}),
    ));
    events
}

fn time(milliseconds: u64, point: char) -> String {
    let seconds = milliseconds / 1_000;
    format!(
        "{:02}:{:02}:{:02}{point}{:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        milliseconds % 1_000
    )
}
