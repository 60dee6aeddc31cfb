use bytes::Bytes;
use domain::usage::Usage;
use serde_json::{Value, json};

use super::OpenaiTranscripts;
use crate::dialect::{End, Refusal};
use crate::kind::ProviderKind;
use crate::media::testing::{Reply, Sent, follow, form_of, head, json_of, reply, report_of};
use crate::multipart::NewForm;
use crate::task::{PreparedTask, Task, TaskAnswer};

const SOUND: &[u8] = b"ID3 a recording of two people, twelve seconds long";

fn form<'a>(fields: &[(&str, &str)]) -> NewForm<'a> {
    let form = NewForm::default().text("model", "alias");
    let form = fields
        .iter()
        .fold(form, |form, (name, value)| form.text(name, *value));
    form.file("file", "talk.mp3", "audio/mpeg", SOUND)
}

fn to(kind: ProviderKind, model: &str, fields: &[(&str, &str)]) -> Result<PreparedTask, Refusal> {
    Sent::form(form(fields)).to(&OpenaiTranscripts::Transcriptions, kind, model)
}

fn answer(kind: ProviderKind, fields: &[(&str, &str)], reply: Reply) -> TaskAnswer {
    let prepared = to(kind, "nova-3", fields).unwrap();
    follow(prepared.reader, [reply]).1.unwrap()
}

fn text(answer: &TaskAnswer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn deepgram() -> Reply {
    let word = |word: &str, start: f64, speaker: u32| json!({"word": word.to_lowercase(), "punctuated_word": word, "start": start, "end": start + 0.4, "confidence": 1.0, "speaker": speaker});
    reply(&json!({
        "metadata": {"request_id": "r", "duration": 2.5, "channels": 1, "models": ["m"], "model_info": {"m": {"arch": "nova-3"}}},
        "results": {
            "channels": [{"detected_language": "de", "alternatives": [{
                "transcript": "Guten Tag. Danke.", "confidence": 0.98,
                "words": [word("Guten", 0.0, 0), word("Tag.", 0.5, 0), word("Danke.", 1.5, 1)],
            }]}],
            "utterances": [
                {"start": 0.0, "end": 0.9, "confidence": 1.0, "channel": 0, "transcript": "Guten Tag.", "speaker": 0, "id": "x"},
                {"start": 1.5, "end": 1.9, "confidence": 1.0, "channel": 0, "transcript": "Danke.", "speaker": 1, "id": "y"},
            ],
        },
    }))
}

fn elevenlabs() -> Reply {
    let item = |kind: &str, text: &str, start: f64, speaker: &str| json!({"type": kind, "text": text, "start": start, "end": start + 0.5, "speaker_id": speaker, "logprob": -0.25});
    reply(&json!({
        "language_code": "deu", "language_probability": 1, "text": "Guten Tag. Danke.", "audio_duration_secs": 2.5,
        "words": [
            item("word", "Guten", 0.0, "speaker_7"), item("spacing", " ", 0.5, "speaker_7"),
            item("word", "Tag.", 0.5, "speaker_7"), item("audio_event", "(laughter)", 1.0, "speaker_7"),
            item("word", "Danke.", 1.5, "speaker_2"),
        ],
    }))
}

#[test]
fn the_envelope_tells_how_long_the_recording_is() {
    let sound = vec![0; 80_000];
    let form = NewForm::default()
        .text("model", "whisper")
        .text("stream", "True")
        .file("file", "a.mp3", "audio/mpeg", &sound);
    let sent = Sent::form(form);
    let envelope = OpenaiTranscripts::Transcriptions
        .envelope(&sent.asked, &sent.body)
        .unwrap();
    assert_eq!(envelope.model.as_str(), "whisper");
    assert!(envelope.stream);
    assert_eq!(envelope.estimate.input_audio_milliseconds, 10_000);
    assert_eq!(envelope.estimate.input_audio_tokens, 100);
}

#[test]
fn what_is_missing_is_named() {
    for (form, param) in [
        (
            NewForm::default().file("file", "a", "audio/wav", b"x"),
            "model",
        ),
        (NewForm::default().text("model", "m"), "file"),
        (
            NewForm::default()
                .text("model", "m")
                .file("file", "a", "audio/wav", b""),
            "file",
        ),
    ] {
        let sent = Sent::form(form);
        let refusal = OpenaiTranscripts::Transcriptions
            .envelope(&sent.asked, &sent.body)
            .unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some(param));
    }
}

