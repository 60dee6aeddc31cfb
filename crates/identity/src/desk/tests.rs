use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use domain::clock::{Moment, Sleep};
use domain::id::OrganizationId;
use domain::limit::QueueRules;

use super::*;
use crate::ring::Unrecognised;
use crate::text::Hasher;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn moment(&self) -> Moment {
        Moment::at(Duration::ZERO)
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

/// Every draw differs from the one before.
#[derive(Default)]
struct Counted(AtomicU8);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

/// A key store in memory; what changed last has the highest revision.
#[derive(Default)]
struct Memory(
    Mutex<HashMap<KeyId, (KeyRevision, VirtualKey)>>,
    /// What another process does just before the next rotation.
    Mutex<Option<Rotation>>,
);

impl Memory {
    fn change(&self, id: KeyId, change: impl FnOnce(&mut VirtualKey)) -> Option<VirtualKey> {
        let mut keys = self.0.lock().unwrap();
        let next = keys
            .values()
            .map(|(revision, _)| revision + 1)
            .max()
            .unwrap_or(1);
        let (revision, key) = keys.get_mut(&id)?;
        change(key);
        *revision = next;
        Some(key.clone())
    }
}

#[async_trait]
impl KeyStore for Memory {
    async fn add_key(&self, key: &VirtualKey) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(key.id, (0, key.clone()));
        self.change(key.id, |_| ());
        Ok(())
    }

    async fn keys_changed_since(
        &self,
        revision: KeyRevision,
    ) -> Result<(Vec<VirtualKey>, KeyRevision), StoreError> {
        let keys = self.0.lock().unwrap();
        let mut changed: Vec<_> = keys.values().filter(|(at, _)| *at > revision).collect();
        changed.sort_by_key(|(at, _)| *at);
        let followed = changed.last().map_or(revision, |(at, _)| *at);
        Ok((
            changed.into_iter().map(|(_, key)| key.clone()).collect(),
            followed,
        ))
    }

    async fn key(&self, id: KeyId) -> Result<Option<VirtualKey>, StoreError> {
        Ok(self.0.lock().unwrap().get(&id).map(|(_, key)| key.clone()))
    }

    async fn list_keys(
        &self,
        organization_id: Option<OrganizationId>,
        _: Option<KeyId>,
        _: u32,
    ) -> Result<Vec<VirtualKey>, StoreError> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .values()
            .map(|(_, key)| key.clone())
            .filter(|key| organization_id.is_none_or(|id| id == key.organization_id))
            .collect())
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<Option<VirtualKey>, StoreError> {
        Ok(self.change(id, |key| key.revoked_at = key.revoked_at.or(Some(at))))
    }

    async fn rotate_key(
        &self,
        id: KeyId,
        rotation: &Rotation,
    ) -> Result<Option<VirtualKey>, StoreError> {
        let other = self.1.lock().unwrap().take();
        if let Some(other) = other {
            self.rotate_key(id, &other).await?;
        }
        let is_refused = self
            .key(id)
            .await?
            .is_none_or(|key| key.revoked_at.is_some() || key.hash != rotation.previous.hash);
        if is_refused {
            return Ok(None);
        }
        Ok(self.change(id, |key| {
            key.hash = rotation.hash;
            key.previous = Some(rotation.previous);
            key.rotated_at = Some(rotation.at);
        }))
    }
}

fn ring() -> Arc<KeyRing> {
    Arc::new(KeyRing::new(Hasher::new(&Secret::new(vec![1; 32]))))
}

fn desk(store: &Arc<Memory>) -> (Desk, Arc<KeyRing>) {
    let ring = ring();
    let store = Arc::clone(store) as Arc<dyn KeyStore>;
    let desk = Desk::new(
        store,
        Arc::clone(&ring),
        Arc::new(Still),
        Arc::new(Counted::default()),
    );
    (desk, ring)
}

