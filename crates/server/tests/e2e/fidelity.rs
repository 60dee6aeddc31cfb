//! Caller and provider speak one format: the bytes pass untouched, both ways.

use crate::bench::client::Answer;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::scripted::{self, Scripted};
use crate::bench::{ask, ask_streamed, providers};

async fn start(provider: &Scripted) -> (Installation, Trunkline) {
    let installation = Installation::new(&providers(provider.address));
    let trunkline = installation.start().await;
    (installation, trunkline)
}

async fn send(trunkline: &Trunkline, body: &str) -> Answer {
    trunkline.app().chat_bytes(&[], body.to_owned()).await
}

const WHOLE: &str = "{ \"id\":\"chatcmpl-1\" ,\"object\":\"chat.completion\",\n\t\"created\":1, \"model\":\"gpt-x\",\
    \"x_new_field\":{\"z\":1,\"a\":12345678901234567890123},\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\
    \"content\":\"caf\\u00e9 \u{1F600}\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\
    \"completion_tokens\":2,\"total_tokens\":5,\"another\":1.50}}";

fn whole() -> Vec<u8> {
    [
        scripted::head("application/json"),
        WHOLE.as_bytes().to_vec(),
    ]
    .concat()
}

#[tokio::test]
async fn a_request_arrives_as_it_was_written_but_for_the_models_name() {
    let provider = Scripted::answering(whole()).await;
    let (_installation, trunkline) = start(&provider).await;
    let written = "\r\n { \"zeta\" : 12345678901234567890.1234567890e+5 ,\t\"unknown\": {\"b\":1,\"a\":[null, \
        {}]},\n\"model\" : \"openai\\/gpt\", \"seed\":9007199254740993,\"messages\":[ {\"role\":\"user\",\
        \"content\":\"caf\\u00e9 \u{1F600} \\ud83d\\ude00\",\"x\":-0.0} ], \"temperature\":1.0 }\n ";
    let answer = send(&trunkline, written).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = written.replace("\"openai\\/gpt\"", "\"gpt\"");
    assert_eq!(String::from_utf8(provider.only().body).unwrap(), expected);
}

#[tokio::test]
async fn a_whole_answer_comes_back_as_it_was_written() {
    let provider = Scripted::answering(whole()).await;
    let (_installation, trunkline) = start(&provider).await;
    let answer = send(&trunkline, &ask("openai/gpt", "hello").to_string()).await;
    assert_eq!(answer.text(), WHOLE);
}

#[tokio::test]
async fn what_concerns_the_gateway_alone_never_reaches_the_provider() {
    let provider = Scripted::answering(whole()).await;
    let (_installation, trunkline) = start(&provider).await;
    let headers = [
        ("cookie", "session=callers-cookie"),
        ("accept-encoding", "br;q=0.1, zstd"),
        ("x-api-key", "callers-other-key"),
        ("x-client-request-id", "callers-request"),
        ("x-forwarded-for", "203.0.113.7"),
        ("proxy-authorization", "Basic callers-proxy"),
        ("connection", "keep-alive, x-callers-hop"),
        ("x-callers-hop", "1"),
    ];
    let request = ask("openai/gpt", "hello");
    let answer = trunkline.app().chat_with(&headers, &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let head = provider.only().head;
    assert!(
        head.starts_with("post /v1/chat/completions http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("authorization: bearer sk-openai"), "{head}");
    for word in [
        "callers",
        "zstd",
        "br;q",
        "203.0.113.7",
        crate::bench::APP_KEY,
    ] {
        assert!(!head.contains(word), "{word}: {head}");
    }
}

/// A stream as odd as the standard allows: comments, `\r\n`, `\r`, no space after the colon, several
/// lines of data, fields that chat completions do not use.
fn odd_stream(usage: &str) -> String {
    format!(
        ": good morning\r\n\r\n\
         data:{{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"finish_reason\":null}}]}}\r\n\r\n\
         event: message\r\nid: 7\r\nretry: 10\r\n\
         data: {{\"id\":\"c1\", \"odd\" :  [1 ,2],\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"caf\u{e9} \u{1F600}\"}},\"finish_reason\":null}}]}}\r\n\r\n\
         :\n\n\
         data: {{\"id\":\"c1\",\n\
         data: \"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         {usage}data: [DONE]\n\n"
    )
}

const USAGE_CHUNK: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18}}\n\n";

#[tokio::test]
async fn a_stream_whose_caller_asked_for_its_usage_comes_back_byte_for_byte_however_it_is_cut() {
    let stream = odd_stream(USAGE_CHUNK);
    for size in [1, 7, 64, 100_000] {
        let provider = Scripted::answering(scripted::chunked(stream.as_bytes(), size)).await;
        let (_installation, trunkline) = start(&provider).await;
        let mut request = ask_streamed("openai/gpt", "hello");
        request["stream_options"] = serde_json::json!({ "include_usage": true });
        let headers = [("x-client-request-id", "asked")];
        let answer = trunkline.app().chat_with(&headers, &request).await;
        assert_eq!(answer.text(), stream, "in pieces of {size}");
        let call = trunkline.app().recorded("asked").await;
        assert_eq!(call["usage"]["input_tokens"], 11, "{call:#}");
        assert_eq!(call["usage"]["output_tokens"], 7, "{call:#}");
        let sent: serde_json::Value = serde_json::from_slice(&provider.only().body).unwrap();
        request["model"] = "gpt".into();
        assert_eq!(sent, request);
    }
}

#[tokio::test]
async fn a_stream_whose_caller_did_not_ask_for_its_usage_lacks_the_usage_chunk_and_nothing_else() {
    let stream = odd_stream(USAGE_CHUNK);
    for size in [1, 7, 64, 100_000] {
        let provider = Scripted::answering(scripted::chunked(stream.as_bytes(), size)).await;
        let (_installation, trunkline) = start(&provider).await;
        let headers = [("x-client-request-id", "not-asked")];
        let answer = trunkline
            .app()
            .chat_with(&headers, &ask_streamed("openai/gpt", "hello"))
            .await;
        assert_eq!(answer.text(), odd_stream(""), "in pieces of {size}");
        let call = trunkline.app().recorded("not-asked").await;
        assert_eq!(call["state"], "settled", "{call:#}");
        assert_eq!(call["usage"]["output_tokens"], 7, "{call:#}");
        let sent: serde_json::Value = serde_json::from_slice(&provider.only().body).unwrap();
        assert_eq!(sent["stream_options"]["include_usage"], true);
    }
}

#[tokio::test]
async fn a_providers_own_refusal_comes_back_as_it_was_written() {
    let error = "{ \"error\": {\"message\":\"temperature is odd\", \"type\":\"invalid_request_error\",\"param\":\"temperature\",\
        \"code\":\"odd\",\"extra\":[1]} }";
    let response = format!(
        "HTTP/1.1 422 Unprocessable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{error}",
        error.len()
    );
    let provider = Scripted::answering(response.into_bytes()).await;
    let (_installation, trunkline) = start(&provider).await;
    let answer = send(&trunkline, &ask("openai/gpt", "hello").to_string()).await;
    assert_eq!((answer.status, answer.text()), (422, error));
}
