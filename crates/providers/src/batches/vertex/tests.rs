use domain::model::Capabilities;

use super::*;
use crate::batches::bucket::{Bucket, Storage};
use crate::host::Host;

const GEMINI: Work = Work::Chat(Format::Gemini);
const NAME: &str = "projects/p/locations/us-central1/batchPredictionJobs/77";

fn with_target<T>(model: &str, test: impl FnOnce(&Target<'_>) -> T) -> T {
    test(&Target {
        model,
        base_url: "https://us-central1-aiplatform.googleapis.com",
        capabilities: &Capabilities::default(),
        host: &Host {
            project: Some("p".to_owned()),
            region: Some("us-central1".to_owned()),
            bucket: Some(Bucket {
                storage: Storage::CloudStorage,
                name: "my-bucket".to_owned(),
                prefix: "batches".to_owned(),
                endpoint: None,
                role_arn: None,
            }),
            ..Host::NONE
        },
    })
}

#[test]
fn a_job_is_made_of_lines_in_the_bucket() {
    with_target("gemini-2.5-flash", |target| {
        let handing = Handing {
            target,
            work: GEMINI,
            name: "batch_a1",
        };
        let Ok(Beginning::Upload(upload)) = VertexBatches.begin(&handing, b"{}\n".to_vec()) else {
            panic!("lines are uploaded")
        };
        assert_eq!(upload.uri().host(), Some("storage.googleapis.com"));
        let file = VertexBatches.uploaded(&handing, b"{}").unwrap();
        assert_eq!(file, "gs://my-bucket/batches/batch_a1.jsonl");
        let create = VertexBatches.create(&handing, &file).unwrap();
        assert_eq!(
            create.uri().path(),
            "/v1/projects/p/locations/us-central1/batchPredictionJobs"
        );
        let body: Value = serde_json::from_slice(create.body()).unwrap();
        assert_eq!(body["displayName"], "batch_a1");
        assert_eq!(body["model"], "publishers/google/models/gemini-2.5-flash");
        assert_eq!(body["inputConfig"]["gcsSource"]["uris"], json!([file]));
        let output = &body["outputConfig"]["gcsDestination"]["outputUriPrefix"];
        assert_eq!(output, "gs://my-bucket/batches/batch_a1");
        let look = VertexBatches.look(target, NAME).unwrap();
        assert_eq!(look.uri().path(), format!("/v1/{NAME}"));
        let cancel = VertexBatches.cancel(target, NAME).unwrap();
        assert_eq!(cancel.uri().path(), format!("/v1/{NAME}:cancel"));
    });
    with_target("claude-haiku-4-5@20251001", |target| {
        let model = vertex::resource(target.model).unwrap();
        assert_eq!(
            model,
            "publishers/anthropic/models/claude-haiku-4-5@20251001"
        );
    });
}

#[test]
fn a_line_of_geminis_is_told_by_a_label_beside_its_own() {
    let mut lines = Vec::new();
    let body = br#"{"contents":[],"labels":{"team":"blue"}}"#;
    VertexBatches.write_line("batch_a1-7", GEMINI, body, &mut lines);
    let line: Value = serde_json::from_slice(&lines).unwrap();
    let labels = json!({"team": "blue", "trunkline_line": "batch_a1-7"});
    assert_eq!(line, json!({"request": {"contents": [], "labels": labels}}));
    let result = json!({"status": "", "request": line["request"], "response": {"candidates": []}});
    let result = VertexBatches
        .read_line(result.to_string().as_bytes())
        .unwrap();
    assert_eq!(result.name, "batch_a1-7");
    let body = Bytes::from_static(br#"{"candidates":[]}"#);
    assert_eq!(result.outcome, LineOutcome::Answered { status: 200, body });
}

#[test]
fn a_line_of_anthropics_has_its_own_name_and_the_platforms_version() {
    let mut lines = Vec::new();
    let body = br#"{"model":"m","stream":true,"max_tokens":5}"#;
    let work = Work::Chat(Format::AnthropicMessages);
    VertexBatches.write_line("batch_a1-7", work, body, &mut lines);
    let line: Value = serde_json::from_slice(&lines).unwrap();
    let request = json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 5});
    assert_eq!(line, json!({"custom_id": "batch_a1-7", "request": request}));
}