fn new_key() -> NewKey {
    NewKey {
        name: "ci".to_owned(),
        placement: Placement::DEFAULT,
        role: Role::Member,
        models: vec![ModelPattern::new("*")],
        addresses: Vec::new(),
        rate: Rate::default(),
        priority: Priority::default(),
        budget: None,
        expires_at: None,
    }
}

/// The store in memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn recognise(ring: &KeyRing, text: &Secret<String>, at: Timestamp) -> Result<KeyId, Unrecognised> {
    ring.recognise(text.reveal(), HOME, at)
        .map(|caller| caller.key_id())
}

#[test]
fn a_key_is_good_at_once_and_its_text_is_kept_nowhere() {
    let store = Arc::new(Memory::default());
    let (desk, ring) = desk(&store);
    let (key, text) = now(desk.issue(new_key())).unwrap();
    assert_eq!(recognise(&ring, &text, NOW), Ok(key.id));
    let kept = format!("{:?}", now(store.key(key.id)).unwrap().unwrap());
    assert!(!kept.contains(text.reveal().as_str()), "{kept}");
    assert!(text.reveal().starts_with(&key.prefix) && text.reveal().ends_with(&key.last_four));
}

#[test]
fn a_new_key_has_a_name_and_a_future() {
    let (desk, _) = desk(&Arc::default());
    for name in [String::new(), "x".repeat(129), "a\nb".to_owned()] {
        let refused = now(desk.issue(NewKey { name, ..new_key() }));
        assert!(matches!(refused, Err(DeskError::Name)));
    }
    let refused = now(desk.issue(NewKey {
        expires_at: Some(NOW),
        ..new_key()
    }));
    assert!(matches!(refused, Err(DeskError::Expiry)));
}

#[test]
fn calls_wait_for_something_and_not_for_too_long() {
    let (desk, _) = desk(&Arc::default());
    let issue = |rpm, seconds, max_waiting| {
        let queue = QueueRules {
            max_wait: Duration::from_secs(seconds),
            max_waiting,
        };
        let rate = Rate {
            rpm,
            queue: Some(queue),
            ..Rate::default()
        };
        now(desk.issue(NewKey { rate, ..new_key() }))
    };
    for (rpm, seconds, max_waiting) in [(None, 10, 1), (Some(6), 601, 1), (Some(6), 10, 0)] {
        let refused = issue(rpm, seconds, max_waiting);
        assert!(matches!(refused, Err(DeskError::Queue)));
    }
    assert!(issue(Some(6), 600, 1).is_ok());
}

#[test]
fn limits_that_permit_nothing_are_refused() {
    let (desk, _) = desk(&Arc::default());
    let no_requests = Rate {
        rpm: Some(0),
        tpm: None,
        ..Rate::default()
    };
    let no_tokens = Rate {
        rpm: None,
        tpm: Some(0),
        ..Rate::default()
    };
    let no_calls = Rate {
        concurrency: Some(0),
        ..Rate::default()
    };
    for rate in [no_requests, no_tokens, no_calls] {
        let refused = now(desk.issue(NewKey { rate, ..new_key() }));
        assert!(matches!(refused, Err(DeskError::Rate)));
    }
    let budget = |nano_dollars| {
        let limit = Cost::from_nano_dollars(nano_dollars);
        Some(Budget {
            limit,
            per: domain::key::Period::Day,
        })
    };
    let refused = now(desk.issue(NewKey {
        budget: budget(-1),
        ..new_key()
    }));
    assert!(matches!(refused, Err(DeskError::Budget)));
    assert!(
        now(desk.issue(NewKey {
            budget: budget(0),
            ..new_key()
        }))
        .is_ok()
    );
}

