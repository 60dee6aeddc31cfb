use proptest::prelude::*;

use super::*;
use crate::testing::Zeros;

fn error(cause: Cause, retry: Retry) -> ProviderError {
    ProviderError::new(cause, "it failed").with_retry(retry)
}

fn retries() -> Retries {
    Retries {
        attempts: 4,
        initial_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(5),
    }
}

fn wait(error: &ProviderError, tried: u32) -> Option<Duration> {
    wait_before_next(error, &retries(), tried, &Zeros)
}

#[test]
fn only_what_was_turned_away_is_sent_again() {
    let again = [Cause::RateLimited, Cause::Overloaded, Cause::Unreachable];
    let never = [
        Cause::InvalidRequest,
        Cause::ContextTooLong,
        Cause::TooLarge,
        Cause::Authentication,
        Cause::Permission,
        Cause::NotFound,
        Cause::QuotaExhausted,
        Cause::ContentPolicy,
        Cause::Server,
        Cause::Timeout,
        Cause::Interrupted,
        Cause::Malformed,
    ];
    for cause in again {
        assert!(wait(&error(cause, Retry::Now), 1).is_some(), "{cause:?}");
        assert_eq!(wait(&error(cause, Retry::Never), 1), None, "{cause:?}");
    }
    for cause in never {
        assert_eq!(wait(&error(cause, Retry::Now), 1), None, "{cause:?}");
    }
}

#[test]
fn the_wait_doubles_up_to_its_bound() {
    let overloaded = error(Cause::Overloaded, Retry::Now);
    let retries = Retries {
        attempts: u32::MAX,
        ..retries()
    };
    let waits = [1, 2, 3, 6, 100].map(|tried| {
        wait_before_next(&overloaded, &retries, tried, &Zeros).map(|wait| wait.as_millis())
    });
    assert_eq!(waits, [100, 200, 400, 2_500, 2_500].map(Some));
}

#[test]
fn the_last_attempt_is_the_last() {
    let overloaded = error(Cause::Overloaded, Retry::Now);
    assert!(wait(&overloaded, 3).is_some());
    assert_eq!(wait(&overloaded, 4), None);
}

#[test]
fn retry_after_is_honoured_over_backoff_and_within_its_bound() {
    let after = |seconds| {
        error(
            Cause::RateLimited,
            Retry::After(Duration::from_secs(seconds)),
        )
    };
    assert_eq!(wait(&after(3), 1), Some(Duration::from_secs(3)));
    assert_eq!(wait(&after(0), 1), Some(Duration::from_millis(100)));
    assert_eq!(wait(&after(6), 1), None);
}

struct Byte(u8);

impl Entropy for Byte {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

proptest! {
    #[test]
    fn jitter_lies_between_half_of_the_backoff_and_all_of_it(byte: u8, millis in 0_u64..100_000) {
        let backoff = Duration::from_millis(millis);
        let jittered = jittered(backoff, &Byte(byte));
        prop_assert!(jittered >= backoff / 2 && jittered <= backoff);
    }
}
