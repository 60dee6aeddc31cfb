//! How many tokens of input a request is, told before it is asked.
//!
//! A provider that counts is asked: in the caller's own bytes where it speaks the caller's API, and in a translation
//! elsewhere. Where none can be asked, or it answers that it does not count this model, the answer is an
//! estimate, and says so in a field `estimated`. Counting is free.
//!
//! A `CountFace` is one API in which callers ask, of which [`Counting`] makes a task; a `Counter` is one provider's way
//! of being asked. Both stand beside the format that they belong to.

pub(crate) mod estimate;

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::{ChatRequest, Conversion};
use domain::name::ModelName;
use domain::problem::Problem;
use domain::provider_error::{Cause, ProviderError};
use domain::tokenizer::Tokenizers;
use domain::usage::Usage;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::anthropic::MessageCounter;
use crate::bedrock;
use crate::dialect::{DecodeError, Dialect, Format, Refusal, Target};
use crate::face::{Asked, Face, InvalidRequest};
use crate::gemini::ContentCounter;
use crate::kind::ProviderKind;
use crate::openai::responses::InputCounter;
use crate::outgoing::JSON;
use crate::passing::{not_served, refusal};
use crate::task::{PreparedTask, Task, TaskAnswer, TaskEnvelope, TaskReader, TaskStep};
use crate::vertex;

/// One API in which callers ask for a count.
pub(crate) trait CountFace: Copy + Send + Sync + 'static {
    /// The API.
    fn face(&self) -> &'static dyn Face;

    /// As [`Task::continues_answers`].
    fn continues_answers(&self) -> bool {
        false
    }

    /// Reads the model's name; refuses what is no such request.
    fn model(&self, asked: &Asked, body: &Bytes) -> Result<ModelName, InvalidRequest>;

    /// The caller's bytes for a provider of this format that knows the model as `model`.
    fn spliced(&self, body: &Bytes, kind: ProviderKind, model: &str) -> Result<Bytes, Refusal>;

    /// Reads the whole request.
    fn parse(&self, asked: &Asked, body: &Bytes) -> Result<ChatRequest, InvalidRequest>;

    /// Where a field of a chat in this format stands in the caller's body.
    fn place(&self, body: &Bytes, field: String) -> String {
        let _ = body;
        field
    }

    /// The answer that says so many tokens.
    fn render(&self, tokens: u64) -> Value;
}

/// One provider's way of being asked for a count. Pure.
pub(crate) trait Counter: Send + Sync {
    /// The format of what it counts.
    fn dialect(&self) -> &'static dyn Dialect;

    /// The request that asks, without a credential.
    fn request(&self, target: &Target<'_>, counted: Counted<'_>)
    -> Result<Request<Bytes>, Refusal>;

    /// Reads the answer to it.
    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError>;

    /// Whether callers of the same format get the answer as it is.
    fn answers_in_format(&self) -> bool {
        true
    }

    /// Whether a failure says that this model is not counted, or not for this account: then an estimate is better
    /// than none.
    fn cannot_count(&self, failure: &ProviderError) -> bool {
        let _ = failure;
        false
    }
}

/// What is counted.
pub(crate) struct Counted<'a> {
    /// A chat's body in the counter's format; the caller's own bytes, or a translation, which may hold what no count
    /// takes.
    pub(crate) body: Bytes,
    /// Whether the body is the caller's own.
    pub(crate) is_verbatim: bool,
    /// What is said beside it.
    pub(crate) fields: &'a HeaderMap,
    /// Gets what is left out although it would have counted.
    pub(crate) report: &'a mut Conversion,
}

/// Whom to ask; `None` where a provider of this kind does not count this model.
fn counter(
    kind: ProviderKind,
    format: Format,
    target: &Target<'_>,
) -> Option<&'static dyn Counter> {
    match kind {
        ProviderKind::Anthropic => Some(&MessageCounter),
        ProviderKind::Gemini => Some(&ContentCounter),
        ProviderKind::Vertex => vertex::counter(target.model),
        ProviderKind::Bedrock => Some(bedrock::counter(target.model)),
        // OpenAI's tokenizers are at hand, so that nobody has to be asked in another format than its own.
        ProviderKind::Openai
            if target.host.serves.responses && format == Format::OpenaiResponses =>
        {
            Some(&InputCounter)
        }
        _ => None,
    }
}

/// Whether the caller's bytes can pass.
fn passes(counter: &dyn Counter, face: &dyn Face, body: &[u8]) -> bool {
    let dialect = counter.dialect();
    dialect.format() == face.format() && dialect.takes_as_written(body)
}

/// The count that callers ask for in one API.
#[derive(Debug, Clone, Copy)]
pub struct Counting<F>(pub F);

impl<F: CountFace> Task for Counting<F> {
    fn operation(&self) -> Operation {
        Operation::TokenCount
    }

    fn continues_answers(&self) -> bool {
        self.0.continues_answers()
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        Ok(TaskEnvelope {
            model: self.0.model(asked, body)?,
            stream: false,
            estimate: Usage::default(),
        })
    }