#[test]
fn both_texts_are_good_for_the_grace_period_of_a_rotation() {
    let store = Arc::new(Memory::default());
    let (desk, ring) = desk(&store);
    let (key, old) = now(desk.issue(new_key())).unwrap();
    let (_, new) = now(desk.rotate(Reach::Installation, key.id, Duration::from_mins(1))).unwrap();
    let later = NOW + SignedDuration::from_secs(60);
    assert_eq!(recognise(&ring, &new, later), Ok(key.id));
    assert_eq!(recognise(&ring, &old, NOW), Ok(key.id));
    assert_eq!(recognise(&ring, &old, later), Err(Unrecognised::Revoked));
    let too_long = now(desk.rotate(
        Reach::Installation,
        key.id,
        MAX_GRACE + Duration::from_secs(1),
    ));
    assert!(matches!(too_long, Err(DeskError::Grace)));
}

#[test]
fn who_rotates_a_key_at_the_same_moment_does_not_end_the_others_text() {
    let store = Arc::new(Memory::default());
    let (desk, ring) = desk(&store);
    let (key, old) = now(desk.issue(new_key())).unwrap();
    *store.1.lock().unwrap() = Some(Rotation {
        hash: [9; 32],
        prefix: String::new(),
        last_four: String::new(),
        previous: PreviousHash {
            hash: key.hash,
            until: NOW + SignedDuration::from_secs(60),
        },
        at: NOW,
    });
    let refused = now(desk.rotate(Reach::Installation, key.id, Duration::from_mins(1)));
    assert!(matches!(refused, Err(DeskError::RotatedMeanwhile(id)) if id == key.id));
    let kept = now(store.key(key.id)).unwrap().unwrap();
    assert_eq!(kept.hash, [9; 32]);
    assert_eq!(recognise(&ring, &old, NOW), Ok(key.id));
}

#[test]
fn a_revoked_key_is_no_key_and_cannot_be_rotated() {
    let store = Arc::new(Memory::default());
    let (desk, ring) = desk(&store);
    let (key, text) = now(desk.issue(new_key())).unwrap();
    now(desk.revoke(Reach::Installation, key.id)).unwrap();
    assert_eq!(recognise(&ring, &text, NOW), Err(Unrecognised::Revoked));
    let rotated = now(desk.rotate(Reach::Installation, key.id, Duration::ZERO));
    assert!(matches!(rotated, Err(DeskError::NoSuchKey(id)) if id == key.id));
    let unknown = KeyId::new(NOW, &Counted(AtomicU8::new(99)));
    assert!(matches!(
        now(desk.revoke(Reach::Installation, unknown)),
        Err(DeskError::NoSuchKey(_))
    ));
}

#[test]
fn another_process_follows_what_changes() {
    let store = Arc::new(Memory::default());
    let (here, _) = desk(&store);
    let (there, ring) = desk(&store);
    let (key, text) = now(here.issue(new_key())).unwrap();
    assert_eq!(recognise(&ring, &text, NOW), Err(Unrecognised::Unknown));
    let revision = now(there.follow(0)).unwrap();
    assert_eq!(recognise(&ring, &text, NOW), Ok(key.id));
    assert_eq!(now(there.follow(revision)).unwrap(), revision);
    now(here.revoke(Reach::Installation, key.id)).unwrap();
    assert!(now(there.follow(revision)).unwrap() > revision);
    assert_eq!(recognise(&ring, &text, NOW), Err(Unrecognised::Revoked));
}

#[test]
fn an_administrator_of_one_organization_reaches_no_key_of_another() {
    let store = Arc::new(Memory::default());
    let (desk, _) = desk(&store);
    let (key, _) = now(desk.issue(new_key())).unwrap();
    let stranger = Reach::Organization(OrganizationId::new(NOW, &Counted::default()));
    assert!(matches!(
        now(desk.revoke(stranger, key.id)),
        Err(DeskError::NoSuchKey(_))
    ));
    assert!(matches!(
        now(desk.rotate(stranger, key.id, Duration::ZERO)),
        Err(DeskError::NoSuchKey(_))
    ));
    assert_eq!(now(desk.list(stranger, None, 10)).unwrap(), []);
    let own = Reach::Organization(OrganizationId::DEFAULT);
    assert_eq!(now(desk.list(own, None, 10)).unwrap(), [key]);
}
