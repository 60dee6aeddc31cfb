use std::net::Ipv4Addr;

use domain::entropy::Entropy;
use domain::id::{OrganizationId, ProjectId};
use domain::key::{ModelPattern, Origin, PreviousHash};
use domain::secret::Secret;

use super::*;

struct Ones;
impl Entropy for Ones {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ring_with(change: impl FnOnce(&mut VirtualKey, &Hasher)) -> KeyRing {
    let hasher = Hasher::new(&Secret::new(vec![1; 32]));
    let created_at = at("2026-01-01T00:00:00Z");
    let id = KeyId::new(created_at, &Ones);
    let (organization, project) = (OrganizationId::DEFAULT, ProjectId::DEFAULT);
    let mut key = VirtualKey {
        name: "test".to_owned(),
        hash: hasher.hash("tl_new"),
        prefix: "tl_".to_owned(),
        last_four: "_new".to_owned(),
        models: vec![ModelPattern::new("*")],
        origin: Origin::Store,
        ..VirtualKey::without_text(id, organization, project, created_at)
    };
    change(&mut key, &hasher);
    let ring = KeyRing::new(hasher);
    ring.update([key]);
    ring
}

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn a_key_is_recognised_by_its_text_only() {
    let ring = ring_with(|_, _| ());
    let now = at("2026-06-01T00:00:00Z");
    assert!(ring.recognise("tl_new", HOME, now).is_ok());
    assert_eq!(
        ring.recognise("tl_old", HOME, now).unwrap_err(),
        Unrecognised::Unknown
    );
    assert_eq!(
        ring.recognise("", HOME, now).unwrap_err(),
        Unrecognised::Unknown
    );
}

#[test]
fn the_old_text_is_good_until_the_grace_period_ends() {
    let ring = ring_with(|key, hasher| {
        let until = at("2026-06-02T00:00:00Z");
        key.previous = Some(PreviousHash {
            hash: hasher.hash("tl_old"),
            until,
        });
    });
    assert!(
        ring.recognise("tl_old", HOME, at("2026-06-01T23:59:59Z"))
            .is_ok()
    );
    let late = ring.recognise("tl_old", HOME, at("2026-06-02T00:00:00Z"));
    assert_eq!(late.unwrap_err(), Unrecognised::Revoked);
    assert!(
        ring.recognise("tl_new", HOME, at("2026-06-02T00:00:00Z"))
            .is_ok()
    );
}

#[test]
fn revocation_and_expiry_end_a_key() {
    let now = at("2026-06-01T00:00:00Z");
    let revoked = ring_with(|key, _| key.revoked_at = Some(now));
    assert_eq!(
        revoked.recognise("tl_new", HOME, now).unwrap_err(),
        Unrecognised::Revoked
    );
    let expired = ring_with(|key, _| key.expires_at = Some(now));
    assert_eq!(
        expired.recognise("tl_new", HOME, now).unwrap_err(),
        Unrecognised::Expired
    );
}

#[test]
fn a_key_bound_to_addresses_works_from_these_only() {
    let ring = ring_with(|key, _| key.addresses = vec!["10.0.0.0/8".parse().unwrap()]);
    let now = at("2026-06-01T00:00:00Z");
    assert!(
        ring.recognise("tl_new", "10.2.3.4".parse().unwrap(), now)
            .is_ok()
    );
    assert_eq!(
        ring.recognise("tl_new", HOME, now).unwrap_err(),
        Unrecognised::Address(HOME)
    );
}

#[test]
fn configured_keys_are_replaced_and_stored_keys_stay() {
    let ring = ring_with(|_, _| ());
    let configured = |text: &str, name: &str| {
        let mut key = ring
            .recognise("tl_new", HOME, at("2026-06-01T00:00:00Z"))
            .unwrap();
        let mut copy = VirtualKey::clone(key.key());
        key = Caller::holding(Arc::new(copy.clone()));
        assert_eq!(key.key_id(), copy.id);
        copy.id = crate::text::configured_id(name);
        copy.origin = Origin::Configuration;
        copy.hash = ring.hasher().hash(text);
        copy
    };
    let now = at("2026-06-01T00:00:00Z");
    ring.replace_configured([configured("first-text-1234567", "a")]);
    assert!(ring.recognise("first-text-1234567", HOME, now).is_ok());
    ring.replace_configured([configured("other-text-1234567", "b")]);
    assert!(ring.recognise("first-text-1234567", HOME, now).is_err());
    assert!(ring.recognise("other-text-1234567", HOME, now).is_ok());
    assert!(ring.recognise("tl_new", HOME, now).is_ok());
}

#[test]
fn an_older_state_of_a_key_does_not_undo_a_newer_one() {
    let ring = ring_with(|_, _| ());
    let now = at("2026-06-01T00:00:00Z");
    let first = VirtualKey::clone(ring.recognise("tl_new", HOME, now).unwrap().key());
    let rotated = VirtualKey {
        hash: ring.hasher().hash("tl_newer"),
        rotated_at: Some(now),
        ..first.clone()
    };
    let revoked = VirtualKey {
        revoked_at: Some(now),
        ..rotated.clone()
    };
    ring.update([rotated.clone()]);
    ring.update([first]);
    assert!(ring.recognise("tl_newer", HOME, now).is_ok());
    assert!(ring.recognise("tl_new", HOME, now).is_err());
    ring.update([revoked]);
    ring.update([rotated]);
    let refused = ring.recognise("tl_newer", HOME, now);
    assert_eq!(refused.unwrap_err(), Unrecognised::Revoked);
}

#[test]
fn a_key_with_a_rate_or_a_budget_that_is_good_limits_someone() {
    use domain::key::{Budget, Period};

    let now = at("2026-06-01T00:00:00Z");
    let budget = Budget {
        limit: "5".parse().unwrap(),
        per: Period::Month,
    };
    assert!(!ring_with(|_, _| ()).limits_anyone(now));
    assert!(ring_with(|key, _| key.rate.rpm = Some(6)).limits_anyone(now));
    assert!(ring_with(|key, _| key.budget = Some(budget)).limits_anyone(now));
    let revoked = ring_with(|key, _| {
        key.budget = Some(budget);
        key.revoked_at = Some(at("2026-05-01T00:00:00Z"));
    });
    assert!(!revoked.limits_anyone(now));
}
