//! Batches of the vendors that have a shape of their own for them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{ANTHROPIC, Answer, Fields, GEMINI, OPENAI, google_token, send};
use crate::Sim;

async fn post(sim: &Sim, path: &str, fields: Fields<'_>, body: &Value) -> Answer {
    send(sim, "POST", path, fields, body.to_string().into()).await
}

async fn get(sim: &Sim, path: &str, fields: Fields<'_>) -> Answer {
    send(sim, "GET", path, fields, Bytes::new()).await
}

/// Uploads lines to Gemini; answers what the file is called.
async fn upload_to_gemini(sim: &Sim, lines: &str) -> Answer {
    let told = json!({"file": {"displayName": "l.jsonl", "mimeType": "application/jsonl"}});
    let body = format!(
        "--b\r\nContent-Type: application/json\r\n\r\n{told}\r\n--b\r\nContent-Type: application/jsonl\r\n\r\n\
         {lines}\r\n--b--\r\n"
    );
    let fields = [
        GEMINI[0],
        ("x-goog-upload-protocol", "multipart"),
        ("content-type", "multipart/related; boundary=b"),
    ];
    send(sim, "POST", "/upload/v1beta/files", &fields, body.into()).await
}

fn gemini_line(key: &str, words: &str) -> String {
    let contents = json!([{"role": "user", "parts": [{"text": words}]}]);
    json!({"key": key, "request": {"contents": contents}}).to_string()
}

#[tokio::test]
async fn geminis_batch_of_a_file_is_run_when_it_is_looked_at() {
    let sim = Sim::default();
    let lines = [
        gemini_line("a", "Hello"),
        gemini_line("b", "[[sim status=400]]"),
    ]
    .join("\n");
    let file = upload_to_gemini(&sim, &lines).await.json()["file"].clone();
    assert_eq!(file["sizeBytes"], lines.len().to_string());
    let create = "/v1beta/models/gemini:batchGenerateContent";
    let wanted =
        json!({"batch": {"displayName": "mine", "inputConfig": {"fileName": file["name"]}}});
    let batch = post(&sim, create, GEMINI, &wanted).await.json();
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_PENDING", "{batch}");
    let path = format!("/v1beta/{}", batch["name"].as_str().unwrap());
    let running = get(&sim, &path, GEMINI).await.json();
    assert_eq!(running["metadata"]["state"], "BATCH_STATE_RUNNING");
    let done = get(&sim, &path, GEMINI).await.json();
    assert_eq!(done["metadata"]["state"], "BATCH_STATE_SUCCEEDED", "{done}");
    assert_eq!(done["done"], true);
    let results = done["response"]["responsesFile"].as_str().unwrap();
    let results = format!("/download/v1beta/{results}:download?alt=media");
    let results = get(&sim, &results, GEMINI).await;
    let lines: Vec<Value> = results
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["key"], "a");
    assert!(lines[0]["response"]["usageMetadata"]["totalTokenCount"].is_u64());
    assert_eq!(lines[1]["error"]["code"], 3, "{}", lines[1]);
    let list = get(&sim, "/v1beta/batches?pageSize=10", GEMINI)
        .await
        .json();
    assert_eq!(list["operations"][0]["metadata"]["displayName"], "mine");
    let name = format!("/v1beta/{}", file["name"].as_str().unwrap());
    let deleted = send(&sim, "DELETE", &name, GEMINI, Bytes::new()).await;
    assert_eq!(deleted.json(), json!({}));
    let again = post(&sim, create, GEMINI, &wanted).await;
    assert_eq!(again.status, 403, "the file is gone");
}

#[tokio::test]
async fn geminis_batch_may_bring_its_requests_along_and_be_cancelled() {
    let sim = Sim::default();
    let request: Value = serde_json::from_str(&gemini_line("a", "Hello")).unwrap();
    let inlined = json!({"request": request["request"], "metadata": {"key": "a"}});
    let wanted = json!({"batch": {
        "display_name": "mine", "input_config": {"requests": {"requests": [inlined]}},
    }});
    let create = "/v1beta/models/gemini:batchGenerateContent";
    let mut states = Vec::new();
    for is_cancelled in [false, true] {
        let batch = post(&sim, create, GEMINI, &wanted).await.json();
        let path = format!("/v1beta/{}", batch["name"].as_str().unwrap());
        if is_cancelled {
            let cancelled = post(&sim, &format!("{path}:cancel"), GEMINI, &json!({})).await;
            assert_eq!(cancelled.json(), json!({}));
        }
        get(&sim, &path, GEMINI).await;
        let done = get(&sim, &path, GEMINI).await.json();
        if !is_cancelled {
            let results = &done["response"]["inlinedResponses"]["inlinedResponses"];
            assert_eq!(results[0]["metadata"]["key"], "a", "{done}");
        }
        states.push(done["metadata"]["state"].clone());
    }
    assert_eq!(states, ["BATCH_STATE_SUCCEEDED", "BATCH_STATE_CANCELLED"]);
}

