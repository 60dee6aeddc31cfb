//! Faults and shapes on demand in every format and on every cloud, beside the three that `faults` looks at more closely.

use crate::{Face, Host, Sim};
use serde_json::{Value, json};

use super::ask::{AZURE, Answer, OPENAI, google_token, named_messages, send};

/// One format as one vendor serves it.
#[derive(Clone, Copy, Debug)]
struct Api {
    face: Face,
    host: Host,
    model: &'static str,
    whole: &'static str,
    streamed: &'static str,
}

const APIS: [Api; 11] = [
    Api {
        face: Face::OpenAiResponses,
        host: Host::OpenAi,
        model: "gpt",
        whole: "/v1/responses",
        streamed: "/v1/responses",
    },
    Api {
        face: Face::OpenAiCompletions,
        host: Host::OpenAi,
        model: "gpt",
        whole: "/v1/completions",
        streamed: "/v1/completions",
    },
    Api {
        face: Face::Cohere,
        host: Host::Cohere,
        model: "command",
        whole: "/v2/chat",
        streamed: "/v2/chat",
    },
    Api {
        face: Face::BedrockConverse,
        host: Host::Bedrock,
        model: "anthropic.claude-haiku-4-5-v1:0",
        whole: "/model/anthropic.claude-haiku-4-5-v1%3A0/converse",
        streamed: "/model/anthropic.claude-haiku-4-5-v1%3A0/converse-stream",
    },
    Api {
        face: Face::Anthropic,
        host: Host::Bedrock,
        model: "us.anthropic.claude-haiku-4-5-v1:0",
        whole: "/model/us.anthropic.claude-haiku-4-5-v1:0/invoke",
        streamed: "/model/us.anthropic.claude-haiku-4-5-v1:0/invoke-with-response-stream",
    },
    Api {
        face: Face::OpenAi,
        host: Host::AzureOpenAi,
        model: "gpt-4o",
        whole: "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        streamed: "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
    },
    Api {
        face: Face::OpenAi,
        host: Host::AzureOpenAi,
        model: "gpt",
        whole: "/openai/v1/chat/completions",
        streamed: "/openai/v1/chat/completions",
    },
    Api {
        face: Face::OpenAi,
        host: Host::HuggingFace,
        model: "meta-llama/Llama-3.3-70B-Instruct",
        whole: "/huggingface/v1/chat/completions",
        streamed: "/huggingface/v1/chat/completions",
    },
    Api {
        face: Face::OpenAiResponses,
        host: Host::AzureOpenAi,
        model: "gpt",
        whole: "/openai/v1/responses",
        streamed: "/openai/v1/responses?api-version=preview",
    },
    Api {
        face: Face::Gemini,
        host: Host::Vertex,
        model: "gemini-2.5-flash",
        whole: "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash:generateContent",
        streamed: "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    },
    Api {
        face: Face::Anthropic,
        host: Host::Vertex,
        model: "claude-haiku-4-5@20251001",
        whole: "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        streamed: "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict",
    },
];

impl Api {
    async fn ask(self, sim: &Sim, text: &str, streamed: bool) -> Answer {
        let model = self.model;
        let messages = json!([{"role": "user", "content": text}]);
        let body = match (self.face, self.host) {
            (Face::OpenAiResponses, _) => {
                json!({"model": model, "input": text, "stream": streamed})
            }
            (Face::OpenAiCompletions, _) => json!({
                "model": model, "prompt": text, "max_tokens": 4000, "stream": streamed,
                "stream_options": streamed.then(|| json!({"include_usage": true})),
            }),
            (Face::BedrockConverse, _) => {
                json!({"messages": [{"role": "user", "content": [{"text": text}]}]})
            }
            (Face::Anthropic, Host::Bedrock) => json!({
                "anthropic_version": "bedrock-2023-05-31", "max_tokens": 4000, "messages": messages,
            }),
            (Face::Anthropic, _) => json!({
                "anthropic_version": "vertex-2023-10-16", "max_tokens": 4000, "messages": messages, "stream": streamed,
            }),
            (Face::Gemini, _) => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
            (Face::OpenAi, _) => json!({
                "model": model, "messages": messages, "stream": streamed,
                "stream_options": streamed.then(|| json!({"include_usage": true})),
            }),
            (Face::Cohere, _) => json!({"model": model, "messages": messages, "stream": streamed}),
        };
        let uri = if streamed { self.streamed } else { self.whole };
        let token = format!("Bearer {}", google_token(sim).await);
        let bearer = [("authorization", token.as_str())];
        let fields = match self.host {
            Host::AzureOpenAi => AZURE,
            Host::Vertex => &bearer,
            _ => OPENAI,
        };
        send(sim, "POST", uri, fields, body.to_string().into()).await
    }

    fn is_binary(self) -> bool {
        self.host == Host::Bedrock
    }

    fn events(self, answer: &Answer) -> Vec<Value> {
        if self.is_binary() {
            let named = named_messages(&answer.pieces.concat());
            return named.into_iter().map(|(_, event)| event).collect();
        }
        answer.events()
    }

    /// What one event of a stream says, if it says anything.
    fn said(self, event: &Value) -> Option<String> {
        let said = match self.face {
            Face::OpenAi => &event["choices"][0]["delta"]["content"],
            Face::OpenAiResponses if event["type"] == "response.output_text.delta" => {
                &event["delta"]
            }
            Face::OpenAiResponses => &Value::Null,
            Face::OpenAiCompletions => &event["choices"][0]["text"],
            Face::Anthropic | Face::BedrockConverse => &event["delta"]["text"],
            Face::Gemini => &event["candidates"][0]["content"]["parts"][0]["text"],
            Face::Cohere => &event["delta"]["message"]["content"]["text"],
        };
        let said = said.as_str().filter(|said| !said.is_empty());
        said.filter(|_| event["type"] != "content-start")
            .map(str::to_owned)
    }

    /// What a whole answer says.
    fn text(self, answer: &Answer) -> String {
        let body = answer.json();
        let text = match self.face {
            Face::OpenAi => &body["choices"][0]["message"]["content"],
            Face::OpenAiResponses => &body["output"][0]["content"][0]["text"],
            Face::OpenAiCompletions => &body["choices"][0]["text"],
            Face::Anthropic => &body["content"][0]["text"],
            Face::Gemini => &body["candidates"][0]["content"]["parts"][0]["text"],
            Face::Cohere => &body["message"]["content"][0]["text"],
            Face::BedrockConverse => &body["output"]["message"]["content"][0]["text"],
        };
        text.as_str()
            .unwrap_or_else(|| panic!("{self:?}: {body}"))
            .to_owned()
    }

    /// Input and output tokens as an answer tells them.
    fn usage(self, answer: &Answer) -> Option<(u64, u64)> {
        let body = answer.json();
        let (usage, input, output) = match self.face {
            Face::OpenAi | Face::OpenAiCompletions => {
                (&body["usage"], "prompt_tokens", "completion_tokens")
            }
            Face::OpenAiResponses | Face::Anthropic => {
                (&body["usage"], "input_tokens", "output_tokens")
            }
            Face::Gemini => (
                &body["usageMetadata"],
                "promptTokenCount",
                "candidatesTokenCount",
            ),
            Face::Cohere => (&body["usage"]["tokens"], "input_tokens", "output_tokens"),
            Face::BedrockConverse => (&body["usage"], "inputTokens", "outputTokens"),
        };
        Some((usage[input].as_u64()?, usage[output].as_u64()?))
    }
}

#[tokio::test]
async fn every_api_answers_whole_and_streamed_and_is_recorded() {
    let sim = Sim::default();
    for api in APIS {
        let whole = api.ask(&sim, "hello there", false).await;
        assert_eq!(whole.status, 200, "{api:?}: {}", whole.text());
        let text = api.text(&whole);
        assert!(text.contains("You said: hello there"), "{api:?}: {text}");
        let streamed = api.ask(&sim, "hello there", true).await;
        let events = api.events(&streamed);
        let said: String = events.iter().filter_map(|event| api.said(event)).collect();
        assert_eq!(said, text, "{api:?}");
        let calls = sim.calls();
        let seen: Vec<_> = calls
            .iter()
            .rev()
            .take(2)
            .map(|call| {
                (
                    call.face,
                    call.host,
                    call.model.as_str(),
                    call.streamed,
                    call.completed,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (api.face, api.host, api.model, true, true),
                (api.face, api.host, api.model, false, true)
            ]
        );
        let used = calls.last().unwrap().usage.unwrap();
        assert_eq!(
            api.usage(&whole),
            Some((used.input, used.output)),
            "{api:?}"
        );
    }
}

#[tokio::test]
async fn a_status_is_answered_with_the_vendors_own_error() {
    let sim = Sim::default();
    for api in APIS {
        for streamed in [false, true] {
            for status in [400, 401, 403, 404, 408, 413, 422, 429, 500, 503, 529] {
                let text = format!("x [[sim status={status} retry-after=7]]");
                let answer = api.ask(&sim, &text, streamed).await;
                assert_eq!(answer.status, status, "{api:?}");
                assert_eq!(answer.field("retry-after"), "7", "{api:?}");
                let body = answer.json();
                let message = match api.host {
                    // The router's own words, or those of a host behind it.
                    Host::HuggingFace if body["error"].is_string() => &body["error"],
                    Host::Cohere | Host::Bedrock | Host::HuggingFace => &body["message"],
                    _ => &body["error"]["message"],
                };
                assert!(
                    message.as_str().is_some_and(|said| said.len() > 5),
                    "{api:?}: {body}"
                );
                let kind = answer.field("x-amzn-errortype");
                assert_eq!(
                    kind.contains("Exception:http"),
                    api.is_binary(),
                    "{api:?}: {kind}"
                );
            }
        }
    }
}

#[tokio::test]
async fn faults_strike_in_every_format() {
    let sim = Sim::default();
    for api in APIS {
        let html = api.ask(&sim, "x [[sim html]]", true).await;
        assert_eq!(
            (html.status, html.field("content-type")),
            (502, "text/html")
        );
        let cut = api.ask(&sim, "x [[sim cut=2 words=50]]", true).await;
        assert!(cut.cut.is_some() && cut.pieces.len() == 2, "{api:?}");
        let halved = api.ask(&sim, "x [[sim cut=1]]", false).await;
        assert!(halved.cut.is_some() && halved.status == 200, "{api:?}");
        for streamed in [false, true] {
            let garbage = api.ask(&sim, "x [[sim garbage]]", streamed).await;
            let all = garbage.pieces.concat();
            assert!(
                String::from_utf8_lossy(&all).contains("this is not JSON"),
                "{api:?}"
            );
        }
        let told = api.ask(&sim, "x [[sim error-200]]", false).await;
        assert!(
            told.status == 200
                && (told.text().contains("essage") || told.json()["error"].is_string()),
            "{api:?}"
        );
        for (directive, count) in [("error-mid=2", 3), ("error-200", 1)] {
            let broken = api
                .ask(&sim, &format!("x [[sim {directive} words=80]]"), true)
                .await;
            assert_eq!(broken.status, 200, "{api:?}");
            let events = api.events(&broken);
            assert_eq!(events.len(), count, "{api:?} {directive}");
            let last = events.last().unwrap();
            let message = [
                &last["error"],
                &last["error"]["message"],
                &last["message"],
                &last["delta"]["error"],
            ];
            assert!(
                message.iter().any(|message| message.is_string()),
                "{api:?}: {last}"
            );
        }
    }
}

#[tokio::test]
async fn a_binary_stream_names_its_exceptions() {
    let sim = Sim::default();
    for api in APIS.into_iter().filter(|api| api.is_binary()) {
        let broken = api.ask(&sim, "x [[sim error-mid=1]]", true).await;
        let messages = super::ask::messages(&broken.pieces.concat());
        let (headers, payload) = messages.last().unwrap();
        let expected = [
            (":exception-type", "serviceUnavailableException"),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, &expected);
        assert!(payload["message"].is_string());
    }
}

#[tokio::test]
async fn shapes_change_how_an_answer_comes_but_not_what_it_says() {
    let sim = Sim::default();
    for api in APIS {
        let plain = api.ask(&sim, "x [[sim unicode]]", true).await;
        let in_bytes = api.ask(&sim, "x [[sim unicode bytes=3]]", true).await;
        let awkward = api.ask(&sim, "x [[sim unicode crlf]]", true).await;
        let said = |answer: &Answer| -> String {
            api.events(answer)
                .iter()
                .filter_map(|event| api.said(event))
                .collect()
        };
        let text = said(&plain);
        assert!(
            text.contains("世界") && text.contains("👩‍👩‍👧‍👦"),
            "{api:?}: {text}"
        );
        assert_eq!(said(&in_bytes), text, "{api:?}");
        assert_eq!(said(&awkward), text, "{api:?}");
        assert!(
            in_bytes
                .pieces
                .iter()
                .rev()
                .skip(1)
                .all(|piece| piece.len() == 3)
        );
        let counted = api.ask(&sim, "x [[sim chunks=40]]", true).await;
        let pieces = api
            .events(&counted)
            .iter()
            .filter_map(|event| api.said(event))
            .count();
        assert_eq!(pieces, 40, "{api:?}");
    }
}

#[tokio::test]
async fn usage_can_be_left_out_zeroed_or_said_to_be_cached() {
    let sim = Sim::default();
    for api in APIS {
        let none = api.ask(&sim, "x [[sim usage=none]]", false).await;
        assert_eq!(api.usage(&none), None, "{api:?}");
        assert!(!sim.calls().last().unwrap().usage_reported);
        let zero = api.ask(&sim, "x [[sim usage=zero]]", false).await;
        assert_eq!(api.usage(&zero), Some((0, 0)), "{api:?}");
        let cached = api
            .ask(&sim, "many words to be cached [[sim cached=4]]", false)
            .await;
        let body = cached.json();
        let usage = &body["usage"];
        let told = [
            &usage["prompt_tokens_details"]["cached_tokens"],
            &usage["input_tokens_details"]["cached_tokens"],
            &usage["cache_read_input_tokens"],
            &usage["cacheReadInputTokens"],
            &usage["cached_tokens"],
            &body["usageMetadata"]["cachedContentTokenCount"],
        ];
        assert!(
            told.iter().any(|told| **told == json!(4)),
            "{api:?}: {body}"
        );
    }
}

#[tokio::test]
async fn a_queued_fault_finds_each_face_by_its_name() {
    let sim = Sim::default();
    for api in APIS {
        let fault = json!({"match": {"face": api.face.name(), "model": api.model}, "directive": "status=418"});
        let queued = send(&sim, "POST", "/sim/faults", &[], fault.to_string().into()).await;
        assert_eq!(queued.status, 201);
        assert_eq!(api.ask(&sim, "x", false).await.status, 418, "{api:?}");
        assert_eq!(api.ask(&sim, "x", false).await.status, 200, "{api:?}");
    }
    let unknown = json!({"match": {"face": "telex"}, "directive": "status=500"});
    let refused = send(&sim, "POST", "/sim/faults", &[], unknown.to_string().into()).await;
    let known = "known are openai, openai_responses, openai_completions, anthropic, gemini, cohere, bedrock_converse, task, token";
    assert!(refused.text().contains(known), "{}", refused.text());
}

#[tokio::test]
async fn no_api_answers_without_credentials_or_elsewhere() {
    let sim = Sim::default();
    for api in APIS {
        let nobody = send(&sim, "POST", api.whole, &[], "{}".into()).await;
        assert!(
            matches!(nobody.status, 401 | 403),
            "{api:?}: {}",
            nobody.text()
        );
        let invalid = [("authorization", "Bearer invalid"), ("api-key", "invalid")];
        let stranger = send(&sim, "POST", api.whole, &invalid, "{}".into()).await;
        assert!(
            matches!(stranger.status, 401 | 403),
            "{api:?}: {}",
            stranger.text()
        );
    }
}
