//! A domain request as Converse's body.

use bytes::Bytes;
use domain::chat::{ChatRequest, Conversion};
use domain::model::Capabilities;

use super::messages::{self, Setting};
use super::model::Family;
use super::{cache, extras, inference, output, reasoning, tools, wire};
use crate::anthropic::model::Model;
use crate::anthropic::tools::ToolNames;
use crate::dialect::{Encoded, Refusal, Target};
use crate::exchange::Exchange;
use crate::outgoing;

/// What is known of the target model.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// The model in the provider's words.
    pub(super) name: &'a str,
    pub(super) family: Family,
    pub(super) capabilities: &'a Capabilities,
    /// What is known of a Claude model.
    pub(super) claude: Option<Model<'a>>,
    /// Whether JSON schemas are enforced, of answers and of tool calls.
    pub(super) takes_schemas: bool,
    /// Whether a tool call can be forced.
    pub(super) takes_forced_tools: bool,
    /// Whether the request makes the model think.
    pub(super) will_think: bool,
}

impl<'a> Facts<'a> {
    fn of(target: &Target<'a>, request: &ChatRequest) -> Self {
        let family = Family::of(target.model);
        let claude = (family == Family::Claude).then(|| Model::of(target));
        let capabilities = target.capabilities;
        let takes_schemas = match &claude {
            Some(model) => model.takes_output_format(),
            None => capabilities.structured_output != Some(false),
        };
        Self {
            name: target.model,
            family,
            capabilities,
            takes_schemas,
            takes_forced_tools: match &claude {
                Some(model) => model.takes_forced_tools(),
                None => capabilities.forced_tool_choice != Some(false),
            },
            will_think: reasoning::is_wanted(&request.reasoning, family, claude.as_ref()),
            claude,
        }
    }

    fn setting(&self) -> Setting<'a> {
        let takes_prefill = match &self.claude {
            Some(model) => model.takes_prefill(),
            None => self.capabilities.prefill != Some(false),
        };
        let takes_system_between_messages = match &self.claude {
            Some(model) => model.takes_system_between_messages(),
            None => self.capabilities.mid_conversation_system == Some(true),
        };
        Setting {
            family: self.family,
            capabilities: self.capabilities,
            takes_system_between_messages,
            takes_prefill,
        }
    }
}

/// Translates a request.
pub(super) fn request(request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Refusal> {
    if request.choices > 1 {
        let detail = "The target gives one answer per request. Leave out `n`, or send the request \
                      once for each answer wanted.";
        return Err(Refusal::of("n", detail));
    }
    let facts = Facts::of(target, request);
    let mut report = Conversion::default();
    let mut names = ToolNames::default();
    report.carry("model");

    tools::reserve_names(request, &mut names);
    let mut conversation =
        messages::translate(&request.messages, facts.setting(), &mut names, &mut report)?;
    let called = conversation
        .speaks_of_tools()
        .then(|| std::mem::take(&mut conversation.called));
    let mut tools = tools::translate(request, &facts, called, &mut names, &mut report);
    let output = output::plan(request, &facts, &mut tools, &mut names, &mut report);
    conversation.system.extend(output.instruction);

    let mut inference = inference::limits(request, &facts, &mut report);
    let forced_tool = tools.is_forced;
    let thoughts_lost = conversation.thoughts_lost();
    let plan = reasoning::plan(
        request,
        &facts,
        &mut inference,
        forced_tool,
        thoughts_lost,
        &mut report,
    )?;
    let mut fields = plan.fields;
    inference::sampling(
        request,
        &facts,
        plan.is_thinking,
        &mut inference,
        &mut fields,
        &mut report,
    );
    if let Some(choice) = tools.native_choice {
        fields.insert("tool_choice".to_owned(), choice);
    }
    let extras = extras::translate(request, &facts, fields, &mut report);
    extras::report_stream(request, &mut report);

    let mut body = wire::Request {
        messages: conversation.turns,
        system: conversation.system,
        inference_config: inference,
        tool_config: (!tools.declared.is_empty()).then_some(wire::ToolConfig {
            tools: tools.declared,
            tool_choice: tools.choice,
        }),
        output_config: wire::OutputConfig {
            effort: plan.effort,
            text_format: output.format,
        },
        service_tier: extras::service_tier(request, &mut report)
            .map(|kind| wire::Tagged { kind: kind.into() }),
        additional_model_request_fields: extras.fields,
        additional_model_response_field_paths: extras.answer_paths,
        native: extras.native,
    };
    cache::limit_breakpoints(&mut body, &mut report);
    let json = outgoing::json(&body, request).map_err(|error| Refusal {
        detail: format!("The request cannot be written as JSON: {error}"),
        param: None,
    })?;
    Ok(Encoded {
        body: Bytes::from(json),
        fields: http::HeaderMap::new(),
        report,
        exchange: Exchange {
            tool_names: names.renamed(),
            answer_tool: output.answer_tool,
            streamed: request.stream,
            model: target.model.to_owned(),
            ..Exchange::default()
        },
    })
}