#[test]
fn openai_gets_the_callers_form_with_its_own_models_name() {
    let sent = Sent::form(form(&[("chunking_strategy", "auto")]));
    let prepared = sent
        .to(
            &OpenaiTranscripts::Transcriptions,
            ProviderKind::Openai,
            "gpt-4o-transcribe",
        )
        .unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.openai.com/v1/audio/transcriptions"
    );
    assert_eq!(
        prepared.request.headers()["content-type"],
        sent.asked.headers["content-type"]
    );
    let before = String::from_utf8(sent.body.to_vec()).unwrap();
    let after = String::from_utf8(prepared.request.body().to_vec()).unwrap();
    assert_eq!(
        after,
        before.replace("\r\nalias\r\n", "\r\ngpt-4o-transcribe\r\n")
    );
    let translated = sent
        .to(
            &OpenaiTranscripts::Translations,
            ProviderKind::Openai,
            "whisper-1",
        )
        .unwrap();
    assert!(
        translated
            .request
            .uri()
            .path()
            .ends_with("/audio/translations")
    );
}

#[test]
fn openais_subtitles_and_objects_pass_and_tell_what_they_tell() {
    let subtitles: Reply = ("text/plain; charset=utf-8", b"1\n00:00".to_vec());
    let passed = answer(ProviderKind::Openai, &[], subtitles);
    assert_eq!((text(&passed), passed.usage), ("1\n00:00", None));
    assert_eq!(passed.content_type, "text/plain; charset=utf-8");
    let verbose = reply(&json!({"text": "a", "duration": 2.5, "language": "german"}));
    let usage = answer(ProviderKind::Openai, &[], verbose).usage.unwrap();
    assert_eq!(usage.input_audio_milliseconds, 2_500);
}

#[test]
fn openais_events_pass_and_tell_what_they_took() {
    let prepared = to(ProviderKind::Openai, "m", &[("stream", "true")]).unwrap();
    let mut stream = prepared
        .reader
        .stream(&head("text/event-stream; charset=utf-8"))
        .unwrap();
    let events = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"say \\\"error\\\"\"}\n\n\
        data: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\
        \"output_tokens\":3,\"total_tokens\":17,\"input_token_details\":{\"audio_tokens\":14}}}\n\n";
    let mut out = Vec::new();
    stream
        .push(&Bytes::from_static(events.as_bytes()), &mut out)
        .unwrap();
    stream.finish(End::Broken, &mut out).unwrap();
    assert_eq!(out.concat(), events.as_bytes());
    let usage = stream.observed().usage.unwrap();
    assert_eq!((usage.input_audio_tokens, usage.output_tokens), (14, 3));
    assert_eq!(stream.observed().error, None);
}

#[test]
fn deepgram_gets_the_recording_alone_and_the_wishes_in_the_query() {
    let fields = [
        ("language", "de"),
        ("prompt", "a talk"),
        ("keywords[]", "Trunkline & co"),
        ("response_format", "diarized_json"),
        ("temperature", "0.2"),
        ("include[]", "logprobs"),
    ];
    let prepared = to(ProviderKind::Deepgram, "nova-3", &fields).unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.deepgram.com/v1/listen?model=nova-3&smart_format=true&language=de&diarize=true&utterances=true\
         &keyterm=Trunkline%20%26%20co"
    );
    assert_eq!(prepared.request.headers()["content-type"], "audio/mpeg");
    assert_eq!(prepared.request.body(), SOUND);
    assert_eq!(
        report_of(&prepared),
        [
            vec!["file", "model", "response_format", "language", "keywords"],
            vec![],
            vec!["include[]", "prompt", "temperature"]
        ]
    );
    let plain = to(ProviderKind::Deepgram, "nova-2", &[]).unwrap();
    assert_eq!(
        plain.request.uri().query(),
        Some("model=nova-2&smart_format=true&detect_language=true")
    );
}

#[test]
fn elevenlabs_gets_a_form_of_its_own() {
    let fields = [
        ("language", "de"),
        ("keywords[]", "Trunkline"),
        ("response_format", "diarized_json"),
        ("temperature", "0.2"),
    ];
    let prepared = to(ProviderKind::Elevenlabs, "scribe_v1", &fields).unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.elevenlabs.io/v1/speech-to-text"
    );
    let form = form_of(&prepared.request);
    let form: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        form,
        [
            ("model_id", "scribe_v1"),
            ("tag_audio_events", "false"),
            ("language_code", "de"),
            ("diarize", "true"),
            ("temperature", "0.2"),
            ("keyterms", "Trunkline"),
            ("file", "ID3 a recording of two p"),
        ]
    );
}

