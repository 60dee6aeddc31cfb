//! Handing a batch over as a whole to providers that run batches themselves, at their prices for batches.
//!
//! Lines for one model of one provider are one part, which is one batch there. What is known of a part is in
//! the store before and after each step that the provider sees, so that whoever goes on after the process
//! ended knows what the provider may have: nothing ([`HandoverStep::Planned`], handed over in `submission`),
//! perhaps the part ([`HandoverStep::Asked`], looked for in `adoption`), or certainly the part
//! ([`HandoverStep::Running`], followed here until its results can be settled in `settlement`). However a
//! part ends, each of its lines is in the ledger then.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, Handover, HandoverStep, LineFault};
use domain::caller::Caller;
use domain::egress::EgressBody;
use domain::provider_error::{Cause, ProviderError, Retry};
use http::Request;
use http::response::Parts;
use providers::batches::{BatchApi, Progress, Work};
use providers::dialect::Refusal;

use super::division::api;
use super::endpoint::Endpoint;
use super::leash::{Leash, Stop};
use super::passage::{Way, work};
use super::settlement::{Rest, Settled};
use super::{Batches, Unfinished, after, fail};
use crate::attempt::{Door, read_whole};
use crate::chat::Gateway;
use crate::pipeline::provider_error;
use crate::routes::ResolvedTarget;

/// The largest answer about a batch, in bytes; its results are read piece by piece.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// How often a provider that was asked to stop, or that may have a part, is looked at.
const SHORT_POLL: Duration = Duration::from_secs(2);
/// How long a provider may take to stop; what is not there then is given up.
const STOPPING_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// What all parts of a batch are handed over with.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) endpoint: Endpoint,
    /// Whose the batch is, whether the key is still good or not: what a provider has done is settled.
    pub(super) caller: &'a Caller,
    pub(super) leash: &'a Leash,
}

/// A provider that runs batches itself.
pub(super) struct Provider {
    pub(super) api: &'static dyn BatchApi,
    /// Where it is, and with which credential.
    pub(super) target: Arc<ResolvedTarget>,
    /// What the lines ask.
    pub(super) work: Work,
}

impl Provider {
    /// The way that lines went before they were handed over: none was kept back then.
    pub(super) fn way(&self, endpoint: Endpoint) -> Way<'_> {
        Way {
            endpoint,
            target: &self.target,
            api: self.api,
            is_strict: false,
        }
    }
}

impl Batches {
    /// Hands the parts over, unless that was done, waits until their providers have ended them, and settles
    /// what came of them.
    pub(super) async fn hand_over(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        leash: &Leash,
    ) -> Result<(), Unfinished> {
        let Some(endpoint) = Endpoint::of(batch) else {
            let message = "The endpoint of the batch is not served any more.";
            batch.details.faults = vec![LineFault::of_batch("invalid_endpoint", message)];
            return Ok(());
        };
        let caller = self.whoever_made(batch);
        let mut held = match self.set_aside(gateway, batch, &caller).await {
            Ok(held) => held,
            Err(fault) => {
                fail(batch, vec![fault], self.parts.clock.now());
                return Ok(());
            }
        };
        let errand = Errand {
            gateway,
            endpoint,
            caller: &caller,
            leash,
        };
        loop {
            for index in 0..batch.details.handovers.len() {
                self.advance(&errand, batch, index).await?;
            }
            held.keep_only(&batch.details.handovers);
            if batch.details.handovers.iter().all(Handover::has_ended) {
                break;
            }
            self.pause(&errand, batch).await?;
        }
        let mut steps = batch.details.handovers.iter().map(|part| &part.step);
        if steps.all(|step| *step == HandoverStep::Refused) {
            let faults = std::mem::take(&mut batch.details.faults);
            fail(batch, faults, self.parts.clock.now());
        }
        Ok(())
    }

    /// Does the next thing for one part, which does not wait for its provider's work.
    async fn advance(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
    ) -> Result<(), Unfinished> {
        let part = batch.details.handovers.get(index);
        let Some(part) = part.filter(|part| !part.has_ended()).cloned() else {
            return Ok(());
        };
        let is_to_stop = errand.leash.stop() != Stop::No;
        let Some(provider) = provider_of(errand, &part) else {
            // It may be configured again; a batch that is to stop has no time for that.
            tracing::warn!(batch_id = %batch.id, provider = %part.provider, "the provider that has a batch cannot be asked");
            if is_to_stop {
                let why = "The provider that was given the batch is not configured any more.";
                return self.give_up(errand, batch, index, part, None, why).await;
            }
            return Ok(());
        };
        let now = self.parts.clock.now();
        if after(batch.expires_at, STOPPING_PATIENCE) <= now {
            let why = "The provider did not end the batch in time.";
            let provider = Some(&provider);
            return self
                .give_up(errand, batch, index, part, provider, why)
                .await;
        }
        match &part.step {
            HandoverStep::Planned if is_to_stop => {
                self.drop_unasked(errand, batch, index, part, &provider)
                    .await
            }
            HandoverStep::Planned => self.submit(errand, batch, index, part, &provider).await,
            HandoverStep::Asked => self.adopt(errand, batch, index, part, &provider).await,
            HandoverStep::Running { .. } => {
                self.follow(errand, batch, index, part, &provider).await
            }
            HandoverStep::Refused | HandoverStep::Settled => Ok(()),
        }
    }

