//! A provider that follows a script.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::clock::{Clock, Sleep};
use domain::egress::{Egress, EgressBody, EgressError, Outbound};
use futures_util::Stream;

use super::Hand;

/// What a scripted provider does with one request.
pub(crate) enum Act {
    /// No answer comes.
    Refuse(EgressError),
    /// The head never comes.
    Hang,
    /// What it does after so long.
    Late(Duration, Box<Act>),
    /// An answer.
    Answer(u16, Vec<(&'static str, String)>, Vec<Step>),
}

/// What comes next of a scripted body.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Piece(Bytes),
    /// Nothing for so long.
    Pause(Duration),
    Break,
    Hang,
}

impl Act {
    pub(crate) fn whole(status: u16, body: &str) -> Self {
        let piece = Step::Piece(Bytes::copy_from_slice(body.as_bytes()));
        Self::Answer(
            status,
            vec![("content-type", "application/json".to_owned())],
            vec![piece],
        )
    }

    pub(crate) fn stream(steps: impl IntoIterator<Item = Step>) -> Self {
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        Self::Answer(200, headers, steps.into_iter().collect())
    }
}

pub(crate) fn piece(text: &str) -> Step {
    Step::Piece(Bytes::copy_from_slice(text.as_bytes()))
}

/// A provider that follows a script, and remembers what it was sent.
#[derive(Default)]
pub(crate) struct Script {
    clock: Arc<Hand>,
    acts: Mutex<VecDeque<Act>>,
    pub(crate) sent: Mutex<Vec<Outbound>>,
}

impl Script {
    pub(crate) fn of(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Self::by(&Arc::default(), acts)
    }

    /// By a clock, for acts that come late.
    pub(crate) fn by(clock: &Arc<Hand>, acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            acts: Mutex::new(acts.into_iter().collect()),
            sent: Mutex::default(),
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

#[async_trait]
impl Egress for Script {
    async fn send(&self, outbound: Outbound) -> Result<http::Response<EgressBody>, EgressError> {
        self.sent.lock().unwrap().push(outbound);
        let mut act = self
            .acts
            .lock()
            .unwrap()
            .pop_front()
            .expect("a request beyond the script");
        while let Act::Late(wait, late) = act {
            self.clock.sleep(wait).await;
            act = *late;
        }
        match act {
            Act::Late(..) => unreachable!("it was waited for"),
            Act::Refuse(error) => Err(error),
            Act::Hang => std::future::pending().await,
            Act::Answer(status, headers, steps) => {
                let mut response = http::Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                let body: EgressBody = Box::pin(Body {
                    steps: steps.into(),
                    clock: Arc::clone(&self.clock),
                    pause: None,
                });
                Ok(response.body(body).unwrap())
            }
        }
    }
}

struct Body {
    steps: VecDeque<Step>,
    clock: Arc<Hand>,
    pause: Option<Sleep>,
}

impl Stream for Body {
    type Item = Result<Bytes, EgressError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let step = match self.steps.front() {
                Some(Step::Hang) => return Poll::Pending,
                _ => self.steps.pop_front(),
            };
            return Poll::Ready(match step {
                Some(Step::Pause(pause)) => {
                    self.pause = Some(self.clock.sleep(pause));
                    continue;
                }
                Some(Step::Piece(bytes)) => Some(Ok(bytes)),
                Some(Step::Break | Step::Hang) => {
                    Some(Err(EgressError::Broken("reset".to_owned())))
                }
                None => None,
            });
        }
    }
}
