use bytes::Bytes;
use domain::provider_error::Cause;
use domain::usage::Usage;
use serde_json::{Value, json};

use super::OpenaiImages;
use crate::dialect::{DecodeError, End, Refusal};
use crate::kind::ProviderKind;
use crate::media::testing::{PNG, Reply, Sent, follow, form_of, head, json_of, reply, report_of};
use crate::multipart::NewForm;
use crate::openai::media::encode_base64;
use crate::task::{PreparedTask, Task, TaskAnswer};

fn generation(changes: &Value) -> Sent {
    let mut body = json!({"model": "alias", "prompt": "a heron"});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    Sent::json(&body)
}

fn to(kind: ProviderKind, model: &str, changes: &Value) -> Result<PreparedTask, Refusal> {
    generation(changes).to(&OpenaiImages::Generations, kind, model)
}

fn edit<'a>(fields: &[(&str, &str)], images: usize) -> NewForm<'a> {
    let mut form = NewForm::default()
        .text("model", "alias")
        .text("prompt", "add a hat");
    for (name, value) in fields {
        form = form.text(name, *value);
    }
    for _ in 0..images {
        form = form.file("image[]", "a.png", "image/png", PNG);
    }
    form
}

fn edited(kind: ProviderKind, model: &str, form: NewForm<'_>) -> Result<PreparedTask, Refusal> {
    Sent::form(form).to(&OpenaiImages::Edits, kind, model)
}

fn png() -> Reply {
    ("image/png", PNG.to_vec())
}

