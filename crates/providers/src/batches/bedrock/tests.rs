use domain::model::Capabilities;
use serde_json::Value;

use super::*;
use crate::batches::bucket::{Bucket, Storage};
use crate::host::Host;

const CLAUDE: Work = Work::Chat(Format::AnthropicMessages);
const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/a1b2c3";

fn with_target<T>(test: impl FnOnce(&Target<'_>) -> T) -> T {
    test(&Target {
        model: "anthropic.claude-haiku-4-5",
        base_url: "https://bedrock-runtime.{region}.amazonaws.com",
        capabilities: &Capabilities::default(),
        host: &Host {
            region: Some("us-east-1".to_owned()),
            bucket: Some(Bucket {
                storage: Storage::S3,
                name: "my-bucket".to_owned(),
                prefix: "batches".to_owned(),
                endpoint: None,
                role_arn: Some("arn:aws:iam::123456789012:role/batches".to_owned()),
            }),
            ..Host::NONE
        },
    })
}

#[test]
fn a_job_is_made_of_lines_in_the_bucket() {
    with_target(|target| {
        let handing = Handing {
            target,
            work: CLAUDE,
            name: "batch_a1-2",
        };
        let Ok(Beginning::Upload(upload)) = BedrockBatches.begin(&handing, b"{}\n".to_vec()) else {
            panic!("lines are uploaded")
        };
        let at = "https://s3.us-east-1.amazonaws.com/my-bucket/batches/batch_a1-2.jsonl";
        assert_eq!(upload.uri(), at);
        let file = BedrockBatches.uploaded(&handing, b"").unwrap();
        assert_eq!(file, "s3://my-bucket/batches/batch_a1-2.jsonl");
        let create = BedrockBatches.create(&handing, &file).unwrap();
        assert_eq!(
            create.uri(),
            "https://bedrock.us-east-1.amazonaws.com/model-invocation-job"
        );
        let body: Value = serde_json::from_slice(create.body()).unwrap();
        assert_eq!(body["jobName"], "batch-a1-2");
        assert_eq!(body["modelInvocationType"], "InvokeModel");
        assert_eq!(body["roleArn"], "arn:aws:iam::123456789012:role/batches");
        assert_eq!(body["inputDataConfig"]["s3InputDataConfig"]["s3Uri"], file);
        let output = &body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"];
        assert_eq!(output, "s3://my-bucket/batches/");
        let discard = BedrockBatches.discard(target, &file).unwrap();
        assert_eq!(
            (discard.method(), discard.uri().to_string()),
            (&Method::DELETE, at.to_owned())
        );
        let look = BedrockBatches.look(target, ARN).unwrap();
        assert_eq!(
            look.uri().path(),
            "/model-invocation-job/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Amodel-invocation-job%2Fa1b2c3"
        );
    });
}

#[test]
fn a_line_is_what_invoking_the_model_takes() {
    let mut lines = Vec::new();
    let body = br#"{"model":"m","stream":true,"max_tokens":5,"messages":[]}"#;
    BedrockBatches.write_line("batch_a1-7", CLAUDE, body, &mut lines);
    let text = String::from_utf8(lines).unwrap();
    let line: Value = serde_json::from_str(&text).unwrap();
    let input = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": []});
    assert_eq!(line, json!({"recordId": "batch_a1-7", "modelInput": input}));
    assert!(text.ends_with("}\n"), "{text}");
}

fn job(status: &str) -> Result<Progress, DecodeError> {
    let place = |uri: &str| json!({ "s3Uri": uri });
    let body = json!({
        "jobArn": ARN, "jobName": "batch-a1", "status": status, "message": "No.",
        "inputDataConfig": {"s3InputDataConfig": place("s3://my-bucket/batches/batch_a1.jsonl")},
        "outputDataConfig": {"s3OutputDataConfig": place("s3://my-bucket/batches/")},
    });
    BedrockBatches.read(body.to_string().as_bytes())
}

#[test]
fn every_status_of_the_vendor_is_known_and_no_other() {
    for status in [
        "Submitted",
        "Validating",
        "Scheduled",
        "InProgress",
        "Stopping",
    ] {
        let id = ARN.to_owned();
        assert_eq!(job(status), Ok(Progress::Working { id }), "{status}");
    }
    let made = BedrockBatches.read(json!({ "jobArn": ARN }).to_string().as_bytes());
    assert_eq!(made.unwrap().id(), ARN);
    for (status, cut) in [
        ("Completed", false),
        ("PartiallyCompleted", false),
        ("Stopped", true),
        ("Expired", true),
    ] {
        let Ok(Progress::Ended {
            places,
            is_cut_short,
            ..
        }) = job(status)
        else {
            panic!("{status} is an end")
        };
        assert_eq!(places, ["s3://my-bucket/batches/a1b2c3/batch_a1.jsonl.out"]);
        assert_eq!(is_cut_short, cut, "{status}");
    }
    let Ok(Progress::Ended { places, faults, .. }) = job("Failed") else {
        panic!("it is an end")
    };
    assert_eq!((places.len(), faults[0].message.as_str()), (0, "No."));
    assert!(job("Resting").is_err());
}

#[test]
fn a_list_tells_whose_jobs_are_and_where_it_goes_on() {
    let list = json!({"nextToken": "more", "invocationJobSummaries": [
        {"jobArn": ARN, "jobName": "batch-a1-2", "submitTime": "2026-11-21T10:00:00Z"},
        {"jobArn": "x", "jobName": "theirs"},
    ]});
    let page = BedrockBatches
        .read_list(list.to_string().as_bytes())
        .unwrap();
    assert_eq!(page.next.as_deref(), Some("more"));
    assert_eq!(
        page.batches[0].mark,
        Mark::Name(Some("batch_a1-2".to_owned()))
    );
    assert!(page.batches[0].made_at.is_some());
    with_target(|target| {
        let since = "2026-11-21T10:00:00Z".parse().unwrap();
        let list = BedrockBatches.list(target, since, Some("more")).unwrap();
        let query = list.uri().query().unwrap();
        assert!(
            query.contains("submitTimeAfter=2026-11-21T10%3A00%3A00Z&nextToken=more"),
            "{query}"
        );
    });
}

#[test]
fn a_result_is_an_answer_or_an_error() {
    let read = |line: Value| BedrockBatches.read_line(line.to_string().as_bytes());
    let good =
        read(json!({"recordId": "a", "modelInput": {}, "modelOutput": {"id": "m"}})).unwrap();
    let body = Bytes::from_static(br#"{"id":"m"}"#);
    assert_eq!(good.outcome, LineOutcome::Answered { status: 200, body });
    let error = json!({"errorCode": 400, "errorMessage": "Too long."});
    let bad = read(json!({"recordId": "a", "modelInput": {}, "error": error})).unwrap();
    let body = Bytes::from_static(br#"{"message":"Too long."}"#);
    assert_eq!(bad.outcome, LineOutcome::Answered { status: 400, body });
    assert!(read(json!({"recordId": "a"})).is_err());
}
