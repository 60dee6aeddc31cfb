//! Handing a part over: its lines are uploaded where the provider wants that, and it is asked to run them.

use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, Handover, HandoverStep, LineFault};
use domain::id::BatchId;
use domain::provider_error::{Cause, ProviderError, Retry};
use http::Request;
use providers::batches::{Beginning, Handing};

use super::division::is_of;
use super::handover::{Errand, Provider, ask, unsendable};
use super::input::Input;
use super::leash::Stop;
use super::passage::worded;
use super::{Batches, Unfinished};
use crate::pipeline::provider_error;

/// How often a handover is tried that the provider had no room for.
const MAX_TRIES: u32 = 8;
/// The longest wait that a provider's `Retry-After` makes.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// Why a part was not handed over.
enum Failure {
    /// The provider has nothing to run.
    NotTaken(ProviderError),
    /// The provider may have taken it: that is to be found out.
    Unclear(ProviderError),
    /// The work on the batch stops.
    Unfinished(Unfinished),
}

impl Batches {
    /// Hands a part over. Where the provider's answer is not clear, the part is left as one that the provider
    /// may have.
    pub(super) async fn submit(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        mut part: Handover,
        provider: &Provider,
    ) -> Result<(), Unfinished> {
        let mut tries = 0;
        loop {
            let submitted = self
                .submit_once(errand, batch, index, &mut part, provider)
                .await;
            let error = match submitted {
                Ok(id) => {
                    part.step = HandoverStep::Running {
                        id,
                        is_certain: true,
                    };
                    return self.note(batch, index, part).await;
                }
                Err(Failure::Unclear(error)) => {
                    tracing::warn!(batch_id = %batch.id, provider = %part.provider, %error, "whether the provider has the batch is not known yet");
                    return Ok(());
                }
                Err(Failure::NotTaken(error)) => error,
                Err(Failure::Unfinished(unfinished)) => return Err(unfinished),
            };
            if part.step != HandoverStep::Planned {
                part.step = HandoverStep::Planned;
                self.note(batch, index, part.clone()).await?;
            }
            tries += 1;
            let wait = match error.retry {
                Retry::Never if !is_unclear(error.cause) => None,
                Retry::Never | Retry::Now => Some(Duration::from_secs(1 << tries.min(6))),
                Retry::After(wait) => Some(wait.min(MAX_WAIT)),
            };
            let Some(wait) = wait.filter(|_| tries < MAX_TRIES) else {
                batch.details.faults.push(of_provider(&error));
                return self
                    .refuse(errand, batch, index, part, provider, error)
                    .await;
            };
            tokio::select! {
                () = self.parts.clock.sleep(wait) => {}
                () = errand.leash.stopped() => {}
                () = self.halted() => return Err(Unfinished::Halted),
            }
            if errand.leash.stop() != Stop::No {
                return Ok(());
            }
        }
    }

    /// Answers what the provider calls the batch.
    async fn submit_once(
        &self,
        errand: &Errand<'_>,
        batch: &mut Batch,
        index: usize,
        part: &mut Handover,
        provider: &Provider,
    ) -> Result<String, Failure> {
        let name = name_of(batch.id, index);
        let target = provider.target.target();
        let handing = Handing {
            target: &target,
            work: provider.work,
            name: &name,
        };
        let create = if let Some(file) = &part.file {
            provider.api.create(&handing, file)
        } else {
            let lines = self.lines_for(errand, batch, part, provider).await?;
            match provider.api.begin(&handing, lines).map_err(not_taken)? {
                Beginning::Create(create) => Ok(create),
                Beginning::Upload(upload) => {
                    let file = self.upload(errand, &handing, provider, upload).await;
                    let file = file.map_err(Failure::NotTaken)?;
                    part.file = Some(file.clone());
                    self.note(batch, index, part.clone()).await?;
                    provider.api.create(&handing, &file)
                }
            }
        };
        let create = create.map_err(not_taken)?;
        part.step = HandoverStep::Asked;
        part.number = part.number.saturating_add(1);
        part.at = self.parts.clock.now();
        if let Some(place) = batch.details.handovers.get_mut(index) {
            place.clone_from(part);
        }
        let (store, replica) = (&self.parts.store, self.parts.replica);
        let saved = store.save_before_asking(batch, replica).await;
        if !saved.map_err(Unfinished::from)? {
            return Err(Unfinished::Lost.into());
        }
        let created = ask(errand.gateway, &provider.target, create).await;
        let created = created.map_err(|error| {
            if is_unclear(error.cause) {
                Failure::Unclear(error)
            } else {
                Failure::NotTaken(error)
            }
        })?;
        let progress = provider.api.read(&created).map_err(provider_error);
        progress
            .map(|progress| progress.id().to_owned())
            .map_err(Failure::Unclear)
    }

