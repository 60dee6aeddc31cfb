//! Translation, tested by tables: every folder `src/<format>/fixtures/<case>` is one case, and a new case
//! is a new folder. Which files a case may have:
//!
//! | given | expected |
//! | --- | --- |
//! | `request.json`, `target.json` | `provider_request.json`, `provider_request.http`, `conversion.json`, or `refusal.json` |
//! | `request.json` (its bytes) | `spliced.json`: the bytes of the verbatim path; `envelope_refusal.json` |
//! | `response.json`, `.html` or `.txt`, `response.http` | `answer.json` or `error.json`, and `usage.json` |
//! | `stream.txt` or, when the connection breaks, `stream_broken.txt` | `answer_stream.txt`, `collected.json`, `usage.json`, `error.json` |
//! | `stream.txt` | `relayed.txt`: the bytes of the verbatim path, the usage withheld unless the request asked for it |
//!
//! `target.json` may hold `model`, `base_url` and `capabilities`. `about.md` says what the case is about.
//! JSON is compared as values, streams and spliced bytes as text. A stream is read whole, byte by byte and
//! in many random pieces. What a failing case really gave is written below `target/tmp/fixtures`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails the test that reads it"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatEvent, ChatRequest, ChatResponse};
use domain::model::Capabilities;
use domain::problem::{Problem, ProblemKind};
use domain::provider_error::{ProviderError, Retry};
use domain::usage::Usage;
use http::response::Parts;
use jiff::Timestamp;
use providers::anthropic::AnthropicMessages;
use providers::collect::Collector;
use providers::dialect::{DecodeError, Dialect, Encoded, End, Target};
use providers::exchange::Exchange;
use providers::face::{Face, Rendering};
use providers::gemini::Gemini;
use providers::openai::OpenaiChat;
use serde::Deserialize;
use serde_json::{Value, json};

/// The files that a case may have; another name is a slip of the pen.
const KNOWN: [&str; 22] = [
    "about.md",
    "answer.json",
    "answer_stream.txt",
    "collected.json",
    "conversion.json",
    "envelope_refusal.json",
    "error.json",
    "provider_request.http",
    "provider_request.json",
    "refusal.json",
    "relayed.txt",
    "request.json",
    "request.txt",
    "response.html",
    "response.http",
    "response.json",
    "response.txt",
    "spliced.json",
    "stream.txt",
    "stream_broken.txt",
    "target.json",
    "usage.json",
];

/// Those that say what is given; the others are expectations.
const GIVEN: [&str; 10] = [
    "about.md",
    "request.json",
    "request.txt",
    "response.html",
    "response.http",
    "response.json",
    "response.txt",
    "stream.txt",
    "stream_broken.txt",
    "target.json",
];

#[test]
fn every_openai_fixture_holds() {
    walk("openai", &OpenaiChat, "https://api.openai.com/v1");
}

#[test]
fn every_anthropic_fixture_holds() {
    walk("anthropic", &AnthropicMessages, "https://api.anthropic.com");
}

#[test]
fn every_gemini_fixture_holds() {
    walk(
        "gemini",
        &Gemini,
        "https://generativelanguage.googleapis.com",
    );
}

fn walk(format: &str, dialect: &dyn Dialect, base_url: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(format)
        .join("fixtures");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut failures = String::new();
    for folder in &folders {
        let mut case = Case::open(folder.clone(), format, dialect, base_url);
        case.run();
        for failure in case.failures {
            writeln!(failures, "{format}/{}: {failure}\n", case.name).unwrap();
        }
    }
    assert!(!folders.is_empty(), "{} holds no case", root.display());
    assert!(failures.is_empty(), "\n{failures}");
}

fn now() -> Timestamp {
    "2026-11-05T12:00:00Z".parse().unwrap()
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct TargetFile {
    model: Option<String>,
    base_url: Option<String>,
    capabilities: Capabilities,
}

struct Case<'a> {
    folder: PathBuf,
    format: String,
    name: String,
    files: BTreeSet<String>,
    dialect: &'a dyn Dialect,
    target: TargetFile,
    base_url: String,
    /// The expectations that were compared.
    checked: BTreeSet<String>,
    failures: Vec<String>,
}