    /// An estimate where nobody can be asked. What stands at a URL is not fetched only to be counted: where the
    /// provider would not fetch it either, it is estimated too.
    fn answer(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
        tokenizers: &Tokenizers,
    ) -> Result<Option<TaskAnswer>, Refusal> {
        let face = self.0.face();
        let counter = counter(kind, face.format(), target);
        if counter.is_some_and(|counter| passes(counter, face, body)) {
            return Ok(None);
        }
        let request = self.0.parse(asked, body).map_err(refusal)?;
        if counter.is_some_and(|it| it.dialect().media_needed(&request, target).is_empty()) {
            return Ok(None);
        }
        Ok(Some(estimated(self.0, &request, target.model, tokenizers)))
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        let face = self.0.face();
        let counter = counter(kind, face.format(), target)
            .ok_or_else(|| not_served(kind, "counts of a request's input"))?;
        let is_verbatim = passes(counter, face, body);
        let (counted, fields, mut report) = if is_verbatim {
            let (fields, mut left_out) = (face.forwarded(asked), Conversion::default());
            let dialect = counter.dialect();
            dialect.report_left_out(target, &fields, &mut left_out);
            (self.0.spliced(body, kind, target.model)?, fields, left_out)
        } else {
            translated(self.0, asked, body, counter, target)?
        };
        let request = counter.request(
            target,
            Counted {
                body: counted,
                is_verbatim,
                fields: &fields,
                report: &mut report,
            },
        )?;
        let is_untouched = is_verbatim && report.is_lossless() && report.changed.is_empty();
        Ok(PreparedTask {
            request,
            report: (!is_untouched).then_some(report),
            reader: Box::new(CountReader {
                face: self.0,
                counter,
                is_verbatim,
                asked: asked.clone(),
                body: body.clone(),
                model: target.model.to_owned(),
            }),
        })
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        self.0.face().render_error(problem, request_id)
    }
}

/// The caller's request in the counter's format: the body, what is said beside it, and the report.
fn translated(
    count_face: impl CountFace,
    asked: &Asked,
    body: &Bytes,
    counter: &dyn Counter,
    target: &Target<'_>,
) -> Result<(Bytes, HeaderMap, Conversion), Refusal> {
    let face = count_face.face();
    let request = count_face.parse(asked, body).map_err(refusal)?;
    let dialect = counter.dialect();
    if let Some(url) = dialect.media_needed(&request, target).first() {
        let detail = format!("{url} would have to be fetched only to be counted.");
        return Err(Refusal {
            detail,
            param: None,
        });
    }
    // Nothing that is counted depends on the time.
    let encoded = dialect.encode(&request, target, Timestamp::UNIX_EPOCH);
    let encoded = encoded.map_err(|refused| {
        let refused = refused.in_the_words_of(face, &request);
        Refusal {
            param: refused.param.map(|field| count_face.place(body, field)),
            ..refused
        }
    })?;
    let mut report = encoded.report;
    report.rename(|path| count_face.place(body, face.field(&request, path).into_owned()));
    Ok((encoded.body, encoded.fields, report))
}

fn estimated(
    face: impl CountFace,
    request: &ChatRequest,
    model: &str,
    tokenizers: &Tokenizers,
) -> TaskAnswer {
    let mut counted = face.render(estimate::input_tokens(request, model, tokenizers));
    if let Some(members) = counted.as_object_mut() {
        members.insert("estimated".to_owned(), Value::Bool(true));
    }
    answer(Bytes::from(counted.to_string()))
}

fn answer(body: Bytes) -> TaskAnswer {
    TaskAnswer {
        body,
        content_type: JSON,
        usage: Some(Usage::default()),
        response_model: None,
    }
}

/// Reads a provider's count, and estimates where it refuses to.
struct CountReader<F> {
    face: F,
    counter: &'static dyn Counter,
    is_verbatim: bool,
    asked: Asked,
    body: Bytes,
    /// In the provider's words.
    model: String,
}

impl<F: CountFace> TaskReader for CountReader<F> {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let tokens = self.counter.read(&body)?;
        let format = self.counter.dialect().format();
        let passes = self.counter.answers_in_format() && format == self.face.face().format();
        Ok(TaskStep::Done(if passes {
            TaskAnswer {
                content_type: head.headers.get(CONTENT_TYPE).cloned().unwrap_or(JSON),
                ..answer(body)
            }
        } else {
            answer(Bytes::from(self.face.render(tokens).to_string()))
        }))
    }

    fn decode_error(
        &self,
        _: ProviderKind,
        head: &Parts,
        body: &[u8],
        now: Timestamp,
    ) -> ProviderError {
        self.counter.dialect().decode_error(head, body, now)
    }

    /// A host that only speaks a vendor's format may have no count; who asks it in another format has not named that
    /// endpoint and is not told that it is missing.
    fn instead(&self, failure: &ProviderError, tokenizers: &Tokenizers) -> Option<TaskAnswer> {
        let is_missing = failure.cause == Cause::NotFound && !self.is_verbatim;
        if !is_missing && !self.counter.cannot_count(failure) {
            return None;
        }
        let request = self.face.parse(&self.asked, &self.body).ok()?;
        Some(estimated(self.face, &request, &self.model, tokenizers))
    }
}

/// An answer that is no count.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn unreadable(error: serde_json::Error) -> DecodeError {
    DecodeError::Malformed(format!("the count is not readable: {error}"))
}
