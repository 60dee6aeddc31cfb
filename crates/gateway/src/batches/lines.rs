//! Asking the lines of a batch one by one, several at a time.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, EndedLine};
use domain::caller::Caller;
use domain::id::RequestId;
use domain::problem::{Problem, ProblemKind};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use providers::face::Asked;

use super::endpoint::{Endpoint, Speaks};
use super::input::{Input, Line};
use super::leash::{Leash, Stop};
use super::{Batches, Unfinished};
use crate::chat::{ChatError, Gateway, Inbound, ReportWanted};
use crate::reply::Reply;

/// How often a line is asked again that the provider had no room for.
const MAX_TRIES: u32 = 6;
/// The longest wait before a line is asked again.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// How long a line waits that the gateway itself had no room for.
const OWN_WAIT: Duration = Duration::from_secs(5);

/// What all lines of a batch are asked with.
#[derive(Clone, Copy)]
struct Asking<'a> {
    batch: &'a Batch,
    endpoint: Endpoint,
    caller: &'a Caller,
}

impl Batches {
    /// Asks every line that has not ended, until all have or the batch is to stop. A line that has ended is
    /// in the store before it counts; one that is under way when the batch stops is cancelled.
    pub(super) async fn ask_lines(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        leash: &Leash,
    ) -> Result<(), Unfinished> {
        let (Some(endpoint), Some(caller)) = (Endpoint::of(batch), self.caller(batch.key_id))
        else {
            return Ok(());
        };
        let ended = self.parts.store.ended_numbers(batch.id).await?;
        let ended: HashSet<u32> = ended.into_iter().collect();
        let asking = Asking {
            batch,
            endpoint,
            caller: &caller,
        };
        let mut input = Input::of(gateway, batch).await?;
        let mut has_more = true;
        let mut under_way = FuturesUnordered::new();
        loop {
            let is_full = under_way.len() >= self.parts.rules.concurrency;
            if has_more && !is_full && !self.is_halted() && leash.stop() == Stop::No {
                match input.next_line(batch.face).await? {
                    Some(line) if ended.contains(&line.number) => {}
                    Some(line) => under_way.push(self.ask(gateway, asking, line)),
                    None => has_more = false,
                }
                continue;
            }
            tokio::select! {
                biased;
                () = leash.stopped() => return Ok(()),
                line = under_way.next() => match line {
                    Some(line) => self.end_lines(batch, &[line]).await?,
                    None => break,
                },
            }
        }
        if has_more {
            return Err(Unfinished::Halted);
        }
        Ok(())
    }

    /// Keeps lines that have ended.
    pub(super) async fn end_lines(
        &self,
        batch: &Batch,
        lines: &[EndedLine],
    ) -> Result<(), Unfinished> {
        let store = &self.parts.store;
        if store.end_lines(batch, self.parts.replica, lines).await? {
            Ok(())
        } else {
            Err(Unfinished::Lost)
        }
    }

    /// Asks one line, again where only time was missing.
    async fn ask(&self, gateway: &Gateway, asking: Asking<'_>, line: Line) -> EndedLine {
        let mut tries = 0;
        loop {
            // The semaphore is never closed.
            let place = self.room.acquire().await.ok();
            let now = self.parts.clock.now();
            let request_id = RequestId::new(now, &*self.parts.entropy);
            let outcome = self.ask_once(gateway, asking, &line, request_id).await;
            drop(place);
            tries += 1;
            let (status, body) = match outcome {
                Ok(body) => (http::StatusCode::OK.as_u16(), body),
                Err(error) => {
                    if let Some(wait) = wait_before_next(&error, tries) {
                        self.parts.clock.sleep(wait).await;
                        continue;
                    }
                    let problem = (self.parts.explain)(error);
                    asking.endpoint.refuse(&problem, &request_id.to_string())
                }
            };
            return EndedLine {
                number: line.number,
                request_id,
                status,
                body,
            };
        }
    }

