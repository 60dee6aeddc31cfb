//! Keys, calls, payloads, answers and files with sensible values, so that a test states only what matters to it.

use std::time::Duration;

use domain::batch::{Batch, BatchDetails, BatchFace, BatchState, EndedLines};
use domain::call::{
    Attempt, AttemptReason, CacheOutcome, Call, CallState, EndReason, Face, Operation, Payload,
};
use domain::custody::{KeptTurn, Place};
use domain::entropy::Entropy;
use domain::file::{FilePurpose, FileStatus, StoredFile};
use domain::id::{
    ApplicationId, BatchId, FileId, KeyId, OrganizationId, ProjectId, ReplicaId, RequestId, UserId,
};
use domain::key::{Budget, ModelPattern, Origin, Period, PreviousHash, Rate, Role, VirtualKey};
use domain::limit::{Priority, QueueRules};
use domain::media::ObjectName;
use domain::money::Cost;
use domain::provider_error::Cause;
use domain::response::KeptResponse;
use domain::usage::Usage;
use jiff::{SignedDuration, Timestamp};

/// Entropy that is one number.
pub(crate) struct Numbered(pub(crate) u64);

impl Entropy for Numbered {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.to_be_bytes();
        for (byte, digit) in bytes.iter_mut().rev().zip(number.iter().rev()) {
            *byte = *digit;
        }
    }
}

/// So many seconds after noon of 21 November 2026, which is in the middle of a month, a week and a day.
pub(crate) fn time(seconds: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-21T12:00:00.000001Z".parse().unwrap();
    noon + SignedDuration::from_secs(seconds)
}

pub(crate) fn key_id(number: u64) -> KeyId {
    KeyId::new(time(0), &Numbered(number))
}

pub(crate) fn request_id(number: u64) -> RequestId {
    RequestId::new(time(0), &Numbered(number))
}

pub(crate) fn batch_id(number: u64) -> BatchId {
    BatchId::new(time(0), &Numbered(number))
}

pub(crate) fn replica_id(number: u64) -> ReplicaId {
    ReplicaId::new(time(0), &Numbered(number))
}

pub(crate) fn application_id(number: u64) -> ApplicationId {
    ApplicationId::new(time(0), &Numbered(number))
}

pub(crate) fn user_id(number: u64) -> UserId {
    UserId::new(time(0), &Numbered(number))
}

pub(crate) fn other_organization() -> OrganizationId {
    OrganizationId::new(time(0), &Numbered(7))
}

pub(crate) fn other_project() -> ProjectId {
    ProjectId::new(time(0), &Numbered(7))
}

/// A key that permits everything; its number makes it different from others.
pub(crate) fn key(number: u64) -> VirtualKey {
    VirtualKey {
        id: key_id(number),
        name: format!("key {number}"),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        application_id: None,
        user_id: None,
        role: Role::Member,
        hash: hash(number),
        previous: None,
        prefix: "tl_abcd".to_owned(),
        last_four: format!("{:04}", number % 10_000),
        models: vec![ModelPattern::new("*")],
        addresses: Vec::new(),
        rate: Rate::default(),
        priority: Priority::default(),
        budget: None,
        origin: Origin::Store,
        created_at: time(i64::try_from(number).unwrap()),
        rotated_at: None,
        expires_at: None,
        revoked_at: None,
    }
}

/// A key in which every field says something.
pub(crate) fn full_key(number: u64) -> VirtualKey {
    VirtualKey {
        name: "Größe 东京 🗝 'quoted' \"twice\" \\".to_owned(),
        organization_id: other_organization(),
        project_id: other_project(),
        application_id: Some(application_id(5)),
        user_id: Some(user_id(6)),
        role: Role::Admin,
        previous: Some(PreviousHash {
            hash: [0xff; 32],
            until: time(90),
        }),
        models: vec![ModelPattern::new("openai/*"), ModelPattern::new("a\"b,[c]")],
        addresses: vec![
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::1".parse().unwrap(),
        ],
        rate: Rate {
            rpm: Some(u32::MAX),
            tpm: Some(9_223_372_036_854_775_807),
            concurrency: Some(u32::MAX),
            queue: Some(QueueRules {
                max_wait: Duration::from_millis(1_500),
                max_waiting: u32::MAX,
            }),
        },
        priority: Priority::Low,
        budget: Some(Budget {
            limit: Cost::MAX,
            per: Period::Week,
        }),
        rotated_at: Some(time(1)),
        expires_at: Some("9999-12-30T22:00:00.999999Z".parse().unwrap()),
        revoked_at: Some(time(3)),
        ..key(number)
    }
}

/// The hash of some key's text.
pub(crate) fn hash(number: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    Numbered(number).fill(&mut hash);
    hash
}

/// A settled call that cost a thousandth of a dollar and started `number` seconds after noon.
pub(crate) fn call(number: u64) -> Call {
    let started_at = time(i64::try_from(number).unwrap());
    Call {
        request_id: request_id(number),
        client_request_id: None,
        started_at,
        ended_at: started_at + SignedDuration::from_millis(250),
        state: CallState::Settled,
        end_reason: None,
        operation: Operation::Chat,
        face: Face::OpenaiChat,
        streamed: false,
        provider: Some("openai".parse().unwrap()),
        request_model: "openai/gpt-5.4".parse().unwrap(),
        response_model: Some("gpt-5.4-2026-03-05".to_owned()),
        route: None,
        key_id: key_id(1),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        application_id: None,
        user_id: None,
        status: Some(200),
        error_type: None,
        finish_reason: Some("stop".to_owned()),
        attempts: vec![Attempt {
            number: 1,
            provider: "openai".parse().unwrap(),
            model: "gpt-5.4".to_owned(),
            reason: AttemptReason::First,
            started_at,
            latency_ms: Some(249),
            status: Some(200),
            error_type: None,
            cancelled: false,
            usage: None,
            cost_usd: None,
        }],
        usage: Usage::text(100, 20),
        cost_usd: Some(Cost::from_nano_dollars(1_000_000)),
        price_source: Some("catalog 2026-11-01".to_owned()),
        cache: CacheOutcome::Bypass,
        variant: None,
        shadow_of: None,
        saved_usd: None,
        latency_ms: 250,
        time_to_first_token_ms: None,
        overhead_us: 180,
        batch_id: None,
    }
}

