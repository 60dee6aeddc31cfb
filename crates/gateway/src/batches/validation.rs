//! Looking at the lines of a batch before the first is asked.

use std::collections::HashSet;

use domain::batch::{Batch, BatchFace, BatchState, Handover, LineFault};
use domain::caller::Caller;
use domain::name::ProviderName;
use memchr::memmem;
use providers::face::Asked;

use super::endpoint::{Endpoint, Speaks};
use super::input::{Input, Line, file};
use super::{Batches, Unfinished, fail, is_final};
use crate::chat::Gateway;
use crate::files::FileError;
use crate::plan::permitted;
use crate::prepare;
use crate::routes::Plan;

/// The most faults that are reported: whoever has so many knows what to look for.
const MAX_FAULTS: usize = 100;
/// What only this gateway can put in its place: a line that has it is asked here.
const OF_THIS_GATEWAY: [&[u8]; 3] = [
    b"\"file_id\"",
    b"\"previous_response_id\"",
    b"\"item_reference\"",
];

/// What all lines have in common, as far as they were looked at.
#[derive(Default)]
struct Common {
    /// The one provider that runs batches itself and is asked for every line so far.
    provider: Option<ProviderName>,
    model: Option<String>,
    has_one_model: bool,
}

impl Batches {
    /// Looks at every line, and decides which way they go. A batch with a fault does not begin.
    pub(super) async fn validate(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
    ) -> Result<(), Unfinished> {
        let now = self.parts.clock.now();
        let (Some(endpoint), Some(caller)) = (Endpoint::of(batch), self.caller(batch.key_id))
        else {
            // Without a key nobody can be asked; what was wished is written down as such.
            batch.state = BatchState::Finalizing;
            return Ok(());
        };
        let looked = self.look_at_lines(gateway, batch, endpoint, &caller).await;
        let (common, faults) = match looked {
            Ok(looked) => looked,
            Err(Unfinished::File(error)) if is_final(&error) => {
                let message = format!("The input file cannot be read: {error}.");
                (
                    Common::default(),
                    vec![LineFault::of_batch("invalid_file", message)],
                )
            }
            Err(unfinished) => return Err(unfinished),
        };
        if !faults.is_empty() {
            fail(batch, faults, now);
            return Ok(());
        }
        batch.details.in_progress_at = Some(now);
        batch.details.model = common.model.clone().filter(|_| common.has_one_model);
        batch.details.handover = common.handover(gateway, batch, endpoint, now);
        batch.state = BatchState::InProgress;
        Ok(())
    }

    async fn look_at_lines(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        endpoint: Endpoint,
        caller: &Caller,
    ) -> Result<(Common, Vec<LineFault>), Unfinished> {
        let rules = &self.parts.rules;
        let size = file(gateway, batch).await?.bytes;
        if size > rules.max_bytes {
            let max = rules.max_bytes;
            return Err(FileError::TooLarge { max }.into());
        }
        let mut input = Input::of(gateway, batch).await?;
        let mut faults = Vec::new();
        let mut ids = HashSet::new();
        let mut common: Option<Common> = None;
        let mut count = 0_u32;
        while let Some(raw) = input.next().await? {
            count = count.saturating_add(1);
            if count > rules.max_lines {
                let message = format!("The batch has more than {} requests.", rules.max_lines);
                faults.push(LineFault::of_batch("too_many_requests", message));
                break;
            }
            let number = raw.number;
            let looked = Line::read(batch.face, raw, endpoint.path).and_then(|line| {
                look(gateway, caller, endpoint, batch.face, &line, &mut common)
                    .map(|()| line.custom_id)
            });
            let fault = match looked {
                Ok(custom_id) => {
                    if ids.insert(custom_id) {
                        continue;
                    }
                    duplicate(number)
                }
                Err(fault) => fault,
            };
            faults.push(fault);
            if faults.len() >= MAX_FAULTS {
                break;
            }
        }
        if count == 0 {
            let message = "The input file is empty. Please ensure that the batch contains at least one \
                           request.";
            faults.push(LineFault::of_batch("empty_file", message));
        }
        batch.details.lines = count;
        Ok((common.unwrap_or_default(), faults))
    }
}

fn duplicate(number: u32) -> LineFault {
    LineFault {
        code: "duplicate_custom_id".to_owned(),
        message: "The custom_id for this request is a duplicate of another request. The custom_id \
                  parameter must be unique for each request in a batch."
            .to_owned(),
        param: Some("custom_id".to_owned()),
        line: Some(number),
    }
}

