//! What a person who starts it by hand reads first.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use domain::secret::Secret;
use providers::kind::ProviderKind;

use crate::app::App;
use crate::data_dir::DataDir;

/// Says where it serves and how to make the first request.
pub fn print(
    address: SocketAddr,
    app: &App,
    data_dir: &DataDir,
    admin_key: Option<&Secret<String>>,
    is_configured: bool,
) {
    let mut text = String::new();
    // Writing to a string does not fail.
    compose(&mut text, address, app, data_dir, admin_key, is_configured).unwrap_or_default();
    // It serves whether or not somebody reads this.
    std::io::stdout()
        .write_all(text.as_bytes())
        .unwrap_or_default();
}

fn compose(
    text: &mut String,
    address: SocketAddr,
    app: &App,
    data_dir: &DataDir,
    admin_key: Option<&Secret<String>>,
    is_configured: bool,
) -> std::fmt::Result {
    let routes = app.gateway.routes();
    let names: Vec<&str> = routes
        .providers()
        .map(|provider| provider.name.as_str())
        .collect();
    writeln!(text, "Trunkline serves on http://{address}")?;
    writeln!(text, "Providers: {}", names.join(", "))?;
    let is_simulated = routes
        .providers()
        .all(|provider| provider.kind == ProviderKind::Sim);
    if is_simulated && !is_configured {
        writeln!(
            text,
            "No provider key was found (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, …): the \
             simulated provider answers."
        )?;
    }
    let file = data_dir.admin_key();
    let file = file.display();
    let key = match admin_key {
        Some(key) => {
            let key = key.reveal();
            writeln!(text, "Admin key (shown this once, kept in {file}): {key}")?;
            key.clone()
        }
        None => format!("$(cat {file})"),
    };
    let Some(model) = routes.suggested_model() else {
        return Ok(());
    };
    writeln!(text, "Try it:\n")?;
    writeln!(text, "  curl http://{address}/v1/chat/completions \\")?;
    writeln!(
        text,
        "    -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' \\"
    )?;
    writeln!(
        text,
        "    -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n"
    )
}