/// A call in which every field says something, at the edges of its range where it has one.
pub(crate) fn full_call(number: u64) -> Call {
    let call = call(number);
    Call {
        client_request_id: Some("Größe 东京 🗝 'quoted' \"twice\" \\u0000 \\".to_owned()),
        state: CallState::Estimated,
        end_reason: Some(EndReason::ProviderBroke),
        streamed: true,
        request_model: "schnell 🚀".parse().unwrap(),
        route: Some("schnell 🚀".to_owned()),
        key_id: key_id(2),
        organization_id: other_organization(),
        project_id: other_project(),
        application_id: Some(application_id(5)),
        user_id: Some(user_id(6)),
        status: Some(u16::MAX),
        error_type: Some("interrupted".to_owned()),
        finish_reason: Some("length".to_owned()),
        attempts: vec![
            Attempt {
                number: u32::MAX,
                provider: "azure-eu".parse().unwrap(),
                model: "a \"model\"".to_owned(),
                reason: AttemptReason::Fallback,
                started_at: call.started_at + SignedDuration::from_micros(1),
                latency_ms: None,
                status: None,
                error_type: Some(Cause::Unreachable),
                cancelled: false,
                usage: None,
                cost_usd: None,
            },
            call.attempts[0].clone(),
        ],
        usage: Usage {
            cached_input_tokens: 1,
            cache_write_1h_tokens: u64::MAX,
            reasoning_tokens: 3,
            ..Usage::text(u64::MAX, u64::MAX)
        },
        cost_usd: Some(Cost::MAX),
        cache: CacheOutcome::SemanticHit,
        variant: Some("new".to_owned()),
        shadow_of: Some(request_id(number + 1)),
        saved_usd: Some(Cost::MAX),
        latency_ms: i64::MAX.unsigned_abs(),
        time_to_first_token_ms: Some(0),
        overhead_us: 0,
        batch_id: Some(batch_id(3)),
        ..call
    }
}

/// What was said in the call of that number, to be kept for an hour.
pub(crate) fn payload(number: u64) -> Payload {
    Payload {
        request_id: request_id(number),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        request: br#"{"model":"gpt-5.4"}"#.to_vec(),
        response: vec![0, 0xff, 0x80, b'\''],
        keep_until: time(3600),
    }
}

/// An answer of the first key's, to be kept for an hour.
pub(crate) fn response(number: u64) -> KeptResponse {
    KeptResponse {
        id: format!("resp_{number}").parse().unwrap(),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        key_id: key_id(1),
        provider: "anthropic".parse().unwrap(),
        is_at_provider: false,
        previous: None,
        input: br#"[{"role":"user","content":"Hi"}]"#.to_vec().into(),
        answer: br#"{"id":"resp_1","output":[]}"#.to_vec().into(),
        created_at: time(0),
        keep_until: time(3600),
    }
}

/// A complete file of the first key's, to be kept for an hour.
pub(crate) fn file(number: u64) -> StoredFile {
    let id = FileId::new(time(0), &Numbered(number));
    StoredFile {
        id,
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        key_id: key_id(1),
        purpose: FilePurpose::UserData,
        filename: "notes.txt".parse().unwrap(),
        media_type: "text/plain".parse().unwrap(),
        bytes: 5,
        object: ObjectName::of_file(ProjectId::DEFAULT, id),
        status: FileStatus::Ready,
        created_at: time(0),
        expires_at: Some(time(3600)),
    }
}

/// A batch of the first key's that was just made, `number` seconds after noon.
pub(crate) fn batch(number: u64) -> Batch {
    let created_at = time(i64::try_from(number).unwrap());
    Batch {
        id: batch_id(number),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        key_id: key_id(1),
        face: BatchFace::Openai,
        state: BatchState::Validating,
        cancelling_at: None,
        ended: EndedLines::default(),
        created_at,
        expires_at: created_at + SignedDuration::from_hours(24),
        details: BatchDetails {
            endpoint: "/v1/chat/completions".to_owned(),
            input: FileId::new(created_at, &Numbered(number)),
            metadata: None,
            output_seconds: None,
            lines: 0,
            faults: Vec::new(),
            model: None,
            handovers: Vec::new(),
            usage: None,
            in_progress_at: None,
            finalizing_at: None,
            ended_at: None,
            output: None,
            errors: None,
        },
    }
}

/// The place of that number.
pub(crate) fn place(number: u64) -> Place {
    Place::new(hash(number))
}

/// A turn of the first key's with one call, to be kept for an hour.
pub(crate) fn turn(number: u64) -> KeptTurn {
    KeptTurn {
        places: vec![place(number)],
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        key_id: key_id(1),
        provider: "anthropic".parse().unwrap(),
        sealed: format!("sealed {number}").into_bytes().into(),
        keep_until: time(3600),
    }
}