fn written(answer: &TaskAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn images(count: u64) -> Usage {
    Usage {
        images: count,
        ..Usage::default()
    }
}

fn cause(result: Result<TaskAnswer, DecodeError>) -> Cause {
    match result {
        Err(DecodeError::Provider(error)) => error.cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_envelope_tells_what_it_will_take() {
    let sent = generation(&json!({"n": 2, "quality": "high", "stream": true}));
    let envelope = OpenaiImages::Generations
        .envelope(&sent.asked, &sent.body)
        .unwrap();
    assert!(envelope.stream);
    assert_eq!(envelope.estimate.images, 2);
    assert_eq!(envelope.estimate.output_image_tokens, 8_320);
    let sent = Sent::form(edit(&[("n", "3")], 2));
    let envelope = OpenaiImages::Edits
        .envelope(&sent.asked, &sent.body)
        .unwrap();
    assert_eq!(envelope.model.as_str(), "alias");
    assert_eq!(envelope.estimate.images, 3);
    assert_eq!(envelope.estimate.input_image_tokens, 600);
    assert!(envelope.estimate.checked().is_ok());
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (body, param) in [
        (json!({"prompt": "a"}), "model"),
        (json!({"model": "m"}), "prompt"),
        (json!({"model": "m", "prompt": "a", "n": 11}), "n"),
        (json!({"model": "m", "prompt": "a", "n": "2"}), "n"),
    ] {
        let sent = Sent::json(&body);
        let refusal = OpenaiImages::Generations
            .envelope(&sent.asked, &sent.body)
            .unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some(param), "{body}");
    }
    let without_model = Sent::form(NewForm::default().text("prompt", "a"));
    let refusal = OpenaiImages::Edits
        .envelope(&without_model.asked, &without_model.body)
        .unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("model"));
    let json = Sent::json(&json!({"model": "m"}));
    let refusal = OpenaiImages::Variations.envelope(&json.asked, &json.body);
    assert!(refusal.is_ok());
}

#[test]
fn openai_gets_the_callers_bytes_with_its_own_models_name() {
    let sent = Sent::of_text(r#"{"prompt":"a\u00fc", "model":"alias","n":1,"new":{"a":1e3}}"#);
    let prepared = sent
        .to(
            &OpenaiImages::Generations,
            ProviderKind::Openai,
            "gpt-image-2",
        )
        .unwrap();
    assert_eq!(
        prepared.request.body(),
        r#"{"prompt":"a\u00fc", "model":"gpt-image-2","n":1,"new":{"a":1e3}}"#
    );
    assert_eq!(
        prepared.request.uri(),
        "https://api.openai.com/v1/images/generations"
    );

    let sent = Sent::form(edit(&[], 2));
    let prepared = sent
        .to(&OpenaiImages::Edits, ProviderKind::Openai, "gpt-image-2")
        .unwrap();
    let (before, after) = (&sent.body, prepared.request.body());
    assert_eq!(
        after.len(),
        before.len() + "gpt-image-2".len() - "alias".len()
    );
    assert_eq!(
        prepared.request.headers()["content-type"],
        sent.asked.headers["content-type"]
    );
    let varied = Sent::form(NewForm::default().text("model", "alias").file(
        "image",
        "a.png",
        "image/png",
        PNG,
    ));
    let prepared = varied
        .to(&OpenaiImages::Variations, ProviderKind::Openai, "dall-e-2")
        .unwrap();
    assert!(
        prepared
            .request
            .uri()
            .path()
            .ends_with("/images/variations")
    );
}

#[test]
fn openais_partial_pictures_pass_and_the_last_event_tells_what_they_took() {
    let prepared = to(ProviderKind::Openai, "m", &json!({"stream": true})).unwrap();
    let events = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\",\
        \"partial_image_index\":0}\n\nevent: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\",\
        \"usage\":{\"input_tokens\":50,\"output_tokens\":272,\"total_tokens\":322,\"input_tokens_details\":{\"image_tokens\":0,\"text_tokens\":50}}}\n\n";
    let mut stream = prepared.reader.stream(&head("text/event-stream")).unwrap();
    let mut out = Vec::new();
    for piece in events.as_bytes().chunks(11) {
        stream
            .push(&Bytes::copy_from_slice(piece), &mut out)
            .unwrap();
    }
    stream.finish(End::Clean, &mut out).unwrap();
    assert_eq!(out.concat(), events.as_bytes());
    assert_eq!(stream.observed().usage.unwrap().output_image_tokens, 272);
}

#[test]
fn gemini_is_asked_for_a_shape_and_answers_with_tokens() {
    let asked = json!({"size": "1536x1024", "quality": "high", "background": "opaque", "output_format": "webp",
        "user": "u", "style": null, "seed": 3, "stream": true});
    let prepared = to(ProviderKind::Gemini, "gemini-3-pro-image-preview", &asked).unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro-image-preview:generateContent"
    );
    assert_eq!(
        json_of(&prepared.request),
        json!({
            "contents": [{"role": "user", "parts": [{"text": "a heron"}]}],
            "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "3:2", "imageSize": "1K"}},
        })
    );
    assert_eq!(
        report_of(&prepared),
        [
            vec!["model", "prompt", "background"],
            vec!["stream", "size"],
            vec!["user", "quality", "seed", "output_format"]
        ]
    );
    let generated = json!({
        "candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1120, "totalTokenCount": 1124,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}]},
    });
    let (_, answer) = follow(prepared.reader, [reply(&generated)]);
    let answer = answer.unwrap();
    assert_eq!(answer.usage.unwrap().output_image_tokens, 1_120);
    let text = std::str::from_utf8(&answer.body).unwrap();
    let data = text
        .strip_prefix("event: image_generation.completed\ndata: ")
        .unwrap();
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["b64_json"], "iVBORw0KGgo=");
    assert_eq!(event["created_at"], 1_793_880_000);
    assert_eq!(event["size"], "1536x1024");
    assert_eq!(event["output_format"], "png");
    assert_eq!(
        event["usage"]["output_tokens_details"]["image_tokens"],
        1_120
    );
}

#[test]
fn geminis_edits_show_the_pictures_before_the_words() {
    let prepared = edited(ProviderKind::Gemini, "gemini-2.5-flash-image", edit(&[], 2)).unwrap();
    let body = json_of(&prepared.request);
    let parts = body["contents"][0]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[1]["inlineData"]["data"], encode_base64(PNG));
    assert_eq!(parts[2]["text"], "add a hat");
    let answer = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    assert_eq!(
        cause(follow(prepared.reader, [reply(&answer)]).1),
        Cause::ContentPolicy
    );
}