#[test]
fn a_transcript_is_written_in_every_form() {
    for (kind, reply) in [
        (ProviderKind::Deepgram, deepgram as fn() -> Reply),
        (ProviderKind::Elevenlabs, elevenlabs),
    ] {
        let of = |shape: &str, more: &[(&str, &str)]| {
            let mut fields = vec![("response_format", shape)];
            fields.extend(more);
            answer(kind, &fields, reply())
        };
        let json: Value = serde_json::from_str(text(&of("json", &[]))).unwrap();
        assert_eq!(
            json,
            json!({"text": "Guten Tag. Danke.", "usage": {"type": "duration", "seconds": 3}})
        );
        assert_eq!(text(&of("text", &[])), "Guten Tag. Danke.\n");
        let srt = of("srt", &[]);
        assert!(
            text(&srt).starts_with("1\n00:00:00,000 --> 00:00:0"),
            "{kind:?}"
        );
        assert!(
            text(&srt).contains("\nGuten Tag.\n\n2\n00:00:01,500 --> "),
            "{kind:?}"
        );
        assert_eq!(srt.content_type, "text/plain; charset=utf-8");
        assert!(text(&of("vtt", &[])).starts_with("WEBVTT\n\n00:00:00.000 --> "));

        let words = [("timestamp_granularities[]", "word")];
        let verbose: Value = serde_json::from_str(text(&of("verbose_json", &words))).unwrap();
        assert_eq!(verbose["language"], "german");
        assert_eq!(verbose["duration"], 2.5);
        assert_eq!(verbose["words"][2]["word"], "Danke.");
        assert_eq!(verbose["words"][2]["start"], 1.5);
        assert_eq!(verbose.get("segments"), None);
        let verbose: Value = serde_json::from_str(text(&of("verbose_json", &[]))).unwrap();
        assert_eq!(verbose["segments"][1]["text"], "Danke.");
        assert_eq!(verbose.get("words"), None);

        let diarized: Value = serde_json::from_str(text(&of("diarized_json", &[]))).unwrap();
        let speakers: Vec<&Value> = diarized["segments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|segment| &segment["speaker"])
            .collect();
        assert_eq!(speakers, ["A", "B"], "{kind:?}");
        assert_eq!(diarized["segments"][0]["type"], "transcript.text.segment");
    }
}

#[test]
fn what_a_transcript_took_is_its_length() {
    for (kind, reply) in [
        (ProviderKind::Deepgram, deepgram()),
        (ProviderKind::Elevenlabs, elevenlabs()),
    ] {
        let expected = Usage {
            input_audio_milliseconds: 2_500,
            ..Usage::default()
        };
        assert_eq!(answer(kind, &[], reply).usage, Some(expected));
    }
}

#[test]
fn a_stream_of_a_vendor_that_has_none_comes_in_one_piece() {
    let streamed = answer(ProviderKind::Deepgram, &[("stream", "true")], deepgram());
    assert_eq!(streamed.content_type, "text/event-stream; charset=utf-8");
    assert_eq!(
        text(&streamed),
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Guten Tag. Danke.\"}\n\n\
         data: {\"type\":\"transcript.text.done\",\"text\":\"Guten Tag. Danke.\"}\n\n"
    );
}

#[test]
fn gemini_is_asked_in_words() {
    let generated = reply(&json!({
        "candidates": [{"content": {"parts": [{"text": "Good day.\n"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 70, "candidatesTokenCount": 3, "totalTokenCount": 73,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}, {"modality": "TEXT", "tokenCount": 10}]},
        "modelVersion": "gemini-2.5-flash",
    }));
    let sent = Sent::form(form(&[
        ("prompt", "a talk"),
        ("language", "de"),
        ("temperature", "0"),
    ]));
    let prepared = sent
        .to(
            &OpenaiTranscripts::Translations,
            ProviderKind::Gemini,
            "gemini-2.5-flash",
        )
        .unwrap();
    let body = json_of(&prepared.request);
    let parts = &body["contents"][0]["parts"];
    assert_eq!(parts[0]["inlineData"]["mimeType"], "audio/mpeg");
    let wish = parts[1]["text"].as_str().unwrap();
    assert!(wish.starts_with("Translate") && wish.contains("german") && wish.ends_with("a talk"));
    assert_eq!(body["generationConfig"]["temperature"], 0.0);
    let (_, answer) = follow(prepared.reader, [generated]);
    let answer = answer.unwrap();
    let written: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(written["text"], "Good day.");
    assert_eq!(written["usage"]["input_token_details"]["audio_tokens"], 60);
    assert_eq!(answer.usage.unwrap().input_audio_tokens, 60);
}

#[test]
fn what_a_vendor_cannot_do_is_refused_by_name() {
    for (kind, fields, param) in [
        (
            ProviderKind::Gemini,
            ("response_format", "srt"),
            "response_format",
        ),
        (
            ProviderKind::Deepgram,
            ("response_format", "xml"),
            "response_format",
        ),
        (
            ProviderKind::Deepgram,
            ("timestamp_granularities[]", "line"),
            "timestamp_granularities",
        ),
        (
            ProviderKind::Deepgram,
            ("temperature", "warm"),
            "temperature",
        ),
        (ProviderKind::Anthropic, ("language", "de"), "model"),
    ] {
        let refusal = to(kind, "m", &[fields]).err().unwrap();
        assert_eq!(refusal.param.as_deref(), Some(param), "{fields:?}");
    }
    for kind in [ProviderKind::Deepgram, ProviderKind::Elevenlabs] {
        let refusal = Sent::form(form(&[])).to(&OpenaiTranscripts::Translations, kind, "m");
        assert!(refusal.err().unwrap().detail.contains("does not translate"));
    }
}
