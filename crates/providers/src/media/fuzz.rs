//! Whatever a vendor answers, no reader of pictures or sound panics, and a stream that is cut elsewhere gives
//! the same bytes.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::audio::{OpenaiSpeech, OpenaiTranscripts};
use crate::dialect::End;
use crate::images::OpenaiImages;
use crate::kind::ProviderKind;
use crate::media::testing::{Sent, head};
use crate::multipart::NewForm;
use crate::task::{Task, TaskReader, TaskStep};

/// How long each harness runs; `cargo bolero test` runs the same for longer.
const TIME: Duration = Duration::from_secs(2);

/// More steps than arbitrary bytes can ask for.
const MAX_STEPS: usize = 4;

fn reader(task: &dyn Task, sent: &Sent, kind: ProviderKind) -> Box<dyn TaskReader> {
    sent.to(task, kind, "aura-2/one").unwrap().reader
}

/// A reader of every vendor's answers.
fn readers() -> Vec<Box<dyn TaskReader>> {
    let pictures = Sent::json(&json!({"model": "m", "prompt": "a heron"}));
    let speech = Sent::json(&json!({"model": "m", "input": "a", "voice": "kore"}));
    let form = NewForm::default().text("model", "m");
    let form = form.text("response_format", "json");
    let recording = Sent::form(form.file("file", "a.mp3", "audio/mpeg", b"ID3"));
    let of_pictures = [
        ProviderKind::Openai,
        ProviderKind::Gemini,
        ProviderKind::Stability,
        ProviderKind::BlackForestLabs,
        ProviderKind::Fal,
        ProviderKind::Replicate,
    ];
    let of_speech = [ProviderKind::Openai, ProviderKind::Gemini];
    let of_recordings = [
        ProviderKind::Openai,
        ProviderKind::Gemini,
        ProviderKind::Deepgram,
        ProviderKind::Elevenlabs,
    ];
    let imagen = pictures.to(&OpenaiImages::Generations, ProviderKind::Gemini, "imagen-4");
    let mut readers = vec![imagen.unwrap().reader];
    readers.extend(of_pictures.map(|kind| reader(&OpenaiImages::Generations, &pictures, kind)));
    readers.extend(of_speech.map(|kind| reader(&OpenaiSpeech, &speech, kind)));
    let transcripts = OpenaiTranscripts::Transcriptions;
    readers.extend(of_recordings.map(|kind| reader(&transcripts, &recording, kind)));
    readers
}

/// Gives the same answer to whatever is asked.
fn answer(reader: &dyn TaskReader, content_type: &str, body: &Bytes, steps: usize) {
    if let Ok(TaskStep::Again { reader, .. }) = reader.read(&head(content_type), body.clone())
        && steps > 0
    {
        answer(reader.as_ref(), content_type, body, steps - 1);
    }
}

#[test]
fn no_reader_panics_on_arbitrary_bytes() {
    bolero::check!()
        .with_max_len(256)
        .with_test_time(TIME)
        .for_each(|bytes: &[u8]| {
            let body = Bytes::copy_from_slice(bytes);
            for reader in readers() {
                answer(reader.as_ref(), "application/json", &body, MAX_STEPS);
            }
        });
}

/// Answers that are nearly right, which reach further than bytes without sense.
#[test]
fn no_reader_panics_on_an_answer_with_a_piece_missing() {
    let whole = json!({
        "status": "Ready", "polling_url": "https://a/b", "result": {"sample": "https://a/c", "prompt": "p"},
        "images": [{"url": "data:image/png;base64,AA=="}], "output": ["https://a/d"], "urls": {"get": "https://a/e"},
        "candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "audio/L16;rate=1", "data": "AAAA"}}, {"text": "a"}]}}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}, "predictions": [{"bytesBase64Encoded": "AA=="}],
        "text": "a b", "words": [{"text": "a", "type": "word", "start": 1e300, "end": -1.0}], "audio_duration_secs": 1e300,
        "metadata": {"duration": -5.0}, "results": {"channels": [{"alternatives": [{"transcript": "a", "words": [{"word": "a"}]}]}]},
        "data": [{}], "usage": {"input_tokens": 1, "output_tokens": 1}, "image": "AA==", "finish_reason": "SUCCESS",
    })
    .to_string();
    bolero::check!()
        .with_type::<(usize, usize, Vec<u8>)>()
        .with_test_time(TIME)
        .for_each(|(from, length, put)| {
            let bytes = whole.as_bytes();
            let from = from % bytes.len();
            let to = (from + length % 40).min(bytes.len());
            let body = Bytes::from([&bytes[..from], put, &bytes[to..]].concat());
            for reader in readers() {
                answer(reader.as_ref(), "application/json", &body, MAX_STEPS);
            }
        });
}

#[test]
fn a_stream_that_passes_gives_the_same_however_it_is_cut() {
    bolero::check!()
        .with_type::<(Vec<u8>, usize)>()
        .with_test_time(TIME)
        .for_each(|(bytes, at)| {
            let at = at % (bytes.len() + 1);
            let read = |reader: &dyn TaskReader, pieces: [&[u8]; 2]| {
                let mut stream = reader.stream(&head("text/event-stream"))?;
                let mut out = Vec::new();
                let mut result = Ok(());
                for piece in pieces {
                    result =
                        result.and_then(|()| stream.push(&Bytes::copy_from_slice(piece), &mut out));
                }
                let result = result.and_then(|()| stream.finish(End::Clean, &mut out));
                let given = result.is_ok().then(|| out.concat());
                Some((given, stream.observed().usage, result.is_ok()))
            };
            for reader in readers() {
                let (left, right) = bytes.split_at(at);
                let cut = read(reader.as_ref(), [left, right]);
                assert_eq!(cut, read(reader.as_ref(), [bytes, b""]));
            }
        });
}
