//! Pictures, speech, transcripts, vectors, ranks, files and batches.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Answer, Fields, GEMINI, OPENAI, assert_says, cases, send};
use crate::{Sim, media};

async fn post(sim: &Sim, path: &str, fields: Fields<'_>, body: &Value) -> Answer {
    send(sim, "POST", path, fields, body.to_string().into()).await
}

async fn openai(sim: &Sim, path: &str, body: &Value) -> Answer {
    post(sim, path, OPENAI, body).await
}

async fn get(sim: &Sim, path: &str, fields: Fields<'_>) -> Answer {
    send(sim, "GET", path, fields, Bytes::new()).await
}

const BOUNDARY: &str = "multipart/form-data; boundary=simform";

/// A field, or a file when it has a name and a type.
type Part<'a> = (&'a str, Option<(&'a str, &'a str)>, &'a [u8]);

fn form(parts: &[Part<'_>]) -> Bytes {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        body.extend_from_slice(
            format!("--simform\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes(),
        );
        if let Some((file, kind)) = file {
            body.extend_from_slice(
                format!("; filename=\"{file}\"\r\nContent-Type: {kind}").as_bytes(),
            );
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--simform--\r\n");
    body.into()
}

async fn post_form(sim: &Sim, path: &str, key: (&str, &str), parts: &[Part<'_>]) -> Answer {
    let fields = [key, ("content-type", BOUNDARY)];
    send(sim, "POST", path, &fields, form(parts)).await
}

const KEY: (&str, &str) = ("authorization", "Bearer sk-test");

fn picture(base64: &Value) -> Option<&'static str> {
    media::image_type(&media::decode_standard(base64.as_str()?)?)
}

#[tokio::test]
async fn pictures_are_what_they_say_they_are_and_tell_what_they_took() {
    let sim = Sim::default();
    let asked = json!({"model": "gpt-image-1.5", "prompt": "a heron", "n": 2, "quality": "low", "output_format": "webp"});
    let answer = openai(&sim, "/v1/images/generations", &asked).await;
    let told = answer.json();
    assert_eq!(answer.status, 200, "{told}");
    assert_eq!(picture(&told["data"][1]["b64_json"]), Some("image/webp"));
    assert_eq!(told["usage"]["output_tokens"], 544);
    let again = openai(&Sim::default(), "/v1/images/generations", &asked).await;
    assert_eq!(again.json(), told);
    let call = &sim.tasks()[0];
    assert_eq!(
        (call.vendor, call.model.as_str(), call.completed),
        ("openai", "gpt-image-1.5", true)
    );
    assert_eq!(call.usage.unwrap().images, 2);

    let by_url = json!({"model": "dall-e-2", "prompt": "a heron"});
    let told = openai(&sim, "/v1/images/generations", &by_url).await.json();
    let url = told["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix("http://sim.invalid").unwrap();
    let fetched = get(&sim, path, &[]).await;
    assert_eq!(fetched.field("content-type"), "image/png");
    assert_eq!(
        media::image_type(&fetched.pieces.concat()),
        Some("image/png")
    );
    assert!(told.get("usage").is_none());
}

#[tokio::test]
async fn a_picture_comes_in_parts_when_it_is_streamed() {
    let asked =
        json!({"model": "gpt-image-1.5", "prompt": "a heron", "stream": true, "partial_images": 2});
    let answer = openai(&Sim::default(), "/v1/images/generations", &asked).await;
    assert!(
        answer
            .field("content-type")
            .starts_with("text/event-stream")
    );
    let events = answer.events();
    let types: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let partial = "image_generation.partial_image";
    assert_eq!(types, [partial, partial, "image_generation.completed"]);
    assert_eq!(events[1]["partial_image_index"], 1);
    assert_eq!(events[2]["usage"]["output_tokens"], 1_056);
    assert!(
        answer
            .text()
            .starts_with("event: image_generation.partial_image\ndata: ")
    );
}

#[tokio::test]
async fn edits_come_as_forms_and_as_json() {
    let sim = Sim::default();
    let png = crate::tasks::picture::make("png", crate::digest::Digest::new(1));
    let image: Part<'_> = ("image[]", Some(("a.png", "image/png")), &png);
    let model: Part<'_> = ("model", None, b"gpt-image-1.5");
    let prompt: Part<'_> = ("prompt", None, b"add a hat");
    let answer = post_form(
        &sim,
        "/v1/images/edits",
        KEY,
        &[model, prompt, image, image],
    )
    .await;
    assert_eq!(
        answer.json()["usage"]["input_tokens_details"]["image_tokens"],
        516
    );
    for (parts, says) in [
        (&[model, prompt][..], "Missing required parameter: 'image'"),
        (
            &[model, prompt, ("image", None, &png[..])],
            "expected a file",
        ),
        (
            &[
                model,
                prompt,
                (
                    "image",
                    Some(("a.png", "application/octet-stream")),
                    &png[..],
                ),
            ],
            "unsupported mimetype ('application/octet-stream')",
        ),
        (
            &[
                model,
                prompt,
                ("image", Some(("a.png", "image/png")), b"no picture"),
            ],
            "Invalid image file",
        ),
        (
            &[
                model,
                prompt,
                image,
                ("mask", Some(("m.png", "image/png")), b"x"),
            ],
            "must be a PNG",
        ),
        (
            &[model, prompt, image, ("style", None, b"vivid")],
            "Unknown parameter: 'style'",
        ),
    ] {
        let refused = post_form(&sim, "/v1/images/edits", KEY, parts).await;
        assert_eq!(refused.status, 400);
        assert_says(&refused.json()["error"]["message"], &json!({"says": says}));
    }
    let url = format!("data:image/png;base64,{}", media::encode(&png));
    let asked =
        json!({"model": "gpt-image-1.5", "prompt": "a hat", "images": [{"image_url": url}]});
    let fields = &[KEY, ("content-type", "application/json")];
    let answer = post(&sim, "/v1/images/edits", fields, &asked).await;
    assert_eq!(
        picture(&answer.json()["data"][0]["b64_json"]),
        Some("image/png")
    );
}

#[tokio::test]
async fn what_is_read_aloud_is_heard_again() {
    let sim = Sim::default();
    for format in ["mp3", "wav", "flac"] {
        let asked = json!({"model": "tts-1", "input": "The quick brown fox.", "voice": "alloy", "response_format": format});
        let sound = openai(&sim, "/v1/audio/speech", &asked).await;
        assert!(sound.field("content-type").starts_with("audio/"));
        let sound = sound.pieces.concat();
        let name = format!("fox.{format}");
        let file: Part<'_> = ("file", Some((&name, "audio/mpeg")), &sound);
        let parts = [
            file,
            ("model", None, b"whisper-1"),
            ("response_format", None, b"verbose_json"),
            ("timestamp_granularities[]", None, b"word"),
        ];
        let told = post_form(&sim, "/v1/audio/transcriptions", KEY, &parts)
            .await
            .json();
        assert_eq!(told["text"], "The quick brown fox.", "{format}");
        assert_eq!(told["words"][2]["word"], "brown");
        assert_eq!(told["usage"]["type"], "duration");
    }
    let events = json!({"model": "gpt-4o-mini-tts", "input": "Hello.", "voice": {"id": "voice_1"}, "stream_format": "sse"});
    let events = openai(&sim, "/v1/audio/speech", &events).await.events();
    assert_eq!(events.last().unwrap()["type"], "speech.audio.done");
}

#[tokio::test]
async fn a_recording_is_refused_unless_it_is_a_file_of_a_known_kind() {
    let sim = Sim::default();
    let wav = crate::tasks::sound::make("wav", "Hello there.");
    let model: Part<'_> = ("model", None, b"gpt-4o-transcribe");
    let file: Part<'_> = ("file", Some(("a.wav", "audio/wav")), &wav);
    for (parts, says) in [
        (&[model][..], "Missing required parameter: 'file'"),
        (&[file], "Missing required parameter: 'model'"),
        (&[model, ("file", None, &wav[..])], "expected a file"),
        (
            &[model, ("file", Some(("a.txt", "audio/wav")), &wav[..])],
            "Unrecognized file format",
        ),
        (
            &[model, ("file", Some(("a.wav", "audio/wav")), b"hello")],
            "might be corrupted",
        ),
        (
            &[model, file, ("response_format", None, b"srt")],
            "Invalid value: 'srt'",
        ),
        (
            &[model, file, ("tempo", None, b"1")],
            "Unknown parameter: 'tempo'",
        ),
    ] {
        let refused = post_form(&sim, "/v1/audio/transcriptions", KEY, parts).await;
        assert_eq!(refused.status, 400, "{says}");
        assert_says(&refused.json()["error"]["message"], &json!({"says": says}));
    }
    let parts = [model, file, ("stream", None, b"true")];
    let events = post_form(&sim, "/v1/audio/transcriptions", KEY, &parts)
        .await
        .events();
    assert_eq!(events.last().unwrap()["text"], "Hello there.");
    assert_eq!(events.last().unwrap()["usage"]["type"], "tokens");
}

#[tokio::test]
async fn wishes_and_faults_strike_here_too() {
    let sim = Sim::default();
    let asked =
        |wish: &str| json!({"model": "gpt-image-1.5", "prompt": format!("a heron [[sim {wish}]]")});
    for (wish, status, says) in [
        ("status=429 retry-after=3", 429, "Rate limit reached"),
        ("refusal", 400, "rejected by the safety system"),
        ("teapot", 400, "unknown simulation directive 'teapot'"),
    ] {
        let refused = openai(&sim, "/v1/images/generations", &asked(wish)).await;
        assert_eq!(refused.status, status, "{wish}");
        assert_says(&refused.json()["error"]["message"], &json!({"says": says}));
    }
    let plan = json!({"match": {"face": "task", "model": "tts-1"}, "directive": "status=503"});
    assert_eq!(post(&sim, "/sim/faults", &[], &plan).await.status, 201);
    let spoken = json!({"model": "tts-1", "input": "Hello.", "voice": "alloy"});
    assert_eq!(openai(&sim, "/v1/audio/speech", &spoken).await.status, 503);
    assert_eq!(openai(&sim, "/v1/audio/speech", &spoken).await.status, 200);
    let cut = json!({"model": "tts-1", "input": "Hello. [[sim cut=1]]", "voice": "alloy"});
    assert!(openai(&sim, "/v1/audio/speech", &cut).await.cut.is_some());
    let listed = get(&sim, "/sim/tasks?since=3", &[]).await.json();
    let completed: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["completed"])
        .collect();
    assert_eq!(completed, [true, true, false]);
}

#[tokio::test]
async fn what_openai_would_refuse_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/tasks.jsonl")) {
        let path = case["path"].as_str().unwrap();
        let answer = openai(&sim, path, &case["body"]).await;
        assert_eq!(answer.status, case["status"], "{case}: {}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["param"], case["param"], "{case}");
        assert_says(&error["message"], &case);
    }
    let nobody = send(
        &sim,
        "POST",
        "/v1/embeddings",
        &[],
        Bytes::from_static(b"{}"),
    )
    .await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn vectors_have_length_one_and_come_in_both_encodings() {
    let sim = Sim::default();
    let asked = |encoding: &str| json!({"model": "text-embedding-3-small", "input": ["a heron", "tax law"], "dimensions": 8, "encoding_format": encoding});
    let floats = openai(&sim, "/v1/embeddings", &asked("float")).await.json();
    let base64 = openai(&sim, "/v1/embeddings", &asked("base64"))
        .await
        .json();
    assert_eq!(floats["data"][1]["index"], 1);
    assert_eq!(floats["usage"]["prompt_tokens"], 4);
    let numbers: Vec<f64> = floats["data"][0]["embedding"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect();
    assert!((numbers.iter().map(|number| number * number).sum::<f64>() - 1.0).abs() < 1e-4);
    let bytes = media::decode_standard(base64["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let first = f32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert!((f64::from(first) - numbers[0]).abs() < 1e-6);
    let of_tokens = json!({"model": "text-embedding-3-small", "input": [[1, 2, 3], [4]]});
    assert_eq!(
        openai(&sim, "/v1/embeddings", &of_tokens).await.json()["usage"]["total_tokens"],
        4
    );
}

#[tokio::test]
async fn google_makes_vectors_pictures_and_speech() {
    let sim = Sim::default();
    let content = |text: &str| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 4});
    let one = post(
        &sim,
        "/v1beta/models/gemini-embedding-001:embedContent",
        GEMINI,
        &content("a"),
    )
    .await;
    assert_eq!(
        one.json()["embedding"]["values"].as_array().unwrap().len(),
        4
    );
    let batch = json!({"requests": [content("a"), content("b")]});
    let batch = post(
        &sim,
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        GEMINI,
        &batch,
    )
    .await;
    assert_eq!(batch.json()["embeddings"].as_array().unwrap().len(), 2);
    let imagen = json!({"instances": [{"prompt": "a heron"}], "parameters": {"sampleCount": 2}});
    let imagen = post(
        &sim,
        "/v1beta/models/imagen-4.0-generate-001:predict",
        GEMINI,
        &imagen,
    )
    .await;
    assert_eq!(
        picture(&imagen.json()["predictions"][1]["bytesBase64Encoded"]),
        Some("image/png")
    );
    let vertex =
        "/v1/projects/p/locations/global/publishers/google/models/imagen-4.0-generate-001:predict";
    let imagen = json!({"instances": [{"prompt": "a heron"}], "parameters": {"sampleCount": 1}});
    let bearer = &[("authorization", "Bearer ya29.simulated")];
    let refused = post(&sim, vertex, &[], &imagen).await;
    assert_eq!(refused.status, 401);
    assert_ne!(post(&sim, vertex, bearer, &imagen).await.status, 404);
    let asked = |config: Value| json!({"contents": [{"parts": [{"text": "a heron"}]}], "generationConfig": config});
    let shape = json!({"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}});
    let made = post(
        &sim,
        "/v1beta/models/gemini-2.5-flash-image:generateContent",
        GEMINI,
        &asked(shape),
    )
    .await;
    let part = &made.json()["candidates"][0]["content"]["parts"][0]["inlineData"];
    assert_eq!(picture(&part["data"]), Some("image/png"));
    let voice = json!({"responseModalities": ["AUDIO"], "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}});
    let path = "/v1beta/models/gemini-2.5-flash-preview-tts:generateContent";
    let spoken = post(&sim, path, GEMINI, &asked(voice)).await.json();
    let part = &spoken["candidates"][0]["content"]["parts"][0]["inlineData"];
    assert_eq!(part["mimeType"], "audio/L16;codec=pcm;rate=24000");
    let silent = post(&sim, path, GEMINI, &asked(json!({}))).await;
    assert_eq!(silent.json()["error"]["status"], "INVALID_ARGUMENT");
    for (path, body) in [
        (
            "gemini-embedding-001:embedContent",
            json!({"content": {"parts": []}}),
        ),
        (
            "gemini-embedding-001:embedContent",
            json!({"content": {"parts": [{"text": "a"}]}, "colour": 1}),
        ),
        (
            "imagen-4.0:predict",
            json!({"instances": [], "parameters": {}}),
        ),
        (
            "imagen-4.0:predict",
            json!({"instances": [{"prompt": "a"}], "parameters": {"sampleCount": 5}}),
        ),
        (
            "gemini-2.5-flash-image:generateContent",
            asked(json!({"imageConfig": {"aspectRatio": "7:5"}})),
        ),
    ] {
        let refused = post(&sim, &format!("/v1beta/models/{path}"), GEMINI, &body).await;
        assert_eq!(refused.status, 400, "{path} {body}");
    }
}

#[tokio::test]
async fn jobs_are_not_done_when_they_are_asked_for_first() {
    let sim = Sim::default();
    let path_of = |url: &Value| {
        url.as_str()
            .unwrap()
            .strip_prefix("http://sim.invalid")
            .unwrap()
            .to_owned()
    };

    let bfl: Fields<'_> = &[("x-key", "k")];
    let taken = post(&sim, "/v1/flux-2-pro", bfl, &json!({"prompt": "a heron"}))
        .await
        .json();
    let poll = path_of(&taken["polling_url"]);
    assert_eq!(get(&sim, &poll, bfl).await.json()["status"], "Pending");
    let ready = get(&sim, &poll, bfl).await.json();
    let picture = get(&sim, &path_of(&ready["result"]["sample"]), &[]).await;
    assert_eq!(
        media::image_type(&picture.pieces.concat()),
        Some("image/jpeg")
    );
    assert_eq!(
        get(&sim, "/v1/get_result?id=nobody", bfl).await.json()["status"],
        "Task not found"
    );

    let fal: Fields<'_> = &[("authorization", "Key k")];
    let queued = post(
        &sim,
        "/queue/fal-ai/flux/dev",
        fal,
        &json!({"prompt": "a heron", "sync_mode": true}),
    )
    .await
    .json();
    assert_eq!(queued["status"], "IN_QUEUE");
    let status = path_of(&queued["status_url"]);
    assert_eq!(
        get(&sim, &status, fal).await.json()["status"],
        "IN_PROGRESS"
    );
    assert_eq!(get(&sim, &status, fal).await.json()["status"], "COMPLETED");
    let result = get(&sim, &path_of(&queued["response_url"]), fal)
        .await
        .json();
    assert!(
        result["images"][0]["url"]
            .as_str()
            .unwrap()
            .starts_with("data:image/jpeg;base64,")
    );
    let at_once = post(
        &sim,
        "/fal-ai/flux/dev",
        fal,
        &json!({"prompt": "a heron", "num_images": 2}),
    )
    .await
    .json();
    assert_eq!(at_once["images"].as_array().unwrap().len(), 2);

    let created = post(
        &sim,
        "/v1/models/bfl/flux/predictions",
        OPENAI,
        &json!({"input": {"prompt": "a heron"}}),
    )
    .await;
    assert_eq!(created.status, 201);
    let look = path_of(&created.json()["urls"]["get"]);
    assert_eq!(get(&sim, &look, OPENAI).await.json()["output"], Value::Null);
    assert_eq!(get(&sim, &look, OPENAI).await.json()["status"], "succeeded");
}

#[tokio::test]
async fn each_vendor_refuses_in_its_own_shape() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/vendors.jsonl")) {
        let text = |name: &str| case[name].as_str().unwrap();
        let key = &[(text("field"), text("key"))];
        let refused = send(&sim, "POST", text("path"), key, Bytes::from_static(b"{}")).await;
        assert_eq!(refused.status, case["status"], "{case}: {}", refused.text());
        let told = refused.json();
        assert_says(told.pointer(text("place")).unwrap_or(&Value::Null), &case);
    }
}

#[tokio::test]
async fn other_vendors_speak_listen_and_paint() {
    let sim = Sim::default();
    let token: Fields<'_> = &[("authorization", "Token k")];
    let spoken = post(
        &sim,
        "/v1/speak?model=aura-2-thalia-en&encoding=linear16&container=wav",
        token,
        &json!({"text": "Good day."}),
    )
    .await;
    let wav = spoken.pieces.concat();
    let heard = send(
        &sim,
        "POST",
        "/v1/listen?model=nova-3&detect_language=true&utterances=true&diarize=true",
        token,
        wav.clone().into(),
    )
    .await
    .json();
    assert_eq!(
        heard["results"]["channels"][0]["alternatives"][0]["transcript"],
        "Good day."
    );
    assert_eq!(heard["results"]["utterances"][0]["speaker"], 0);
    let eleven = ("xi-api-key", "k");
    let parts: [Part<'_>; 2] = [
        ("model_id", None, b"scribe_v1"),
        ("file", Some(("a.wav", "audio/wav")), &wav),
    ];
    let heard = post_form(&sim, "/v1/speech-to-text", eleven, &parts)
        .await
        .json();
    assert_eq!(
        (&heard["text"], &heard["words"][2]["text"]),
        (&json!("Good day."), &json!("day."))
    );
    let path = "/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM/stream?output_format=opus_48000_128";
    let spoken = post(
        &sim,
        path,
        &[eleven],
        &json!({"text": "Hello.", "model_id": "eleven_flash_v2_5"}),
    )
    .await;
    assert_eq!(spoken.field("content-type"), "audio/opus");
    assert_eq!(sim.tasks().last().unwrap().usage.unwrap().characters, 6);
    let fields = [
        KEY,
        ("content-type", BOUNDARY),
        ("accept", "application/json"),
    ];
    let body = form(&[
        ("prompt", None, b"a heron [[sim refusal]]"),
        ("output_format", None, b"jpeg"),
    ]);
    let painted = send(
        &sim,
        "POST",
        "/v2beta/stable-image/generate/core",
        &fields,
        body,
    )
    .await
    .json();
    assert_eq!(painted["finish_reason"], "CONTENT_FILTERED");
    assert_eq!(picture(&painted["image"]), Some("image/jpeg"));
}

#[tokio::test]
async fn documents_are_ranked_by_the_words_they_share() {
    let sim = Sim::default();
    let documents = json!(["tax law", "the grey heron", "a heron"]);
    let jina =
        json!({"model": "rerank", "query": "grey heron", "documents": documents, "top_n": 2});
    let ranked = openai(&sim, "/v1/rerank", &jina).await.json();
    assert_eq!(ranked["results"][0]["index"], 1);
    assert_eq!(ranked["results"][0]["document"]["text"], "the grey heron");
    assert_eq!(ranked["results"].as_array().unwrap().len(), 2);
    let cohere = json!({"model": "rerank-v3.5", "query": "grey heron", "documents": documents});
    let ranked = post(&sim, "/v2/rerank", OPENAI, &cohere).await.json();
    assert_eq!(ranked["results"][0]["index"], 1);
    assert_eq!(ranked["meta"]["billed_units"]["search_units"], 1);
    let embed = json!({"model": "embed-v4.0", "input_type": "search_query", "texts": ["a"], "embedding_types": ["int8", "ubinary"], "output_dimension": 256});
    let told = post(&sim, "/v2/embed", OPENAI, &embed).await.json();
    assert_eq!(told["embeddings"]["int8"][0].as_array().unwrap().len(), 256);
    assert_eq!(
        told["embeddings"]["ubinary"][0].as_array().unwrap().len(),
        32
    );
}

#[tokio::test]
async fn a_file_is_kept_until_it_is_thrown_away() {
    let sim = Sim::default();
    let parts: [Part<'_>; 2] = [
        ("purpose", None, b"user_data"),
        ("file", Some(("a.txt", "text/plain")), b"Hello."),
    ];
    let file = post_form(&sim, "/v1/files", KEY, &parts).await.json();
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(
        (&file["bytes"], &file["filename"]),
        (&json!(6), &json!("a.txt"))
    );
    assert_eq!(get(&sim, &path, OPENAI).await.json(), file);
    assert_eq!(
        get(&sim, &format!("{path}/content"), OPENAI).await.text(),
        "Hello."
    );
    assert_eq!(get(&sim, "/v1/files", OPENAI).await.json()["data"][0], file);
    let gone = send(&sim, "DELETE", &path, OPENAI, Bytes::new()).await;
    assert_eq!(gone.json()["deleted"], true);
    assert_eq!(get(&sim, &path, OPENAI).await.status, 404);
}

#[tokio::test]
async fn a_batch_is_really_run() {
    let sim = Sim::default();
    let line = |id: &str, body: Value| {
        json!({"custom_id": id, "method": "POST", "url": "/v1/embeddings", "body": body})
            .to_string()
    };
    let lines = [
        line(
            "one",
            json!({"model": "text-embedding-3-small", "input": "a", "dimensions": 2}),
        ),
        line(
            "two",
            json!({"model": "text-embedding-3-small", "input": []}),
        ),
    ]
    .join("\n");
    let parts: [Part<'_>; 2] = [
        ("purpose", None, b"batch"),
        (
            "file",
            Some(("a.jsonl", "application/jsonl")),
            lines.as_bytes(),
        ),
    ];
    let file = post_form(&sim, "/v1/files", KEY, &parts).await.json();
    let asked = json!({"input_file_id": file["id"], "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {"a": "b"}});
    let batch = openai(&sim, "/v1/batches", &asked).await.json();
    assert_eq!(batch["status"], "validating", "{batch}");
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    assert_eq!(
        get(&sim, &path, OPENAI).await.json()["status"],
        "in_progress"
    );
    let done = get(&sim, &path, OPENAI).await.json();
    assert_eq!(
        done["request_counts"],
        json!({"total": 2, "completed": 1, "failed": 1})
    );
    let content = |id: &Value| format!("/v1/files/{}/content", id.as_str().unwrap());
    let good: Value = serde_json::from_str(
        get(&sim, &content(&done["output_file_id"]), OPENAI)
            .await
            .text()
            .trim(),
    )
    .unwrap();
    assert_eq!(good["custom_id"], "one");
    assert_eq!(
        good["response"]["body"]["data"][0]["embedding"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let bad: Value = serde_json::from_str(
        get(&sim, &content(&done["error_file_id"]), OPENAI)
            .await
            .text()
            .trim(),
    )
    .unwrap();
    assert_eq!(bad["response"]["status_code"], 400);

    let other = openai(&sim, "/v1/batches", &asked).await.json();
    let cancel = format!("/v1/batches/{}/cancel", other["id"].as_str().unwrap());
    assert_eq!(
        openai(&sim, &cancel, &json!({})).await.json()["status"],
        "cancelled"
    );
    assert_eq!(openai(&sim, &cancel, &json!({})).await.status, 409);
    let wrong = json!({"input_file_id": file["id"], "endpoint": "/v1/responses", "completion_window": "24h"});
    let wrong = openai(&sim, "/v1/batches", &wrong).await.json();
    assert_eq!(wrong["errors"]["data"][0]["code"], "invalid_url");
}

#[tokio::test]
async fn a_model_is_tuned_with_a_file_of_examples() {
    let sim = Sim::default();
    let example =
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"}]}"#;
    let upload = async |examples: usize| {
        let lines = vec![example; examples].join("\n");
        let parts: [Part<'_>; 2] = [
            ("purpose", None, b"fine-tune"),
            (
                "file",
                Some(("t.jsonl", "application/jsonl")),
                lines.as_bytes(),
            ),
        ];
        let file = post_form(&sim, "/v1/files", KEY, &parts).await.json();
        json!({"model": "gpt-4.1-nano", "training_file": file["id"], "suffix": "ours"})
    };
    let asked = upload(10).await;
    let job = openai(&sim, "/v1/fine_tuning/jobs", &asked).await.json();
    assert_eq!(job["status"], "validating_files", "{job}");
    let path = format!("/v1/fine_tuning/jobs/{}", job["id"].as_str().unwrap());
    for status in ["queued", "running", "succeeded", "succeeded"] {
        assert_eq!(get(&sim, &path, OPENAI).await.json()["status"], status);
    }
    let tuned = get(&sim, &path, OPENAI).await.json();
    let name = tuned["fine_tuned_model"].as_str().unwrap();
    assert!(
        name.starts_with("ft:gpt-4.1-nano:simulated:ours:"),
        "{name}"
    );
    let events = get(&sim, &format!("{path}/events"), OPENAI).await.json();
    assert_eq!(
        events["data"][0]["message"],
        "The job has successfully completed"
    );
    assert_eq!(
        openai(&sim, &format!("{path}/cancel"), &json!({}))
            .await
            .status,
        400
    );

    let other = upload(1).await;
    let other = openai(&sim, "/v1/fine_tuning/jobs", &other).await.json();
    let path = format!("/v1/fine_tuning/jobs/{}", other["id"].as_str().unwrap());
    let failed = get(&sim, &path, OPENAI).await.json();
    assert_eq!(failed["error"]["code"], "invalid_training_file", "{failed}");

    for (changes, status) in [
        (json!({"training_file": "file-none"}), 400),
        (json!({"model": "nobody"}), 404),
        (json!({"stream": true}), 400),
        (json!({"method": {"type": "magic"}}), 400),
    ] {
        let mut wrong = asked.clone();
        for (name, value) in changes.as_object().unwrap() {
            wrong[name] = value.clone();
        }
        assert_eq!(
            openai(&sim, "/v1/fine_tuning/jobs", &wrong).await.status,
            status,
            "{changes}"
        );
    }
    assert_eq!(
        get(&sim, "/v1/fine_tuning/jobs/nobody", OPENAI)
            .await
            .status,
        404
    );
    assert_eq!(
        get(&sim, "/v1/fine_tuning/jobs", OPENAI).await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_compaction_keeps_what_users_said_and_folds_the_rest_so_that_it_can_be_asked_with() {
    let sim = Sim::default();
    let input = json!([
        {"role": "user", "content": "Hello"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]},
    ]);
    let asked = json!({"model": "gpt-5", "input": input, "instructions": "Be brief."});
    let told = openai(&sim, "/v1/responses/compact", &asked).await.json();
    assert_eq!(told["object"], "response.compaction", "{told}");
    let kinds: Vec<_> = told["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].clone())
        .collect();
    assert_eq!(kinds, ["message", "compaction"]);
    assert_eq!(
        sim.tasks()[0].usage.unwrap().output_tokens,
        told["usage"]["output_tokens"]
    );
    let mut next = told["output"].as_array().unwrap().clone();
    next.push(json!({"role": "user", "content": "And now?"}));
    let answer = openai(
        &sim,
        "/v1/responses",
        &json!({"model": "gpt-5", "input": next}),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.json());

    for (asked, param) in [
        (json!({"model": "gpt-5"}), Value::Null),
        (
            json!({"model": "gpt-5", "input": "a", "stream": true}),
            json!("stream"),
        ),
        (json!({"model": "claude", "input": "a"}), Value::Null),
    ] {
        let refused = openai(&sim, "/v1/responses/compact", &asked).await.json();
        assert_eq!(refused["error"]["param"], param, "{refused}");
    }
}
