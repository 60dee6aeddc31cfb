use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use domain::clock::{Moment, Sleep};
use domain::id::KeyId;
use domain::key::{ModelPattern, Origin, VirtualKey};
use domain::secret::Secret;
use domain::tenant::{Flag, TenantWord};
use jiff::Timestamp;

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

/// A store in memory, with the two tenants that are always there.
struct Memory(Mutex<HashMap<TenantId, (TenantRevision, Tenant)>>);

impl Memory {
    fn new() -> Self {
        let always = |kind| Tenant {
            kind,
            organization_id: OrganizationId::DEFAULT,
            name: "default".parse().unwrap(),
            created_at: NOW,
            archived_at: None,
        };
        let organization = always(TenantKind::Organization(OrganizationId::DEFAULT));
        let settings = ProjectSettings::default();
        let project = always(TenantKind::Project(ProjectId::DEFAULT, settings));
        let memory = Self(Mutex::default());
        memory.put(organization);
        memory.put(project);
        memory
    }

    fn put(&self, tenant: Tenant) {
        let mut tenants = self.0.lock().unwrap();
        let next = tenants.values().map(|(revision, _)| revision + 1).max();
        tenants.insert(tenant.id(), (next.unwrap_or(1), tenant));
    }
}

#[async_trait]
impl TenantStore for Memory {
    async fn add_tenant(&self, tenant: &Tenant) -> Result<(), StoreError> {
        self.put(tenant.clone());
        Ok(())
    }

    async fn change_tenant(
        &self,
        id: TenantId,
        change: &TenantChange,
    ) -> Result<Option<Tenant>, StoreError> {
        let changed = self.tenant(id).await?.map(|tenant| tenant.changed(change));
        if let Some(tenant) = changed.clone() {
            self.put(tenant);
        }
        Ok(changed)
    }

    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let tenants = self.0.lock().unwrap();
        Ok(tenants.get(&id).map(|(_, tenant)| tenant.clone()))
    }

    async fn list_tenants(
        &self,
        filter: &TenantFilter,
        _: Option<TenantId>,
        _: u32,
    ) -> Result<Vec<Tenant>, StoreError> {
        let tenants = self.0.lock().unwrap();
        let passes = |tenant: &&Tenant| {
            let organization = filter.organization_id;
            tenant.id().word() == filter.word
                && organization.is_none_or(|id| id == tenant.organization_id)
        };
        Ok(tenants
            .values()
            .map(|(_, tenant)| tenant)
            .filter(passes)
            .cloned()
            .collect())
    }

    async fn tenants_changed_since(
        &self,
        revision: TenantRevision,
    ) -> Result<(Vec<Tenant>, TenantRevision), StoreError> {
        let tenants = self.0.lock().unwrap();
        let changed = tenants.values().filter(|(at, _)| *at > revision);
        let followed = tenants.values().map(|(at, _)| *at).max();
        Ok((
            changed.map(|(_, tenant)| tenant.clone()).collect(),
            followed.unwrap_or(0),
        ))
    }
}

/// The store in memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

struct Stage {
    desk: TenantDesk,
    ring: Arc<KeyRing>,
}

fn desk_over(store: &Arc<Memory>) -> Stage {
    let ring = Arc::new(KeyRing::new(Hasher::new(&Secret::new(vec![1; 32]))));
    let desk = TenantDesk::new(
        Arc::clone(store) as Arc<dyn TenantStore>,
        Arc::clone(&ring),
        Arc::new(Still),
        Arc::new(Counted::default()),
    );
    Stage { desk, ring }
}

fn stage() -> Stage {
    desk_over(&Arc::new(Memory::new()))
}

impl Stage {
    fn make(&self, kind: NewTenantKind) -> Result<Tenant, TenantError> {
        self.make_as(Reach::Installation, kind)
    }

    fn make_as(&self, reach: Reach, kind: NewTenantKind) -> Result<Tenant, TenantError> {
        let name = "some".parse().unwrap();
        let new = NewTenant { name, kind };
        now(self.desk.create(reach, ProjectId::DEFAULT, new))
    }

