//! Reads how an answer is made (<https://ai.google.dev/api/generate-content#generationconfig>).

use domain::chat::{ChatRequest, Effort, Logprobs, OutputFormat, ReasoningRequest, Sampling};
use serde_json::value::RawValue;

use super::{contents, envelope, fields, media, schema};
use crate::face::InvalidRequest;
use crate::openai::fields::{Fields, Kind, list, text};

/// The name of a schema that has no title: other formats want one.
const SCHEMA_NAME: &str = "response";

/// Reads `generationConfig` into the request.
pub(super) fn read(
    request_fields: &mut Fields<'_>,
    request: &mut ChatRequest,
) -> Result<(), InvalidRequest> {
    let Some(mut config) = fields::object(request_fields, "generationConfig")? else {
        return Ok(());
    };
    request.max_output_tokens = envelope::max_output_tokens(&mut config)?;
    request.choices = envelope::candidates(&mut config)?;
    request.sampling = sampling(&mut config)?;
    request.stop = stop(&mut config)?;
    request.logprobs = logprobs(&mut config)?;
    request.output = output(&mut config)?;
    if let Some(thinking) = fields::object(&mut config, "thinkingConfig")? {
        request.reasoning = reasoning(thinking, request)?;
    }
    if let Some(raw) = config.look("mediaResolution") {
        let level = text(raw, || config.path_of("mediaResolution"))?;
        if let Some(word) = media::word_of_resolution(&level)
            && contents::look_at_pictures(request, word)
        {
            config.take("mediaResolution");
        }
    }
    // Words are what every model answers with when nothing is said.
    if let Some(raw) = config.look("responseModalities")
        && serde_json::from_str::<Vec<String>>(raw.get())
            .is_ok_and(|words| words.iter().all(|word| word.eq_ignore_ascii_case("text")))
    {
        config.take("responseModalities");
    }
    config.keep_rest(&mut request.extensions);
    Ok(())
}

fn sampling(config: &mut Fields<'_>) -> Result<Sampling, InvalidRequest> {
    let seed = fields::whole(config, "seed", i32::MIN.into(), i32::MAX.into())?;
    let top_k = fields::whole(config, "topK", 0, i64::MAX)?;
    Ok(Sampling {
        temperature: within(config, "temperature", 0.0, 2.0)?,
        top_p: within(config, "topP", 0.0, 1.0)?,
        top_k: top_k.and_then(|count| u64::try_from(count).ok()),
        seed,
        frequency_penalty: within(config, "frequencyPenalty", -2.0, 2.0)?,
        presence_penalty: within(config, "presencePenalty", -2.0, 2.0)?,
        logit_bias: None,
    })
}

/// A number between bounds of the vendor's.
fn within(
    config: &mut Fields<'_>,
    name: &str,
    least: f64,
    most: f64,
) -> Result<Option<f64>, InvalidRequest> {
    let number = fields::number(config, name)?;
    if number.is_some_and(|number| !(least..=most).contains(&number)) {
        let path = config.path_of(name);
        let detail = format!("`{path}` must be a number from {least} to {most}.");
        return Err(InvalidRequest::of(path, detail));
    }
    Ok(number)
}

fn stop(config: &mut Fields<'_>) -> Result<Vec<String>, InvalidRequest> {
    let Some(raw) = config.take("stopSequences") else {
        return Ok(Vec::new());
    };
    let path = config.path_of("stopSequences");
    // A single string stands for a list of one.
    if Kind::of(raw.get()) == Some(Kind::Text) {
        return Ok(vec![text(raw, || path.clone())?]);
    }
    let stops = list(raw, &path)?.into_iter();
    stops
        .map(|(path, raw)| text(raw, || path.clone()))
        .collect()
}

fn logprobs(config: &mut Fields<'_>) -> Result<Option<Logprobs>, InvalidRequest> {
    let wanted = config.flag("responseLogprobs")?.unwrap_or(false);
    let alternatives = fields::whole(config, "logprobs", 0, 20)?.unwrap_or(0);
    if alternatives > 0 && !wanted {
        let path = config.path_of("logprobs");
        let detail = format!("`{path}` is only allowed when `responseLogprobs` is true.");
        return Err(InvalidRequest::of(path, detail));
    }
    Ok(wanted.then_some(Logprobs {
        alternatives: u8::try_from(alternatives).unwrap_or(0),
    }))
}

