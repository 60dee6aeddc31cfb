use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::provider_error::Cause;
use domain::usage::Usage;
use serde_json::{Value, json};

use super::OpenaiSpeech;
use crate::dialect::{DecodeError, End, Refusal};
use crate::kind::ProviderKind;
use crate::media::testing::{Sent, follow, head, json_of, reply, report_of};
use crate::task::{PreparedTask, Task};

fn sent(changes: &Value) -> Sent {
    let mut body = json!({"model": "voice/one", "input": "Grüß dich.", "voice": "kore"});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    Sent::json(&body)
}

fn to(kind: ProviderKind, model: &str, changes: &Value) -> Result<PreparedTask, Refusal> {
    sent(changes).to(&OpenaiSpeech, kind, model)
}

fn stream(prepared: &PreparedTask, content_type: &str, pieces: &[&[u8]]) -> (String, Usage) {
    let mut stream = prepared.reader.stream(&head(content_type)).unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        stream
            .push(&Bytes::copy_from_slice(piece), &mut out)
            .unwrap();
    }
    stream.finish(End::Clean, &mut out).unwrap();
    let usage = stream.observed().usage.unwrap_or_default();
    (String::from_utf8(out.concat()).unwrap(), usage)
}

#[test]
fn the_envelope_tells_what_it_will_take() {
    let sent = sent(&json!({"stream_format": "sse"}));
    let envelope = OpenaiSpeech.envelope(&sent.asked, &sent.body).unwrap();
    assert_eq!(envelope.model.as_str(), "voice/one");
    assert!(envelope.stream);
    assert_eq!(envelope.estimate.input_characters, 10);
    assert_eq!(envelope.estimate.input_tokens, 3);
    assert!(envelope.estimate.checked().is_ok());
}

#[test]
fn what_is_missing_is_named() {
    for (body, param) in [
        (json!({"input": "a", "voice": "b"}), "model"),
        (json!({"model": "a", "voice": "b"}), "input"),
        (json!({"model": "a", "input": 3}), "input"),
    ] {
        let sent = Sent::json(&body);
        let refusal = OpenaiSpeech.envelope(&sent.asked, &sent.body).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some(param));
    }
}