    async fn upload(
        &self,
        errand: &Errand<'_>,
        handing: &Handing<'_>,
        provider: &Provider,
        upload: Request<Bytes>,
    ) -> Result<String, ProviderError> {
        let uploaded = ask(errand.gateway, &provider.target, upload).await?;
        provider
            .api
            .uploaded(handing, &uploaded)
            .map_err(provider_error)
    }

    /// The lines of a part in the provider's words.
    async fn lines_for(
        &self,
        errand: &Errand<'_>,
        batch: &Batch,
        part: &Handover,
        provider: &Provider,
    ) -> Result<Vec<u8>, Unfinished> {
        let Errand {
            gateway, endpoint, ..
        } = *errand;
        let mut lines = Vec::new();
        let mut input = Input::of(gateway, batch).await?;
        while let Some(line) = input.next_line(batch.face).await? {
            let request = endpoint.read(&line.body).ok();
            if !request.is_some_and(|request| is_of(part, &request.model)) {
                continue;
            }
            let way = provider.way(endpoint);
            let worded = worded(gateway, way, &line.body, batch.created_at);
            let body = worded.map_or(line.body, |worded| worded.body);
            let name = line_name(batch.id, line.number);
            provider
                .api
                .write_line(&name, provider.work, &body, &mut lines);
        }
        Ok(lines)
    }
}

/// What a part is called at its provider, by which it is found again.
pub(super) fn name_of(batch: BatchId, index: usize) -> String {
    match index {
        0 => batch.to_string(),
        more => format!("{batch}-{}", more + 1),
    }
}

/// What a line is called at the provider: no two batches have the same.
pub(super) fn line_name(batch: BatchId, number: u32) -> String {
    format!("{batch}-{number}")
}

/// The number of the line of `batch` that is called so; `None` where it is another's.
pub(super) fn line_number(batch: BatchId, name: &str) -> Option<u32> {
    let rest = name.strip_prefix(&batch.to_string())?;
    rest.strip_prefix('-')?.parse().ok()
}

/// Whether the provider may have done what it was asked, although it did not say so.
fn is_unclear(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Timeout | Cause::Interrupted | Cause::Server | Cause::Malformed
    )
}

fn not_taken(refusal: providers::dialect::Refusal) -> Failure {
    Failure::NotTaken(unsendable(refusal))
}

/// What is wrong, in the words of a batch.
pub(super) fn of_provider(error: &ProviderError) -> LineFault {
    let code = error.code.clone();
    LineFault {
        param: error.param.clone(),
        ..LineFault::of_batch(
            &code.unwrap_or_else(|| error.cause.as_str().to_owned()),
            format!("The provider did not take the batch: {}", error.message),
        )
    }
}

impl From<Unfinished> for Failure {
    fn from(unfinished: Unfinished) -> Self {
        Self::Unfinished(unfinished)
    }
}

#[cfg(test)]
mod unit {
    use domain::entropy::Entropy;
    use jiff::Timestamp;

    use super::*;
    use crate::testing::Counting;

    #[test]
    fn lines_are_told_by_names_that_no_other_batch_has() {
        let entropy: &dyn Entropy = &Counting::default();
        let batch = BatchId::new(Timestamp::UNIX_EPOCH, entropy);
        let other = BatchId::new(Timestamp::UNIX_EPOCH, entropy);
        let name = line_name(batch, 50_000);
        assert!(name.len() <= 64, "Anthropic takes no longer ones: {name}");
        assert_eq!(line_number(batch, &name), Some(50_000));
        assert_eq!(line_number(other, &name), None);
        assert_eq!(line_number(batch, "request-1"), None);
        assert_ne!(name_of(batch, 0), name_of(batch, 1));
    }
}
