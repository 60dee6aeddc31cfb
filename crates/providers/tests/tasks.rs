//! Tasks, tested by tables: every folder `src/<task>/fixtures/<case>` is one case, and a new case is a new
//! folder. Which files a case may have:
//!
//! | given | expected |
//! | --- | --- |
//! | `request.json`, `.txt` or `.bin`, `target.json` | `envelope.json`; `provider_request.json`, `.txt` or `.bin`, and `.http`; `conversion.json`; or `envelope_refusal.json`, `refusal.json` |
//! | `response.json`, `.txt`, `.html` or `.bin`, `response.http` | `answer.json`, `.txt` or `.bin`, and `.http`; `usage.json`; or `error.json` |
//! | `response_2.json`, `response_2.http`, … of what is asked next | `step_2.http`, `step_2.json`, … : what is asked next |
//! | `stream.txt` or `.bin`, `response.http` | `answer_stream.txt` or `.bin`, `usage.json`, `error.json` |
//!
//! `target.json` holds `face` (the caller's API), `kind` (of the provider), and may hold `model`, `base_url`,
//! `capabilities`, `host`, and `asked`, what the caller says beside the body (`model`, `stream`, `fields`).
//! `about.md` says what the case is about. A `.json` is compared as a value; `.txt` and `.bin` byte by byte,
//! which is how it is seen that bytes pass untouched. In a `.http`, the first line is the method and URL of
//! a request or the status of an answer, the others are fields that must be there; `after: 500` in a
//! `step_2.http` is the wait in milliseconds. A stream is read whole, byte by byte and in random pieces.
//! What a failing case really gave is written below `target/tmp/tasks`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails the test that reads it"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use domain::model::Capabilities;
use domain::problem::{Problem, ProblemKind};
use domain::provider_error::ProviderError;
use domain::tokenizer::Tokenizers;
use domain::usage::Usage;
use http::response::Parts;
use http::{HeaderMap, Request};
use jiff::Timestamp;
use providers::anthropic::CountTokens as CountMessages;
use providers::audio::{OpenaiSpeech, OpenaiTranscripts};
use providers::count::Counting;
use providers::dialect::{DecodeError, End, Target};
use providers::embeddings::{CohereEmbeddings, GeminiEmbeddings, OpenaiEmbeddings};
use providers::face::Asked;
use providers::gemini::CountTokens as CountContents;
use providers::host::Host;
use providers::hosts;
use providers::images::OpenaiImages;
use providers::kind::ProviderKind;
use providers::moderation::OpenaiModeration;
use providers::openai::responses::CountInput;
use providers::rerank::{CohereRerank, JinaRerank};
use providers::task::{Task, TaskAnswer, TaskReader, TaskStep};
use serde::Deserialize;
use serde_json::{Value, json};

mod told;

mod shared;

use shared::{AskedFile, splits};

/// The caller's API by the names of the folder and of the face.
fn task(folder: &str, face: &str) -> &'static dyn Task {
    match (folder, face) {
        ("count", "anthropic") => &Counting(CountMessages),
        ("count", "gemini") => &Counting(CountContents),
        ("count", "openai") => &Counting(CountInput),
        ("embeddings", "openai") => &OpenaiEmbeddings,
        ("embeddings", "gemini") => &GeminiEmbeddings::Single,
        ("embeddings", "gemini_batch") => &GeminiEmbeddings::Batch,
        ("embeddings", "cohere") => &CohereEmbeddings,
        ("rerank", "cohere") => &CohereRerank,
        ("rerank", "jina") => &JinaRerank,
        ("moderation", "openai") => &OpenaiModeration,
        ("images", "generations") => &OpenaiImages::Generations,
        ("images", "edits") => &OpenaiImages::Edits,
        ("images", "variations") => &OpenaiImages::Variations,
        ("audio", "speech") => &OpenaiSpeech,
        ("audio", "transcriptions") => &OpenaiTranscripts::Transcriptions,
        ("audio", "translations") => &OpenaiTranscripts::Translations,
        _ => panic!("{folder} has no face {face}"),
    }
}