#[test]
fn openai_gets_the_callers_bytes_with_its_own_models_name() {
    let sent =
        Sent::of_text(r#"{ "voice":{"id":"v"}, "model" : "alias", "input":"a\u00fc","new":1.0 }"#);
    let prepared = sent
        .to(&OpenaiSpeech, ProviderKind::Openai, "gpt-4o-mini-tts")
        .unwrap();
    assert_eq!(
        prepared.request.body(),
        r#"{ "voice":{"id":"v"}, "model" : "gpt-4o-mini-tts", "input":"a\u00fc","new":1.0 }"#
    );
    assert_eq!(
        prepared.request.uri(),
        "https://api.openai.com/v1/audio/speech"
    );
    assert!(prepared.report.is_none());
    let (out, usage) = stream(&prepared, "audio/mpeg", &[b"ID3", b"..."]);
    assert_eq!((out.as_str(), usage), ("ID3...", Usage::default()));
}

#[test]
fn openais_events_pass_and_tell_what_they_took() {
    let prepared = to(ProviderKind::Openai, "m", &json!({"stream_format": "sse"})).unwrap();
    let events = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\ndata: {\"type\":\"speech.audio.done\",\
        \"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n";
    for size in [1, 7, events.len()] {
        let pieces: Vec<&[u8]> = events.as_bytes().chunks(size).collect();
        let (out, usage) = stream(&prepared, "text/event-stream", &pieces);
        assert_eq!(out, events);
        let expected = Usage {
            output_audio_tokens: 101,
            ..Usage::text(14, 101)
        };
        assert_eq!(usage, expected);
    }
}

#[test]
fn a_recording_that_breaks_off_is_an_error() {
    let prepared = to(ProviderKind::Openai, "m", &json!({})).unwrap();
    let mut stream = prepared.reader.stream(&head("audio/mpeg")).unwrap();
    assert!(stream.finish(End::Broken, &mut Vec::new()).is_err());
}

#[test]
fn elevenlabs_is_told_the_voice_in_the_path_and_the_format_in_the_query() {
    let prepared = to(
        ProviderKind::Elevenlabs,
        "eleven_flash_v2_5",
        &json!({"voice": "21m00?x", "response_format": "pcm", "speed": 2, "instructions": "slowly", "seed": 1}),
    )
    .unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.elevenlabs.io/v1/text-to-speech/21m00%3Fx/stream?output_format=pcm_24000"
    );
    assert_eq!(
        json_of(&prepared.request),
        json!({"text": "Grüß dich.", "model_id": "eleven_flash_v2_5", "voice_settings": {"speed": 1.2}})
    );
    assert_eq!(
        report_of(&prepared),
        [
            vec!["model", "input", "voice", "response_format"],
            vec!["speed"],
            vec!["seed", "instructions"]
        ]
    );
    let (out, usage) = stream(&prepared, "audio/pcm", &[b"ab", b"c"]);
    assert_eq!((out.as_str(), usage.input_characters), ("abc", 10));
}

#[test]
fn sound_becomes_events_whose_base64_joins() {
    let prepared = to(
        ProviderKind::Elevenlabs,
        "m",
        &json!({"stream_format": "sse"}),
    )
    .unwrap();
    let whole = b"0123456789";
    for size in 1..=whole.len() {
        let pieces: Vec<&[u8]> = whole.chunks(size).collect();
        let (out, _) = stream(&prepared, "audio/mpeg", &pieces);
        let mut audio = String::new();
        let mut last = Value::Null;
        for data in out
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
        {
            last = serde_json::from_str(data).unwrap();
            audio.push_str(last["audio"].as_str().unwrap_or_default());
        }
        assert_eq!(STANDARD.decode(audio).unwrap(), whole);
        assert_eq!(last["type"], "speech.audio.done");
    }
}

#[test]
fn deepgrams_models_name_the_voice() {
    for (model, voice, expected) in [
        ("aura-2", "thalia", "aura-2-thalia-en"),
        ("aura-2-thalia-en", "thalia", "aura-2-thalia-en"),
        ("aura-2-thalia-en", "alloy", "aura-2-thalia-en"),
        ("aura-2", "aura-2-celeste-es", "aura-2-celeste-es"),
    ] {
        let prepared = to(
            ProviderKind::Deepgram,
            model,
            &json!({"voice": voice, "response_format": "wav"}),
        )
        .unwrap();
        assert_eq!(
            prepared.request.uri().to_string(),
            format!(
                "https://api.deepgram.com/v1/speak?model={expected}&encoding=linear16&container=wav&sample_rate=24000"
            )
        );
    }
}

#[test]
fn what_a_vendor_cannot_do_is_refused_by_name() {
    for (kind, changes, param) in [
        (ProviderKind::Elevenlabs, json!({"voice": "alloy"}), "voice"),
        (
            ProviderKind::Elevenlabs,
            json!({"response_format": "aac"}),
            "response_format",
        ),
        (ProviderKind::Elevenlabs, json!({"voice": "../x"}), "voice"),
        (
            ProviderKind::Elevenlabs,
            json!({"stream_format": "wav"}),
            "stream_format",
        ),
        (ProviderKind::Deepgram, json!({"voice": "alloy"}), "voice"),
        (
            ProviderKind::Deepgram,
            json!({"input": "a".repeat(2_001)}),
            "input",
        ),
        (ProviderKind::Gemini, json!({"voice": "nova"}), "voice"),
        (
            ProviderKind::Gemini,
            json!({"response_format": "mp3"}),
            "response_format",
        ),
        (ProviderKind::Anthropic, json!({}), "model"),
        (ProviderKind::Stability, json!({}), "model"),
    ] {
        let refusal = to(kind, "m", &changes).err().unwrap();
        assert_eq!(refusal.param.as_deref(), Some(param), "{kind:?}");
    }
}

#[test]
fn geminis_samples_become_a_wave_file_or_stay_samples() {
    let answer = json!({
        "candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=16000", "data": STANDARD.encode([7; 32])}}]}}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 20, "totalTokenCount": 25},
        "modelVersion": "gemini-2.5-flash-preview-tts",
    });
    let asked =
        json!({"instructions": "Say it cheerfully", "response_format": "wav", "speed": 1.0});
    let prepared = to(ProviderKind::Gemini, "gemini-2.5-flash-preview-tts", &asked).unwrap();
    assert_eq!(
        json_of(&prepared.request)["contents"][0]["parts"][0]["text"],
        "Say it cheerfully: Grüß dich."
    );
    assert_eq!(
        report_of(&prepared),
        [
            vec!["model", "input", "voice", "response_format"],
            vec!["instructions"],
            vec![]
        ]
    );
    let (_, wave) = follow(prepared.reader, [reply(&answer)]);
    let wave = wave.unwrap();
    assert_eq!(wave.content_type, "audio/wav");
    assert_eq!(wave.body.len(), 44 + 32);
    assert_eq!(wave.body[24..28], 16_000_u32.to_le_bytes());
    let usage = wave.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_audio_tokens), (5, 20));
    assert_eq!(
        wave.response_model.as_deref(),
        Some("gemini-2.5-flash-preview-tts")
    );

    let plain = to(
        ProviderKind::Gemini,
        "m",
        &json!({"response_format": "pcm"}),
    )
    .unwrap();
    let (_, plain) = follow(plain.reader, [reply(&answer)]);
    assert_eq!(plain.unwrap().body, vec![7; 32]);

    let events = to(ProviderKind::Gemini, "m", &json!({"stream_format": "sse"})).unwrap();
    let (_, events) = follow(events.reader, [reply(&answer)]);
    let events = String::from_utf8(events.unwrap().body.to_vec()).unwrap();
    assert!(events.contains(r#""total_tokens":25"#), "{events}");
}

#[test]
fn a_blocked_text_is_refused_for_its_content() {
    let prepared = to(ProviderKind::Gemini, "m", &json!({})).unwrap();
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    match follow(prepared.reader, [reply(&blocked)]).1 {
        Err(DecodeError::Provider(error)) => assert_eq!(error.cause, Cause::ContentPolicy),
        other => panic!("{other:?}"),
    }
}
