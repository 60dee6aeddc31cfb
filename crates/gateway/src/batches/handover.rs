//! Handing a batch over as a whole to a provider that runs batches itself, at its price for batches.
//!
//! What is known of the handover is in the store before and after each step that the provider sees. Where the
//! process ends between its request and the answer, nobody knows whether the provider has the batch; it is
//! then handed over again, and its lines become other calls.

use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, LineFault};
use domain::caller::Caller;
use domain::egress::EgressBody;
use domain::money::Cost;
use domain::name::ModelName;
use domain::provider_error::{Cause, ProviderError, Retry};
use domain::usage::ServiceTier;
use http::Request;
use http::response::Parts;
use providers::batches::{BatchApi, Beginning, Progress};
use providers::dialect::Refusal;

use super::endpoint::Endpoint;
use super::input::Input;
use super::leash::{Leash, Stop};
use super::validation::prepared;
use super::{Batches, Unfinished, after, fail};
use crate::attempt::{Door, read_whole};
use crate::catalog::price;
use crate::chat::Gateway;
use crate::limits::Admission;
use crate::pipeline::provider_error;
use crate::routes::Plan;

/// The largest answer about a batch, in bytes; its results are read piece by piece.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// How often a provider that was asked to stop is looked at.
const STOPPING_POLL: Duration = Duration::from_secs(2);
/// How long a provider may take to stop; what is not there then is given up.
const STOPPING_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// How often a handover is tried that the provider had no room for.
const MAX_TRIES: u32 = 8;

/// A provider that runs batches itself.
pub(super) struct Provider {
    pub(super) api: &'static dyn BatchApi,
    /// Where it is, and with which credential.
    pub(super) plan: Plan,
}

impl Batches {
    /// Hands the lines over, unless that was done, waits until the provider has ended the batch, and settles
    /// what came of it.
    pub(super) async fn hand_over(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        leash: &Leash,
    ) -> Result<(), Unfinished> {
        let now = self.parts.clock.now();
        let (Some(endpoint), Some(provider)) = (Endpoint::of(batch), provider_of(gateway, batch))
        else {
            let message = "The provider that had the batch is no longer configured.";
            batch.details.faults = vec![LineFault::of_batch("provider_gone", message)];
            return Ok(());
        };
        // What the provider has done is settled even when the key is no longer good.
        let Some(caller) = (self.parts.holder)(batch.key_id) else {
            return self.stop_without_key(gateway, batch, &provider).await;
        };
        let is_handed_over = batch
            .details
            .handover
            .as_ref()
            .is_some_and(|it| it.id.is_some());
        let reserved = match self
            .reserve(gateway, batch, endpoint, &provider, &caller)
            .await?
        {
            Ok(reserved) => Some(reserved),
            // What the provider has is settled, whatever is left of the budget.
            Err(_) if is_handed_over => None,
            Err(fault) => {
                fail(batch, vec![fault], now);
                return Ok(());
            }
        };
        if !is_handed_over {
            if leash.stop() != Stop::No {
                return Ok(());
            }
            if let Err(error) = self.submit(gateway, batch, endpoint, &provider).await? {
                fail(batch, vec![of_provider(&error)], self.parts.clock.now());
                return Ok(());
            }
        }
        let Some(places) = self.wait(gateway, batch, &provider, leash).await? else {
            return Ok(());
        };
        for place in places {
            self.settle(gateway, batch, endpoint, &provider, &caller, &place)
                .await?;
        }
        drop(reserved);
        Ok(())
    }

    /// Sets aside what all lines that have not ended may cost at the price for batches.
    async fn reserve(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        endpoint: Endpoint,
        provider: &Provider,
        caller: &Caller,
    ) -> Result<Result<Admission, LineFault>, Unfinished> {
        let now = self.parts.clock.now();
        let mut admission = gateway.limits.admit_settled(caller, None, now);
        if !admission.has_budget() {
            return Ok(Ok(admission));
        }
        let mut total = Cost::ZERO;
        let mut input = Input::of(gateway, batch).await?;
        while let Some(line) = input.next_line(batch.face).await? {
            let priced = endpoint.read(&line.body).ok().and_then(|request| {
                let plan = gateway.routes().plan(&request.model).ok()?;
                let facts = plan.target().facts.as_deref()?;
                price(facts, &request.estimate, ServiceTier::Batch, now).ok()
            });
            total = total.saturating_add(priced.map_or(Cost::ZERO, |priced| priced.total));
        }
        Ok(admission
            .reserve(provider.plan.target().destination(), total)
            .map(|()| admission)
            .map_err(|reached| {
                LineFault::of_batch(
                    "budget_exhausted",
                    format!("The requests may cost ${total}, and {reached}."),
                )
            }))
    }