/// The kinds of providers that a case may name.
const KINDS: [ProviderKind; 13] = [
    ProviderKind::Openai,
    ProviderKind::AzureOpenai,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
    ProviderKind::Vertex,
    ProviderKind::Cohere,
    ProviderKind::Bedrock,
    ProviderKind::Stability,
    ProviderKind::BlackForestLabs,
    ProviderKind::Fal,
    ProviderKind::Replicate,
    ProviderKind::Elevenlabs,
    ProviderKind::Deepgram,
];

#[test]
fn every_fixture_of_the_counts_holds() {
    walk("count");
}

#[test]
fn every_fixture_of_the_embeddings_holds() {
    walk("embeddings");
}

#[test]
fn every_fixture_of_the_rankings_holds() {
    walk("rerank");
}

#[test]
fn every_fixture_of_the_moderation_holds() {
    walk("moderation");
}

#[test]
fn every_fixture_of_the_pictures_holds() {
    walk("images");
}

#[test]
fn every_fixture_of_the_sound_holds() {
    walk("audio");
}

/// The names that a file of a case may have, without a step's number; another name is a slip of the pen.
const KNOWN: [&str; 30] = [
    "about.md",
    "answer.bin",
    "answer.http",
    "answer.json",
    "answer.txt",
    "answer_stream.bin",
    "answer_stream.txt",
    "conversion.json",
    "envelope.json",
    "envelope_refusal.json",
    "error.json",
    "provider_request.bin",
    "provider_request.http",
    "provider_request.json",
    "provider_request.txt",
    "refusal.json",
    "request.bin",
    "request.json",
    "request.txt",
    "response.bin",
    "response.html",
    "response.http",
    "response.json",
    "response.txt",
    "step.http",
    "step.json",
    "stream.bin",
    "stream.txt",
    "target.json",
    "usage.json",
];

/// How the names begin of files that say what is given; the others are expectations.
const GIVEN: [&str; 5] = ["about", "request", "response", "stream", "target"];

/// More steps than any case has.
const MAX_STEPS: usize = 9;

