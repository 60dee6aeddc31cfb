//! Every reader of what a provider sends has a harness that throws arbitrary bytes at it: whoever adds a reader
//! names its harness here, and writes it first.

#![expect(
    clippy::unwrap_used,
    reason = "a source file that cannot be read fails the test that reads it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a line that begins a reader begins with, after its generics.
const READERS: [&str; 6] = [
    "StreamDecoder for",
    "StreamRelay for",
    "TaskReader for",
    "TaskStream for",
    "Reframer for",
    "Dialect for",
];
/// What goes on the way to a credential.
const STEPS: [&str; 2] = ["Step::ask(", "Step::read("];

/// The file of a harness, its test, and the files whose readers it runs.
const HARNESSES: [(&str, &str, &[&str]); 16] = [
    (
        "anthropic/fuzz.rs",
        "no_bytes_make_the_decoder_panic",
        &["anthropic/stream.rs", "anthropic/mod.rs"],
    ),
    (
        "anthropic/fuzz.rs",
        "no_bytes_make_the_face_panic",
        &["anthropic/face/relay.rs"],
    ),
    (
        "application/tests.rs",
        "no_bytes_make_the_renaming_panic_and_any_split_is_renamed_in_the_same_way",
        &["application/mod.rs"],
    ),
    (
        "bedrock/fuzz.rs",
        "no_bytes_make_the_stream_decoders_panic",
        &["bedrock/chunks.rs", "bedrock/stream.rs"],
    ),
    (
        "bedrock/fuzz.rs",
        "no_body_makes_the_decoders_panic",
        // `elsewhere` lends the readers of these formats to other hosts.
        &["bedrock/mod.rs", "bedrock/anthropic.rs", "elsewhere.rs"],
    ),
    (
        "cohere/fuzz.rs",
        "no_stream_panics_the_decoder_and_its_events_can_be_rendered",
        &["cohere/stream.rs", "cohere/relay.rs", "cohere/mod.rs"],
    ),
    (
        "credential/fuzz.rs",
        "no_answer_makes_the_way_to_a_credential_panic",
        &[
            "aws/account.rs",
            "aws/container.rs",
            "aws/machine.rs",
            "aws/sts.rs",
            "entra/mod.rs",
            "google/authorized_user.rs",
            "google/external.rs",
            "google/impersonation.rs",
            "google/metadata.rs",
            "google/service_account.rs",
        ],
    ),
    (
        "embeddings/fuzz.rs",
        "no_request_and_no_answer_makes_anything_panic",
        &["embeddings/steps.rs"],
    ),
    (
        "gemini/fuzz.rs",
        "no_bytes_make_the_stream_decoder_panic",
        &["gemini/stream.rs", "gemini/mod.rs"],
    ),
    (
        "gemini/face/fuzz.rs",
        "no_bytes_make_the_relay_panic_and_any_split_relays_the_same",
        &["gemini/face/relay.rs"],
    ),
    (
        "media/fuzz.rs",
        "no_reader_panics_on_arbitrary_bytes",
        &[
            "audio/speech/answer.rs",
            "audio/speech/gemini.rs",
            "audio/transcription/deepgram.rs",
            "audio/transcription/elevenlabs.rs",
            "audio/transcription/gemini.rs",
            "images/black_forest_labs.rs",
            "images/collection.rs",
            "images/fal.rs",
            "images/gemini.rs",
            "images/imagen.rs",
            "images/replicate.rs",
            "images/stability.rs",
            "media/relay.rs",
        ],
    ),
    (
        "moderation/fuzz.rs",
        "no_request_and_no_answer_makes_anything_panic",
        &["moderation/mod.rs"],
    ),
    (
        "openai/fuzz.rs",
        "no_stream_panics_the_decoder_and_its_events_can_be_rendered",
        &[
            "openai/body.rs",
            "openai/think.rs",
            "openai/relay.rs",
            "openai/mod.rs",
        ],
    ),
    (
        "openai/completions/fuzz.rs",
        "no_stream_panics_the_decoder_and_its_events_can_be_rendered",
        &["openai/completions/mod.rs"],
    ),
    (
        "openai/responses/fuzz.rs",
        "no_stream_panics_the_decoder_and_its_events_can_be_rendered",
        &["openai/responses/mod.rs", "openai/responses/relay.rs"],
    ),
    (
        "passing/fuzz.rs",
        "no_answer_makes_a_reader_of_counts_panic",
        &["passing.rs", "count/mod.rs"],
    ),
];
/// Readers without a folder of their own for a harness.
const RERANK: (&str, &str, &[&str]) = (
    "rerank/fuzz.rs",
    "no_request_and_no_answer_makes_anything_panic",
    &["rerank/mod.rs"],
);

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file below `folder`, as a path from `src`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a source text has a reader, tests aside.
fn reads(text: &str) -> bool {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let implements = |line: &str| {
        let Some(rest) = line.strip_prefix("impl") else {
            return false;
        };
        READERS.iter().any(|reader| rest.contains(reader))
    };
    code.lines().any(implements) || STEPS.iter().any(|step| code.contains(step))
}

#[test]
fn every_reader_of_what_a_provider_sends_has_a_harness() {
    let root = sources();
    let mut all = Vec::new();
    files(&root, &mut all);
    let is_test = |path: &Path| path.ends_with("tests.rs") || path.ends_with("fuzz.rs");
    let readers: BTreeSet<String> = all
        .iter()
        .filter(|path| !is_test(path) && reads(&fs::read_to_string(path).unwrap()))
        .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    let harnesses = HARNESSES.iter().chain([&RERANK]);
    let named: BTreeSet<String> = harnesses
        .clone()
        .flat_map(|(_, _, readers)| readers.iter().map(ToString::to_string))
        .collect();
    assert!(readers.len() > 30, "only {readers:?}");
    assert_eq!(
        readers, named,
        "left: what there is; right: what has a harness"
    );
    for (file, test, _) in harnesses {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(
            text.contains(&format!("fn {test}(")),
            "{file} has no {test}"
        );
    }
}