    /// An organisation with a project, an application and a user.
    fn family(&self) -> Family {
        let organization = self
            .make(NewTenantKind::Organization)
            .unwrap()
            .organization_id;
        let settings = ProjectSettings::default();
        let project = self
            .make(NewTenantKind::Project(Some(organization), settings))
            .unwrap()
            .project_id()
            .unwrap();
        let application = self
            .make(NewTenantKind::Application(Some(project)))
            .unwrap();
        let user = self
            .make(NewTenantKind::User(Some(organization), None))
            .unwrap();
        let (TenantId::Application(application), TenantId::User(user)) =
            (application.id(), user.id())
        else {
            panic!("others were made than were asked for");
        };
        Family {
            organization,
            project,
            application,
            user,
        }
    }

    /// The ring holds a key with this text for `holder`.
    fn hold(&self, text: &str, placement: Placement) {
        let id = KeyId::new(NOW, &Counted(AtomicU8::new(200)));
        let (organization, project) = (placement.organization_id, placement.project_id);
        self.ring.update([VirtualKey {
            name: "test".to_owned(),
            application_id: placement.application_id,
            user_id: placement.user_id,
            hash: self.ring.hasher().hash(text),
            models: vec![ModelPattern::new("*")],
            origin: Origin::Store,
            ..VirtualKey::without_text(id, organization, project, NOW)
        }]);
    }

    fn place(&self, reach: Reach, holder: Holder) -> Result<Placement, TenantError> {
        now(self.desk.place(reach, ProjectId::DEFAULT, holder))
    }
}

struct Family {
    organization: OrganizationId,
    project: ProjectId,
    application: ApplicationId,
    user: UserId,
}

impl Family {
    fn holder(&self) -> Holder {
        Holder {
            project_id: Some(self.project),
            application_id: Some(self.application),
            user_id: Some(self.user),
        }
    }

    fn all(&self) -> [TenantId; 4] {
        [
            TenantId::Organization(self.organization),
            TenantId::Project(self.project),
            TenantId::Application(self.application),
            TenantId::User(self.user),
        ]
    }
}

#[test]
fn a_key_is_admitted_only_while_all_of_its_tenants_are_in_service() {
    let stage = stage();
    let family = stage.family();
    let placement = stage.place(Reach::Installation, family.holder()).unwrap();
    stage.hold("tl_theirs", placement);
    let recognise = || stage.ring.recognise("tl_theirs", HOME, NOW).map(|_| ());
    let holder = || {
        let id = KeyId::new(NOW, &Counted(AtomicU8::new(200)));
        stage.ring.holder(id).unwrap().is_valid_at(NOW)
    };
    for id in family.all() {
        assert_eq!(recognise(), Ok(()));
        now(stage.desk.archive(Reach::Installation, id)).unwrap();
        assert_eq!(recognise(), Err(Unrecognised::Archived(id)));
        assert!(!holder(), "{id}");
        let back = TenantChange {
            archived_at: Some(None),
            ..TenantChange::default()
        };
        now(stage.desk.change(Reach::Installation, id, &back)).unwrap();
        assert!(holder(), "{id}");
    }
    assert_eq!(recognise(), Ok(()));
}

#[test]
fn callers_know_the_settings_of_their_project() {
    let stage = stage();
    stage.hold("tl_first", Placement::DEFAULT);
    let settings = || {
        let caller = stage.ring.recognise("tl_first", HOME, NOW).unwrap();
        caller.settings().cloned()
    };
    assert_eq!(settings(), None);
    let beta = ProjectSettings {
        flags: [("beta".to_owned(), Flag::Switch(true))].into(),
        ..ProjectSettings::default()
    };
    let change = TenantChange {
        settings: Some(beta.clone()),
        ..TenantChange::default()
    };
    let project = TenantId::Project(ProjectId::DEFAULT);
    now(stage.desk.change(Reach::Installation, project, &change)).unwrap();
    assert_eq!(settings(), Some(beta));
}