    /// Hands the lines over; the inner error is the provider's refusal.
    async fn submit(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        endpoint: Endpoint,
        provider: &Provider,
    ) -> Result<Result<(), ProviderError>, Unfinished> {
        let mut tries = 0;
        loop {
            if let Some(handover) = &mut batch.details.handover {
                if handover.number > 0 {
                    tracing::warn!(
                        batch_id = %batch.id,
                        provider = %handover.provider,
                        "a batch is handed over again: whether the provider had it is not known"
                    );
                }
                handover.number = handover.number.saturating_add(1);
                handover.at = self.parts.clock.now();
            }
            // The lines are counted as sent from here on.
            self.save(batch).await?;
            let lines = self.lines_for(gateway, batch, endpoint, provider).await?;
            let submitted = self
                .submit_once(gateway, batch, endpoint, provider, lines)
                .await;
            let error = match submitted {
                Ok(id) => {
                    if let Some(handover) = &mut batch.details.handover {
                        handover.id = Some(id);
                    }
                    self.save(batch).await?;
                    return Ok(Ok(()));
                }
                Err(error) => error,
            };
            tries += 1;
            let wait = match error.retry {
                Retry::Never => None,
                Retry::Now => Some(Duration::from_secs(1 << tries.min(6))),
                Retry::After(wait) => Some(wait.min(Duration::from_mins(5))),
            };
            match wait.filter(|_| tries < MAX_TRIES) {
                Some(wait) => self.parts.clock.sleep(wait).await,
                None => return Ok(Err(error)),
            }
        }
    }

    async fn submit_once(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        endpoint: Endpoint,
        provider: &Provider,
        lines: Vec<u8>,
    ) -> Result<String, ProviderError> {
        let target = provider.plan.target().target();
        let name = batch.id.to_string();
        let api = provider.api;
        let create = match api
            .begin(&target, endpoint.path, &name, lines)
            .map_err(unsendable)?
        {
            Beginning::Create(create) => create,
            Beginning::Upload(upload) => {
                let uploaded = ask(gateway, &provider.plan, upload).await?;
                api.create(&target, endpoint.path, &name, &uploaded)
                    .map_err(provider_error)?
            }
        };
        let created = ask(gateway, &provider.plan, create).await?;
        let progress = api.read(&created).map_err(provider_error)?;
        Ok(progress.id().to_owned())
    }

    /// The lines in the provider's words.
    async fn lines_for(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        endpoint: Endpoint,
        provider: &Provider,
    ) -> Result<Vec<u8>, Unfinished> {
        let mut lines = Vec::new();
        let mut input = Input::of(gateway, batch).await?;
        while let Some(line) = input.next_line(batch.face).await? {
            let body = endpoint.read(&line.body).ok().and_then(|request| {
                let plan = gateway.routes().plan(&request.model).ok()?;
                prepared(endpoint, &plan, &line)
            });
            let body = body.unwrap_or(line.body);
            let api = provider.api;
            api.write_line(&line.custom_id, endpoint.path, &body, &mut lines);
        }
        Ok(lines)
    }

