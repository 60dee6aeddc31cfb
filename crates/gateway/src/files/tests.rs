use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::caller::Caller;
use domain::file::FileOrder;
use domain::key::Rate;
use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::chat::ChatError;
use crate::reply::Reply;
use crate::testing::{ANSWER, Act, Hand, Records, Stage, Zeros, caller, run};
use domain::call::Operation;
use http::HeaderValue;
use providers::anthropic::AnthropicMessages;
use providers::face::Face;
use providers::openai::responses::OpenaiResponses;

const HOUR: Duration = Duration::from_hours(1);

fn label(name: &str) -> Label {
    Label {
        purpose: FilePurpose::UserData,
        filename: name.parse().unwrap(),
        media_type: "text/plain".parse().unwrap(),
        keep_for: None,
    }
}

fn keep(stage: &Stage, name: &str, content: &'static [u8]) -> StoredFile {
    let owner = stage.caller.owner();
    let kept = stage
        .files
        .keep(owner, label(name), Bytes::from_static(content));
    run(&stage.clock, kept).unwrap()
}

fn stranger() -> Caller {
    caller(Rate::default(), None)
}

#[test]
fn a_file_is_read_back_by_its_owner_and_nobody_else() {
    let stage = Stage::of([]);
    let file = keep(&stage, "a.txt", b"hello");
    let id = file.id.to_string();
    let found = run(&stage.clock, stage.files.file(stage.caller.owner(), &id)).unwrap();
    assert_eq!((found.bytes, &found), (5, &file));
    let content = run(&stage.clock, stage.files.read(&found, 5)).unwrap();
    assert_eq!(content, "hello");
    for (owner, id) in [
        (stranger().owner(), id.as_str()),
        (stage.caller.owner(), "file-x"),
    ] {
        let found = run(&stage.clock, stage.files.file(owner, id));
        assert!(matches!(found, Err(FileError::Unknown(_))), "{found:?}");
        let deleted = run(&stage.clock, stage.files.delete(owner, id));
        assert!(matches!(deleted, Err(FileError::Unknown(_))), "{deleted:?}");
    }
    assert_eq!(stage.shelf.names().len(), 1);
}

#[test]
fn a_file_beyond_the_largest_is_refused_and_leaves_nothing_that_can_be_found() {
    let stage = Stage::of([]);
    let owner = stage.caller.owner();
    let too_large = vec![0; 1_025];
    let kept = stage.files.keep(owner, label("a"), too_large.into());
    let refused = run(&stage.clock, kept);
    assert!(
        matches!(refused, Err(FileError::TooLarge { max: 1_024 })),
        "{refused:?}"
    );
    assert!(stage.shelf.names().is_empty());
    let query = FileQuery {
        purpose: None,
        order: FileOrder::Newest,
        after: None,
        limit: 9,
    };
    let (files, _) = run(&stage.clock, stage.files.list(owner, &query, None)).unwrap();
    assert_eq!(files, []);
}

#[test]
fn all_files_together_stay_within_the_total() {
    let stage = Stage::of([]);
    let owner = stage.caller.owner();
    let keep = |bytes: usize| {
        let kept = stage.files.keep(owner, label("a"), vec![0; bytes].into());
        run(&stage.clock, kept)
    };
    keep(1_000).unwrap();
    keep(1_000).unwrap();
    let refused = keep(1_000);
    assert!(
        matches!(refused, Err(FileError::Full { max: 2_048 })),
        "{refused:?}"
    );
    assert_eq!(stage.shelf.names().len(), 2);
    keep(48).unwrap();
}

#[test]
fn what_was_given_up_or_has_ended_is_removed_with_its_bytes() {
    let stage = Stage::of([]);
    let ended = keep(&stage, "a.txt", b"a");
    let begun = run(&stage.clock, stage.files.begin(stage.caller.owner())).unwrap();
    drop(begun);
    assert_eq!(ended.expires_at, Some(stage.clock.now() + HOUR * 24));
    let remove = || run(&stage.clock, stage.files.remove_ended(9)).unwrap();
    assert_eq!(remove(), 0);
    stage.clock.forward(HOUR * 6);
    assert_eq!((remove(), stage.shelf.names().len()), (1, 1));
    stage.clock.forward(HOUR * 18);
    let id = ended.id.to_string();
    let found = stage.files.find(stage.caller.owner(), &id);
    assert_eq!(run(&stage.clock, found).unwrap(), None);
    assert_eq!((remove(), stage.shelf.names().len()), (1, 0));
}

