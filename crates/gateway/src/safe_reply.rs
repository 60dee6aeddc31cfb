//! The last resort of a route: words of the operator's, where no provider has an answer.

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatResponse, Choice, Conversion, Finish, FinishReason, Part, Text};
use domain::provider_error::Cause;
use domain::usage::Usage;
use http::HeaderValue;
use providers::face::{Face, Rendering};
use providers::unfold::unfold;
use serde_json::{Value, json};

use crate::attempt::{ChatErrand, Failure, JSON, Way};
use crate::chat::{Gateway, facts, report_of};
use crate::ledger::{Ending, OpenCall};
use crate::payload::Listener;
use crate::reply::{Reply, ReplyFacts, ReplyStream};

/// The member of the answer's `trunkline` field that marks it.
const MARK: &str = "safe_reply";

/// Whether a failure is the providers', so that the caller has nothing to mend.
pub(crate) fn may_stand_in_for(failure: &Failure) -> bool {
    !matches!(
        failure.error.cause,
        Cause::InvalidRequest | Cause::ContextTooLong | Cause::TooLarge | Cause::ContentPolicy
    )
}

impl Gateway {
    /// Answers with the safe reply of the route a call whose every attempt failed. It is recorded as failed, and
    /// costs what the attempts cost.
    pub(crate) async fn reply_safely(
        &self,
        words: &str,
        failure: Failure,
        way: Way<'_, ChatErrand>,
        mut call: Box<OpenCall>,
        listener: Option<Listener>,
    ) -> Reply {
        let target = &way.plan.candidates.at(failure.at).target;
        let errand = &way.errand;
        tracing::warn!(
            request_id = %call.request_id(),
            provider = %target.provider.name,
            model = target.model,
            cause = failure.error.cause.as_str(),
            "every target failed; the caller gets the safe reply"
        );
        call.answer_with(http::StatusCode::OK);
        let report = report_of(errand.report, &Conversion::default(), &mut call);
        let report = marked(report);
        let response = said(words, errand.choices);
        let rendering = &way.ready.rendering;
        let (content_type, body) = if errand.streamed {
            call.first_content();
            let content_type = HeaderValue::from_static(errand.face.stream_type());
            (
                content_type,
                streamed(response, errand.face, rendering, &report),
            )
        } else {
            let body = errand.face.render(&response, rendering, Some(&report));
            (JSON, body)
        };
        let facts = ReplyFacts {
            cost: call.total_cost().filter(|_| !errand.streamed),
            is_safe_reply: true,
            ..facts(target, &call)
        };
        if let Some(mut listener) = listener {
            // It is heard and not concluded: no cache keeps it.
            listener.answered_by(&target.provider.name, false);
            listener.hear(&body);
        }
        call.end_with_others(&Ending::SafeReply(failure.error))
            .await;
        if errand.streamed {
            let stream = Box::new(ReplyStream::known(body, self.drains.clone()));
            return Reply::Stream {
                facts,
                content_type,
                stream,
            };
        }
        Reply::Whole {
            facts,
            content_type,
            body,
        }
    }
}

/// The same words in each of the answers that are wanted.
fn said(words: &str, choices: u32) -> ChatResponse {
    let choice = |index| Choice {
        index,
        content: vec![Part::Text(Text::from(words))],
        finish: Finish {
            reason: FinishReason::Stop,
            native: "stop".to_owned(),
            stop_sequence: None,
        },
        logprobs: None,
    };
    ChatResponse {
        choices: (0..choices.max(1)).map(choice).collect(),
        usage: Some(Usage::default()),
        ..ChatResponse::default()
    }
}

fn streamed(
    response: ChatResponse,
    face: &dyn Face,
    rendering: &Rendering,
    report: &Value,
) -> Bytes {
    let mut events = Vec::new();
    unfold(response, &mut events);
    let mut encoder = face.encoder(rendering);
    let mut out = BytesMut::new();
    for event in &events {
        encoder.push(event, &mut out);
    }
    encoder.finish(Some(report), &mut out);
    out.freeze()
}

/// The report that the caller wants, or none, with the mark.
fn marked(report: Option<Value>) -> Value {
    let mut report = report.unwrap_or_else(|| json!({}));
    if let Some(members) = report.as_object_mut() {
        members.insert(MARK.to_owned(), json!(true));
    }
    report
}

#[cfg(test)]
mod tests;
