//! A line of a batch in the words of the provider that runs it, and its answer in the caller's.

use bytes::Bytes;
use domain::chat::{Conversion, Message, Part};
use domain::provider_error::{Cause, ProviderError};
use http::StatusCode;
use http::response::Parts as Head;
use jiff::Timestamp;
use providers::batches::{BatchApi, Work};
use providers::dialect::{DecodeError, Dialect};
use providers::exchange::Exchange;
use providers::face::{Asked, Face, Rendering};
use providers::lift;
use providers::tap::Observed;
use providers::task::{TaskReader, TaskStep};

use super::endpoint::{Endpoint, Speaks};
use crate::chat::Gateway;
use crate::pipeline::provider_error;
use crate::prepare;
use crate::routes::ResolvedTarget;

/// A line in the words of its provider.
pub(super) struct Worded {
    pub(super) body: Bytes,
    pub(super) passage: Passage,
}

/// How the answer to a line comes back. It follows from the line and its target alone, so that whoever goes
/// on with a batch can make it again.
pub(super) enum Passage {
    /// The provider speaks the caller's format: its answer passes.
    Verbatim {
        dialect: &'static dyn Dialect,
        exchange: Exchange,
    },
    /// Through the domain's chat model.
    Translated {
        dialect: &'static dyn Dialect,
        face: &'static dyn Face,
        exchange: Exchange,
        /// The line's body, which some formats repeat in their answers.
        asked: Bytes,
    },
    /// Something that is no chat.
    Task(Box<dyn TaskReader>),
    /// The line is gone: its answer passes, and nothing is read of it.
    Unread,
}

/// Which way lines go.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) target: &'a ResolvedTarget,
    pub(super) api: &'static dyn BatchApi,
    /// Whether a line is refused rather than handed over with something dropped.
    pub(super) is_strict: bool,
}

/// An answer in the caller's words.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) observed: Observed,
}

/// What the lines ask of their target, where its batches may take that.
pub(super) fn work(endpoint: Endpoint, target: &ResolvedTarget) -> Option<Work> {
    match endpoint.speaks {
        Speaks::Chat(face) => Some(Work::Chat(target.dialect(face.format())?.format())),
        Speaks::Task(_) if endpoint.is_embeddings() => Some(Work::Embeddings),
        Speaks::Task(_) => None,
    }
}

/// The line in the words of its target; `None` where it needs more than can be handed over: a picture that
/// is fetched first, reasoning state that is put back, fields beside the body, or a refusal.
pub(super) fn worded(
    gateway: &Gateway,
    way: Way<'_>,
    body: &Bytes,
    now: Timestamp,
) -> Option<Worded> {
    let asked = Asked::default();
    let target = way.target.target();
    match way.endpoint.speaks {
        Speaks::Chat(face) => {
            let envelope = face.envelope(&asked, body).ok()?;
            let dialect = way.target.dialect(face.format())?;
            if dialect.format() != face.format()
                || !prepare::passes(body, &envelope, way.target, dialect)
            {
                return translated(gateway, way, face, dialect, body, now);
            }
            let exchange = Exchange {
                model: target.model.to_owned(),
                ..Exchange::default()
            };
            let mut report = Conversion::default();
            let spliced =
                prepare::spliced(face, &envelope, body, way.target, dialect, &mut report).ok()?;
            let is_refused = way.is_strict && !report.is_lossless();
            (!is_refused).then(|| Worded {
                body: spliced.body,
                passage: Passage::Verbatim { dialect, exchange },
            })
        }
        Speaks::Task(task) => {
            let kind = way.target.kind;
            let prepared = task.prepare(&asked, body, kind, &target).ok()?;
            prepared.report.is_none().then(|| Worded {
                body: prepared.request.into_body(),
                passage: Passage::Task(prepared.reader),
            })
        }
    }
}

fn translated(
    gateway: &Gateway,
    way: Way<'_>,
    face: &'static dyn Face,
    dialect: &'static dyn Dialect,
    body: &Bytes,
    now: Timestamp,
) -> Option<Worded> {
    let target = way.target.target();
    let request = lift::parse(face, &Asked::default(), body).ok()?;
    let is_kept_for = gateway.custody.is_some() && request.messages.iter().any(calls_tools);
    if is_kept_for || !dialect.media_needed(&request, &target).is_empty() {
        return None;
    }
    let encoded = dialect.encode(&request, &target, now).ok()?;
    let is_refused = way.is_strict && !encoded.report.is_lossless();
    let says_more = !way.api.takes_beside(&encoded.fields);
    (!is_refused && !says_more).then(|| Worded {
        body: encoded.body,
        passage: Passage::Translated {
            dialect,
            face,
            exchange: Exchange {
                // Where a long answer would be streamed, in a batch it is whole.
                streamed: false,
                ..encoded.exchange
            },
            asked: body.clone(),
        },
    })
}

fn calls_tools(message: &Message) -> bool {
    let Message::Assistant { content, .. } = message else {
        return false;
    };
    content.iter().any(|part| matches!(part, Part::ToolCall(_)))
}

impl Passage {
    /// Whether the caller gets the provider's own bytes.
    pub(super) fn is_verbatim(&self) -> bool {
        !matches!(self, Self::Translated { .. })
    }

    /// Reads an answer of a successful status. `rendering` is what the caller is shown beside it.
    pub(super) fn read(
        &self,
        body: Bytes,
        rendering: impl FnOnce(&Bytes) -> Rendering,
    ) -> Result<Answer, ProviderError> {
        let head = head(StatusCode::OK);
        let observed = match self {
            Self::Verbatim { dialect, exchange } => dialect.observe(exchange, &head, &body),
            Self::Translated {
                dialect,
                face,
                exchange,
                asked,
            } => {
                let response = dialect.decode(exchange, &head, &body);
                let response = response.map_err(provider_error)?;
                return Ok(Answer {
                    body: face.render(&response, &rendering(asked), None),
                    observed: Observed::of(&response),
                });
            }
            Self::Task(reader) => match reader.read(&head, body.clone()) {
                Ok(TaskStep::Done(answer)) => {
                    return Ok(Answer {
                        observed: Observed {
                            response_model: answer.response_model,
                            usage: answer.usage,
                            has_content: true,
                            ..Observed::default()
                        },
                        body: answer.body,
                    });
                }
                Ok(TaskStep::Again { .. }) => {
                    let what = "the answer to a line is not its end";
                    return Err(ProviderError::new(Cause::Malformed, what));
                }
                Err(error) => Err(error),
            },
            Self::Unread => Ok(Observed::default()),
        };
        match observed {
            Ok(observed) => Ok(Answer { body, observed }),
            // The answer is the provider's to write; what it took is estimated.
            Err(DecodeError::Malformed(_)) => Ok(Answer {
                body,
                observed: Observed::default(),
            }),
            Err(DecodeError::Provider(error)) => Err(error),
        }
    }
}

/// The head of an answer that has a status and nothing else.
pub(super) fn head(status: StatusCode) -> Head {
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    response.into_parts().0
}
