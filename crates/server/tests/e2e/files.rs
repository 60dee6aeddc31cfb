//! Files through the front door: uploaded, listed, read back, deleted, referred to in chats, and pictures
//! that are handed out by links.

use http::Method;
use serde_json::{Value, json};

use crate::bench::client::{Answer, Client};
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;

const OTHER_KEY: &str = "the-key-of-another-application";
const PDF: &[u8] =
    b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n";

async fn start(more: &str) -> (Simulated, Installation, Trunkline) {
    let simulated = Simulated::start().await;
    let providers = providers(simulated.address);
    let configuration = format!("{providers}  - {{ name: other, key: {OTHER_KEY} }}\n{more}");
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    (simulated, installation, trunkline)
}

/// A form of these parts: name, file name, media type, content.
fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, content) in parts {
        body.extend(format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"").bytes());
        if let Some(filename) = filename {
            body.extend(format!("; filename=\"{filename}\"").bytes());
        }
        body.extend(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

async fn upload_to(client: &Client, path: &str, more: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut headers = vec![("content-type", "multipart/form-data; boundary=b")];
    headers.extend_from_slice(more);
    let sent = client.try_send(Method::POST, path, &headers, body);
    sent.await.unwrap()
}

async fn upload(client: &Client, filename: &str, content: &[u8]) -> Value {
    let body = form(&[
        ("file", Some(filename), content),
        ("purpose", None, b"user_data"),
    ]);
    let answer = upload_to(client, "/v1/files", &[], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn id(file: &Value) -> &str {
    file["id"].as_str().unwrap()
}

#[tokio::test]
async fn an_upload_counts_as_a_request_and_the_files_of_an_organization_are_bounded() {
    let more = "  - { name: slow, key: the-key-of-a-slow-one, rate: { rpm: 2 } }\nmedia: { max_file: 1KiB, \
                max_organization: 1KiB }\n";
    let (_sim, _installation, trunkline) = start(more).await;
    let slow = trunkline.app().with_key("the-key-of-a-slow-one");
    upload(&slow, "one.txt", &[b'a'; 600]).await;
    let body = form(&[
        ("file", Some("two.txt"), &[b'a'; 600]),
        ("purpose", None, b"user_data"),
    ]);
    let full = upload_to(&slow, "/v1/files", &[], body.clone()).await;
    assert_eq!(full.status, 400, "{}", full.text());
    assert!(
        full.text().contains("media.max_organization"),
        "{}",
        full.text()
    );
    let limited = upload_to(&slow, "/v1/files", &[], body).await;
    assert_eq!(limited.status, 429, "{}", limited.text());
    assert!(limited.header("retry-after").is_some());
}

#[tokio::test]
async fn a_file_is_uploaded_listed_read_and_deleted() {
    let (_sim, installation, trunkline) = start("").await;
    let app = trunkline.app();
    let file = upload(&app, "Größe 1.pdf", PDF).await;
    assert_eq!(file["object"], "file");
    assert_eq!(file["bytes"], PDF.len());
    assert_eq!(file["purpose"], "user_data");
    assert_eq!(file["status"], "processed");
    let kept_for = file["expires_at"].as_i64().unwrap() - file["created_at"].as_i64().unwrap();
    assert_eq!(kept_for, 30 * 24 * 3600);
    let path = format!("/v1/files/{}", id(&file));
    assert_eq!(app.get(&path).await.json(), file);
    let page = app.get("/v1/files?purpose=user_data").await.json();
    assert_eq!(page["data"], json!([file]));
    assert_eq!(
        (page["object"].as_str(), &page["has_more"]),
        (Some("list"), &json!(false))
    );

    let content = app.get(&format!("{path}/content")).await;
    assert_eq!((content.status, &content.body[..]), (200, PDF));
    assert_eq!(content.headers["content-type"], "application/pdf");
    assert_eq!(content.headers["x-content-type-options"], "nosniff");
    let lies = installation.path("trunkline-data/media");
    assert_eq!(files_below(&lies), 1);

    let deleted = app.delete(&path).await.json();
    assert_eq!(
        deleted,
        json!({"id": file["id"], "object": "file", "deleted": true})
    );
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(files_below(&lies), 0);
}

fn files_below(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn anothers_file_is_as_unknown_as_none() {
    let (_sim, _installation, trunkline) = start("").await;
    let file = upload(&trunkline.app(), "a.txt", b"mine").await;
    let path = format!("/v1/files/{}", id(&file));
    for stranger in [trunkline.app().with_key(OTHER_KEY), trunkline.admin()] {
        let unknown = "/v1/files/file-00000000000000000000000000000000";
        let same = |answer: Answer| answer.text().replace(id(&file), "ID");
        let theirs = stranger.get(&path).await;
        assert_eq!(theirs.status, 404);
        let none = stranger.get(unknown).await;
        let none = none
            .text()
            .replace("file-00000000000000000000000000000000", "ID");
        // All but the request's own identifier is the same.
        assert_eq!(same(theirs).split("req_").next(), none.split("req_").next());
        assert_eq!(stranger.get(&format!("{path}/content")).await.status, 404);
        assert_eq!(stranger.delete(&path).await.status, 404);
        let page = stranger.get("/v1/files").await.json();
        assert_eq!(page["data"], json!([]));
    }
    let nobody = trunkline.app().with_key("");
    assert_eq!(nobody.get(&path).await.status, 401);
    assert_eq!(trunkline.app().get(&path).await.status, 200);
}

#[tokio::test]
async fn anthropics_api_knows_the_same_files_in_its_own_shape() {
    let (_sim, _installation, trunkline) = start("").await;
    let app = trunkline.app();
    let version = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "files-api-2025-04-14"),
    ];
    let body = form(&[("file", Some("notes.txt"), b"hello")]);
    let first = upload_to(&app, "/v1/files", &version, body).await.json();
    assert_eq!(
        (first["type"].as_str(), first["size_bytes"].as_u64()),
        (Some("file"), Some(5))
    );
    assert_eq!(
        (first["mime_type"].as_str(), &first["filename"]),
        (Some("text/plain"), &json!("notes.txt"))
    );
    let second = upload(&app, "b.txt", b"b").await;

    let page = app.get("/anthropic/v1/files?limit=1").await.json();
    assert_eq!(
        (page["data"][0]["id"].clone(), &page["has_more"]),
        (second["id"].clone(), &json!(true))
    );
    let next = app
        .get(&format!("/anthropic/v1/files?after_id={}", id(&second)))
        .await
        .json();
    assert_eq!(
        (next["data"][0]["id"].clone(), &next["has_more"]),
        (first["id"].clone(), &json!(false))
    );
    let back = app
        .get(&format!("/anthropic/v1/files?before_id={}", id(&first)))
        .await
        .json();
    assert_eq!(back["data"][0]["id"], second["id"]);

    let path = format!("/anthropic/v1/files/{}", id(&first));
    assert_eq!(app.get(&format!("{path}/content")).await.body, "hello");
    let deleted = app.delete(&path).await.json();
    assert_eq!(deleted, json!({"id": first["id"], "type": "file_deleted"}));
    let gone = app.get(&path).await;
    assert_eq!(
        (gone.status, gone.json()["error"]["type"].clone()),
        (404, json!("not_found_error"))
    );
}

#[tokio::test]
async fn a_wrong_form_is_told_what_is_wrong() {
    let (_sim, _installation, trunkline) = start("media: { max_file: 1KiB }\n").await;
    let app = trunkline.app();
    let large = vec![b'x'; 1025];
    for (parts, status, param, said) in [
        (
            vec![("purpose", None, &b"batch"[..])],
            400,
            "file",
            "missing",
        ),
        (
            vec![("file", Some("a"), &b"a"[..])],
            400,
            "purpose",
            "missing",
        ),
        (
            vec![("file", Some("a"), b"a"), ("purpose", None, b"lunch")],
            400,
            "purpose",
            "`batch`",
        ),
        (
            vec![
                ("file", Some("a"), b"a"),
                ("purpose", None, b"batch_output"),
            ],
            400,
            "purpose",
            "one of",
        ),
        (
            vec![("file", None, b"a"), ("purpose", None, b"batch")],
            400,
            "file",
            "filename",
        ),
        (
            vec![("file", Some("a"), b"a"), ("other", None, b"x")],
            400,
            "other",
            "not a part",
        ),
        (
            vec![
                ("file", Some("a"), b"a"),
                ("purpose", None, b"batch"),
                ("expires_after[anchor]", None, b"created_at"),
                ("expires_after[seconds]", None, b"60"),
            ],
            400,
            "expires_after[seconds]",
            "3600",
        ),
        (
            vec![("file", Some("a"), &large), ("purpose", None, b"batch")],
            413,
            "file",
            "media.max_file",
        ),
    ] {
        let answer = upload_to(&app, "/v1/files", &[], form(&parts)).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{error}");
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    let json = app.post("/v1/files", &json!({})).await;
    assert_eq!(json.status, 400, "{}", json.text());
    assert_eq!(app.get("/v1/files").await.json()["data"], json!([]));
    for query in [
        "limit=0",
        "limit=10001",
        "order=up",
        "purpose=lunch",
        "after=file-x",
    ] {
        let answer = app.get(&format!("/v1/files?{query}")).await;
        assert!(matches!(answer.status, 400 | 404), "{query}");
    }
}

#[tokio::test]
async fn a_file_larger_than_other_bodies_is_taken() {
    let (_sim, _installation, trunkline) = start("server: { max_body: 64KiB }\n").await;
    let app = trunkline.app();
    let content: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let file = upload(&app, "large.bin", &content).await;
    let path = format!("/v1/files/{}/content", id(&file));
    assert_eq!(app.get(&path).await.body, content);
    let range = [("range", "bytes=1000000-1000003")];
    let part = app.try_send(Method::GET, &path, &range, "").await.unwrap();
    assert_eq!(
        (part.status, &part.body[..]),
        (206, &content[1_000_000..1_000_004])
    );
    assert_eq!(
        part.headers["content-range"],
        "bytes 1000000-1000003/3000000"
    );
    let beyond = [("range", "bytes=3000000-")];
    let beyond = app.try_send(Method::GET, &path, &beyond, "").await.unwrap();
    assert_eq!(
        (beyond.status, &beyond.headers["content-range"]),
        (416, &"bytes */3000000".parse().unwrap())
    );
}

#[tokio::test]
async fn every_format_gets_a_file_that_a_chat_refers_to() {
    let (simulated, _installation, trunkline) = start("").await;
    let app = trunkline.app();
    let file = upload(&app, "a.pdf", PDF).await;
    let ask = |model: &str| {
        json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is in it?"},
            {"type": "file", "file": {"file_id": file["id"]}},
        ]}]})
    };
    for model in crate::bench::EVERY_FORMAT {
        let answer = app.chat(&ask(model)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
    }
    assert_eq!(simulated.calls().len(), 3);
    // To another key the file is unknown: a provider of the format is asked, others are not.
    let stranger = app.with_key(OTHER_KEY);
    let refused = stranger.chat(&ask("anthropic/claude")).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["param"]),
        (400, &json!("file_id"))
    );
}