#[test]
fn a_result_that_failed_has_the_error_that_its_status_tells() {
    let read = |status: &str| {
        let labels = json!({"trunkline_line": "l"});
        let line = json!({"status": status, "request": {"labels": labels}, "response": {}});
        let read = VertexBatches.read_line(line.to_string().as_bytes());
        match read.unwrap().outcome {
            LineOutcome::Answered { status, body } => {
                (status, serde_json::from_slice::<Value>(&body).unwrap())
            }
            LineOutcome::Unreached => panic!("it was reached"),
        }
    };
    let (status, body) = read(r#"Bad Request: {"error": {"code": 400, "message": "No."}}"#);
    assert_eq!((status, &body["error"]["message"]), (400, &json!("No.")));
    let (status, body) = read("Out of luck {");
    assert_eq!(
        (status, &body["error"]["message"]),
        (500, &json!("Out of luck {"))
    );
    assert!(
        VertexBatches
            .read_line(br#"{"status":"","response":{}}"#)
            .is_err()
    );
}

#[test]
fn every_state_of_the_vendor_is_known_and_no_other() {
    let job = |state: &str, more: Value| {
        let mut job = json!({"name": NAME, "state": state});
        for (name, value) in more.as_object().unwrap() {
            job[name] = value.clone();
        }
        VertexBatches.read(job.to_string().as_bytes())
    };
    let output =
        json!({"outputInfo": {"gcsOutputDirectory": "gs://my-bucket/batches/batch_a1/p-1"}});
    for state in ["QUEUED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"] {
        let id = NAME.to_owned();
        let state = format!("JOB_STATE_{state}");
        assert_eq!(job(&state, json!({})), Ok(Progress::Working { id }));
    }
    for (state, cut) in [
        ("SUCCEEDED", false),
        ("PARTIALLY_SUCCEEDED", false),
        ("CANCELLED", true),
        ("EXPIRED", true),
    ] {
        let ended = job(&format!("JOB_STATE_{state}"), output.clone());
        let Ok(Progress::Ended {
            places,
            is_cut_short,
            ..
        }) = ended
        else {
            panic!("{state} is an end")
        };
        assert_eq!(
            places,
            ["gs://my-bucket/batches/batch_a1/p-1/predictions.jsonl"]
        );
        assert_eq!(is_cut_short, cut, "{state}");
    }
    let error = json!({"error": {"code": 3, "message": "No."}, "outputInfo": output["outputInfo"]});
    let Ok(Progress::Ended { places, faults, .. }) = job("JOB_STATE_FAILED", error) else {
        panic!("it is an end")
    };
    assert_eq!((places.len(), faults[0].message.as_str()), (0, "No."));
    assert!(job("JOB_STATE_RESTING", json!({})).is_err());
}

#[test]
fn a_list_is_of_jobs_that_were_made_since() {
    with_target("gemini", |target| {
        let since = "2026-11-21T10:00:00Z".parse().unwrap();
        let list = VertexBatches.list(target, since, None).unwrap();
        let query = list.uri().query().unwrap();
        assert!(
            query.contains("filter=create_time%3E%3D%222026-11-21T10%3A00%3A00Z%22"),
            "{query}"
        );
    });
    let list = json!({"batchPredictionJobs": [
        {"name": NAME, "displayName": "ours", "createTime": "2026-11-21T10:00:00.123Z", "state": "JOB_STATE_PENDING"},
    ]});
    let page = VertexBatches
        .read_list(list.to_string().as_bytes())
        .unwrap();
    assert_eq!(page.batches[0].mark, Mark::Name(Some("ours".to_owned())));
    assert!(page.batches[0].made_at.is_some());
    assert_eq!(page.next, None);
    assert_eq!(VertexBatches.read_list(b"{}").unwrap(), Page::default());
}
