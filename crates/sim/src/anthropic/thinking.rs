//! The rules of thinking, and of the sampling parameters that it restrains.
//! See <https://docs.claude.com/en/docs/build-with-claude/extended-thinking>.

use super::check::{integer, object, one_of, plain, required, share, tag};
use super::model::Class;
use super::tools::Tools;
use super::turns::Turns;
use crate::node::Node;
use crate::prompt::{Choice, Reasoning};
use crate::vendor::Failure;

/// The parameters that are gone from the newer models and the newer version of the API.
pub(super) const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
const PAGE: &str = "Please consult our documentation at \
    https://docs.claude.com/en/docs/build-with-claude/extended-thinking#important-considerations-when-using-extended-thinking";

/// Reads the wish to think.
pub(super) fn read(
    root: &Node<'_, '_>,
    class: Class,
    output_limit: u64,
) -> Result<Reasoning, Failure> {
    let Some(thinking) = root.get("thinking") else {
        return Ok(Reasoning::Off);
    };
    let kind = tag(
        &thinking,
        &["adaptive", "between_tools", "disabled", "enabled"],
    )?;
    let place = format!("thinking.{kind}");
    let in_kind = |failure: Failure| Failure {
        message: failure.message.replacen("thinking", &place, 1),
        ..failure
    };
    let known: &[&str] = match kind {
        "enabled" => &["type", "budget_tokens", "display"],
        "adaptive" => &["type", "display"],
        _ => &["type"],
    };
    object(&thinking, known).map_err(in_kind)?;
    let display = thinking
        .present("display")
        .map(|display| one_of(&display, &["summarized", "omitted"]))
        .transpose()
        .map_err(in_kind)?;
    match kind {
        "enabled" if class == Class::Adaptive => Err(plain(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control \
             thinking behavior.",
        )),
        "enabled" => {
            let budget = required(&thinking, "budget_tokens")
                .and_then(|budget| integer(&budget, 1024))
                .map_err(in_kind)?;
            if budget >= output_limit {
                return Err(plain(
                    "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at \
                     https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
                ));
            }
            Ok(if display == Some("omitted") {
                Reasoning::Omitted { budget }
            } else {
                Reasoning::Shown { budget }
            })
        }
        "disabled" => Ok(Reasoning::Off),
        _ if class == Class::Budget => Err(plain(format!(
            "{kind} thinking is not supported on this model"
        ))),
        _ => {
            let is_omitted =
                display.map_or(class == Class::Adaptive, |display| display == "omitted");
            Ok(if is_omitted {
                Reasoning::Omitted {
                    budget: output_limit,
                }
            } else {
                Reasoning::Shown {
                    budget: output_limit,
                }
            })
        }
    }
}

/// What may not stand beside thinking.
pub(super) fn fits(tools: &Tools, turns: &Turns) -> Result<(), Failure> {
    if matches!(tools.choice, Choice::Required(_)) {
        return Err(plain(
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    if turns.is_prefilled {
        return Err(plain(
            "Prefilling assistant messages is not supported when `thinking` is enabled.",
        ));
    }
    match &turns.unthinking_call {
        Some(problem) => Err(plain(problem.clone())),
        None => Ok(()),
    }
}

/// Sampling parameters, which newer models do not take and thinking restrains.
pub(super) fn sampling(
    root: &Node<'_, '_>,
    class: Class,
    model: &str,
    thinking: Reasoning,
) -> Result<(), Failure> {
    if class == Class::Adaptive
        && let Some(key) = SAMPLING.iter().find(|key| root.get(key).is_some())
    {
        return Err(plain(format!("`{key}` is deprecated for this model.")));
    }
    let temperature = root
        .get("temperature")
        .map(|node| share(&node))
        .transpose()?;
    let top_p = root.get("top_p").map(|node| share(&node)).transpose()?;
    let top_k = root
        .get("top_k")
        .map(|node| integer(&node, 0))
        .transpose()?;
    if temperature.is_some() && top_p.is_some() && Class::takes_one_sampling_parameter(model) {
        return Err(plain(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    if thinking == Reasoning::Off {
        return Ok(());
    }
    if temperature.is_some_and(|temperature| (temperature - 1.0).abs() > f64::EPSILON) {
        return Err(plain(format!(
            "`temperature` may only be set to 1 when thinking is enabled. {PAGE}"
        )));
    }
    if top_p.is_some_and(|top_p| top_p < 0.95) {
        return Err(plain(format!(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled. {PAGE}"
        )));
    }
    if top_k.is_some() {
        return Err(plain(format!(
            "`top_k` must be unset when thinking is enabled. {PAGE}"
        )));
    }
    Ok(())
}