#[tokio::test]
async fn gemini_refuses_batches_that_are_not_what_they_must_be() {
    let sim = Sim::default();
    let file = upload_to_gemini(&sim, r#"{"request": {"contents": []}}"#)
        .await
        .json();
    let name = &file["file"]["name"];
    let create = "/v1beta/models/gemini:batchGenerateContent";
    for batch in [
        json!({"displayName": "x", "inputConfig": {"fileName": name}}),
        json!({"inputConfig": {"fileName": name}}),
        json!({"displayName": "x"}),
        json!({"displayName": "x", "inputConfig": {"fileName": name}, "surprise": 1}),
    ] {
        let refused = post(&sim, create, GEMINI, &json!({ "batch": batch })).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert_eq!(refused.json()["error"]["status"], "INVALID_ARGUMENT");
    }
    assert_eq!(get(&sim, "/v1beta/batches/none", GEMINI).await.status, 404);
    assert_eq!(get(&sim, "/v1beta/batches", &[]).await.status, 403);
}

async fn upload_to_openai(sim: &Sim, lines: &str) -> Value {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: \
         form-data; name=\"file\"; filename=\"l.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n{lines}\r\n--b--\r\n"
    );
    let fields = [
        OPENAI[0],
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    let answer = send(sim, "POST", "/v1/files", &fields, body.into()).await;
    answer.json()["id"].clone()
}

#[tokio::test]
async fn mistrals_job_runs_lines_without_a_model_with_its_own() {
    let sim = Sim::default();
    let body = json!({"messages": [{"role": "user", "content": "Hello"}]});
    let line = json!({"custom_id": "a", "body": body});
    let wanted = |file: &Value| {
        json!({
            "input_files": [file], "model": "gpt", "endpoint": "/v1/chat/completions",
            "metadata": {"mine": "yes"}, "timeout_hours": 24,
        })
    };
    let file = upload_to_openai(&sim, &line.to_string()).await;
    let job = post(&sim, "/v1/batch/jobs", OPENAI, &wanted(&file)).await;
    assert_eq!(job.json()["status"], "QUEUED", "{}", job.text());
    let path = format!("/v1/batch/jobs/{}", job.json()["id"].as_str().unwrap());
    get(&sim, &path, OPENAI).await;
    let done = get(&sim, &path, OPENAI).await.json();
    assert_eq!(
        (&done["status"], &done["succeeded_requests"]),
        (&json!("SUCCESS"), &json!(1))
    );
    let results = format!(
        "/v1/files/{}/content",
        done["output_file"].as_str().unwrap()
    );
    let result: Value = serde_json::from_str(&get(&sim, &results, OPENAI).await.text()).unwrap();
    assert_eq!(result["custom_id"], "a");
    assert_eq!(result["response"]["body"]["object"], "chat.completion");
    let list = get(&sim, "/v1/batch/jobs?page=0&page_size=100", OPENAI).await;
    assert_eq!(list.json()["data"][0]["metadata"]["mine"], "yes");

    let mut with_model = line.clone();
    with_model["body"]["model"] = json!("gpt");
    let file = upload_to_openai(&sim, &with_model.to_string()).await;
    let refused = post(&sim, "/v1/batch/jobs", OPENAI, &wanted(&file)).await;
    assert_eq!(refused.status, 400, "the model is the job's");
}

#[tokio::test]
async fn openais_batch_has_one_model() {
    let sim = Sim::default();
    let line = |id: &str, model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
            .to_string()
    };
    let lines = format!("{}\n{}", line("a", "gpt"), line("b", "gpt-5.4"));
    let file = upload_to_openai(&sim, &lines).await;
    let wanted = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    let batch = post(&sim, "/v1/batches", OPENAI, &wanted).await.json();
    assert_eq!(batch["status"], "failed");
    let fault = &batch["errors"]["data"][0];
    assert_eq!(
        (&fault["code"], &fault["line"]),
        (&json!("mismatched_model"), &json!(2))
    );
}