    async fn ask_once(
        &self,
        gateway: &Gateway,
        asking: Asking<'_>,
        line: &Line,
        request_id: RequestId,
    ) -> Result<Bytes, ChatError> {
        asking.endpoint.read(&line.body)?;
        let reply = match asking.endpoint.speaks {
            Speaks::Chat(face) => {
                let inbound = self.inbound(face, asking, line, request_id);
                Box::pin(gateway.chat(asking.caller, inbound)).await?
            }
            Speaks::Task(task) => {
                let inbound = self.inbound(task, asking, line, request_id);
                Box::pin(gateway.perform(asking.caller, inbound)).await?
            }
        };
        match reply {
            Reply::Whole { body, .. } => Ok(body),
            // Asked for whole, it is not streamed; were it, nobody could read it here.
            Reply::Stream { .. } => {
                let detail = "The answer to a line of a batch came as a stream.";
                Err(providers::face::InvalidRequest::of("stream", detail).into())
            }
        }
    }

    fn inbound<Api: ?Sized>(
        &self,
        face: &'static Api,
        asking: Asking<'_>,
        line: &Line,
        request_id: RequestId,
    ) -> Inbound<Api> {
        Inbound {
            request_id,
            started_at: self.parts.clock.now(),
            received: self.parts.clock.moment(),
            face,
            face_name: asking.endpoint.recorded,
            asked: Asked::default(),
            body: line.body.clone(),
            client_request_id: Some(recorded_id(&line.custom_id)),
            batch_id: Some(asking.batch.id),
            traceparent: None,
            wishes: None,
            report: ReportWanted::default(),
        }
    }
}

/// A line's own identifier as the ledger keeps it: at most 256 bytes, cut at a character's end.
pub(super) fn recorded_id(custom_id: &str) -> String {
    let end = (0..=custom_id.len().min(256))
        .rev()
        .find(|end| custom_id.is_char_boundary(*end));
    custom_id
        .get(..end.unwrap_or(0))
        .unwrap_or_default()
        .to_owned()
}

/// How long to wait before a line is asked again; `None` where that would change nothing.
fn wait_before_next(error: &ChatError, tries: u32) -> Option<Duration> {
    match error {
        ChatError::LimitReached(reached) => {
            let wait = reached.retry_after()?;
            Some(wait.clamp(Duration::from_secs(1), MAX_WAIT))
        }
        ChatError::Ledger(_) | ChatError::Store(_) => Some(OWN_WAIT),
        ChatError::Failed { problem, .. } if tries < MAX_TRIES && is_crowded(problem) => {
            let doubled = Duration::from_secs(1 << tries.min(6));
            Some(problem.retry_after.unwrap_or(doubled).min(MAX_WAIT))
        }
        _ => None,
    }
}

/// Whether the provider has too much to do.
fn is_crowded(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::ProviderRateLimited | ProblemKind::ProviderOverloaded
    )
}

#[cfg(test)]
mod unit {
    use domain::limit::Bound;

    use super::*;
    use crate::limits::{LimitReached, Relief};

    #[test]
    fn a_long_identifier_is_cut_at_a_characters_end() {
        assert_eq!(recorded_id("one"), "one");
        let long = "東".repeat(100);
        let cut = recorded_id(&long);
        assert_eq!(cut.len(), 255);
        assert!(long.starts_with(&cut));
    }

    #[test]
    fn only_what_time_can_change_is_asked_again() {
        let reached = |relief| LimitReached {
            whose: "the key's",
            bound: Bound::Concurrency { most: 1 },
            relief,
            is_of_target: false,
            standing: None,
            left: domain::money::Cost::ZERO,
        };
        let rate = reached(Relief::After(Duration::from_millis(10)));
        let wait = wait_before_next(&rate.into(), 100);
        assert_eq!(wait, Some(Duration::from_secs(1)));
        let tokens = reached(Relief::Never { needed: 2 });
        assert_eq!(wait_before_next(&tokens.into(), 1), None);
        let failed = |kind, retry_after| ChatError::Failed {
            problem: Box::new(Problem {
                retry_after,
                ..Problem::new(kind, "No.")
            }),
            provider: "sim".parse().unwrap(),
            attempts: 1,
        };
        let crowded = failed(ProblemKind::ProviderOverloaded, None);
        assert_eq!(wait_before_next(&crowded, 2), Some(Duration::from_secs(4)));
        assert_eq!(wait_before_next(&crowded, MAX_TRIES), None);
        let asked = failed(
            ProblemKind::ProviderRateLimited,
            Some(Duration::from_hours(9)),
        );
        assert_eq!(wait_before_next(&asked, 1), Some(MAX_WAIT));
        let broken = failed(ProblemKind::ProviderFailed, None);
        assert_eq!(wait_before_next(&broken, 1), None);
    }
}