fn walk(folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(folder)
        .join("fixtures");
    let mut cases: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} holds no case", root.display());
    let mut failures = String::new();
    for path in &cases {
        let mut case = Case::open(path.clone(), folder);
        case.run();
        for failure in case.failures {
            writeln!(failures, "{folder}/{}: {failure}\n", case.name).unwrap();
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

fn now() -> Timestamp {
    "2026-11-05T12:00:00Z".parse().unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFile {
    face: String,
    kind: String,
    model: Option<String>,
    base_url: Option<String>,
    #[serde(default)]
    capabilities: Capabilities,
    #[serde(default)]
    host: HostFile,
    #[serde(default)]
    asked: AskedFile,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct HostFile {
    /// The name of a row of the table of hosts.
    name: Option<String>,
    api_version: Option<String>,
    project: Option<String>,
    region: Option<String>,
}

struct Case {
    path: PathBuf,
    folder: String,
    name: String,
    files: BTreeSet<String>,
    /// The expectations that were compared.
    checked: BTreeSet<String>,
    failures: Vec<String>,
}

impl Case {
    fn open(path: PathBuf, folder: &str) -> Self {
        let files = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        Self {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            folder: folder.to_owned(),
            path,
            files,
            checked: BTreeSet::new(),
            failures: Vec::new(),
        }
    }

    fn run(&mut self) {
        let unknown: Vec<_> = self
            .files
            .iter()
            .filter(|file| !KNOWN.contains(&without_number(file).as_str()))
            .cloned()
            .collect();
        for file in unknown {
            self.fail(format!("{file} is no file of a case"));
        }
        let Some(target) = self.given("target.json") else {
            return self.fail("target.json is missing".to_owned());
        };
        match serde_json::from_slice(&target) {
            Ok(target) => self.ask(target),
            Err(error) => self.fail(format!("target.json: {error}")),
        }
        self.require_checks();
    }

    fn ask(&mut self, file: TargetFile) {
        let Some(kind) = KINDS.into_iter().find(|kind| kind.as_str() == file.kind) else {
            return self.fail(format!("{} is no kind of provider", file.kind));
        };
        let task = task(&self.folder, &file.face);
        let asked = Asked::from(file.asked);
        let Some(body) = self.first_given(["request.json", "request.txt", "request.bin"]) else {
            return self.fail("there is no request".to_owned());
        };
        let body = Bytes::from(body);
        match task.envelope(&asked, &body) {
            Ok(envelope) => {
                let told = json!({
                    "model": envelope.model.as_str(),
                    "stream": envelope.stream,
                    "estimate": envelope.estimate,
                });
                self.check_json("envelope.json", &told);
            }
            Err(refusal) => {
                let told = json!({"detail": refusal.detail, "param": refusal.param});
                return self.expect("envelope_refusal.json", &told, "the envelope is refused");
            }
        }
        let mut host = match &file.host.name {
            Some(name) => Host::of(hosts::named(name).unwrap()),
            None => Host::NONE,
        };
        host.api_version = file.host.api_version;
        host.project = file.host.project;
        host.region = file.host.region;
        let base_url = file.base_url.as_deref();
        let target = Target {
            model: file.model.as_deref().unwrap_or("provider-model"),
            base_url: base_url.unwrap_or(kind.default_base_url()),
            capabilities: &file.capabilities,
            host: &host,
        };
        match task.prepare(&asked, &body, kind, &target) {
            Ok(prepared) => {
                self.check_request("provider_request", &prepared.request, None);
                let report = serde_json::to_value(&prepared.report).unwrap();
                self.check_json("conversion.json", &report);
                self.answers(kind, prepared.reader);
            }
            Err(refusal) => {
                let told = json!({"detail": refusal.detail, "param": refusal.param});
                self.expect("refusal.json", &told, "the target refuses");
            }
        }
    }

    /// Reads the answers, one for each step.
    fn answers(&mut self, kind: ProviderKind, mut reader: Box<dyn TaskReader>) {
        for step in 1..=MAX_STEPS {
            let name = numbered("response", step);
            let head = self.response_head(&name);
            if step == 1 && self.stream(&head, reader.as_ref()) {
                return;
            }
            let names = ["json", "txt", "html", "bin"].map(|ending| format!("{name}.{ending}"));
            let Some(body) = self.first_given(names.each_ref().map(String::as_str)) else {
                return;
            };
            if !head.status.is_success() {
                return self.failed(
                    &reader.decode_error(kind, &head, &body, now()),
                    reader.as_ref(),
                );
            }
            match reader.read(&head, body.into()) {
                Ok(TaskStep::Done(answer)) => return self.check_answer(&answer),
                Ok(TaskStep::Again {
                    request,
                    after,
                    reader: next,
                }) => {
                    let name = numbered("step", step + 1);
                    if !self.files.iter().any(|file| file.starts_with(&name)) {
                        self.fail(format!("there is a step more: {}", request.uri()));
                    }
                    self.check_request(&name, &request, Some(after.as_millis()));
                    reader = next;
                }
                Err(error) => return self.check_decode_error(error),
            }
        }
        self.fail("there are more steps than a case has".to_owned());
    }

    fn stream(&mut self, head: &Parts, reader: &dyn TaskReader) -> bool {
        let Some(bytes) = self.first_given(["stream.txt", "stream.bin"]) else {
            return false;
        };
        let read = |pieces: &[&[u8]]| {
            let mut stream = reader.stream(head)?;
            let mut out = Vec::new();
            let result = pieces
                .iter()
                .try_for_each(|piece| stream.push(&Bytes::copy_from_slice(piece), &mut out))
                .and_then(|()| stream.finish(End::Clean, &mut out));
            if let Err(error) = &result {
                let problem = Problem::new(ProblemKind::ProviderFailed, error.to_string());
                stream.fail(&problem, &mut out);
            }
            let observed = stream.observed().clone();
            Some((stream.content_type(), out.concat(), observed, result.err()))
        };
        let Some((content_type, out, observed, error)) = read(&[&bytes]) else {
            self.fail("the reader takes no stream".to_owned());
            return true;
        };
        for pieces in splits(&bytes) {
            let Some((_, cut, seen, failure)) = read(&pieces) else {
                break;
            };
            if cut != out || seen != observed || failure != error {
                self.fail("the stream gives other bytes when it is cut".to_owned());
                break;
            }
        }
        self.check_fields(
            "answer.http",
            &HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type)]),
        );
        self.check_bytes("answer_stream", &out);
        self.check_usage(observed.usage);
        if let Some(error) = error.or(observed.error.map(DecodeError::Provider)) {
            self.check_decode_error(error);
        }
        true
    }

    fn response_head(&mut self, name: &str) -> Parts {
        let text = self.given(&format!("{name}.http")).map_or_else(
            || "200\ncontent-type: application/json\n".to_owned(),
            |bytes| String::from_utf8(bytes).unwrap(),
        );
        let mut lines = text.lines();
        let status: u16 = lines.next().unwrap().trim().parse().unwrap();
        let mut response = http::Response::builder().status(status);
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            response = response.header(name, value);
        }
        response.body(()).unwrap().into_parts().0
    }

    fn check_request(&mut self, name: &str, request: &Request<Bytes>, after: Option<u128>) {
        let body = request.body();
        self.check_bytes(name, body);
        let file = format!("{name}.json");
        if self.files.contains(&file) {
            match serde_json::from_slice(body) {
                Ok(body) => self.check_json(&file, &body),
                Err(error) => self.fail(format!("the request's body is no JSON: {error}")),
            }
        }
        let file = format!("{name}.http");
        let Some(expected) = self.expected(&file) else {
            return;
        };
        let mut lines = expected.lines();
        let line = format!("{} {}", request.method(), request.uri());
        if lines.next() != Some(line.as_str()) {
            self.fail(format!("the request line of {file} is {line}"));
        }
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            let waits = after.map(|after| after.to_string());
            let found = if name == "after" {
                waits.as_deref()
            } else {
                field(request.headers(), name)
            };
            if found != Some(value) {
                self.fail(format!("{file}: {name} is {found:?}, expected {value}"));
            }
        }
    }

    fn check_answer(&mut self, answer: &TaskAnswer) {
        let fields =
            HeaderMap::from_iter([(http::header::CONTENT_TYPE, answer.content_type.clone())]);
        self.check_fields("answer.http", &fields);
        self.check_bytes("answer", &answer.body);
        if self.files.contains("answer.json") {
            match serde_json::from_slice(&answer.body) {
                Ok(body) => self.check_json("answer.json", &body),
                Err(error) => self.fail(format!("the answer is no JSON: {error}")),
            }
        }
        self.check_usage(answer.usage);
    }

    fn check_usage(&mut self, usage: Option<Usage>) {
        self.check_json("usage.json", &serde_json::to_value(usage).unwrap());
    }

    /// Fields that must be there; the first line is a status, which a case may leave out.
    fn check_fields(&mut self, file: &str, fields: &HeaderMap) {
        let Some(expected) = self.expected(file) else {
            return;
        };
        for line in expected.lines() {
            if let Some((name, value)) = line.split_once(": ")
                && field(fields, name) != Some(value)
            {
                let found = field(fields, name);
                self.fail(format!("{file}: {name} is {found:?}, expected {value}"));
            }
        }
    }

    fn check_decode_error(&mut self, error: DecodeError) {
        match error {
            DecodeError::Provider(error) => self.check_error(&error),
            DecodeError::Malformed(detail) => {
                let told = json!({"malformed": detail});
                self.expect("error.json", &told, "the answer is not readable");
            }
        }
    }

    /// Compares what is told of a failure, or what is answered in its place.
    fn failed(&mut self, error: &ProviderError, reader: &dyn TaskReader) {
        match reader.instead(error, &Tokenizers::default()) {
            Some(answer) => self.check_answer(&answer),
            None => self.check_error(error),
        }
    }

    fn check_error(&mut self, error: &ProviderError) {
        let told = told::told(error);
        self.expect("error.json", &told, "the answer is an error");
    }

    /// Compares with a file that must be there.
    fn expect(&mut self, file: &str, told: &Value, otherwise: &str) {
        if self.files.contains(file) {
            self.check_json(file, told);
        } else {
            self.fail(format!("{otherwise}: {told}"));
        }
    }

    fn check_json(&mut self, file: &str, found: &Value) {
        let Some(expected) = self.expected(file) else {
            return;
        };
        let pretty = serde_json::to_string_pretty(found).unwrap() + "\n";
        match serde_json::from_str::<Value>(&expected) {
            Ok(expected) if expected == *found => {}
            Ok(_) => self.differs(file, &expected, pretty.as_bytes()),
            Err(error) => {
                let expected = format!("{expected} (no JSON: {error})");
                self.differs(file, &expected, pretty.as_bytes());
            }
        }
    }

    /// Compares byte by byte with `<name>.txt` and `<name>.bin`, as far as they are there.
    fn check_bytes(&mut self, name: &str, found: &[u8]) {
        for ending in ["txt", "bin"] {
            let file = format!("{name}.{ending}");
            let Some(expected) = self.given(&file) else {
                continue;
            };
            self.checked.insert(file.clone());
            if expected != found {
                let shown = format!(
                    "{} bytes: {}",
                    expected.len(),
                    String::from_utf8_lossy(&expected)
                );
                self.differs(&file, &shown, found);
            }
        }
    }

    fn differs(&mut self, file: &str, expected: &str, found: &[u8]) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("tasks")
            .join(&self.folder)
            .join(&self.name);
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join(file), found).unwrap();
        self.fail(format!(
            "{file} differs; expected\n{expected}\nfound (in {})\n{}",
            kept.display(),
            String::from_utf8_lossy(found)
        ));
    }

    /// What is expected must have been compared, and something must be expected.
    fn require_checks(&mut self) {
        let is_given = |file: &&String| GIVEN.iter().any(|given| file.starts_with(given));
        let expected: BTreeSet<String> = self
            .files
            .iter()
            .filter(|file| !is_given(file))
            .cloned()
            .collect();
        if expected.is_empty() {
            self.fail("nothing is expected".to_owned());
        }
        let unused: Vec<_> = expected.difference(&self.checked).cloned().collect();
        for file in unused {
            self.fail(format!("{file} is expected, and nothing came of it"));
        }
    }

    fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    fn expected(&mut self, file: &str) -> Option<String> {
        let bytes = self.given(file)?;
        self.checked.insert(file.to_owned());
        Some(String::from_utf8(bytes).unwrap())
    }

    fn first_given<const N: usize>(&self, files: [&str; N]) -> Option<Vec<u8>> {
        files.into_iter().find_map(|file| self.given(file))
    }

    fn given(&self, file: &str) -> Option<Vec<u8>> {
        let bytes = || fs::read(self.path.join(file)).unwrap();
        self.files.contains(file).then(bytes)
    }
}

fn field<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(|value| value.to_str().ok())
}

/// `response`, `response_2`, `response_3`, …
fn numbered(name: &str, step: usize) -> String {
    if step == 1 {
        name.to_owned()
    } else {
        format!("{name}_{step}")
    }
}

/// The name of a file without its step's number.
fn without_number(file: &str) -> String {
    let (stem, ending) = file.split_once('.').unwrap_or((file, ""));
    let stem = match stem.rsplit_once('_') {
        Some((name, number)) if number.parse::<usize>().is_ok() => name,
        _ => stem,
    };
    format!("{stem}.{ending}")
}
