//! What the translation costs by itself, without sockets: `cargo bench -p providers`.
//!
//! The whole of a gateway's work on a body is here: the envelope and the verbatim edits, framing, the tap
//! over a stream of 50 chunks in each format, and the translation of a request.

#![expect(
    clippy::expect_used,
    reason = "a benchmark whose input is wrong must not run"
)]

use bytes::{Bytes, BytesMut};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use domain::chat::ChatRequest;
use domain::model::Capabilities;
use jiff::Timestamp;
use providers::anthropic::AnthropicMessages;
use providers::dialect::{Dialect, End, Target};
use providers::exchange::Exchange;
use providers::face::{Asked, Face, Rendering};
use providers::framing::sse::SseDecoder;
use providers::gemini::Gemini;
use providers::host::Host;
use providers::openai::OpenaiChat;
use providers::tap::Tap;

/// Chunks of a streamed answer.
const CHUNKS: usize = 50;
/// Bodies of these sizes, in bytes, at least.
const SIZES: [usize; 2] = [1_024, 12 * 1_024];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn openai_envelope(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| OpenaiChat.envelope(&Asked::default(), black_box(&body)));
}

#[divan::bench(args = SIZES)]
fn openai_splice(bencher: Bencher, size: usize) {
    let body = request(size);
    let envelope = OpenaiChat
        .envelope(&Asked::default(), &body)
        .expect("a good request");
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| OpenaiChat.splice(black_box(&envelope), &body, "gpt-5.4-nano-2026-03-17"));
}

#[divan::bench(args = SIZES)]
fn openai_parse(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| OpenaiChat.parse(&Asked::default(), black_box(&body)));
}

#[divan::bench(args = SIZES)]
fn openai_to_anthropic(bencher: Bencher, size: usize) {
    bench_encode(bencher, &AnthropicMessages, "claude-sonnet-5", size);
}

#[divan::bench(args = SIZES)]
fn openai_to_gemini(bencher: Bencher, size: usize) {
    bench_encode(bencher, &Gemini, "gemini-3.1-flash", size);
}

#[divan::bench]
fn framing_of_50_events(bencher: Bencher) {
    let chunks = openai_stream();
    bencher.counter(length(&chunks)).bench(|| {
        let mut decoder = SseDecoder::default();
        let mut events = 0_usize;
        for chunk in &chunks {
            decoder.push(chunk);
            while let Ok(Some(event)) = decoder.next_event() {
                events += usize::from(!black_box(event).data.is_empty());
            }
        }
        events
    });
}

#[divan::bench]
fn openai_tap(bencher: Bencher) {
    bench_tap(bencher, &OpenaiChat, &openai_stream());
}

#[divan::bench]
fn anthropic_tap(bencher: Bencher) {
    bench_tap(bencher, &AnthropicMessages, &anthropic_stream());
}

#[divan::bench]
fn gemini_tap(bencher: Bencher) {
    bench_tap(bencher, &Gemini, &gemini_stream());
}

#[divan::bench]
fn openai_relay_that_withholds_usage(bencher: Bencher) {
    let chunks = openai_stream();
    bencher.counter(length(&chunks)).bench(|| {
        let mut relay = OpenaiChat.relay(true);
        let mut out = BytesMut::new();
        for chunk in &chunks {
            relay.push(chunk, &mut out);
            black_box(out.split().freeze());
        }
        relay.finish(None, &mut out);
        out
    });
}

#[divan::bench]
fn anthropic_to_openai_stream(bencher: Bencher) {
    bench_translation(bencher, &AnthropicMessages, &anthropic_stream());
}

#[divan::bench]
fn gemini_to_openai_stream(bencher: Bencher) {
    bench_translation(bencher, &Gemini, &gemini_stream());
}

fn bench_encode(bencher: Bencher, dialect: &dyn Dialect, model: &str, size: usize) {
    let body = request(size);
    let request: ChatRequest = OpenaiChat
        .parse(&Asked::default(), &body)
        .expect("a good request");
    let capabilities = Capabilities::default();
    let target = Target {
        model,
        base_url: "https://api.example.com",
        capabilities: &capabilities,
        host: &Host::NONE,
    };
    dialect
        .encode(&request, &target, Timestamp::UNIX_EPOCH)
        .expect("a request that can be translated");
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| dialect.encode(black_box(&request), &target, Timestamp::UNIX_EPOCH));
}

fn bench_tap(bencher: Bencher, dialect: &dyn Dialect, chunks: &[Bytes]) {
    let exchange = streamed();
    let observe = || {
        let mut tap = Tap::new(dialect.decoder(&exchange));
        for chunk in chunks {
            tap.push(chunk).expect("a good chunk");
        }
        tap.finish(End::Clean).expect("a whole stream").clone()
    };
    let usage = observe().usage.expect("usage");
    assert_eq!(usage.output_tokens, 48, "the tap reads the stream");
    bencher.counter(length(chunks)).bench(observe);
}