impl<'a> Case<'a> {
    fn open(folder: PathBuf, format: &str, dialect: &'a dyn Dialect, base_url: &str) -> Self {
        let files = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut case = Self {
            name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            folder,
            format: format.to_owned(),
            files,
            dialect,
            target: TargetFile::default(),
            base_url: base_url.to_owned(),
            checked: BTreeSet::new(),
            failures: Vec::new(),
        };
        if let Some(target) = case.given("target.json") {
            match serde_json::from_slice(&target) {
                Ok(target) => case.target = target,
                Err(error) => case.fail(format!("target.json: {error}")),
            }
        }
        if let Some(base_url) = case.target.base_url.take() {
            case.base_url = base_url;
        }
        case
    }

    fn run(&mut self) {
        let unknown: Vec<_> = self
            .files
            .iter()
            .filter(|file| !KNOWN.contains(&file.as_str()))
            .cloned()
            .collect();
        for file in unknown {
            self.fail(format!("{file} is no file of a case"));
        }
        let mut exchange = Exchange::default();
        let mut stream_usage = true;
        let body = self
            .given("request.json")
            .or_else(|| self.given("request.txt"));
        if let Some(body) = body {
            self.verbatim(&body);
            if let Some(request) = self.request(&body) {
                stream_usage = request.stream_usage;
                if let Some(encoded) = self.encode(&request) {
                    exchange = encoded.exchange;
                }
            }
        }
        let rendering = Rendering {
            id: "chatcmpl-fixture".to_owned(),
            created: now(),
            model: self.model("fixture-model"),
            stream_usage,
        };
        self.response(&exchange, &rendering);
        self.stream(&exchange, &rendering);
        self.require_checks();
    }

    /// What is expected must have been compared, and something must be expected.
    fn require_checks(&mut self) {
        let expected: BTreeSet<String> = self
            .files
            .iter()
            .filter(|file| !GIVEN.contains(&file.as_str()))
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

    fn verbatim(&mut self, body: &[u8]) {
        match OpenaiChat.envelope(body) {
            Ok(envelope) => {
                if self.files.contains("spliced.json") {
                    let model = self.model("provider-model");
                    let spliced =
                        OpenaiChat.splice(&envelope, &Bytes::copy_from_slice(body), &model);
                    let text = String::from_utf8(spliced.body.to_vec()).unwrap();
                    self.check_text("spliced.json", &text);
                    let as_json: Result<Value, _> = serde_json::from_str(&text);
                    if let Err(error) = as_json {
                        self.fail(format!("the spliced body is no JSON: {error}"));
                    }
                }
            }
            Err(refusal) => {
                let told = json!({"detail": refusal.detail, "param": refusal.param});
                if self.files.contains("envelope_refusal.json") {
                    self.check_json("envelope_refusal.json", &told);
                } else {
                    self.fail(format!("the envelope is refused: {told}"));
                }
            }
        }
    }

    fn request(&mut self, body: &[u8]) -> Option<ChatRequest> {
        match OpenaiChat.parse(body) {
            Ok(request) => Some(request),
            Err(refusal) => {
                let told = json!({"detail": refusal.detail, "param": refusal.param});
                if self.files.contains("refusal.json") {
                    self.check_json("refusal.json", &told);
                } else if !self.files.contains("envelope_refusal.json") {
                    self.fail(format!("the request is refused: {told}"));
                }
                None
            }
        }
    }

    fn encode(&mut self, request: &ChatRequest) -> Option<Encoded> {
        let model = self.model(request.model.as_str());
        let capabilities = self.target.capabilities.clone();
        let base_url = self.base_url.clone();
        let target = Target {
            model: &model,
            base_url: &base_url,
            capabilities: &capabilities,
        };
        match self.dialect.encode(request, &target, now()) {
            Ok(encoded) => {
                if self.files.contains("provider_request.json") {
                    let text = String::from_utf8_lossy(encoded.request.body()).into_owned();
                    match serde_json::from_str(&text) {
                        Ok(body) => self.check_json("provider_request.json", &body),
                        Err(error) => {
                            self.fail(format!("the encoded body is no JSON: {error}\n{text}"));
                        }
                    }
                }
                self.check_head(&encoded.request);
                if self.files.contains("conversion.json") {
                    let report = serde_json::to_value(&encoded.report).unwrap();
                    self.check_json("conversion.json", &report);
                }
                Some(encoded)
            }
            Err(refusal) => {
                let told = json!({"detail": refusal.detail, "param": refusal.param});
                if self.files.contains("refusal.json") {
                    self.check_json("refusal.json", &told);
                } else {
                    self.fail(format!("the target refuses: {told}"));
                }
                None
            }
        }
    }

    /// `provider_request.http` holds the method and target, then fields that must be there.
    fn check_head(&mut self, request: &http::Request<Bytes>) {
        let Some(expected) = self.expected("provider_request.http") else {
            return;
        };
        let mut lines = expected.lines();
        let line = format!("{} {}", request.method(), request.uri());
        if lines.next() != Some(line.as_str()) {
            self.fail(format!("the request line is {line}"));
        }
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            let found = request.headers().get(name);
            let found = found.and_then(|value| value.to_str().ok());
            if found != Some(value) {
                self.fail(format!("the field {name} is {found:?}, expected {value}"));
            }
        }
    }