#[test]
fn imagen_makes_several_and_says_which_it_withheld() {
    let asked = json!({"n": 2, "size": "1024x1024", "output_format": "jpeg", "output_compression": 80, "response_format": "url"});
    let prepared = to(ProviderKind::Gemini, "imagen-4.0-generate-001", &asked).unwrap();
    assert!(
        prepared
            .request
            .uri()
            .path()
            .ends_with("imagen-4.0-generate-001:predict")
    );
    assert_eq!(
        json_of(&prepared.request),
        json!({
            "instances": [{"prompt": "a heron"}],
            "parameters": {"sampleCount": 2, "includeRaiReason": true, "aspectRatio": "1:1",
                "outputOptions": {"mimeType": "image/jpeg", "compressionQuality": 80}},
        })
    );
    let reader = prepared.reader;
    let one = json!({"predictions": [{"mimeType": "image/jpeg", "bytesBase64Encoded": "/9j/"}, {"raiFilteredReason": "no"}]});
    let (_, answer) = follow(reader, [reply(&one)]);
    let answer = answer.unwrap();
    assert_eq!(
        written(&answer)["data"],
        json!([{"url": "data:image/jpeg;base64,/9j/"}])
    );
    assert_eq!(answer.usage, Some(images(1)));
    let none = json!({"predictions": [{"raiFilteredReason": "Unable to show generated images."}]});
    let reader = to(ProviderKind::Gemini, "imagen-4", &json!({}))
        .unwrap()
        .reader;
    assert_eq!(
        cause(follow(reader, [reply(&none)]).1),
        Cause::ContentPolicy
    );
}

#[test]
fn stability_gets_a_form() {
    let asked =
        json!({"size": "1024x1792", "output_format": "webp", "negative_prompt": "rain", "seed": 7});
    let prepared = to(ProviderKind::Stability, "stable-image-core", &asked).unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.stability.ai/v2beta/stable-image/generate/core"
    );
    let form = form_of(&prepared.request);
    for field in [
        ("prompt", "a heron"),
        ("output_format", "webp"),
        ("negative_prompt", "rain"),
        ("seed", "7"),
        ("aspect_ratio", "9:16"),
    ] {
        assert!(
            form.iter()
                .any(|(name, text)| (name.as_str(), text.as_str()) == field),
            "{field:?} in {form:?}"
        );
    }
    let answer = json!({"image": "iVBORw0KGgo=", "finish_reason": "SUCCESS", "seed": 7});
    let (_, answer) = follow(prepared.reader, [reply(&answer)]);
    let answer = answer.unwrap();
    assert_eq!(
        written(&answer),
        json!({"created": 1_793_880_000, "data": [{"b64_json": "iVBORw0KGgo="}], "output_format": "png" })
    );
    assert_eq!(answer.usage, Some(images(1)));
}

