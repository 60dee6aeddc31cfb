//! `trunkline explain`

use std::path::Path;
use std::process::ExitCode;

use domain::caller::Caller;
use domain::clock::Clock;
use gateway::routes::affinity::Affinity;
use gateway::routes::choice::Observation;
use gateway::routes::explain::{Explanation, Supposed};
use gateway::routes::{Circumstances, UnknownModel};
use identity::text::Hasher;
use serde_json::{Map, Value, json};

use super::chat::terminal;
use super::{Usage, load, print, print_json, table};
use crate::app::{configured_keys, routes};
use crate::cli::{Explain, Installation};
use crate::config::Config;
use crate::world::SystemClock;

/// Says where a request would go by the configuration, and why. What a running process has seen lately, it
/// alone knows: `POST /api/v1/admin/routes/explain` asks it.
pub fn run(at: &Installation, options: &Explain) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let clock = SystemClock::new();
    let now = clock.now();
    let supposed = Supposed::read(supposed(options)?.to_string().as_bytes())
        .map_err(|error| Usage(error.to_string()))?;
    let caller = caller(&config, options, now)?;
    let wishes = supposed.wishes();
    let circumstances = Circumstances {
        affinity: &Affinity::default(),
        observe: &|_, _, _| Observation::default(),
        moment: clock.moment(),
        usual_output: &|| None,
        wishes: &wishes,
    };
    let explained = routes(&config, now).explain(&caller, &supposed, &circumstances, now);
    let explanation = explained.map_err(|error| Usage(unknown(&error)))?;
    if options.json {
        print_json(&explanation)?;
    } else {
        show(&explanation);
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be explained: the chat request of a file, or a name with what the options say.
fn supposed(options: &Explain) -> anyhow::Result<Value> {
    let file = Path::new(&options.model);
    let mut request: Map<String, Value> = if file.extension().is_some_and(|it| it == "json") {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Usage(format!(
                "the file {} cannot be read: {error}",
                file.display()
            ))
        })?;
        serde_json::from_str(&text).map_err(|error| {
            Usage(format!(
                "the file {} is no request: {error}",
                file.display()
            ))
        })?
    } else {
        Map::from_iter([("model".to_owned(), json!(options.model))])
    };
    let given = [
        ("input_tokens", options.input_tokens.map(Value::from)),
        (
            "max_output_tokens",
            options.max_output_tokens.map(Value::from),
        ),
        ("stream", options.stream.then_some(Value::Bool(true))),
        (
            "preferred_provider",
            options.prefer.clone().map(Value::from),
        ),
        (
            "fallback_order",
            (!options.then.is_empty()).then(|| json!(options.then)),
        ),
        (
            "fallback_enabled",
            options.no_fallback.then_some(Value::Bool(false)),
        ),
        (
            "performance_weighting",
            options.performance.map(Value::from),
        ),
        (
            "cost_optimization_enabled",
            options.cheapest.then_some(Value::Bool(true)),
        ),
        ("max_retries", options.max_retries.map(Value::from)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            request.insert(name.to_owned(), value);
        }
    }
    if !options.header.is_empty() {
        let mut headers = Map::new();
        for header in &options.header {
            let (name, value) = header
                .split_once('=')
                .ok_or_else(|| Usage(format!("--header is written NAME=VALUE, not {header}")))?;
            headers.insert(name.to_owned(), json!(value));
        }
        request.insert("headers".to_owned(), Value::from(headers));
    }
    Ok(Value::from(request))
}

/// Who is supposed to ask: a key of the configuration, or whoever runs the command.
fn caller(config: &Config, options: &Explain, now: jiff::Timestamp) -> anyhow::Result<Caller> {
    let Some(name) = &options.key else {
        return Ok(terminal(now));
    };
    // Its text is not compared with anything, so any secret serves.
    let nothing = domain::secret::Secret::new(Vec::new());
    let keys = configured_keys(config, &Hasher::new(&nothing), now);
    let key = keys.into_iter().find(|key| key.name == *name);
    let key = key.ok_or_else(|| Usage(format!("no key under `keys` is called {name}")))?;
    Ok(Caller::holding(key.into()))
}

fn unknown(error: &UnknownModel) -> String {
    match error.near.as_slice() {
        [] => format!("the model {} is not served", error.model),
        near => format!(
            "the model {} is not served; did you mean {}?",
            error.model,
            near.join(" or ")
        ),
    }
}

fn show(explanation: &Explanation) {
    let by = explanation.strategy.map_or_else(
        || "the name leads to it".to_owned(),
        |strategy| format!("a route, by {strategy}"),
    );
    print(format!(
        "{}: {by}; about {} tokens in, {} out",
        explanation.model, explanation.input_tokens, explanation.expected_output_tokens
    ));
    if !explanation.is_permitted {
        print("the key does not permit this model");
    }
    let mut placed = table(&["", "PROVIDER", "MODEL", "STANDING", "EXPECTED COST", "WHY"]);
    for target in &explanation.targets {
        let cost = target.expected_cost_usd;
        placed.add_row([
            target.position.to_string(),
            target.provider.to_string(),
            target.model.clone(),
            target.standing.to_owned(),
            cost.map_or_else(|| "no price".to_owned(), |cost| format!("${cost}")),
            target.reason.clone(),
        ]);
    }
    print(placed);
    if !explanation.left_out.is_empty() {
        let mut left_out = table(&["LEFT OUT", "WHY"]);
        for absence in &explanation.left_out {
            left_out.add_row([&absence.target, &absence.reason]);
        }
        print(left_out);
    }
}