#[tokio::test]
async fn anthropics_batches_are_listed_newest_first_and_in_pages() {
    let sim = Sim::default();
    let params = json!({"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let wanted = json!({"requests": [{"custom_id": "a", "params": params}]});
    let mut ids = Vec::new();
    for _ in 0..3 {
        let made = post(&sim, "/v1/messages/batches", ANTHROPIC, &wanted).await;
        ids.push(made.json()["id"].clone());
    }
    let first = get(&sim, "/v1/messages/batches?limit=2", ANTHROPIC)
        .await
        .json();
    assert_eq!(first["data"][0]["id"], ids[2]);
    assert_eq!(first["has_more"], true);
    assert_eq!(first["data"][0]["request_counts"]["processing"], 1);
    let after = format!(
        "/v1/messages/batches?after_id={}",
        first["last_id"].as_str().unwrap()
    );
    let rest = get(&sim, &after, ANTHROPIC).await.json();
    assert_eq!(rest["data"][0]["id"], ids[0]);
    assert_eq!(rest["has_more"], false);
}

async fn google(sim: &Sim) -> String {
    format!("Bearer {}", google_token(sim).await)
}

#[tokio::test]
async fn vertex_reads_lines_from_a_bucket_and_puts_results_there() {
    let sim = Sim::default();
    let token = google(&sim).await;
    let fields = [("authorization", token.as_str())];
    let line = |words: &str| {
        let contents = json!([{"role": "user", "parts": [{"text": words}]}]);
        json!({"request": {"contents": contents, "labels": {"line": "a"}}}).to_string()
    };
    let lines = [line("Hello"), line("[[sim status=400]]")].join("\n");
    let upload = "/upload/storage/v1/b/bucket/o?uploadType=media&name=in%2Fl.jsonl";
    let uploaded = send(&sim, "POST", upload, &fields, lines.into()).await;
    assert_eq!(uploaded.json()["name"], "in/l.jsonl");
    let wanted = json!({
        "displayName": "mine", "model": "publishers/google/models/gemini-2.5-flash",
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://bucket/in/l.jsonl"]}},
        "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://bucket/out"}},
    });
    let jobs = "/v1/projects/p/locations/us-central1/batchPredictionJobs";
    let job = post(&sim, jobs, &fields, &wanted).await.json();
    assert_eq!(job["state"], "JOB_STATE_PENDING", "{job}");
    let path = format!("/v1/{}", job["name"].as_str().unwrap());
    get(&sim, &path, &fields).await;
    let done = get(&sim, &path, &fields).await.json();
    assert_eq!(done["state"], "JOB_STATE_SUCCEEDED", "{done}");
    let folder = done["outputInfo"]["gcsOutputDirectory"].as_str().unwrap();
    let object = folder.strip_prefix("gs://bucket/").unwrap();
    let object = format!("{object}/predictions.jsonl").replace('/', "%2F");
    let at = format!("/storage/v1/b/bucket/o/{object}?alt=media");
    let results = get(&sim, &at, &fields).await;
    let results: Vec<Value> = results
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(results[1]["request"]["labels"]["line"], "a");
    assert!(results[1]["response"]["usageMetadata"].is_object());
    let status = results[0]["status"].as_str().unwrap();
    assert!(status.starts_with("Bad Request: {"), "{status}");
    let list = get(&sim, &format!("{jobs}?pageSize=10"), &fields)
        .await
        .json();
    assert_eq!(list["batchPredictionJobs"][0]["displayName"], "mine");
    let unknown = json!({"displayName": "x", "surprise": 1});
    assert_eq!(post(&sim, jobs, &fields, &unknown).await.status, 400);
    assert_eq!(get(&sim, &path, &[]).await.status, 401);
}

#[tokio::test]
async fn bedrock_runs_no_job_of_few_records_and_none_twice() {
    let sim = Sim::default();
    let wanted = json!({
        "jobName": "batch-a", "clientRequestToken": "batch-a", "modelId": "amazon.nova-pro-v1:0",
        "modelInvocationType": "Converse", "roleArn": "arn:aws:iam::123456789012:role/batches",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://bucket/none.jsonl"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/"}},
    });
    let made = post(&sim, "/model-invocation-job", OPENAI, &wanted)
        .await
        .json();
    let again = post(&sim, "/model-invocation-job", OPENAI, &wanted)
        .await
        .json();
    assert_eq!(made, again, "the token says that it is the same request");
    let arn = made["jobArn"]
        .as_str()
        .unwrap()
        .replace(':', "%3A")
        .replace('/', "%2F");
    let path = format!("/model-invocation-job/{arn}");
    assert_eq!(
        get(&sim, &path, OPENAI).await.json()["status"],
        "InProgress"
    );
    let failed = get(&sim, &path, OPENAI).await.json();
    assert_eq!(failed["status"], "Failed", "{failed}");
    for (field, value) in [
        ("jobName", json!("a_b")),
        ("roleArn", json!("me")),
        ("more", json!(1)),
    ] {
        let mut wrong = wanted.clone();
        wrong[field] = value;
        let refused = post(&sim, "/model-invocation-job", OPENAI, &wrong).await;
        assert_eq!(refused.status, 400, "{field}");
    }
}

#[tokio::test]
async fn s3_answers_nobody_who_does_not_sign() {
    let sim = Sim::default();
    let digest = (
        "x-amz-content-sha256",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    let refused = send(&sim, "PUT", "/s3/bucket/a", &[digest], Bytes::new()).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        refused.text()
    );
    let silent = get(&sim, "/s3/bucket/a", OPENAI).await;
    assert_eq!(silent.status, 400, "S3 wants the digest of every body");
}