#[test]
fn what_cannot_be_removed_now_is_removed_later() {
    let stage = Stage::of([]);
    let file = keep(&stage, "a.txt", b"a");
    stage.shelf.is_down.store(true, Ordering::Relaxed);
    let id = file.id.to_string();
    let deleted = run(&stage.clock, stage.files.delete(stage.caller.owner(), &id));
    assert!(matches!(deleted, Err(FileError::Media(_))), "{deleted:?}");
    let found = stage.files.find(stage.caller.owner(), &id);
    assert_eq!(run(&stage.clock, found).unwrap(), None);
    stage.shelf.is_down.store(false, Ordering::Relaxed);
    assert_eq!(run(&stage.clock, stage.files.remove_ended(9)).unwrap(), 1);
    assert!(stage.shelf.names().is_empty());
}

#[test]
fn a_caller_may_ask_for_an_earlier_end_but_for_no_later_one() {
    let stage = Stage::of([]);
    for (asked, kept) in [(HOUR, HOUR), (HOUR * 100, HOUR * 24)] {
        let label = Label {
            keep_for: Some(asked),
            ..label("a")
        };
        let file = stage.files.keep(stage.caller.owner(), label, Bytes::new());
        let file = run(&stage.clock, file).unwrap();
        assert_eq!(file.expires_at, Some(file.created_at + kept));
    }
}

#[test]
fn a_list_goes_on_after_a_file_and_says_whether_there_is_more() {
    let stage = Stage::of([]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(keep(&stage, "a", b"").id);
        stage.clock.forward(Duration::from_secs(1));
    }
    ids.reverse();
    let owner = stage.caller.owner();
    let query = FileQuery {
        purpose: None,
        order: FileOrder::Newest,
        after: None,
        limit: 2,
    };
    let list = |after: Option<&str>| {
        let listed = run(&stage.clock, stage.files.list(owner, &query, after));
        listed.map(|(files, more)| (files.iter().map(|file| file.id).collect::<Vec<_>>(), more))
    };
    assert_eq!(list(None).unwrap(), (ids[..2].to_vec(), true));
    let second = ids[1].to_string();
    assert_eq!(list(Some(&second)).unwrap(), (ids[2..].to_vec(), false));
    assert!(matches!(list(Some("file-x")), Err(FileError::Unknown(_))));
}

fn parts(link: &str) -> (String, String, String) {
    let rest = link.split_once("/media/").unwrap().1;
    let (id, query) = rest.split_once("?expires=").unwrap();
    let (expires, signature) = query.split_once("&signature=").unwrap();
    (id.to_owned(), expires.to_owned(), signature.to_owned())
}

#[test]
fn a_link_is_read_without_a_key_until_its_file_ends() {
    let stage = Stage::of([]);
    let file = keep(&stage, "a.txt", b"a");
    let (id, expires, signature) = parts(&stage.files.link(&file));
    let linked = |clock: &Hand| run(clock, stage.files.linked(&id, &expires, &signature));
    assert_eq!(linked(&stage.clock).unwrap(), file);
    stage.clock.forward(HOUR * 24);
    let late = linked(&stage.clock);
    assert!(
        matches!(late, Err(FileError::Link(InvalidLink::Expired))),
        "{late:?}"
    );
}

fn sent(stage: &Stage) -> Value {
    let sent = stage.script.sent.lock().unwrap();
    serde_json::from_slice(sent.last().unwrap().request.body()).unwrap()
}

