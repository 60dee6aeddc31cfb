//! `trunkline cache`

mod warm;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use domain::egress::{Egress, Outbound, Reach};
use domain::id::{OrganizationId, ProjectId};
use domain::secret::Secret;
use futures_util::TryStreamExt;
use http::{Method, Uri, header};
use serde_json::{Value, json};
use sim::Sim;

use super::{Usage, load, parsed, print, print_json, table};
use crate::cli::{CacheCommand, CacheOptions, Installation, Purge};
use crate::config;
use crate::data_dir::DataDir;
use crate::egress::OutboundClient;

const PATH: &str = "/api/v1/admin/cache";
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is taken.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Asks the process that serves: what it keeps stands in its memory.
pub async fn run(at: &Installation, options: CacheOptions) -> anyhow::Result<ExitCode> {
    let server = Server::find(at, options.url.as_deref())?;
    if let CacheCommand::Warm(warm) = &options.command {
        return warm::run(&server, warm, options.json).await;
    }
    let answer = match &options.command {
        CacheCommand::Show | CacheCommand::Warm(_) => server.ask(Method::GET, PATH, None).await?,
        CacheCommand::Prompts => {
            server
                .ask(Method::GET, &format!("{PATH}/prompts"), None)
                .await?
        }
        CacheCommand::Purge(purge) => server.ask(Method::DELETE, &purged(purge)?, None).await?,
        CacheCommand::Feedback { request_id, right } => {
            let verdict = if *right { "right" } else { "wrong" };
            let body = json!({ "request_id": request_id, "verdict": verdict });
            let path = format!("{PATH}/feedback");
            server.ask(Method::POST, &path, Some(&body)).await?
        }
    };
    if options.json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    match options.command {
        CacheCommand::Show | CacheCommand::Warm(_) => show("", &answer),
        CacheCommand::Prompts => show_prompts(&answer),
        CacheCommand::Purge(_) => print(format_args!("{} answers forgotten", answer["purged"])),
        CacheCommand::Feedback { .. } if answer["evicted"] == true => print("forgotten"),
        CacheCommand::Feedback { .. } if answer["told"] == true => {
            print("not known here; the other replicas were told to forget it");
        }
        CacheCommand::Feedback { .. } => print("nothing to forget"),
    }
    Ok(ExitCode::SUCCESS)
}

fn purged(purge: &Purge) -> anyhow::Result<String> {
    let organization: Option<OrganizationId> =
        parsed("--organization", purge.organization.as_deref())?;
    let project: Option<ProjectId> = parsed("--project", purge.project.as_deref())?;
    let organization = organization.map(|id| format!("organization_id={id}"));
    let project = project.map(|id| format!("project_id={id}"));
    let query: Vec<String> = organization.into_iter().chain(project).collect();
    Ok(format!("{PATH}?{}", query.join("&")))
}

/// The process that serves, and who asks it.
struct Server {
    url: String,
    key: Secret<String>,
    client: OutboundClient,
}

impl Server {
    /// By its address in the configuration, unless `url` says otherwise; with the key in `TRUNKLINE_ADMIN_KEY`,
    /// or that of the data directory.
    fn find(at: &Installation, url: Option<&str>) -> anyhow::Result<Self> {
        let config = load(at)?;
        let url = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", config.server.listen),
        };
        let of_environment = config::process_environment("TRUNKLINE_ADMIN_KEY").map(Secret::new);
        let key = match of_environment {
            Some(key) => Some(key),
            None => DataDir::open(&at.data_dir())?.read_admin_key(),
        };
        let key = key.ok_or_else(|| {
            Usage("no admin key is known: set TRUNKLINE_ADMIN_KEY, or name --data-dir".to_owned())
        })?;
        let sim = Arc::new(Sim::new(sim::Options::default()));
        Ok(Self {
            url,
            key,
            client: OutboundClient::new(CONNECT, sim)?,
        })
    }

    /// What is answered, out of its envelope.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let uri: Uri = format!("{}{path}", self.url)
            .parse()
            .map_err(|error| Usage(format!("--url {}: {error}", self.url)))?;
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.key.reveal()),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))?;
        let outbound = Outbound {
            request,
            reach: Reach::Any,
        };
        let answered = self.client.send(outbound).await;
        let answered = answered.with_context(|| format!("{} does not answer", self.url))?;
        let mut body = answered.into_body();
        let mut answer = BytesMut::new();
        while let Some(piece) = body.try_next().await? {
            answer.extend_from_slice(&piece);
            anyhow::ensure!(answer.len() <= MAX_ANSWER, "the answer is too large");
        }
        let mut answer: Value =
            serde_json::from_slice(&answer).context("the answer is not Trunkline's")?;
        if answer["success"] != true {
            let sentence = answer["error"].as_str().unwrap_or("it was not done");
            anyhow::bail!("{sentence}");
        }
        Ok(answer["data"].take())
    }
}

/// Counts by name, those of a part with the part before them.
fn show(part: &str, counts: &Value) {
    for (name, count) in counts.as_object().into_iter().flatten() {
        if count.is_object() {
            show(&format!("{part}{name}."), count);
        } else {
            print(format_args!("{part}{name}: {count}"));
        }
    }
}

fn show_prompts(report: &Value) {
    let mut table = table(&[
        "KEY", "NAME", "MODEL", "WRITTEN", "READ", "UNREAD", "WASTED", "SAVED",
    ]);
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "?".to_owned(),
        other => other.to_string(),
    };
    for line in report["lines"].as_array().into_iter().flatten() {
        let model = format!("{}/{}", text(&line["provider"]), text(&line["model"]));
        let mut row = vec![text(&line["key_id"]), text(&line["name"]), model];
        for tokens in ["written_tokens", "read_tokens", "unread_tokens"] {
            row.push(text(&line[tokens]));
        }
        for amount in ["wasted_usd", "saved_usd"] {
            row.push(format!("${}", text(&line[amount])));
        }
        table.add_row(row);
    }
    print(table);
}