    /// Waits until the provider has ended the batch; answers where its results lie, and nothing where the
    /// batch failed or was given up.
    async fn wait(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        provider: &Provider,
        leash: &Leash,
    ) -> Result<Option<Vec<String>>, Unfinished> {
        loop {
            if leash.stop() != Stop::No {
                self.stop_provider(gateway, batch, provider).await?;
            }
            let id = batch.details.handover.as_ref().and_then(|it| it.id.clone());
            let look = provider
                .api
                .look(
                    &provider.plan.target().target(),
                    id.as_deref().unwrap_or_default(),
                )
                .map_err(unsendable);
            let looked = match look {
                Ok(look) => ask(gateway, &provider.plan, look).await,
                Err(error) => Err(error),
            };
            let progress = looked.and_then(|body| provider.api.read(&body).map_err(provider_error));
            match progress {
                Ok(Progress::Working { .. }) => {}
                Ok(Progress::Ended { places, faults, .. }) => {
                    if !faults.is_empty() && places.is_empty() {
                        fail(batch, faults, self.parts.clock.now());
                        return Ok(None);
                    }
                    return Ok(Some(places));
                }
                Err(error) if error.cause == Cause::NotFound => {
                    batch.details.faults = vec![of_provider(&error)];
                    return Ok(None);
                }
                Err(error) => {
                    tracing::warn!(batch_id = %batch.id, %error, "a provider's batch cannot be looked at");
                }
            }
            let now = self.parts.clock.now();
            if after(batch.expires_at, STOPPING_PATIENCE) <= now {
                let message = "The provider did not end the batch in time.";
                batch.details.faults = vec![LineFault::of_batch("provider_timeout", message)];
                return Ok(None);
            }
            let is_stopped = leash.stop() != Stop::No;
            let poll = self.parts.rules.poll;
            let pause = if is_stopped {
                poll.min(STOPPING_POLL)
            } else {
                self.jittered(poll)
            };
            tokio::select! {
                () = self.parts.clock.sleep(pause) => {}
                () = leash.stopped(), if !is_stopped => {}
                () = self.halted() => return Err(Unfinished::Halted),
            }
        }
    }

    /// Asks the provider to stop, once.
    async fn stop_provider(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        let Some(handover) = batch.details.handover.as_mut().filter(|it| !it.is_stopped) else {
            return Ok(());
        };
        let id = handover.id.clone().unwrap_or_default();
        let cancel = provider.api.cancel(&provider.plan.target().target(), &id);
        let cancelled = match cancel.map_err(unsendable) {
            Ok(cancel) => ask(gateway, &provider.plan, cancel).await,
            Err(error) => Err(error),
        };
        match cancelled {
            Err(error) if error.retry != Retry::Never => {
                tracing::warn!(batch_id = %batch.id, %error, "a provider's batch cannot be stopped yet");
                return Ok(());
            }
            // One that cannot be stopped any more has ended, or is about to.
            Ok(_) | Err(_) => handover.is_stopped = true,
        }
        self.save(batch).await
    }

    /// The owner's key is not even known any more: there is nobody to settle the lines with.
    async fn stop_without_key(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        if batch
            .details
            .handover
            .as_ref()
            .is_some_and(|it| it.id.is_some())
        {
            self.stop_provider(gateway, batch, provider).await?;
        }
        Ok(())
    }

    /// The pause, up to a quarter longer, so that not all batches are looked at together.
    fn jittered(&self, pause: Duration) -> Duration {
        let mut random = [0; 1];
        self.parts.entropy.fill(&mut random);
        pause + pause * u32::from(random[0]) / 1_024
    }
}

/// The provider that has a batch, where it is still configured.
fn provider_of(gateway: &Gateway, batch: &Batch) -> Option<Provider> {
    let handover = batch.details.handover.as_ref()?;
    let name: ModelName = format!("{}/{}", handover.provider, handover.model)
        .parse()
        .ok()?;
    let plan = gateway.routes().plan(&name).ok()?;
    let api = plan
        .target()
        .kind
        .batches(plan.target().provider.host.serves)?;
    Some(Provider { api, plan })
}

/// Asks the provider, and reads its whole answer.
async fn ask(
    gateway: &Gateway,
    plan: &Plan,
    request: Request<Bytes>,
) -> Result<Bytes, ProviderError> {
    let (_, body) = send(gateway, plan, request).await?;
    read_whole(body, MAX_ANSWER).await
}

/// Asks the provider; its answer follows.
pub(super) async fn send(
    gateway: &Gateway,
    plan: &Plan,
    request: Request<Bytes>,
) -> Result<(Parts, EgressBody), ProviderError> {
    let request = gateway.authorized(request, Door::of(plan.target())).await?;
    let answered = gateway
        .send(request, plan.target().provider.reach())
        .await?;
    gateway.successful_task(plan.target(), answered).await
}

pub(super) fn unsendable(refusal: Refusal) -> ProviderError {
    ProviderError::new(Cause::InvalidRequest, refusal.detail)
}

fn of_provider(error: &ProviderError) -> LineFault {
    let code = error.code.clone();
    LineFault {
        param: error.param.clone(),
        ..LineFault::of_batch(
            &code.unwrap_or_else(|| error.cause.as_str().to_owned()),
            format!("The provider did not take the batch: {}", error.message),
        )
    }
}