/// The shape of the answer. A type that is neither text nor JSON (`text/x.enum`) stays where it is.
fn output(config: &mut Fields<'_>) -> Result<OutputFormat, InvalidRequest> {
    const SCHEMAS: [&str; 3] = [
        "responseJsonSchema",
        "_responseJsonSchema",
        "responseSchema",
    ];
    let Some(raw) = config.look("responseMimeType") else {
        return match SCHEMAS.into_iter().find(|name| config.look(name).is_some()) {
            None => Ok(OutputFormat::Text),
            Some(name) => Err(InvalidRequest::of(
                config.path_of(name),
                format!(
                    "`{}` is only allowed when `responseMimeType` is `application/json`.",
                    config.path_of(name)
                ),
            )),
        };
    };
    match text(raw, || config.path_of("responseMimeType"))?.as_str() {
        "" | "text/plain" => {
            config.take("responseMimeType");
            Ok(OutputFormat::Text)
        }
        "application/json" => {
            config.take("responseMimeType");
            let given = SCHEMAS
                .into_iter()
                .find_map(|name| Some((name, config.take(name)?)));
            let Some((name, raw)) = given else {
                return Ok(OutputFormat::JsonObject);
            };
            let path = config.path_of(name);
            let schema = if name == "responseSchema" {
                schema::to_json_schema(raw, &path)?
            } else if Kind::of(raw.get()) == Some(Kind::Object) {
                raw.to_owned()
            } else {
                return Err(config.wrong_type(name, "an object", raw.get()));
            };
            Ok(OutputFormat::JsonSchema {
                name: schema_name(&schema),
                description: None,
                schema,
                strict: None,
            })
        }
        _ => Ok(OutputFormat::Text),
    }
}

/// The schema's title, in the characters that names of schemas have elsewhere.
fn schema_name(schema: &RawValue) -> String {
    #[derive(serde::Deserialize)]
    struct Titled {
        title: Option<String>,
    }
    let title = serde_json::from_str::<Titled>(schema.get())
        .ok()
        .and_then(|schema| schema.title)
        .unwrap_or_default();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = title
        .chars()
        .take(64)
        .map(|c| if is_allowed(c) { c } else { '_' })
        .collect();
    if name.is_empty() {
        SCHEMA_NAME.to_owned()
    } else {
        name
    }
}

/// A budget of −1 leaves it to the model, for which no other format has a word.
fn reasoning(
    mut thinking: Fields<'_>,
    request: &mut ChatRequest,
) -> Result<ReasoningRequest, InvalidRequest> {
    let include_thoughts = thinking.flag("includeThoughts")?;
    let mut asked = ReasoningRequest {
        include_thoughts,
        ..ReasoningRequest::default()
    };
    if let Some(raw) = thinking.look("thinkingBudget") {
        match fields::whole(&mut thinking, "thinkingBudget", -1, i64::MAX)? {
            Some(0) => asked.effort = Some(Effort::None),
            Some(-1) => thinking.put_back("thinkingBudget", raw),
            budget => asked.budget_tokens = budget.and_then(|budget| u64::try_from(budget).ok()),
        }
    }
    if let Some(word) = thinking.text("thinkingLevel")? {
        if asked.budget_tokens.is_some() || asked.effort.is_some() {
            let path = thinking.path_of("thinkingLevel");
            let detail = format!("`{path}` and `thinkingBudget` exclude each other.");
            return Err(InvalidRequest::of(path, detail));
        }
        asked.effort = match word.to_ascii_uppercase().as_str() {
            "THINKING_LEVEL_UNSPECIFIED" => None,
            "MINIMAL" => Some(Effort::Minimal),
            "LOW" => Some(Effort::Low),
            "MEDIUM" => Some(Effort::Medium),
            "HIGH" => Some(Effort::High),
            _ => {
                let known = "`MINIMAL`, `LOW`, `MEDIUM` and `HIGH`";
                return Err(thinking.unknown_word("thinkingLevel", &word, known));
            }
        };
    }
    thinking.keep_rest(&mut request.extensions);
    Ok(asked)
}