#[test]
fn another_process_follows_what_is_archived() {
    let store = Arc::new(Memory::new());
    let (here, there) = (desk_over(&store), desk_over(&store));
    let family = here.family();
    let placement = here.place(Reach::Installation, family.holder()).unwrap();
    there.hold("tl_theirs", placement);
    let revision = now(there.desk.follow(0)).unwrap();
    assert!(there.ring.recognise("tl_theirs", HOME, NOW).is_ok());
    let project = TenantId::Project(family.project);
    now(here.desk.archive(Reach::Installation, project)).unwrap();
    assert!(now(there.desk.follow(revision)).unwrap() > revision);
    let refused = there.ring.recognise("tl_theirs", HOME, NOW);
    assert_eq!(refused.unwrap_err(), Unrecognised::Archived(project));
}

#[test]
fn an_administrator_of_one_organization_learns_nothing_of_another() {
    let stage = stage();
    let (ours, theirs) = (stage.family(), stage.family());
    let reach = Reach::Organization(ours.organization);
    for id in theirs.all() {
        let found = now(stage.desk.find(reach, id));
        assert!(matches!(found, Err(TenantError::Unknown(unknown)) if unknown == id));
        let archived = now(stage.desk.archive(reach, id));
        assert!(matches!(archived, Err(TenantError::Unknown(_))), "{id}");
        let filter = TenantFilter {
            word: id.word(),
            organization_id: None,
            project_id: None,
            archived: None,
        };
        let listed = now(stage.desk.list(reach, filter, None, 10)).unwrap();
        assert!(
            listed
                .iter()
                .all(|it| it.organization_id == ours.organization)
        );
        assert_eq!(listed.len(), 1, "{id}");
    }
    let filter = TenantFilter {
        word: TenantWord::User,
        organization_id: Some(theirs.organization),
        project_id: None,
        archived: None,
    };
    assert_eq!(now(stage.desk.list(reach, filter, None, 10)).unwrap(), []);
    let made = stage.make_as(reach, NewTenantKind::Application(Some(theirs.project)));
    assert!(matches!(made, Err(TenantError::Unknown(_))));
    assert!(matches!(
        stage.place(reach, theirs.holder()),
        Err(TenantError::Unknown(_))
    ));
    let organization = stage.make_as(reach, NewTenantKind::Organization);
    assert!(matches!(organization, Err(TenantError::OperatorsOnly)));
}

#[test]
fn a_holder_belongs_together() {
    let stage = stage();
    let (ours, theirs) = (stage.family(), stage.family());
    let of_application = Holder {
        application_id: Some(ours.application),
        ..Holder::default()
    };
    let placed = stage.place(Reach::Installation, of_application).unwrap();
    assert_eq!(
        (placed.organization_id, placed.project_id),
        (ours.organization, ours.project)
    );
    for mixed in [
        Holder {
            application_id: Some(theirs.application),
            ..ours.holder()
        },
        Holder {
            user_id: Some(theirs.user),
            ..ours.holder()
        },
    ] {
        let placed = stage.place(Reach::Installation, mixed);
        assert!(
            matches!(placed, Err(TenantError::Elsewhere(..))),
            "{mixed:?}"
        );
    }
    let nobody = stage.place(Reach::Installation, Holder::default());
    assert_eq!(nobody.unwrap(), Placement::DEFAULT);
}

#[test]
fn nothing_is_made_below_what_is_archived() {
    let stage = stage();
    let family = stage.family();
    for id in family.all() {
        now(stage.desk.archive(Reach::Installation, id)).unwrap();
    }
    let archived = |made: Result<_, TenantError>| matches!(made, Err(TenantError::Archived(_)));
    assert!(archived(
        stage.make(NewTenantKind::Application(Some(family.project)))
    ));
    assert!(archived(
        stage.make(NewTenantKind::User(Some(family.organization), None))
    ));
    assert!(archived(
        stage
            .place(Reach::Installation, family.holder())
            .map(|_| stage.make(NewTenantKind::Organization).unwrap())
    ));
}

#[test]
fn what_is_always_there_cannot_be_archived() {
    let stage = stage();
    for id in [
        TenantId::Organization(OrganizationId::DEFAULT),
        TenantId::Project(ProjectId::DEFAULT),
    ] {
        let archived = now(stage.desk.archive(Reach::Installation, id));
        assert!(matches!(archived, Err(TenantError::AlwaysThere)));
    }
}