    /// Looks how far the provider has come, and settles what came of a part that has ended.
    async fn follow(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        mut part: Handover,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        if errand.leash.stop() != Stop::No {
            self.stop_provider(errand, batch, index, &mut part, provider)
                .await?;
        }
        let target = provider.target.target();
        let id = part.id().unwrap_or_default();
        let looked = match provider.api.look(&target, id).map_err(unsendable) {
            Ok(look) => ask(errand.gateway, &provider.target, look).await,
            Err(error) => Err(error),
        };
        let progress = looked.and_then(|body| provider.api.read(&body).map_err(provider_error));
        match progress {
            Ok(Progress::Working { .. }) => Ok(()),
            Ok(Progress::Ended { places, faults, .. })
                if places.is_empty() && !faults.is_empty() =>
            {
                batch.details.faults.extend(faults);
                let what = "The provider did not take the batch: its own faults say why.";
                let error = ProviderError::new(Cause::InvalidRequest, what);
                self.refuse(errand, batch, index, part, provider, error)
                    .await
            }
            Ok(Progress::Ended {
                places,
                is_cut_short,
                ..
            }) => {
                let settled = self
                    .settle(errand, batch, &part, provider, &places, is_cut_short)
                    .await?;
                match settled {
                    Settled::All => self.conclude(errand, batch, index, part, provider).await,
                    Settled::NotThis => {
                        part.not_this.extend(part.id().map(str::to_owned));
                        part.step = HandoverStep::Asked;
                        self.note(batch, index, part).await
                    }
                }
            }
            Err(error) if error.cause == Cause::NotFound => {
                let why = "The provider does not know the batch any more.";
                let provider = Some(provider);
                self.give_up(errand, batch, index, part, provider, why)
                    .await
            }
            Err(error) => {
                tracing::warn!(batch_id = %batch.id, %error, "a provider's batch cannot be looked at");
                Ok(())
            }
        }
    }

    /// Asks the provider to stop, once, unless the batch may be another's.
    async fn stop_provider(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        part: &mut Handover,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        let HandoverStep::Running {
            id,
            is_certain: true,
        } = &part.step
        else {
            return Ok(());
        };
        if part.is_stopped {
            return Ok(());
        }
        let target = provider.target.target();
        let cancelled = match provider.api.cancel(&target, id).map_err(unsendable) {
            Ok(cancel) => ask(errand.gateway, &provider.target, cancel).await,
            Err(error) => Err(error),
        };
        if let Err(error) = cancelled
            && error.retry != Retry::Never
        {
            tracing::warn!(batch_id = %batch.id, %error, "a provider's batch cannot be stopped yet");
            return Ok(());
        }
        // One that cannot be stopped any more has ended, or is about to.
        part.is_stopped = true;
        self.note(batch, index, part.clone()).await
    }

    /// Ends a part that its provider did not take; its lines are told why.
    pub(super) async fn refuse(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        mut part: Handover,
        provider: &Provider,
        error: ProviderError,
    ) -> Result<(), Unfinished> {
        let rest = Rest::Refused(error);
        self.end_rest(errand, batch, &part, Some(provider), rest)
            .await?;
        self.discard(errand, batch, &mut part, provider).await;
        part.step = HandoverStep::Refused;
        self.note(batch, index, part).await
    }

    /// Ends a part of which nobody will know what its provider did, and charges for.
    pub(super) async fn give_up(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        mut part: Handover,
        provider: Option<&Provider>,
        why: &str,
    ) -> Result<(), Unfinished> {
        tracing::error!(batch_id = %batch.id, provider = %part.provider, why, "the lines of a batch are recorded as estimated");
        let error = ProviderError::new(Cause::Interrupted, why);
        let rest = Rest::Unknown(error);
        if part.number > 0 {
            self.end_rest(errand, batch, &part, provider, rest).await?;
        }
        if let Some(provider) = provider {
            self.discard(errand, batch, &mut part, provider).await;
        }
        part.step = HandoverStep::Settled;
        self.note(batch, index, part).await
    }