#[test]
fn a_chat_gets_the_callers_own_file_in_place_of_its_reference() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let id = keep(&stage, "a.pdf", b"%PDF-1.7").id;
    let ask = json!({"model": "gpt", "messages": [{"role": "user", "content": [
        {"type": "file", "file": {"file_id": id.to_string()}}
    ]}]});
    stage.chat(&ask.to_string()).unwrap();
    // What the bytes say of their type holds over what their owner said.
    let inline =
        json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="});
    assert_eq!(sent(&stage)["messages"][0]["content"][0]["file"], inline);
    assert!(stage.heard.only().usage.input_tokens > 0);
}

#[test]
fn an_unknown_file_passes_to_a_provider_that_speaks_the_format() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let theirs = stage
        .files
        .keep(stranger().owner(), label("a"), Bytes::new());
    let theirs = run(&stage.clock, theirs).unwrap().id.to_string();
    let ask = json!({"model": "gpt", "messages": [{"role": "user", "content": [
        {"type": "file", "file": {"file_id": theirs}}
    ]}]});
    stage.chat(&ask.to_string()).unwrap();
    assert_eq!(sent(&stage)["messages"], ask["messages"]);
}

fn chat_as(stage: &Stage, face: &'static dyn Face, ask: &Value) -> Result<Reply, ChatError> {
    let mut inbound = stage.inbound(&ask.to_string());
    inbound.face = face;
    run(&stage.clock, stage.gateway.chat(&stage.caller, inbound))
}

#[test]
fn an_unknown_file_is_refused_where_the_request_is_translated() {
    let stage = Stage::of([]);
    let ask = json!({"model": "claude", "input": [{"role": "user", "content": [
        {"type": "input_file", "file_id": "file-of-a-provider"}
    ]}]});
    let Err(ChatError::Invalid(invalid)) = chat_as(&stage, &OpenaiResponses, &ask) else {
        panic!("it must be refused");
    };
    assert_eq!(invalid.param.as_deref(), Some("file_id"));
    assert!(
        invalid.detail.contains("file-of-a-provider"),
        "{}",
        invalid.detail
    );
    assert_eq!(stage.script.requests(), 0);
}

#[test]
fn a_translated_chat_gets_the_file_in_the_targets_words() {
    let answer = r#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let stage = Stage::of([Act::whole(200, answer)]);
    let id = keep(&stage, "a.png", b"\x89PNG\r\n").id;
    let ask = json!({"model": "claude", "input": [{"role": "user", "content": [
        {"type": "input_image", "file_id": id.to_string()}
    ]}]});
    chat_as(&stage, &OpenaiResponses, &ask).unwrap();
    let source = json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0K"});
    assert_eq!(sent(&stage)["messages"][0]["content"][0]["source"], source);
}

#[test]
fn no_more_of_a_file_is_read_than_is_wanted() {
    let stage = Stage::of([]);
    let file = keep(&stage, "a.pdf", b"%PDF");
    let read = run(&stage.clock, stage.files.read(&file, 3));
    assert!(
        matches!(read, Err(FileError::TooLarge { max: 3 })),
        "{read:?}"
    );
}

#[test]
fn messages_of_anthropics_format_refer_to_files_too() {
    let answer = r#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let stage = Stage::of([Act::whole(200, answer)]);
    let id = keep(&stage, "a.txt", b"hello").id;
    let ask = json!({"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "file", "file_id": id.to_string()}}
    ]}]});
    chat_as(&stage, &AnthropicMessages, &ask).unwrap();
    let source = json!({"type": "text", "media_type": "text/plain", "data": "hello"});
    assert_eq!(sent(&stage)["messages"][0]["content"][0]["source"], source);
}

fn asked(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    fields.collect()
}

fn delivery(stage: &Stage, operation: Operation, headers: &HeaderMap) -> Option<Delivery> {
    Delivery::of(&stage.files, operation, &stage.caller, headers)
}

const PICTURE: &str = r#"{"created":1,"data":[{"url":"data:image/png;base64,iVBORw0K","revised_prompt":"x"},{"url":"https://a/b.png"}]}"#;