fn bench_translation(bencher: Bencher, dialect: &dyn Dialect, chunks: &[Bytes]) {
    let exchange = streamed();
    let rendering = Rendering {
        id: "chatcmpl-019a".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        model: "fast".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    };
    bencher.counter(length(chunks)).bench(|| {
        let mut decoder = dialect.decoder(&exchange);
        let mut encoder = OpenaiChat.encoder(&rendering);
        let mut events = Vec::new();
        let mut out = BytesMut::new();
        for chunk in chunks {
            decoder.push(chunk, &mut events).expect("a good chunk");
            for event in events.drain(..) {
                encoder.push(&event, &mut out);
            }
            black_box(out.split().freeze());
        }
        decoder
            .finish(End::Clean, &mut events)
            .expect("a whole stream");
        for event in events.drain(..) {
            encoder.push(&event, &mut out);
        }
        encoder.finish(None, &mut out);
        out
    });
}

fn streamed() -> Exchange {
    Exchange {
        streamed: true,
        ..Exchange::default()
    }
}

fn length(chunks: &[Bytes]) -> BytesCount {
    BytesCount::new(chunks.iter().map(Bytes::len).sum::<usize>())
}

/// A conversation of at least `size` bytes.
fn request(size: usize) -> Bytes {
    let mut messages =
        r#"{"role":"system","content":"You are the assistant of a logistics company."}"#.to_owned();
    while messages.len() < size {
        messages.push_str(r#",{"role":"user","content":"My parcel 0048-2210-77 was due on Tuesday and the page still says that it is in transit.\nWhere is it?"},{"role":"assistant","content":"It left the hub this morning at 06:40 and is on the van for your area, so you should have it before six."}"#);
    }
    Bytes::from(format!(
        r#"{{"model":"fast","messages":[{messages},{{"role":"user","content":"Thank you."}}],"stream":true,"temperature":0.7,"max_tokens":256}}"#
    ))
}

fn words() -> impl Iterator<Item = &'static str> {
    let words = [
        "Yes",
        ",",
        " that",
        " is",
        " possible",
        ".",
        " The",
        " driver",
        " will",
        " call",
    ];
    words.into_iter().cycle().take(CHUNKS - 2)
}

fn openai_stream() -> Vec<Bytes> {
    let chunk = |choices: &str, usage: &str| {
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-BmK2v7\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"gpt-5.4-nano\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_4b1f0e2a9c\",\"choices\":[{choices}],\"usage\":{usage}}}\n\n"
        ))
    };
    let delta = |delta: &str, finish: &str| {
        let choice =
            format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#);
        chunk(&choice, "null")
    };
    let mut chunks = vec![delta(
        r#"{"role":"assistant","content":"","refusal":null}"#,
        "null",
    )];
    chunks.extend(words().map(|word| delta(&format!(r#"{{"content":"{word}"}}"#), "null")));
    chunks.push(delta("{}", r#""stop""#));
    chunks.push(chunk(
        "",
        r#"{"prompt_tokens":221,"completion_tokens":48,"total_tokens":269,"prompt_tokens_details":{"cached_tokens":0}}"#,
    ));
    chunks.push(Bytes::from_static(b"data: [DONE]\n\n"));
    chunks
}

fn anthropic_stream() -> Vec<Bytes> {
    let event = |kind: &str, rest: &str| {
        Bytes::from(format!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n"
        ))
    };
    let mut chunks = vec![
        event(
            "message_start",
            r#","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":221,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}"#,
        ),
        event(
            "content_block_start",
            r#","index":0,"content_block":{"type":"text","text":""}"#,
        ),
    ];
    chunks.extend(words().map(|word| {
        let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{word}"}}"#);
        event("content_block_delta", &delta)
    }));
    chunks.push(event("content_block_stop", r#","index":0"#));
    chunks.push(event(
        "message_delta",
        r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":48}"#,
    ));
    chunks.push(event("message_stop", ""));
    chunks
}

fn gemini_stream() -> Vec<Bytes> {
    let chunk = |text: &str, finish: &str| {
        Bytes::from(format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}],\"role\":\"model\"}}{finish},\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":221,\"candidatesTokenCount\":48,\"totalTokenCount\":269}},\"modelVersion\":\"gemini-3.1-flash\",\"responseId\":\"kZ0\"}}\r\n\r\n"
        ))
    };
    let mut chunks: Vec<Bytes> = words().map(|word| chunk(word, "")).collect();
    chunks.push(chunk(".", r#","finishReason":"STOP""#));
    chunks
}
