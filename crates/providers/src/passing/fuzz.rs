//! Whatever a provider answers to a question that passes, a count or a compaction, nothing panics, and what passes
//! back is JSON.

use std::time::Duration;

use bolero::check;
use bytes::Bytes;
use domain::model::Capabilities;
use serde_json::{Value, json};

use crate::anthropic::CountTokens as CountMessages;
use crate::count::Counting;
use crate::dialect::Target;
use crate::face::Asked;
use crate::gemini::CountTokens as CountContents;
use crate::host::Host;
use crate::hosts::Serves;
use crate::kind::ProviderKind;
use crate::media::testing::head;
use crate::openai::responses::{Compact, CountInput};
use crate::task::{Task, TaskReader, TaskStep};

/// A reader of every answer that is a count or a compaction.
fn readers() -> Vec<Box<dyn TaskReader>> {
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]});
    let input = json!({"model": "m", "input": "a"});
    let tasks: [(&dyn Task, Value, ProviderKind); 7] = [
        (
            &Counting(CountMessages),
            messages.clone(),
            ProviderKind::Anthropic,
        ),
        (
            &Counting(CountContents),
            contents.clone(),
            ProviderKind::Gemini,
        ),
        (&Counting(CountMessages), messages, ProviderKind::Vertex),
        (&Counting(CountContents), contents, ProviderKind::Bedrock),
        (
            &Counting(CountInput),
            input.clone(),
            ProviderKind::Anthropic,
        ),
        (&Counting(CountInput), input.clone(), ProviderKind::Openai),
        (&Compact, input, ProviderKind::Openai),
    ];
    let host = Host {
        serves: Serves {
            responses: true,
            ..Serves::UNKNOWN
        },
        region: Some("us-east-1".to_owned()),
        ..Host::NONE
    };
    let asked = Asked {
        model: Some("m".parse().unwrap()),
        ..Asked::default()
    };
    let readers = tasks.map(|(task, body, kind)| {
        let target = Target {
            model: "m",
            base_url: kind.default_base_url(),
            capabilities: &Capabilities::default(),
            host: &host,
        };
        let prepared = task.prepare(&asked, &body.to_string().into(), kind, &target);
        prepared.unwrap().reader
    });
    readers.into()
}

#[test]
fn no_answer_makes_a_reader_of_counts_panic() {
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            let count = [
                br#"{"input_tokens":"#.as_slice(),
                bytes,
                br#","usage":"#,
                bytes,
                b"}",
            ]
            .concat();
            let total = [br#"{"totalTokens":"#.as_slice(), bytes, b"}"].concat();
            let input = [br#"{"inputTokens":"#.as_slice(), bytes, b"}"].concat();
            for answer in [bytes, &count, &total, &input] {
                for reader in readers() {
                    let body = Bytes::copy_from_slice(answer);
                    if let Ok(TaskStep::Done(read)) = reader.read(&head("application/json"), body) {
                        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&read.body);
                        assert!(is_json.is_ok(), "{:?}", read.body);
                    }
                }
            }
        });
}
