use domain::call::AttemptReason;
use domain::name::ProviderName;
use domain::provider_error::Cause;
use proptest::prelude::*;

use super::*;
use crate::testing::{caller, request_id};

pub(in crate::ledger) fn intent() -> Intent {
    let caller = caller(domain::key::Rate::default(), None);
    Intent {
        request_id: request_id(),
        client_request_id: None,
        batch_id: None,
        started_at: Timestamp::UNIX_EPOCH,
        operation: Operation::Chat,
        face: Face::OpenaiChat,
        streamed: false,
        request_model: "fast".parse().unwrap(),
        route: Some("fast".to_owned()),
        variant: Some("new".to_owned()),
        shadow_of: Some(request_id()),
        key_id: caller.key_id(),
        organization_id: caller.organization_id(),
        project_id: caller.project_id(),
        application_id: caller.application_id(),
        user_id: caller.user_id(),
        estimate: Usage::text(10, 20),
        estimated_cost: Some(Cost::from_nano_dollars(30)),
        price_source: Some("test".to_owned()),
    }
}

pub(in crate::ledger) fn attempt(number: u32) -> Attempt {
    let provider: ProviderName = "sim".parse().unwrap();
    Attempt::new(
        number,
        provider,
        "gpt".to_owned(),
        AttemptReason::First,
        Timestamp::UNIX_EPOCH,
    )
}

fn line(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut line = Vec::new();
    write(&mut line);
    assert_eq!(line.pop(), Some(b'\n'));
    line
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        client_request_id in proptest::option::of("\\PC*"),
        route in proptest::option::of(any::<String>()),
        microseconds in 0_i64..4_000_000_000_000_000,
        input: u64, output: u64, nano_dollars: i64, status: u16, number: u32,
        segments in proptest::collection::vec(any::<u64>(), 0..4),
    ) {
        let started_at = Timestamp::from_microsecond(microseconds).unwrap();
        let intent = Intent {
            client_request_id,
            route,
            started_at,
            estimate: Usage::text(input, output),
            estimated_cost: Some(Cost::from_nano_dollars(nano_dollars)),
            ..intent()
        };
        let written = line(|out| write_intent(&intent, out));
        prop_assert!(!written.contains(&b'\n'));
        prop_assert_eq!(read_line(&written), Some(Record::Intent(Box::new(intent.clone()))));

        let attempt = Attempt {
            number,
            status: Some(status),
            error_type: Some(Cause::Overloaded),
            latency_ms: Some(input),
            ..attempt(1)
        };
        let dispatch = Dispatch { request_id: intent.request_id, attempt: attempt.clone() };
        let written = line(|out| write_attempt(&dispatch, out));
        prop_assert_eq!(read_line(&written), Some(Record::Attempt(Box::new(dispatch))));

        let call = intent.interrupted(vec![attempt], started_at);
        let ended = Ended { segments, call, counted_in: 0 };
        let written = line(|out| write_end(&ended, out));
        prop_assert_eq!(read_line(&written), Some(Record::End(Box::new(ended))));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
        read_line(&bytes);
    }
}