/// The path and query of a link.
fn path_of<'a>(url: &'a str, trunkline: &Trunkline) -> &'a str {
    let base = format!("http://{}", trunkline.address());
    url.strip_prefix(base.as_str())
        .unwrap_or_else(|| panic!("{url}"))
}

#[tokio::test]
async fn a_picture_that_comes_as_bytes_is_handed_out_by_a_link_that_expires() {
    let (_sim, installation, trunkline) = start("media: { retention: 2s }\n").await;
    let app = trunkline.app();
    let ask = json!({"model": "google/imagen-4.0-generate-001", "prompt": "a line", "response_format": "url"});
    let answer = app.post("/v1/images/generations", &ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let url = answer["data"][0]["url"].as_str().unwrap();
    let path = path_of(url, &trunkline);
    let nobody = app.with_key("");
    let picture = nobody.get(path).await;
    assert_eq!(picture.status, 200, "{}", picture.text());
    assert_eq!(picture.headers["content-type"], "image/png");
    assert_eq!(
        picture.headers["content-disposition"],
        "inline; filename=\"generated.png\""
    );
    assert_eq!(picture.headers["cache-control"], "private");
    assert!(picture.body.starts_with(b"\x89PNG"));
    assert_eq!(app.get("/v1/files").await.json()["data"], json!([]));

    let other = path.replace("signature=", "signature=0");
    let later = path.replace("expires=", "expires=9");
    for changed in [
        &other,
        &later,
        "/media/file-1",
        "/media/x?expires=1&signature=",
    ] {
        assert_eq!(nobody.get(changed).await.status, 404, "{changed}");
    }
    eventually("the link has expired", async || {
        (nobody.get(path).await.status == 404).then_some(())
    })
    .await;
    drop(installation);
}

#[tokio::test]
async fn a_picture_stays_inline_where_the_operator_says_so() {
    let (_sim, _installation, trunkline) = start("media: { deliver: inline }\n").await;
    let ask = json!({"model": "google/imagen-4.0-generate-001", "prompt": "a line", "response_format": "url"});
    let headers = [("x-trunkline-report", "conversion")];
    let path = "/v1/images/generations";
    let app = trunkline.app();
    let answer = app.try_send(Method::POST, path, &headers, ask.to_string());
    let answer = answer.await.unwrap().json();
    let picture = &answer["data"][0];
    assert!(
        picture["b64_json"]
            .as_str()
            .unwrap()
            .starts_with("iVBORw0K")
    );
    assert!(picture.get("url").is_none(), "{picture}");
    let changed = answer["trunkline"]["conversion"]["changed"].to_string();
    assert!(changed.contains("response_format"), "{answer}");
}

#[tokio::test]
async fn speech_is_stored_for_a_caller_who_says_so() {
    let (_sim, _installation, trunkline) = start("").await;
    let app = trunkline.app();
    let ask = json!({"model": "openai/tts-1", "voice": "alloy", "input": "Hello there"});
    let say = async |headers: &[(&str, &str)]| {
        let path = "/v1/audio/speech";
        let answer = app
            .try_send(Method::POST, path, headers, ask.to_string())
            .await;
        answer.unwrap()
    };
    let plain = say(&[]).await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert!(!plain.headers.contains_key("x-trunkline-media-url"));
    let stored = say(&[("x-trunkline-store", "true")]).await;
    let url = stored.headers["x-trunkline-media-url"].to_str().unwrap();
    let again = app.with_key("").get(path_of(url, &trunkline)).await;
    assert_eq!((again.status, &again.body), (200, &stored.body));
    assert_eq!(stored.body, plain.body);
}

#[tokio::test]
async fn files_outlive_a_restart_and_expired_ones_are_removed() {
    let (_sim, installation, trunkline) = start("").await;
    let file = upload(&trunkline.app(), "a.txt", b"kept").await;
    trunkline.kill().await;
    let trunkline = installation.start().await;
    let path = format!("/v1/files/{}/content", id(&file));
    assert_eq!(trunkline.app().get(&path).await.body, "kept");
    trunkline.stop().await;
}

/// What Gemini's clients send with every piece; the address is all that they show.
async fn piece(
    client: &Client,
    address: &str,
    command: &str,
    offset: &str,
    content: &[u8],
) -> Answer {
    let (_, path) = address.split_once("/upload/").unwrap();
    let path = format!("/upload/{path}");
    let headers = [
        ("x-goog-upload-command", command),
        ("x-goog-upload-offset", offset),
    ];
    let nobody = client.with_key("nobody");
    let sent = nobody.try_send(Method::POST, &path, &headers, content.to_vec());
    sent.await.unwrap()
}

async fn begin_upload(client: &Client, described: &Value) -> Answer {
    let headers = [
        ("x-goog-upload-protocol", "resumable"),
        ("x-goog-upload-command", "start"),
        ("x-goog-upload-header-content-length", "76"),
        ("content-type", "application/json"),
    ];
    let body = described.to_string().into_bytes();
    let sent = client.try_send(Method::POST, "/upload/v1beta/files", &headers, body);
    sent.await.unwrap()
}

fn address(begun: &Answer) -> String {
    assert_eq!(
        begun.header("x-goog-upload-status"),
        Some("active"),
        "{}",
        begun.text()
    );
    begun.header("x-goog-upload-url").unwrap().to_owned()
}

#[tokio::test]
async fn a_file_comes_in_pieces_as_geminis_clients_send_it_and_every_provider_reads_it() {
    let (_sim, _installation, trunkline) = start("").await;
    let app = trunkline.app();
    let described =
        json!({ "file": { "displayName": "Größe.pdf", "mimeType": "application/pdf" } });
    let address = address(&begin_upload(&app, &described).await);
    let (first, rest) = PDF.split_at(20);
    let active = piece(&app, &address, "upload", "0", first).await;
    assert_eq!(
        (active.status, active.header("x-goog-upload-size-received")),
        (200, Some("20"))
    );
    let wrong = piece(&app, &address, "upload", "7", rest).await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["status"]),
        (400, &json!("INVALID_ARGUMENT"))
    );
    let queried = piece(&app, &address, "query", "", b"").await;
    assert_eq!(queried.header("x-goog-upload-size-received"), Some("20"));
    let done = piece(&app, &address, "upload, finalize", "20", rest).await;
    assert_eq!(
        done.header("x-goog-upload-status"),
        Some("final"),
        "{}",
        done.text()
    );
    let file = done.json()["file"].clone();
    assert_eq!(file["sizeBytes"], PDF.len().to_string());
    assert_eq!(
        (&file["displayName"], &file["state"]),
        (&json!("Größe.pdf"), &json!("ACTIVE"))
    );
    let again = piece(&app, &address, "upload, finalize", "76", b"x").await;
    assert_eq!(again.status, 404, "it is over");

    let name = file["name"].as_str().unwrap();
    let path = format!("/v1beta/{name}");
    assert_eq!(app.get(&path).await.json(), file);
    assert_eq!(
        &app.get(&format!("{path}:download?alt=media")).await.body[..],
        PDF
    );
    assert_eq!(
        app.get("/v1beta/files?pageSize=10").await.json(),
        json!({ "files": [file] })
    );
    let strange = app.with_key(OTHER_KEY).get(&path).await;
    assert_eq!(
        (strange.status, &strange.json()["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let same = app.get(&format!("/v1/{name}")).await.json();
    assert_eq!(
        same["object"], "file",
        "OpenAI's clients see it as theirs: {same}"
    );

    for model in ["google/gemini", "openai/gpt", "anthropic/claude"] {
        let body = json!({ "contents": [{ "role": "user", "parts": [
            { "text": "What is in it?" },
            { "fileData": { "mimeType": "application/pdf", "fileUri": file["uri"] } },
        ] }] });
        let path = format!("/v1beta/models/{model}:generateContent");
        let answer = app.post(&path, &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
    }
    assert_eq!(app.delete(&path).await.json(), json!({}));
    assert_eq!(app.get(&path).await.status, 404);
}

#[tokio::test]
async fn an_upload_is_refused_or_given_up_with_a_reason() {
    let (_sim, _installation, trunkline) = start("media: { max_file: 64KiB }\n").await;
    let app = trunkline.app();
    let named = begin_upload(&app, &json!({ "file": { "name": "files/mine" } })).await;
    assert_eq!(named.status, 400);
    assert!(named.text().contains("displayName"), "{}", named.text());
    let headers = [("x-goog-upload-protocol", "multipart")];
    let other = app.try_send(Method::POST, "/upload/v1beta/files", &headers, Vec::new());
    assert_eq!(other.await.unwrap().status, 400);
    let stranger = app.with_key("not-a-key-of-anyone");
    assert_eq!(begin_upload(&stranger, &json!({})).await.status, 401);

    let cancelled = address(&begin_upload(&app, &json!({})).await);
    let told = piece(&app, &cancelled, "cancel", "", b"").await;
    assert_eq!(told.header("x-goog-upload-status"), Some("cancelled"));
    assert_eq!(
        piece(&app, &cancelled, "upload", "0", b"x").await.status,
        404
    );

    let large = address(&begin_upload(&app, &json!({})).await);
    let refused = piece(&app, &large, "upload", "0", &vec![b'x'; 70_000]).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert_eq!(
        piece(&app, &large, "query", "", b"").await.status,
        404,
        "it begins anew"
    );
    assert_eq!(
        app.get("/v1beta/files").await.json(),
        json!({ "files": [] })
    );
}
