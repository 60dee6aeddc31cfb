//! What a request says beside the conversation, in Converse's words.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_RequestBody>

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::chat::{ChatRequest, Conversion, Extensions};
use domain::usage::ServiceTier;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;

use super::encode::Facts;
use super::model::Family;
use crate::anthropic::betas::{self, BetaHost};

/// Fields of the model's own, by name.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// Fields that bear Converse's own names and pass as they are.
const NATIVE: [&str; 4] = [
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    METADATA,
];

/// Names and values by which invocation logs are filtered.
const METADATA: &str = "requestMetadata";

/// Fields of the model's own, in the request and in the answer.
const MODEL_FIELDS: &str = "additionalModelRequestFields";
const ANSWER_PATHS: &str = "additionalModelResponseFieldPaths";

/// Where Claude says which stop text was met.
pub(super) const STOP_SEQUENCE: &str = "stop_sequence";

/// Where a body names the beta features that it uses.
const BETAS: &str = "anthropic_beta";

/// What a request says beside the conversation.
#[derive(Debug, Default)]
pub(super) struct Extras<'a> {
    pub(super) fields: Fields,
    pub(super) answer_paths: Vec<Cow<'a, str>>,
    pub(super) native: BTreeMap<&'a str, Cow<'a, RawValue>>,
}

/// Translates the extensions; `fields` are those of the model's own that stand for something the caller
/// asked in other words. The caller's own of the same name hold.
pub(super) fn translate<'a>(
    request: &'a ChatRequest,
    facts: &Facts<'_>,
    mut fields: Fields,
    report: &mut Conversion,
) -> Extras<'a> {
    let mut extras = Extras::default();
    if facts.family == Family::Claude && !request.stop.is_empty() {
        extras.answer_paths.push(Cow::Borrowed("/stop_sequence"));
    }
    if request.user.is_some() {
        report.drop("user", "the provider has no such parameter");
    }
    for (name, value) in &request.extensions {
        let is_null = value.get() == "null";
        match name.as_str() {
            native if NATIVE.contains(&native) && !is_null => {
                extras.native.insert(native, Cow::Borrowed(&**value));
                report.carry(name.clone());
            }
            MODEL_FIELDS if !is_null => match serde_json::from_str::<Extensions>(value.get()) {
                Ok(own) => {
                    fields.extend(own);
                    report.carry(MODEL_FIELDS);
                }
                Err(_) => report.drop(MODEL_FIELDS, "not a JSON object"),
            },
            ANSWER_PATHS if !is_null => match serde_json::from_str::<Vec<String>>(value.get()) {
                Ok(own) => {
                    let own = own.into_iter().map(Cow::Owned);
                    extras.answer_paths.extend(own);
                    extras.answer_paths.dedup();
                    report.carry(ANSWER_PATHS);
                }
                Err(_) => report.drop(ANSWER_PATHS, "not a list of paths"),
            },
            BETAS if facts.family == Family::Claude && !is_null => {
                fields.extend(betas(value, facts.name, report));
            }
            "metadata" if !is_null && !request.extensions.contains_key(METADATA) => {
                if is_log_metadata(value) {
                    extras.native.insert(METADATA, Cow::Borrowed(&**value));
                    report.change(
                        "metadata",
                        "sent as `requestMetadata`, which the provider's logs show",
                    );
                } else {
                    report.drop(
                        "metadata",
                        "the provider takes at most 16 short texts of letters, digits and `:_@$#=/+,-.`",
                    );
                }
            }
            // `encode.rs` and `tools.rs` speak of these.
            "service_tier" | "web_search_options" => {}
            _ if is_null => {}
            _ => report.drop(name.clone(), "the provider has no such parameter"),
        }
    }
    extras.fields = fields;
    extras
}

/// The beta features that Claude takes behind Converse, by one name or several.
fn betas(
    value: &RawValue,
    model: &str,
    report: &mut Conversion,
) -> Option<(String, Box<RawValue>)> {
    let asked = match serde_json::from_str::<String>(value.get()) {
        Ok(one) => vec![one],
        Err(_) => serde_json::from_str(value.get()).unwrap_or_default(),
    };
    let field = HeaderValue::try_from(asked.join(",")).ok();
    let headers: HeaderMap = field
        .into_iter()
        .map(|field| (HeaderName::from_static(betas::FIELD), field))
        .collect();
    let sorted = betas::for_host(BetaHost::BedrockConverse, model, &headers);
    sorted.report(report);
    if sorted.kept.is_empty() {
        return None;
    }
    report.carry(BETAS);
    let kept = serde_json::value::to_raw_value(&sorted.kept).ok()?;
    Some((BETAS.to_owned(), kept))
}

/// Whether `requestMetadata` may hold this.
fn is_log_metadata(value: &RawValue) -> bool {
    let Ok(entries) = serde_json::from_str::<BTreeMap<String, String>>(value.get()) else {
        return false;
    };
    let is_allowed = |text: &str| {
        text.len() <= 256
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == ' ' || ":_@$#=/+,-.".contains(c))
    };
    (1..=16).contains(&entries.len())
        && entries
            .iter()
            .all(|(key, value)| !key.is_empty() && is_allowed(key) && is_allowed(value))
}

/// Notes that the wish for a stream, which the URL expresses, arrived.
pub(super) fn report_stream(request: &ChatRequest, report: &mut Conversion) {
    if request.stream {
        report.carry("stream");
    }
    if request.stream_usage {
        report.carry("stream_options");
    }
}

/// The class of service in Bedrock's word.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html>
pub(super) fn service_tier(request: &ChatRequest, report: &mut Conversion) -> Option<&'static str> {
    const FIELD: &str = "service_tier";
    if let Some(word) = request.extensions.get(FIELD) {
        match word.get() {
            "null" => {}
            "\"auto\"" => report.carry(FIELD),
            "\"reserved\"" => {
                report.carry(FIELD);
                return Some("reserved");
            }
            word => report.drop(FIELD, format!("the provider has no tier {word}")),
        }
    }
    let word = match request.service_tier? {
        ServiceTier::Standard => "default",
        ServiceTier::Priority => "priority",
        ServiceTier::Flex => "flex",
        ServiceTier::Batch => {
            report.drop(FIELD, "batches are sent through another endpoint");
            return None;
        }
    };
    report.carry(FIELD);
    Some(word)
}