/// Looks at one line: whether it can be asked at all, and what it has in common with those before.
fn look(
    gateway: &Gateway,
    caller: &Caller,
    endpoint: Endpoint,
    face: BatchFace,
    line: &Line,
    common: &mut Option<Common>,
) -> Result<(), LineFault> {
    let fault = |code: &str, param: String, message: String| LineFault {
        code: code.to_owned(),
        message,
        param: Some(param),
        line: Some(line.number),
    };
    let looked = endpoint
        .read(&line.body)
        .map_err(|invalid| {
            let param = invalid
                .param
                .map_or("body".to_owned(), |param| format!("body.{param}"));
            fault("invalid_request", param, invalid.detail)
        })
        .and_then(|request| {
            let unknown = |message| fault("model_not_found", "body.model".to_owned(), message);
            let model = request.model;
            if !caller.may_use(model.as_str()) {
                let message = format!("The API key does not permit the model '{model}'.");
                return Err(unknown(message));
            }
            let plan = gateway.routes().plan(&model);
            let plan =
                plan.map_err(|_| unknown(format!("The model '{model}' is not served here.")))?;
            Ok((model, plan))
        });
    match looked {
        Ok((model, plan)) => {
            let target = plan.target();
            let may_run_it = permitted(&gateway.routes(), caller, &model, target).is_ok();
            let provider = (may_run_it && runs_it_itself(endpoint, &plan, line))
                .then(|| target.provider.name.clone());
            let model = model.as_str();
            match common {
                None => {
                    *common = Some(Common {
                        provider,
                        model: Some(model.to_owned()),
                        has_one_model: true,
                    });
                }
                Some(common) => {
                    common.has_one_model &= common.model.as_deref() == Some(model);
                    if common.provider != provider {
                        common.provider = None;
                    }
                }
            }
            Ok(())
        }
        // Anthropic looks at requests one by one, when it is their turn: each fails for itself.
        Err(_) if face == BatchFace::Anthropic => {
            *common = Some(Common::default());
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

/// Whether the provider of a line runs batches itself and takes the line as it is written.
fn runs_it_itself(endpoint: Endpoint, plan: &Plan, line: &Line) -> bool {
    let target = plan.target();
    let Some(api) = target.kind.batches(target.provider.host.serves) else {
        return false;
    };
    let needs_us = |text: &&[u8]| memmem::find(&line.body, text).is_some();
    if !api.takes(endpoint.path) || OF_THIS_GATEWAY.iter().any(needs_us) {
        return false;
    }
    prepared(endpoint, plan, line).is_some()
}

/// The line's body in the provider's words; `None` where it would have to be translated.
pub(super) fn prepared(endpoint: Endpoint, plan: &Plan, line: &Line) -> Option<bytes::Bytes> {
    let asked = Asked::default();
    let target = plan.target().target();
    match endpoint.speaks {
        Speaks::Chat(face) => {
            let envelope = face.envelope(&asked, &line.body).ok()?;
            let dialect = plan.target().dialect(face.format())?;
            let passes = dialect.format() == face.format()
                && prepare::passes(&line.body, &envelope, plan.target(), dialect);
            passes.then(|| face.splice(&envelope, &line.body, target.model).body)
        }
        Speaks::Task(task) => {
            let prepared = task
                .prepare(&asked, &line.body, plan.target().kind, &target)
                .ok()?;
            (prepared.report.is_none()).then(|| prepared.request.into_body())
        }
    }
}

impl Common {
    /// The way to the provider, where every line may go there together.
    fn handover(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        endpoint: Endpoint,
        now: jiff::Timestamp,
    ) -> Option<Handover> {
        let provider = self.provider.clone()?;
        let plan = gateway
            .routes()
            .plan(&self.model.as_deref()?.parse().ok()?)
            .ok()?;
        let api = plan
            .target()
            .kind
            .batches(plan.target().provider.host.serves)?;
        let bounds = api.bounds();
        let fits =
            batch.details.lines <= bounds.lines && (self.has_one_model || bounds.mixes_models);
        (fits && api.takes(endpoint.path)).then(|| Handover {
            provider,
            model: plan.target().model.clone(),
            number: 0,
            id: None,
            at: now,
            is_stopped: false,
        })
    }
}