#[test]
fn stabilitys_edits_start_from_one_picture() {
    let prepared = edited(
        ProviderKind::Stability,
        "sd3.5-large",
        edit(&[("strength", "0.3")], 1),
    )
    .unwrap();
    let form = form_of(&prepared.request);
    let named = |name: &str| {
        form.iter()
            .filter(|(known, _)| known == name)
            .map(|(_, text)| text.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("strength"), ["0.3"]);
    assert_eq!(named("mode"), ["image-to-image"]);
    assert_eq!(named("model"), ["sd3.5-large"]);
    assert_eq!(named("image").len(), 1);
    let filled = edited(ProviderKind::Stability, "inpaint", edit(&[], 1)).unwrap();
    assert!(filled.request.uri().path().ends_with("/edit/inpaint"));
    let raw = follow(filled.reader, [png()]).1.unwrap();
    assert_eq!(written(&raw)["data"][0]["b64_json"], encode_base64(PNG));
    let reader = edited(ProviderKind::Stability, "ultra", edit(&[], 1))
        .unwrap()
        .reader;
    let filtered = reply(&json!({"image": "AAAA", "finish_reason": "CONTENT_FILTERED"}));
    assert_eq!(cause(follow(reader, [filtered]).1), Cause::ContentPolicy);
}

#[test]
fn a_job_of_black_forest_labs_is_asked_for_until_its_picture_is_fetched() {
    let asked = json!({"size": "1000x1000", "seed": 42});
    let prepared = to(ProviderKind::BlackForestLabs, "flux-2-pro", &asked).unwrap();
    assert_eq!(prepared.request.uri(), "https://api.bfl.ai/v1/flux-2-pro");
    assert_eq!(
        json_of(&prepared.request),
        json!({"prompt": "a heron", "width": 1008, "height": 1008, "output_format": "png", "seed": 42})
    );
    assert_eq!(report_of(&prepared)[1], ["size", "seed"]);
    let poll = "https://api.us1.bfl.ai/v1/get_result?id=j";
    let (asked, answer) = follow(
        prepared.reader,
        [
            reply(&json!({"id": "j", "polling_url": poll})),
            reply(&json!({"id": "j", "status": "Pending", "result": null})),
            reply(
                &json!({"id": "j", "status": "Ready", "result": {"sample": "https://delivery.bfl.ai/a.png?sig=b", "prompt": "a grey heron"}}),
            ),
            png(),
        ],
    );
    let get = |url: &str| format!("GET {url}");
    assert_eq!(
        asked,
        [
            get(poll),
            get(poll),
            get("https://delivery.bfl.ai/a.png?sig=b")
        ]
    );
    let answer = answer.unwrap();
    assert_eq!(
        written(&answer)["data"],
        json!([{"b64_json": encode_base64(PNG), "revised_prompt": "a grey heron"}])
    );
    assert_eq!(answer.usage, Some(images(1)));
}

#[test]
fn a_job_that_is_refused_or_fails_says_why() {
    let job = || reply(&json!({"id": "j", "polling_url": "https://api.bfl.ai/v1/get_result?id=j"}));
    for (status, expected) in [
        ("Request Moderated", Cause::ContentPolicy),
        ("Content Moderated", Cause::ContentPolicy),
        ("Error", Cause::Server),
        ("Task not found", Cause::Server),
    ] {
        let reader = to(ProviderKind::BlackForestLabs, "flux-dev", &json!({}))
            .unwrap()
            .reader;
        let end = reply(&json!({"id": "j", "status": status}));
        assert_eq!(cause(follow(reader, [job(), end]).1), expected, "{status}");
    }
    let reader = to(ProviderKind::BlackForestLabs, "flux-dev", &json!({}))
        .unwrap()
        .reader;
    let strange = reply(&json!({"polling_url": "file:///etc/passwd"}));
    assert!(matches!(
        follow(reader, [strange]).1,
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn a_job_that_never_ends_is_given_up() {
    let reader = to(ProviderKind::BlackForestLabs, "flux-dev", &json!({}))
        .unwrap()
        .reader;
    let job = reply(&json!({"id": "j", "polling_url": "https://api.bfl.ai/v1/get_result?id=j"}));
    let pending = || reply(&json!({"id": "j", "status": "Pending"}));
    let replies = std::iter::once(job).chain(std::iter::repeat_with(pending).take(301));
    let (asked, end) = follow(reader, replies);
    assert_eq!((asked.len(), cause(end)), (300, Cause::Timeout));
}

#[test]
fn fal_answers_at_once_or_by_its_queue() {
    let asked = json!({"n": 2, "size": "1024x768", "guidance_scale": 3.5});
    let prepared = to(ProviderKind::Fal, "fal-ai/flux/dev", &asked).unwrap();
    assert_eq!(prepared.request.uri(), "https://fal.run/fal-ai/flux/dev");
    assert_eq!(
        json_of(&prepared.request),
        json!({"prompt": "a heron", "num_images": 2, "image_size": {"width": 1024, "height": 768},
            "sync_mode": true, "guidance_scale": 3.5})
    );
    let inline = format!("data:image/png;base64,{}", encode_base64(PNG));
    let at_once = json!({"images": [{"url": inline, "content_type": "image/png"}, {"url": "https://v3.fal.media/b.png"}],
        "prompt": "", "seed": 1, "has_nsfw_concepts": [false, false]});
    let (asked_for, answer) = follow(prepared.reader, [reply(&at_once), png()]);
    assert_eq!(asked_for, ["GET https://v3.fal.media/b.png"]);
    let answer = answer.unwrap();
    assert_eq!(written(&answer)["data"].as_array().unwrap().len(), 2);
    assert_eq!(answer.usage, Some(images(2)));

    let reader = to(ProviderKind::Fal, "fal-ai/flux/dev", &asked)
        .unwrap()
        .reader;
    let base = "https://queue.fal.run/fal-ai/flux/requests/r";
    let queued = |status: &str| {
        reply(
            &json!({"status": status, "request_id": "r", "response_url": base, "status_url": format!("{base}/status")}),
        )
    };
    let (asked_for, answer) = follow(
        reader,
        [
            queued("IN_QUEUE"),
            queued("IN_PROGRESS"),
            queued("COMPLETED"),
            reply(&json!({"images": [{"url": inline}]})),
        ],
    );
    assert_eq!(
        asked_for,
        [
            format!("GET {base}/status"),
            format!("GET {base}/status"),
            format!("GET {base}")
        ]
    );
    assert!(answer.is_ok());
}

#[test]
fn fal_is_shown_pictures_by_address() {
    let body = json!({"model": "alias", "prompt": "add a hat", "images": [
        {"image_url": "https://example.com/a.png"},
        {"image_url": format!("data:image/jpeg;base64,{}", encode_base64(PNG))},
    ]});
    let prepared = Sent::json(&body)
        .to(
            &OpenaiImages::Edits,
            ProviderKind::Fal,
            "fal-ai/flux-2/edit",
        )
        .unwrap();
    let urls = &json_of(&prepared.request)["image_urls"];
    assert_eq!(urls[0], "https://example.com/a.png");
    // The bytes say what they are, whatever the address said.
    assert_eq!(
        urls[1],
        format!("data:image/png;base64,{}", encode_base64(PNG))
    );
    let blocked =
        json!({"images": [{"url": "https://v3.fal.media/black.png"}], "has_nsfw_concepts": [true]});
    assert_eq!(
        cause(follow(prepared.reader, [reply(&blocked)]).1),
        Cause::ContentPolicy
    );
}

#[test]
fn a_prediction_of_replicate_is_waited_for() {
    let asked = json!({"output_format": "jpeg", "size": "1024x1024", "response_format": "url", "go_fast": true});
    let prepared = to(
        ProviderKind::Replicate,
        "black-forest-labs/flux-schnell",
        &asked,
    )
    .unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.replicate.com/v1/models/black-forest-labs/flux-schnell/predictions"
    );
    assert_eq!(prepared.request.headers()["prefer"], "wait=60");
    assert_eq!(
        json_of(&prepared.request),
        json!({"input": {"prompt": "a heron", "aspect_ratio": "1:1", "output_format": "jpg", "go_fast": true}})
    );
    let url = "https://api.replicate.com/v1/predictions/p";
    let standing = |status: &str, output: Value| {
        reply(
            &json!({"id": "p", "status": status, "output": output, "model": "black-forest-labs/flux-schnell", "urls": {"get": url, "cancel": "x"}}),
        )
    };
    let output = json!(["https://replicate.delivery/a.jpg"]);
    let (asked, answer) = follow(
        prepared.reader,
        [
            standing("processing", Value::Null),
            standing("succeeded", output),
        ],
    );
    assert_eq!(asked, [format!("GET {url}")]);
    let answer = answer.unwrap();
    assert_eq!(
        written(&answer)["data"],
        json!([{"url": "https://replicate.delivery/a.jpg"}])
    );
    let prepared = to(ProviderKind::Replicate, "a/b:5c7d", &json!({})).unwrap();
    assert_eq!(
        prepared.request.uri(),
        "https://api.replicate.com/v1/predictions"
    );
    assert_eq!(json_of(&prepared.request)["version"], "5c7d");
    let failed = reply(&json!({"status": "failed", "error": "NSFW content detected in image"}));
    assert_eq!(
        cause(follow(prepared.reader, [failed]).1),
        Cause::ContentPolicy
    );
}

#[test]
fn what_stands_at_an_address_must_be_a_picture() {
    let reader = to(ProviderKind::Fal, "m", &json!({})).unwrap().reader;
    let answer = reply(&json!({"images": [{"url": "https://v3.fal.media/a.png"}]}));
    let page: Reply = ("text/html", b"<html>gone</html>".to_vec());
    assert!(matches!(
        follow(reader, [answer, page]).1,
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn what_a_vendor_cannot_do_is_refused_by_name() {
    for (kind, model, changes, param) in [
        (
            ProviderKind::Gemini,
            "gemini-2.5-flash-image",
            json!({"n": 2}),
            "n",
        ),
        (
            ProviderKind::Gemini,
            "g",
            json!({"background": "transparent"}),
            "background",
        ),
        (ProviderKind::Gemini, "imagen-4", json!({"n": 5}), "n"),
        (
            ProviderKind::Gemini,
            "imagen-4",
            json!({"output_format": "webp"}),
            "output_format",
        ),
        (ProviderKind::Gemini, "../x", json!({}), "model"),
        (ProviderKind::Stability, "core", json!({"n": 2}), "n"),
        (
            ProviderKind::Stability,
            "sd3.5-large",
            json!({"output_format": "webp"}),
            "output_format",
        ),
        (ProviderKind::Stability, "inpaint", json!({}), "image"),
        (
            ProviderKind::BlackForestLabs,
            "flux-dev",
            json!({"n": 2}),
            "n",
        ),
        (ProviderKind::BlackForestLabs, "a/../b", json!({}), "model"),
        (ProviderKind::Fal, "m", json!({"size": "large"}), "size"),
        (
            ProviderKind::Fal,
            "m",
            json!({"response_format": "png"}),
            "response_format",
        ),
        (ProviderKind::Replicate, "flux", json!({}), "model"),
        (ProviderKind::Deepgram, "m", json!({}), "model"),
    ] {
        let refusal = to(kind, model, &changes).err().unwrap();
        assert_eq!(refusal.param.as_deref(), Some(param), "{kind:?} {model}");
    }
    let masked = || edit(&[], 1).file("mask", "m.png", "image/png", PNG);
    for (kind, form, param) in [
        (ProviderKind::Gemini, masked(), "mask"),
        (ProviderKind::Fal, masked(), "mask"),
        (ProviderKind::Stability, edit(&[], 2), "image"),
        (ProviderKind::Replicate, edit(&[], 2), "image"),
        (ProviderKind::Fal, edit(&[], 0), "image"),
    ] {
        let refusal = edited(kind, "a/b", form).err().unwrap();
        assert_eq!(refusal.param.as_deref(), Some(param), "{kind:?}");
    }
    let varied = NewForm::default()
        .text("model", "m")
        .file("image", "a.png", "image/png", PNG);
    let refusal = Sent::form(varied).to(&OpenaiImages::Variations, ProviderKind::Fal, "m");
    assert!(refusal.err().unwrap().detail.contains("variations"));
    let file = json!({"model": "m", "prompt": "a", "images": [{"file_id": "file-1"}]});
    let refusal = Sent::json(&file).to(&OpenaiImages::Edits, ProviderKind::Gemini, "g");
    assert!(refusal.err().unwrap().detail.contains("file-1"));
}
