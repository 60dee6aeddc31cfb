//! Looking at the lines of a batch before the first is asked.

use std::collections::HashSet;

use domain::batch::{Batch, BatchFace, BatchState, LineFault};
use domain::caller::Caller;

use super::division::{Division, Looked};
use super::endpoint::{Endpoint, Request};
use super::input::{Input, Line, file};
use super::{Batches, Unfinished, fail, is_final};
use crate::chat::Gateway;
use crate::files::FileError;
use crate::plan::permitted;
use crate::routes::Plan;

/// The most faults that are reported: whoever has so many knows what to look for.
const MAX_FAULTS: usize = 100;
/// What lines are looked at with, and what was seen.
struct Looking<'a> {
    gateway: &'a Gateway,
    endpoint: Endpoint,
    face: BatchFace,
    caller: &'a Caller,
    division: Division,
    /// The models that are asked for, two at most: whether it is one is all that is wanted.
    models: HashSet<String>,
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
        let mut looking = Looking {
            gateway,
            endpoint,
            face: batch.face,
            caller: &caller,
            division: Division::new(batch.created_at),
            models: HashSet::new(),
        };
        let looked = self.look_at_lines(&mut looking, batch).await;
        let faults = match looked {
            Ok(faults) => faults,
            Err(Unfinished::File(error)) if is_final(&error) => {
                let message = format!("The input file cannot be read: {error}.");
                vec![LineFault::of_batch("invalid_file", message)]
            }
            Err(unfinished) => return Err(unfinished),
        };
        if !faults.is_empty() {
            fail(batch, faults, now);
            return Ok(());
        }
        batch.details.in_progress_at = Some(now);
        let mut models = looking.models.into_iter();
        batch.details.model = models.next().filter(|_| models.next().is_none());
        batch.details.handovers = looking.division.handovers();
        batch.state = BatchState::InProgress;
        Ok(())
    }

    async fn look_at_lines(
        &self,
        looking: &mut Looking<'_>,
        batch: &mut Batch,
    ) -> Result<Vec<LineFault>, Unfinished> {
        let gateway = looking.gateway;
        let rules = &self.parts.rules;
        let size = file(gateway, batch).await?.bytes;
        if size > rules.max_bytes {
            let max = rules.max_bytes;
            return Err(FileError::TooLarge { max }.into());
        }
        let mut input = Input::of(gateway, batch).await?;
        let mut faults = Vec::new();
        let mut ids = HashSet::new();
        let mut count = 0_u32;
        while let Some(raw) = input.next().await? {
            count = count.saturating_add(1);
            if count > rules.max_lines {
                let message = format!("The batch has more than {} requests.", rules.max_lines);
                faults.push(LineFault::of_batch("too_many_requests", message));
                break;
            }
            let number = raw.number;
            let looked = Line::read(batch.face, raw, looking.endpoint.path)
                .and_then(|line| looking.look(&line).map(|()| line.custom_id));
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
        Ok(faults)
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

impl Looking<'_> {
    /// Looks at one line: whether it can be asked at all, and which way it goes.
    fn look(&mut self, line: &Line) -> Result<(), LineFault> {
        match self.request(line) {
            Ok((request, plan)) => {
                if self.models.len() <= 1 {
                    self.models.insert(request.model.as_str().to_owned());
                }
                let routes = self.gateway.routes();
                let model = &request.model;
                if permitted(&routes, self.caller, model, plan.target()).is_err() {
                    // Asked by itself, it is answered by another target, or refused.
                    self.division.give_up();
                    return Ok(());
                }
                let looked = Looked {
                    endpoint: self.endpoint,
                    plan: &plan,
                    request: &request,
                    body: &line.body,
                    is_budgeted: self.gateway.limits.has_budget(self.caller),
                };
                self.division.add(self.gateway, &looked);
                Ok(())
            }
            // Anthropic looks at requests one by one, when it is their turn: each fails for itself.
            Err(_) if self.face == BatchFace::Anthropic => {
                self.division.give_up();
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn request(&self, line: &Line) -> Result<(Request, Plan), LineFault> {
        let fault = |code: &str, param: String, message: String| LineFault {
            code: code.to_owned(),
            message,
            param: Some(param),
            line: Some(line.number),
        };
        let request = self.endpoint.read(&line.body).map_err(|invalid| {
            let param = invalid
                .param
                .map_or("body".to_owned(), |param| format!("body.{param}"));
            fault("invalid_request", param, invalid.detail)
        })?;
        let unknown = |message| fault("model_not_found", "body.model".to_owned(), message);
        let model = &request.model;
        if !self.caller.may_use(model.as_str()) {
            let message = format!("The API key does not permit the model '{model}'.");
            return Err(unknown(message));
        }
        let plan = self.gateway.routes().plan(model);
        let plan = plan.map_err(|_| unknown(format!("The model '{model}' is not served here.")))?;
        Ok((request, plan))
    }
}