    /// Ends a part that its provider has not, because the batch is to stop.
    pub(super) async fn drop_unasked(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        part: Handover,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        if part.number > 0 {
            self.end_rest(errand, batch, &part, Some(provider), Rest::Unreached)
                .await?;
        }
        self.conclude(errand, batch, index, part, provider).await
    }

    /// Ends a part whose lines have all ended.
    async fn conclude(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        mut part: Handover,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        self.discard(errand, batch, &mut part, provider).await;
        part.step = HandoverStep::Settled;
        self.note(batch, index, part).await
    }

    /// Has the lines deleted that were uploaded; what cannot be deleted stays until the provider's own time
    /// for it is over.
    async fn discard(
        &self,
        errand: &Errand<'_>,
        batch: &Batch,
        part: &mut Handover,
        provider: &Provider,
    ) {
        let Some(file) = part.file.take() else {
            return;
        };
        let target = provider.target.target();
        let discarded = match provider.api.discard(&target, &file).map_err(unsendable) {
            Ok(discard) => ask(errand.gateway, &provider.target, discard).await,
            Err(error) => Err(error),
        };
        match discarded {
            Ok(_) => {}
            Err(error) if error.cause == Cause::NotFound => {}
            Err(error) => {
                tracing::warn!(batch_id = %batch.id, provider = %part.provider, file, %error, "the lines of a batch stay at the provider");
            }
        }
    }

    /// Writes down how far a part has come.
    pub(super) async fn note(
        &self,
        batch: &mut Batch,
        index: usize,
        part: Handover,
    ) -> Result<(), Unfinished> {
        if let Some(place) = batch.details.handovers.get_mut(index) {
            *place = part;
        }
        self.save(batch).await
    }

    /// Waits until the providers are looked at again.
    async fn pause(&self, errand: &Errand<'_>, batch: &Batch) -> Result<(), Unfinished> {
        let leash = errand.leash;
        let is_stopped = leash.stop() != Stop::No;
        let mut steps = batch.details.handovers.iter().map(|part| &part.step);
        let is_next =
            |step: &HandoverStep| matches!(step, HandoverStep::Planned | HandoverStep::Asked);
        let is_pressing = is_stopped || steps.any(is_next);
        let poll = self.parts.rules.poll;
        let pause = if is_pressing {
            poll.min(SHORT_POLL)
        } else {
            self.jittered(poll)
        };
        tokio::select! {
            () = self.parts.clock.sleep(pause) => Ok(()),
            () = leash.stopped(), if !is_stopped => Ok(()),
            () = self.halted() => Err(Unfinished::Halted),
        }
    }

    /// Whose the batch is: where the key is not known any more, somebody who stands for it.
    fn whoever_made(&self, batch: &Batch) -> Caller {
        let holder = (self.parts.holder)(batch.key_id);
        let now = self.parts.clock.now();
        holder.unwrap_or_else(|| Caller::departed(super::input::owner(batch), now))
    }

    /// The pause, up to a quarter longer, so that not all batches are looked at together.
    fn jittered(&self, pause: Duration) -> Duration {
        let mut random = [0; 1];
        self.parts.entropy.fill(&mut random);
        pause + pause * u32::from(random[0]) / 1_024
    }
}

/// The provider of a part, as it is configured now, whatever routes are called.
fn provider_of(errand: &Errand<'_>, part: &Handover) -> Option<Provider> {
    let routes = errand.gateway.routes();
    let provider = routes.provider(part.provider.as_str())?;
    let plan = routes.native_plan(provider, provider.kind, Some(&part.model));
    let target = plan.target();
    Some(Provider {
        api: api(errand.endpoint, target)?,
        work: work(errand.endpoint, target)?,
        target: Arc::clone(target),
    })
}

/// Asks the provider, and reads its whole answer.
pub(super) async fn ask(
    gateway: &Gateway,
    target: &ResolvedTarget,
    request: Request<Bytes>,
) -> Result<Bytes, ProviderError> {
    let (_, body) = send(gateway, target, request).await?;
    read_whole(body, MAX_ANSWER).await
}

/// Asks the provider; its answer follows.
pub(super) async fn send(
    gateway: &Gateway,
    target: &ResolvedTarget,
    request: Request<Bytes>,
) -> Result<(Parts, EgressBody), ProviderError> {
    let request = gateway
        .courier
        .authorized(request, Door::of(target))
        .await?;
    let answered = gateway
        .courier
        .send(request, target.provider.reach())
        .await?;
    gateway.successful_task(target, answered).await
}

pub(super) fn unsendable(refusal: Refusal) -> ProviderError {
    ProviderError::new(Cause::InvalidRequest, refusal.detail)
}
