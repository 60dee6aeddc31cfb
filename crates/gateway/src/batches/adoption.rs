//! Finding a part that its provider may have: it was asked to run it, and its answer is not known, because
//! the process ended in between or the connection broke.
//!
//! The provider's list of batches tells. Where it keeps the name that a part was handed over with, there is
//! no doubt. Where it does not, batches that were made then and have as many lines are taken one after the
//! other: the lines' names, which stand in the results, tell whether it was the right one. Only what is
//! certainly not there is handed over again.

use std::time::Duration;

use domain::batch::{Batch, Handover, HandoverStep};
use domain::provider_error::{Cause, ProviderError};
use jiff::{SignedDuration, Timestamp};
use providers::batches::{Listed, Mark};

use super::handover::{Errand, Provider, ask, unsendable};
use super::leash::Stop;
use super::submission::{name_of, of_provider};
use super::{Batches, Unfinished, after};
use crate::pipeline::provider_error;

/// How far the provider's clock may be from ours.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(2);
/// How long after it was asked a provider may make a batch: large ones take a while to arrive.
const MADE_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// How long a batch may be missing in the list of a provider that has it, at least; where providers are looked
/// at less often, as long as that.
const GRACE: Duration = Duration::from_secs(5);
/// The most pages that are looked at.
const MAX_PAGES: u32 = 50;
/// How often a part is handed over at most.
const MAX_HANDOVERS: u32 = 8;

impl Batches {
    /// Looks whether the provider has a part, and goes on with what it has.
    pub(super) async fn adopt(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        mut part: Handover,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        let name = name_of(batch.id, index);
        let found = match self.find_part(errand, provider, &part, &name).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(batch_id = %batch.id, provider = %part.provider, %error, "the provider cannot be asked for the batch that it may have");
                return Ok(());
            }
        };
        let now = self.parts.clock.now();
        match found {
            Some((id, is_certain)) => {
                tracing::info!(batch_id = %batch.id, provider = %part.provider, id, is_certain, "a batch is taken up that the provider has");
                part.step = HandoverStep::Running { id, is_certain };
                self.note(batch, index, part).await
            }
            // It may be on its way.
            None if now < after(part.at, self.grace()) => Ok(()),
            None if errand.leash.stop() != Stop::No => {
                self.drop_unasked(errand, batch, index, part, provider)
                    .await
            }
            None if part.number >= MAX_HANDOVERS => {
                let what = "The provider was asked several times and has no such batch.";
                let error = ProviderError::new(Cause::Server, what);
                batch.details.faults.push(of_provider(&error));
                self.refuse(errand, batch, index, part, provider, error)
                    .await
            }
            None => {
                tracing::warn!(batch_id = %batch.id, provider = %part.provider, "a batch is handed over again: the provider has none of its name");
                part.step = HandoverStep::Planned;
                self.note(batch, index, part).await
            }
        }
    }

    fn grace(&self) -> SignedDuration {
        let grace = self.parts.rules.poll.max(GRACE);
        SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX)
    }

    /// What the provider calls the part, and whether that is certain; `None` where it is not there.
    async fn find_part(
        &self,
        errand: &Errand<'_>,
        provider: &Provider,
        part: &Handover,
        name: &str,
    ) -> Result<Option<(String, bool)>, ProviderError> {
        let target = provider.target.target();
        let since = part.at.saturating_sub(CLOCKS_APART);
        let since = since.unwrap_or(Timestamp::MIN);
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let list = provider.api.list(&target, since, next.as_deref());
            let list = list.map_err(unsendable)?;
            let listed = ask(errand.gateway, &provider.target, list).await?;
            let page = provider.api.read_list(&listed).map_err(provider_error)?;
            let mut batches = page.batches.iter();
            let found = batches.find_map(|listed| {
                likeness(part, name, since, listed)
                    .map(|is_certain| (listed.id.clone(), is_certain))
            });
            let made_at = page.batches.last().and_then(|last| last.made_at);
            let is_past = made_at.is_some_and(|made_at| made_at < since);
            next = page.next.filter(|_| !is_past);
            if found.is_some() || next.is_none() {
                return Ok(found);
            }
        }
        let what = "The provider has too many batches to find the one that it may have.";
        Err(ProviderError::new(Cause::Malformed, what))
    }
}

/// Whether a batch may be the part, and then whether it is beyond doubt.
fn likeness(part: &Handover, name: &str, since: Timestamp, listed: &Listed) -> Option<bool> {
    if part.not_this.contains(&listed.id) {
        return None;
    }
    match &listed.mark {
        Mark::Name(listed) => (listed.as_deref() == Some(name)).then_some(true),
        Mark::Lines(lines) => {
            let until = after(part.at, MADE_WITHIN);
            let is_then = listed
                .made_at
                .is_none_or(|made_at| (since..=until).contains(&made_at));
            (*lines == part.lines && is_then).then_some(false)
        }
    }
}