#[test]
fn pictures_that_a_provider_gives_as_bytes_become_links() {
    let stage = Stage::of([]);
    let headers = asked(&[("host", "gateway.example:8080")]);
    let delivery = delivery(&stage, Operation::ImageGeneration, &headers).unwrap();
    let kind = HeaderValue::from_static("application/json");
    let given = delivery.give_out(&stage.files, &kind, PICTURE.into());
    let given = run(&stage.clock, given);
    assert_eq!(given.link, None);
    let body: Value = serde_json::from_slice(&given.body).unwrap();
    let url = body["data"][0]["url"].as_str().unwrap();
    assert!(
        url.starts_with("http://gateway.example:8080/media/file-"),
        "{url}"
    );
    assert_eq!(body["data"][1]["url"], "https://a/b.png");
    assert_eq!(body["data"][0]["revised_prompt"], "x");
    let (id, expires, signature) = parts(url);
    let file = run(&stage.clock, stage.files.linked(&id, &expires, &signature)).unwrap();
    assert_eq!((file.media_type.as_str(), file.bytes), ("image/png", 6));
    assert_eq!(file.purpose, FilePurpose::Generated);
    assert_eq!(file.expires_at, Some(file.created_at + HOUR));
}

#[test]
fn an_answer_that_cannot_be_stored_goes_out_as_it_is() {
    let stage = Stage::of([]);
    stage.shelf.is_down.store(true, Ordering::Relaxed);
    let headers = asked(&[("host", "gateway.example")]);
    let delivery = delivery(&stage, Operation::ImageGeneration, &headers).unwrap();
    let kind = HeaderValue::from_static("application/json");
    let given = delivery.give_out(&stage.files, &kind, PICTURE.into());
    let given = run(&stage.clock, given);
    assert_eq!((&given.body[..], given.link), (PICTURE.as_bytes(), None));
}

#[test]
fn sound_is_stored_for_those_who_say_so() {
    let stage = Stage::of([]);
    let plain = asked(&[("host", "a")]);
    assert!(delivery(&stage, Operation::Speech, &plain).is_none());
    assert!(delivery(&stage, Operation::Embeddings, &plain).is_none());
    let headers = asked(&[("host", "a"), ("x-trunkline-store", "true")]);
    let delivery = delivery(&stage, Operation::Speech, &headers).unwrap();
    let give = |kind: &'static str| {
        let kind = HeaderValue::from_static(kind);
        let given = delivery.give_out(&stage.files, &kind, Bytes::from_static(b"ID3"));
        run(&stage.clock, given)
    };
    let given = give("audio/mpeg");
    assert_eq!(given.body, "ID3");
    assert!(given.link.unwrap().starts_with("http://a/media/file-"));
    // Events that hold sound are no sound.
    assert_eq!(give("text/event-stream").link, None);
}

#[test]
fn pictures_are_base64_where_nothing_is_to_be_stored() {
    let stage = Stage::of([]);
    let rules = FileRules {
        delivers_urls: false,
        ..*stage.files.rules()
    };
    let files = Files::new(
        rules,
        &Secret::new(vec![7; 32]),
        Arc::new(Records::default()),
        Arc::clone(&stage.shelf) as Arc<dyn MediaStore>,
        Arc::clone(&stage.clock) as Arc<dyn Clock>,
        Arc::new(Zeros),
    );
    let headers = asked(&[("host", "gateway.example")]);
    let delivery = Delivery::of(&files, Operation::ImageGeneration, &stage.caller, &headers);
    let kind = HeaderValue::from_static("application/json");
    let given = delivery.unwrap();
    let given = run(&stage.clock, given.give_out(&files, &kind, PICTURE.into()));
    assert!(given.is_inlined);
    let body: Value = serde_json::from_slice(&given.body).unwrap();
    let [inlined, linked] = [&body["data"][0], &body["data"][1]];
    assert_eq!(inlined["b64_json"], "iVBORw0K");
    assert_eq!(
        (&inlined["url"], &inlined["revised_prompt"]),
        (&Value::Null, &"x".into())
    );
    assert_eq!(linked["url"], "https://a/b.png");
}
