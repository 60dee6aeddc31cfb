//! The rules of parameters that chats, responses and completions share.

use super::check::{
    bad, boolean, decimal, integer, object, one_of, plain, short_text, sized, text,
    unsupported_parameter, wrong_type,
};
use super::model::Class;
use crate::node::Node;
use crate::vendor::Failure;

/// Refuses parameters that the call does not have, all at once.
pub(super) fn known_parameters(root: &Node<'_, '_>, known: &[&str]) -> Result<(), Failure> {
    let unknown: Vec<&str> = root
        .members()
        .map(|(key, _)| key)
        .filter(|key| !known.contains(key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let plural = if unknown.len() == 1 { "" } else { "s" };
    Err(plain(format!(
        "Unrecognized request argument{plural} supplied: {}",
        unknown.join(", ")
    )))
}

/// Whether a stream is wanted, and whether it ends with usage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Streaming {
    No,
    WithUsage,
    WithoutUsage,
}

pub(super) fn streaming(root: &Node<'_, '_>) -> Result<Streaming, Failure> {
    let streams = root
        .present("stream")
        .map(|stream| boolean(&stream))
        .transpose()?
        .unwrap_or(false);
    let Some(options) = root.present("stream_options") else {
        return Ok(if streams {
            Streaming::WithoutUsage
        } else {
            Streaming::No
        });
    };
    if !streams {
        return Err(plain(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
        .at("stream_options"));
    }
    object(&options, &["include_usage", "include_obfuscation"])?;
    if let Some(obfuscation) = options.present("include_obfuscation") {
        boolean(&obfuscation)?;
    }
    match options
        .present("include_usage")
        .map(|usage| boolean(&usage))
        .transpose()?
    {
        Some(true) => Ok(Streaming::WithUsage),
        Some(false) | None => Ok(Streaming::WithoutUsage),
    }
}

/// Temperature and its like: models that reason take their defaults only.
pub(super) fn sampling_parameters(root: &Node<'_, '_>, class: Class) -> Result<(), Failure> {
    for (key, least, most) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
    ] {
        let Some(node) = root.present(key) else {
            continue;
        };
        let number = decimal(&node, least, most)?;
        let default = if key.ends_with("penalty") { 0.0 } else { 1.0 };
        if class.reasons() && (number - default).abs() > f64::EPSILON {
            if key != "temperature" {
                return Err(unsupported_parameter(&node, None));
            }
            let message = format!(
                "Unsupported value: '{key}' does not support {} with this model. Only the default ({default}) value is supported.",
                node.value
            );
            return Err(bad(&node, "unsupported_value", message));
        }
    }
    Ok(())
}

/// How much likelier single tokens are; models that reason take no such thing.
pub(super) fn bias(root: &Node<'_, '_>, class: Class) -> Result<(), Failure> {
    let Some(bias) = root.present("logit_bias") else {
        return Ok(());
    };
    let tokens: Vec<&str> = bias.members().map(|(key, _)| key).collect();
    object(&bias, &tokens)?;
    for (_, weight) in bias.members() {
        integer(&weight, -100, 100)?;
    }
    if class.reasons() {
        return Err(unsupported_parameter(&bias, None));
    }
    Ok(())
}

pub(super) fn choices(root: &Node<'_, '_>) -> Result<usize, Failure> {
    let Some(n) = root.present("n") else {
        return Ok(1);
    };
    Ok(usize::try_from(integer(&n, 1, 128)?).unwrap_or(1))
}

pub(super) fn stops(root: &Node<'_, '_>, class: Class) -> Result<Vec<String>, Failure> {
    let Some(stop) = root.present("stop") else {
        return Ok(Vec::new());
    };
    if class.reasons() {
        return Err(unsupported_parameter(&stop, None));
    }
    if let Some(one) = stop.text() {
        return Ok(Some(one.to_owned())
            .filter(|one| !one.is_empty())
            .into_iter()
            .collect());
    }
    if !stop.value.is_array() {
        return Err(wrong_type(&stop, "a string or array of strings"));
    }
    sized(&stop, 0, 4)?;
    let mut stops = Vec::new();
    for item in stop.items() {
        let item = text(&item)?;
        if !item.is_empty() {
            stops.push(item.to_owned());
        }
    }
    Ok(stops)
}

/// How hard a model may be asked to think.
pub(super) const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The tokens that an effort costs here.
pub(super) fn effort_tokens(effort: &str) -> u64 {
    match effort {
        "none" => 0,
        "minimal" | "low" => 64,
        "medium" => 128,
        "high" => 256,
        _ => 512,
    }
}

/// The parameters that change nothing of the answer but must be right.
pub(super) fn bookkeeping(root: &Node<'_, '_>) -> Result<(), Failure> {
    for key in ["user", "safety_identifier", "prompt_cache_key"] {
        if let Some(node) = root.present(key) {
            short_text(&node, if key == "user" { 512 } else { 64 })?;
        }
    }
    if let Some(store) = root.present("store") {
        boolean(&store)?;
    }
    if let Some(tier) = root.present("service_tier") {
        one_of(
            &tier,
            &["auto", "default", "flex", "scale", "priority", "fast"],
        )?;
    }
    if let Some(verbosity) = root.present("verbosity") {
        one_of(&verbosity, &["low", "medium", "high"])?;
    }
    if let Some(retention) = root.present("prompt_cache_retention") {
        one_of(&retention, &["in_memory", "24h"])?;
    }
    if let Some(modalities) = root.present("modalities") {
        sized(&modalities, 1, 2)?;
        for modality in modalities.items() {
            if one_of(&modality, &["text", "audio"])? == "audio" {
                return Err(bad(
                    &modality,
                    "invalid_value",
                    "This model does not support audio output. Use a model that does, such as an audio model.",
                ));
            }
        }
    }
    if let Some(metadata) = root.present("metadata") {
        let keys: Vec<&str> = metadata.members().map(|(key, _)| key).collect();
        object(&metadata, &keys)?;
        if keys.len() > 16 {
            let message = format!(
                "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with {} properties instead.",
                keys.len()
            );
            return Err(bad(&metadata, "object_above_max_properties", message));
        }
        for (_, value) in metadata.members() {
            short_text(&value, 512)?;
        }
    }
    Ok(())
}
