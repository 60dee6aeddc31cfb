//! The journal's format: one record a line.
//!
//! A line is a letter for the kind, a space, and JSON. Whether it is whole is the block's to know that it
//! stands in.

use domain::call::{Attempt, CacheOutcome, Call, CallState, EndReason, Face, Operation};
use domain::id::{ApplicationId, BatchId, KeyId, OrganizationId, ProjectId, RequestId, UserId};
use domain::money::Cost;
use domain::name::ModelName;
use domain::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a call before it is sent to anyone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// The call.
    pub request_id: RequestId,
    /// The caller's own identifier.
    pub client_request_id: Option<String>,
    /// The batch that it is a line of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// When it arrived.
    #[serde(with = "domain::json::time")]
    pub started_at: Timestamp,
    /// What is asked for.
    pub operation: Operation,
    /// The API that is spoken.
    pub face: Face,
    /// Whether the answer is to be streamed.
    pub streamed: bool,
    /// The model's name as the caller wrote it.
    pub request_model: ModelName,
    /// The configured route.
    pub route: Option<String>,
    /// What the target is called in a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The call that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<RequestId>,
    /// The key.
    pub key_id: KeyId,
    /// The tenant; the default one is left out of records.
    #[serde(default, serialize_with = "domain::json::unless_default")]
    pub organization_id: OrganizationId,
    /// The tenant's project.
    #[serde(default, serialize_with = "domain::json::unless_default")]
    pub project_id: ProjectId,
    /// The application that the key was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// The user whom the key was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// What the call is expected to take, for the case that nobody ever says.
    pub estimate: Usage,
    /// What it would cost then; `None` when no price is known.
    pub estimated_cost: Option<Cost>,
    /// Where the price comes from.
    pub price_source: Option<String>,
}

/// One dispatch to a provider, about to happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Dispatch {
    /// The call.
    pub request_id: RequestId,
    /// The attempt as it is before its outcome is known.
    pub attempt: Attempt,
}

/// A call's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// The segments that hold the call's intent and attempts: one for each time something was written.
    pub segments: Vec<u64>,
    /// The call as it goes into the store.
    pub call: Call,
    /// In which book of limits it is counted; 0 in that of another process.
    #[serde(skip)]
    pub counted_in: u64,
}

/// One record, read back.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// A call begins.
    Intent(Box<Intent>),
    /// It is sent to a provider.
    Attempt(Box<Dispatch>),
    /// It has ended.
    End(Box<Ended>),
}

/// Appends an intent's line.
pub(super) fn write_intent(intent: &Intent, out: &mut Vec<u8>) {
    write_line(b'I', intent, out);
}

/// Appends an attempt's line.
pub(super) fn write_attempt(dispatch: &Dispatch, out: &mut Vec<u8>) {
    write_line(b'A', dispatch, out);
}

/// Appends an end's line.
pub(super) fn write_end(ended: &Ended, out: &mut Vec<u8>) {
    write_line(b'E', ended, out);
}

/// Reads one line without its line feed; `None` when it is not ours.
pub(super) fn read_line(line: &[u8]) -> Option<Record> {
    let (kind, json) = line.split_at_checked(2)?;
    match kind {
        b"I " => serde_json::from_slice(json)
            .ok()
            .map(|it| Record::Intent(Box::new(it))),
        b"A " => serde_json::from_slice(json)
            .ok()
            .map(|it| Record::Attempt(Box::new(it))),
        b"E " => serde_json::from_slice(json)
            .ok()
            .map(|it| Record::End(Box::new(it))),
        _ => None,
    }
}

fn write_line(kind: u8, record: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind, b' ']);
    // Records are plain structs of text and numbers: writing them to memory does not fail. If it ever
    // did, the line would be cut short and skipped by its reader.
    let written = domain::json::record(record, out);
    debug_assert!(written.is_ok());
    out.push(b'\n');
}

impl Intent {
    /// The call that this became when the process ended while it was open: estimated when it had been
    /// sent to someone, failed at no cost when it had not.
    pub(super) fn interrupted(self, attempts: Vec<Attempt>, found_at: Timestamp) -> Call {
        let was_sent = !attempts.is_empty();
        let ended_at = attempts
            .last()
            .map_or(self.started_at, |attempt| attempt.started_at);
        let state = if was_sent {
            CallState::Estimated
        } else {
            CallState::Failed
        };
        Call {
            request_id: self.request_id,
            client_request_id: self.client_request_id,
            batch_id: self.batch_id,
            started_at: self.started_at,
            ended_at: ended_at.min(found_at),
            state,
            end_reason: Some(EndReason::Interrupted),
            operation: self.operation,
            face: self.face,
            streamed: self.streamed,
            provider: attempts.last().map(|attempt| attempt.provider.clone()),
            request_model: self.request_model,
            response_model: None,
            route: self.route,
            variant: self.variant,
            shadow_of: self.shadow_of,
            key_id: self.key_id,
            organization_id: self.organization_id,
            project_id: self.project_id,
            application_id: self.application_id,
            user_id: self.user_id,
            status: None,
            error_type: Some(EndReason::Interrupted.as_str().to_owned()),
            finish_reason: None,
            attempts,
            usage: if was_sent {
                self.estimate
            } else {
                Usage::default()
            },
            cost_usd: if was_sent {
                self.estimated_cost
            } else {
                Some(Cost::ZERO)
            },
            price_source: self.price_source,
            cache: CacheOutcome::Bypass,
            saved_usd: None,
            latency_ms: 0,
            time_to_first_token_ms: None,
            overhead_us: 0,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
