use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use domain::clock::{Moment, Sleep};
use domain::id::{KeyId, OrganizationId, ProjectId};
use domain::key::{KeyHash, ModelPattern, Origin, PreviousHash, VirtualKey};

use super::*;
use crate::text::Hasher;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIFETIME: Duration = Duration::from_mins(10);

/// A clock that a test sets, in seconds since 1970.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        time(self.0.load(Ordering::Relaxed))
    }

    fn moment(&self) -> Moment {
        Moment::at(Duration::ZERO)
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

#[derive(Default)]
struct Counted(AtomicU8);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

#[derive(Default)]
struct Memory(Mutex<Vec<ClientSecret>>);

#[async_trait]
impl ClientSecretStore for Memory {
    async fn keep_client_secret(
        &self,
        secret: &ClientSecret,
        most: u32,
    ) -> Result<bool, StoreError> {
        let mut secrets = self.0.lock().unwrap();
        let has_room = secrets.len() < most as usize;
        if has_room {
            secrets.push(secret.clone());
        }
        Ok(has_room)
    }

    async fn client_secret(
        &self,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Option<ClientSecret>, StoreError> {
        let secrets = self.0.lock().unwrap();
        let mut good = secrets.iter().filter(|secret| secret.expires_at > now);
        Ok(good.find(|secret| secret.hash == *hash).cloned())
    }

    async fn drop_expired_client_secrets(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

struct Scene {
    secrets: ClientSecrets,
    store: Arc<Memory>,
    ring: Arc<KeyRing>,
    clock: Arc<Hand>,
    key: VirtualKey,
}

impl Scene {
    fn new() -> Self {
        let ring = KeyRing::new(Hasher::new(&Secret::new(vec![1; 32])));
        let id = KeyId::new(time(0), &Counted::default());
        let (organization, project) = (OrganizationId::DEFAULT, ProjectId::DEFAULT);
        let key = VirtualKey {
            name: "test".to_owned(),
            hash: ring.hasher().hash("tl_one"),
            prefix: "tl_".to_owned(),
            last_four: "_one".to_owned(),
            models: vec![ModelPattern::new("gpt-*")],
            origin: Origin::Store,
            ..VirtualKey::without_text(id, organization, project, time(0))
        };
        ring.update([key.clone()]);
        let (ring, store, clock) = (Arc::new(ring), Arc::default(), Arc::default());
        let secrets = ClientSecrets::new(
            Arc::clone(&store) as Arc<dyn ClientSecretStore>,
            Arc::clone(&ring),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Counted::default()),
        );
        Self {
            secrets,
            store,
            ring,
            clock,
            key,
        }
    }

    fn issue(&self) -> String {
        let caller = self.ring.recognise("tl_one", HOME, time(0)).unwrap();
        let session = Bytes::from_static(b"{}");
        let (text, expires_at) = run(self.secrets.issue(&caller, session, LIFETIME)).unwrap();
        assert_eq!(expires_at, time(600));
        text.reveal().clone()
    }

    fn recognise(&self, text: &str, seconds: i64) -> Result<(Caller, Bytes), ClientSecretError> {
        self.clock.0.store(seconds, Ordering::Relaxed);
        run(self.secrets.recognise(text, HOME))
    }

    fn change_key(&self, change: impl FnOnce(&mut VirtualKey)) {
        let mut key = self.key.clone();
        change(&mut key);
        self.ring.update([key]);
    }
}

#[test]
fn a_secret_speaks_for_its_key_until_it_expires() {
    let scene = Scene::new();
    let text = scene.issue();
    assert!(is_client_secret(&text), "{text}");
    let (caller, session) = scene.recognise(&text, 599).unwrap();
    assert_eq!(caller.key_id(), scene.key.id);
    assert!(!caller.may_use("claude"), "it may what its key may");
    assert_eq!(session, "{}");
    let late = scene.recognise(&text, 600);
    assert!(matches!(late, Err(ClientSecretError::Unknown)));
    let other = scene.recognise("ek_other", 1);
    assert!(matches!(other, Err(ClientSecretError::Unknown)));
}

#[test]
fn the_ring_knows_no_secret_and_its_text_is_kept_nowhere() {
    let scene = Scene::new();
    let text = scene.issue();
    let shown = scene.ring.recognise(&text, HOME, time(1));
    assert_eq!(shown.unwrap_err(), Unrecognised::Unknown);
    let kept = scene.store.0.lock().unwrap();
    assert_eq!(kept[0].hash, scene.ring.hasher().hash(&text));
}

#[test]
fn a_secret_ends_with_its_key_and_holds_at_its_addresses_only() {
    let scene = Scene::new();
    let text = scene.issue();
    scene.change_key(|key| key.addresses = vec!["10.0.0.0/8".parse().unwrap()]);
    let elsewhere = scene.recognise(&text, 1);
    assert!(matches!(
        elsewhere,
        Err(ClientSecretError::Key(Unrecognised::Address(HOME)))
    ));
    scene.change_key(|key| key.revoked_at = Some(time(5)));
    assert!(scene.recognise(&text, 4).is_ok());
    let revoked = scene.recognise(&text, 5);
    assert!(matches!(
        revoked,
        Err(ClientSecretError::Key(Unrecognised::Revoked))
    ));
}

#[test]
fn a_secret_that_a_former_text_made_ends_with_that_text() {
    let scene = Scene::new();
    let text = scene.issue();
    scene.change_key(|key| {
        key.rotated_at = Some(time(10));
        key.previous = Some(PreviousHash {
            hash: key.hash,
            until: time(20),
        });
    });
    assert!(scene.recognise(&text, 19).is_ok());
    let late = scene.recognise(&text, 20);
    assert!(matches!(late, Err(ClientSecretError::Unknown)));
}

#[test]
fn a_key_has_so_many_secrets_and_no_more() {
    let scene = Scene::new();
    scene.issue();
    let one = scene.store.0.lock().unwrap()[0].clone();
    let all = vec![one; MAX_SECRETS as usize];
    *scene.store.0.lock().unwrap() = all;
    let caller = scene.ring.recognise("tl_one", HOME, time(0)).unwrap();
    let refused = run(scene.secrets.issue(&caller, Bytes::new(), LIFETIME));
    assert!(matches!(refused, Err(ClientSecretError::TooMany)));
}