    fn response(&mut self, exchange: &Exchange, rendering: &Rendering) {
        let body = ["response.json", "response.html", "response.txt"]
            .into_iter()
            .find_map(|name| self.given(name));
        let Some(body) = body else {
            return;
        };
        let head = self.response_head();
        if !head.status.is_success() {
            let error = self.dialect.decode_error(&head, &body, now());
            return self.check_error(&error);
        }
        match self.dialect.decode(exchange, &head, &body) {
            Ok(response) => {
                self.check_answer("answer.json", &response, rendering);
                self.check_usage(response.usage);
            }
            Err(error) => self.check_decode_error(error),
        }
    }

    fn response_head(&mut self) -> Parts {
        let text = self.given("response.http").map_or_else(
            || "200\n".to_owned(),
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

    fn stream(&mut self, exchange: &Exchange, rendering: &Rendering) {
        let (bytes, end) = match (self.given("stream.txt"), self.given("stream_broken.txt")) {
            (Some(bytes), None) => (bytes, End::Clean),
            (None, Some(bytes)) => (bytes, End::Broken),
            (None, None) => return,
            (Some(_), Some(_)) => {
                return self.fail("a stream ends in one way only".to_owned());
            }
        };
        let whole = self.decode(exchange, &[&bytes], end);
        for pieces in splits(&bytes) {
            let split = self.decode(exchange, &pieces, end);
            if format!("{split:?}") != format!("{whole:?}") {
                let lengths: Vec<_> = pieces.iter().map(|piece| piece.len()).collect();
                self.fail(format!(
                    "cut into {lengths:?} the stream gives other events:\n{split:?}\ninstead of\n{whole:?}"
                ));
                break;
            }
        }
        let (events, error) = whole;
        self.check_stream(&events, error.as_ref(), rendering);
        if self.files.contains("collected.json") {
            let mut collector = Collector::default();
            for event in &events {
                collector.push(event.clone());
            }
            self.check_answer("collected.json", &collector.finish(), rendering);
        }
        let usage = events.iter().rev().find_map(|event| match event {
            ChatEvent::Usage(usage) => Some(*usage),
            _ => None,
        });
        self.check_usage(usage);
        let told = events.into_iter().find_map(|event| match event {
            ChatEvent::Error(error) => Some(DecodeError::Provider(error)),
            _ => None,
        });
        if let Some(error) = error.or(told) {
            self.check_decode_error(error);
        }
        self.check_relay(&bytes, rendering);
    }

    fn decode(
        &self,
        exchange: &Exchange,
        pieces: &[&[u8]],
        end: End,
    ) -> (Vec<ChatEvent>, Option<DecodeError>) {
        let mut decoder = self.dialect.decoder(exchange);
        let mut events = Vec::new();
        let result = pieces
            .iter()
            .try_for_each(|piece| decoder.push(piece, &mut events))
            .and_then(|()| decoder.finish(end, &mut events));
        (events, result.err())
    }

    fn check_stream(
        &mut self,
        events: &[ChatEvent],
        error: Option<&DecodeError>,
        rendering: &Rendering,
    ) {
        if !self.files.contains("answer_stream.txt") {
            return;
        }
        let mut encoder = OpenaiChat.encoder(rendering);
        let mut out = BytesMut::new();
        for event in events {
            if let ChatEvent::Error(error) = event {
                encoder.fail(&problem(&error.message), &mut out);
            }
            encoder.push(event, &mut out);
        }
        match error {
            Some(DecodeError::Provider(error)) => encoder.fail(&problem(&error.message), &mut out),
            Some(DecodeError::Malformed(detail)) => encoder.fail(&problem(detail), &mut out),
            None => {}
        }
        encoder.finish(None, &mut out);
        self.check_text("answer_stream.txt", std::str::from_utf8(&out).unwrap());
    }

    fn check_relay(&mut self, bytes: &[u8], rendering: &Rendering) {
        if !self.files.contains("relayed.txt") {
            return;
        }
        let relay = |pieces: &[&[u8]]| {
            let mut relay = OpenaiChat.relay(!rendering.stream_usage);
            let mut out = BytesMut::new();
            for piece in pieces {
                relay.push(piece, &mut out);
            }
            relay.finish(None, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        let whole = relay(&[bytes]);
        for pieces in splits(bytes) {
            if relay(&pieces) != whole {
                self.fail("the relay gives other bytes when the stream is cut".to_owned());
                break;
            }
        }
        self.check_text("relayed.txt", &whole);
    }

    fn check_answer(&mut self, file: &str, response: &ChatResponse, rendering: &Rendering) {
        if self.files.contains(file) {
            let rendered = OpenaiChat.render(response, rendering, None);
            let rendered = serde_json::from_slice(&rendered).unwrap();
            self.check_json(file, &rendered);
        }
    }

    fn check_usage(&mut self, usage: Option<Usage>) {
        if self.files.contains("usage.json") {
            self.check_json("usage.json", &serde_json::to_value(usage).unwrap());
        }
    }

    fn check_decode_error(&mut self, error: DecodeError) {
        match error {
            DecodeError::Provider(error) => self.check_error(&error),
            DecodeError::Malformed(detail) => {
                self.expect_error(&json!({"malformed": detail}));
            }
        }
    }

    fn check_error(&mut self, error: &ProviderError) {
        let mut told = json!({
            "cause": error.cause.as_str(),
            "message": error.message,
            "retry": match error.retry {
                Retry::Never => json!("never"),
                Retry::Now => json!("now"),
                Retry::After(wait) => json!({"after_ms": wait.as_millis()}),
            },
        });
        let optional = [
            ("status", error.status.map(Value::from)),
            ("native_type", error.native_type.clone().map(Value::from)),
            ("code", error.code.clone().map(Value::from)),
            ("param", error.param.clone().map(Value::from)),
            ("shows_body", error.body.as_ref().map(|_| Value::from(true))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                told[name] = value;
            }
        }
        self.expect_error(&told);
    }

    fn expect_error(&mut self, told: &Value) {
        if self.files.contains("error.json") {
            self.check_json("error.json", told);
        } else if !self.checked.contains("answer_stream.txt") {
            self.fail(format!("the answer is an error: {told}"));
        }
    }

    fn check_json(&mut self, file: &str, found: &Value) {
        let Some(expected) = self.expected(file) else {
            return;
        };
        let pretty = serde_json::to_string_pretty(found).unwrap() + "\n";
        match serde_json::from_str::<Value>(&expected) {
            Ok(expected) if expected == *found => {}
            Ok(_) => self.differs(file, &expected, &pretty),
            Err(error) => {
                self.differs(file, &format!("{expected} (no JSON: {error})"), &pretty);
            }
        }
    }

    fn check_text(&mut self, file: &str, found: &str) {
        if let Some(expected) = self.expected(file)
            && expected != found
        {
            self.differs(file, &expected, found);
        }
    }

    fn differs(&mut self, file: &str, expected: &str, found: &str) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("fixtures")
            .join(&self.format)
            .join(&self.name);
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join(file), found).unwrap();
        self.fail(format!(
            "{file} differs; expected\n{expected}\nfound (in {})\n{found}",
            kept.display()
        ));
    }

    fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    fn expected(&mut self, file: &str) -> Option<String> {
        let bytes = self.given(file)?;
        self.checked.insert(file.to_owned());
        Some(String::from_utf8(bytes).unwrap())
    }

    fn given(&self, file: &str) -> Option<Vec<u8>> {
        let bytes = || fs::read(self.folder.join(file)).unwrap();
        self.files.contains(file).then(bytes)
    }

    fn model(&self, otherwise: &str) -> String {
        let model = self.target.model.clone();
        model.unwrap_or_else(|| otherwise.to_owned())
    }
}

fn problem(detail: &str) -> Problem {
    Problem::new(ProblemKind::ProviderFailed, detail)
}

/// The bytes one by one, in two halves at every place of the first kilobyte, and in random pieces that
/// are the same in every run.
fn splits(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut splits = vec![bytes.chunks(1).collect()];
    for at in 1..bytes.len().min(1024) {
        let (left, right) = bytes.split_at(at);
        splits.push(vec![left, right]);
    }
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..20 {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let length = usize::try_from(state >> 58).unwrap() + 1;
            let (piece, after) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        splits.push(pieces);
    }
    splits
}
