//! `trunkline chat`

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use domain::caller::Caller;
use domain::id::{OrganizationId, ProjectId, RequestId};
use domain::key::{ModelPattern, Role, VirtualKey};
use futures_util::StreamExt;
use gateway::reply::Reply;
use gateway::{Inbound, ReportWanted};
use jiff::Timestamp;
use providers::face::Asked;
use providers::framing::sse::SseDecoder;
use providers::openai::OpenaiChat;
use serde_json::{Value, json};

use super::{Usage, load, print};
use crate::app::{App, Shared};
use crate::cli::{Chat, Installation};
use crate::data_dir::DataDir;
use crate::http::problem::IntoProblem;
use crate::loops;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;

static FACE: OpenaiChat = OpenaiChat;

/// The name under which the terminal's calls are recorded.
pub const TERMINAL: &str = "terminal";

/// Asks a model, in this process and on the same path as a served request: the call is recorded.
pub async fn run(at: &Installation, options: Chat) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let prompt = prompt(&options)?;
    let telemetry = Arc::new(Telemetry::new(None));
    let (app, queues) = App::assemble(&config, &data_dir, telemetry).await?;
    let tasks = Arc::new(Tasks::new());
    loops::start(&app, queues, &tasks, crate::serve::sync_period(&config));
    let outcome = ask(&app, &options, &prompt).await;
    tasks.request_stop();
    tasks.join(std::time::Duration::from_secs(10)).await;
    let ledger = Arc::clone(&app.ledger);
    tokio::task::spawn_blocking(move || ledger.close()).await??;
    app.store.close().await;
    outcome
}

async fn ask(app: &Shared, options: &Chat, prompt: &str) -> anyhow::Result<ExitCode> {
    let model = match &options.model {
        Some(model) => model.clone(),
        None => app
            .gateway
            .routes()
            .suggested_model()
            .ok_or_else(|| Usage("no model is served; name a provider first".to_owned()))?,
    };
    let system = options
        .system
        .iter()
        .map(|text| json!({ "role": "system", "content": text }));
    let user = std::iter::once(json!({ "role": "user", "content": prompt }));
    let messages: Vec<Value> = system.chain(user).collect();
    let body = json!({ "model": model, "messages": messages, "stream": !options.json });
    let at = app.clock.now();
    let inbound: Inbound = Inbound {
        request_id: RequestId::new(at, &*app.entropy),
        started_at: at,
        received: app.clock.moment(),
        face: &FACE,
        face_name: domain::call::Face::OpenaiChat,
        asked: Asked::default(),
        body: Bytes::from(body.to_string()),
        client_request_id: None,
        batch_id: None,
        traceparent: None,
        wishes: None,
        report: ReportWanted::default(),
    };
    match app.gateway.chat(&terminal(app.started_at), inbound).await {
        Ok(Reply::Whole { body, .. }) => print(String::from_utf8_lossy(&body)),
        Ok(Reply::Stream { stream, .. }) => show(*stream).await?,
        Err(error) => anyhow::bail!(error.into_problem().detail),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a streamed answer to the terminal as it comes.
async fn show(mut stream: gateway::reply::ReplyStream) -> anyhow::Result<()> {
    let mut decoder = SseDecoder::default();
    let mut out = std::io::stdout();
    while let Some(piece) = stream.next().await {
        decoder.push(&piece);
        while let Some(event) = decoder.next_event()? {
            let Ok(chunk) = serde_json::from_str::<Value>(&event.data) else {
                continue;
            };
            if let Some(message) = chunk.pointer("/error/message").and_then(Value::as_str) {
                anyhow::bail!("the answer broke off: {message}");
            }
            if let Some(text) = chunk
                .pointer("/choices/0/delta/content")
                .and_then(Value::as_str)
            {
                out.write_all(text.as_bytes())?;
                out.flush()?;
            }
        }
    }
    writeln!(out)?;
    Ok(())
}

fn prompt(options: &Chat) -> anyhow::Result<String> {
    if !options.prompt.is_empty() {
        return Ok(options.prompt.join(" "));
    }
    let mut input = std::io::stdin();
    if input.is_terminal() {
        return Err(Usage("say something: trunkline chat \"Hello!\"".to_owned()).into());
    }
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    if text.trim().is_empty() {
        return Err(Usage("there is nothing to say: the input is empty".to_owned()).into());
    }
    Ok(text)
}

/// Whoever can run the command owns the installation, so the terminal needs no key. Its calls are
/// recorded under an identifier of its own.
pub(super) fn terminal(since: Timestamp) -> Caller {
    let id = identity::text::configured_id(TERMINAL);
    let (organization, project) = (OrganizationId::DEFAULT, ProjectId::DEFAULT);
    Caller::holding(Arc::new(VirtualKey {
        name: TERMINAL.to_owned(),
        role: Role::Admin,
        models: vec![ModelPattern::new("*")],
        ..VirtualKey::without_text(id, organization, project, since)
    }))
}
