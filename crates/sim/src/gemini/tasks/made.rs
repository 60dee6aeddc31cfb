//! The models of `generateContent` that make pictures (`…-image…`) and speech (`…-tts…`).
//! See <https://ai.google.dev/gemini-api/docs/image-generation> and <https://ai.google.dev/gemini-api/docs/speech-generation>.

use serde_json::{Value, json};

use super::super::check::plain;
use super::{member, members, model, said};
use crate::media;
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Understood, Wish, picture, sound};
use crate::tokens;
use crate::vendor::Failure;

/// Whether a model makes pictures or speech.
pub(crate) fn makes(model: &str) -> bool {
    model.contains("-image") || model.contains("-tts")
}

const SHAPES: [&str; 10] = [
    "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9",
];

/// `POST /v1beta/models/{model}:generateContent`
pub(crate) fn generate(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let name = model(asked);
    let root = Node::root(&body);
    members(
        &root,
        &[
            "contents",
            "system_instruction",
            "generation_config",
            "safety_settings",
            "model",
        ],
    )?;
    let Some(contents) = body["contents"]
        .as_array()
        .filter(|contents| !contents.is_empty())
    else {
        return Err(plain(
            "* GenerateContentRequest.contents: contents is not specified\n",
        ));
    };
    let words = contents.last().map(said).unwrap_or_default();
    let shown = contents
        .iter()
        .map(pictures)
        .sum::<Result<u64, Failure>>()?;
    let none = json!({});
    let config = member(&body, "generation_config").unwrap_or(&none);
    let modalities: Vec<&str> = member(config, "response_modalities")
        .and_then(Value::as_array)
        .map(|words| words.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if name.contains("-tts") {
        if modalities != ["AUDIO"] {
            return Err(plain(
                "The requested combination of response modalities (TEXT) is not supported by the model. This model only supports: AUDIO",
            ));
        }
        check_voice(config)?;
        return Ok(wish(name, words, speech));
    }
    if modalities.contains(&"AUDIO") {
        return Err(plain(
            "The requested combination of response modalities (AUDIO) is not supported by the model.",
        ));
    }
    check_shape(config, name)?;
    Ok(wish(name, words, move |understood| {
        image(understood, shown)
    }))
}

/// How many pictures a content shows; each must be one.
fn pictures(content: &Value) -> Result<u64, Failure> {
    let parts = member(content, "parts").and_then(Value::as_array);
    let mut count = 0;
    for part in parts.into_iter().flatten() {
        let Some(blob) = member(part, "inline_data") else {
            continue;
        };
        let bytes = blob["data"].as_str().and_then(media::decode_any);
        if bytes.as_deref().and_then(media::image_type).is_none() {
            return Err(plain(
                "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
            ));
        }
        count += 1;
    }
    Ok(count)
}

fn check_voice(config: &Value) -> Result<(), Failure> {
    let voice = member(config, "speech_config")
        .and_then(|speech| member(speech, "voice_config"))
        .and_then(|voice| member(voice, "prebuilt_voice_config"))
        .and_then(|voice| member(voice, "voice_name"))
        .and_then(Value::as_str);
    match voice {
        // Its voices are stars, nymphs and spirits; none is written like this.
        Some(voice) if voice.is_empty() || !voice.chars().all(char::is_alphabetic) => {
            Err(plain(format!(
                "Voice name {voice} is not supported. Allowed voice names are: achernar, achird, kore, puck, zephyr."
            )))
        }
        _ => Ok(()),
    }
}

fn check_shape(config: &Value, name: &str) -> Result<(), Failure> {
    let Some(image) = member(config, "image_config") else {
        return Ok(());
    };
    if let Some(shape) = member(image, "aspect_ratio").and_then(Value::as_str)
        && !SHAPES.contains(&shape)
    {
        return Err(plain(format!(
            "* GenerateContentRequest.generation_config.image_config.aspect_ratio: {shape} is not supported\n"
        )));
    }
    match member(image, "image_size").and_then(Value::as_str) {
        Some(_) if !name.starts_with("gemini-3") => {
            Err(plain("Image size is not supported for this model."))
        }
        None | Some("1K" | "2K" | "4K") => Ok(()),
        Some(other) => Err(plain(format!(
            "* GenerateContentRequest.generation_config.image_config.image_size: {other} is not supported\n"
        ))),
    }
}

fn wish(
    name: &str,
    said: String,
    make: impl Fn(&Understood<'_>) -> (Value, Value, SimTaskUsage) + Send + 'static,
) -> Wish {
    let model = name.to_owned();
    Wish {
        model: name.to_owned(),
        said,
        stream: false,
        make: Box::new(move |understood| {
            if understood.refused {
                let told = json!({
                    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                    "usageMetadata": {"promptTokenCount": tokens::of_text(understood.said), "totalTokenCount": tokens::of_text(understood.said)},
                    "modelVersion": model,
                });
                return (Output::Json(told), SimTaskUsage::default());
            }
            let (part, counts, usage) = make(understood);
            let told = json!({
                "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": counts,
                "modelVersion": model,
                "responseId": format!("sim{:016x}", understood.sequence),
            });
            (Output::Json(told), usage)
        }),
    }
}

fn image(understood: &Understood<'_>, shown: u64) -> (Value, Value, SimTaskUsage) {
    const EACH: u64 = 1_290;
    let picture = picture::make("png", understood.digest);
    let words = tokens::of_text(understood.said);
    let input = words + shown * tokens::IMAGE;
    let counts = json!({
        "promptTokenCount": input,
        "candidatesTokenCount": EACH,
        "totalTokenCount": input + EACH,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": words},
            {"modality": "IMAGE", "tokenCount": shown * tokens::IMAGE},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": EACH}],
    });
    let usage = SimTaskUsage {
        input_tokens: input,
        output_tokens: EACH,
        images: 1,
        ..SimTaskUsage::default()
    };
    (
        json!({"inlineData": {"mimeType": "image/png", "data": media::encode(&picture)}}),
        counts,
        usage,
    )
}

fn speech(understood: &Understood<'_>) -> (Value, Value, SimTaskUsage) {
    let samples = sound::make("pcm", understood.said);
    let input = tokens::of_text(understood.said);
    // Twenty-five tokens a second.
    let output = sound::spoken_milliseconds(understood.said).div_ceil(40);
    let counts = json!({
        "promptTokenCount": input,
        "candidatesTokenCount": output,
        "totalTokenCount": input + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": output}],
    });
    let usage = SimTaskUsage {
        input_tokens: input,
        output_tokens: output,
        ..SimTaskUsage::default()
    };
    let blob =
        json!({"mimeType": "audio/L16;codec=pcm;rate=24000", "data": media::encode(&samples)});
    (json!({"inlineData": blob}), counts, usage)
}
