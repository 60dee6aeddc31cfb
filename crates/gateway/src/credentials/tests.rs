use std::time::Duration;

use providers::google::Account;

use super::*;
use crate::testing::{Act, Hand, Script, run};

fn token(text: &str) -> Act {
    let body = format!(r#"{{"access_token":"{text}","expires_in":3600,"token_type":"Bearer"}}"#);
    Act::whole(200, Box::leak(body.into_boxed_str()))
}

struct Bench {
    credentials: Credentials,
    source: Source,
    clock: Hand,
    script: Arc<Script>,
}

impl Bench {
    fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            credentials: Credentials::default(),
            source: Source::Google(Account::Machine),
            clock: Hand::default(),
            script: Script::of(acts),
        }
    }

    fn fetch(&self) -> Result<String, ProviderError> {
        let provider = "vertex".parse().unwrap();
        let asked = self
            .credentials
            .of(&provider, &self.source, &*self.script, &self.clock);
        run(&self.clock, asked).map(|credential| match credential {
            Credential::Token(token) => token.reveal().clone(),
            other => panic!("{other:?}"),
        })
    }
}

#[test]
fn a_token_is_fetched_once_and_anew_before_it_expires() {
    let bench = Bench::of([token("one"), token("two")]);
    assert_eq!(bench.fetch().unwrap(), "one");
    bench.clock.forward(Duration::from_mins(50));
    assert_eq!(bench.fetch().unwrap(), "one");
    assert_eq!(bench.script.requests(), 1);
    bench.clock.forward(Duration::from_secs(560));
    assert_eq!(bench.fetch().unwrap(), "two");
}

#[test]
fn a_token_that_still_holds_is_used_while_no_other_can_be_had() {
    let bench = Bench::of([token("one"), Act::whole(500, "no"), Act::whole(500, "no")]);
    assert_eq!(bench.fetch().unwrap(), "one");
    bench.clock.forward(Duration::from_secs(3_560));
    assert_eq!(bench.fetch().unwrap(), "one");
    bench.clock.forward(Duration::from_mins(1));
    let error = bench.fetch().unwrap_err();
    assert_eq!(error.cause, Cause::Authentication);
    assert!(!error.message.contains("one"));
}

#[test]
fn another_configuration_begins_with_nothing() {
    let bench = Bench::of([token("one"), token("two")]);
    assert_eq!(bench.fetch().unwrap(), "one");
    bench.credentials.clear();
    assert_eq!(bench.fetch().unwrap(), "two");
}
