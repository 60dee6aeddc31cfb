//! The tenant port.

use domain::id::{OrganizationId, ProjectId};
use domain::tenant::{
    Flag, PayloadRule, ProjectSettings, Tenant, TenantChange, TenantFilter, TenantId, TenantKind,
    TenantStore, TenantWord,
};

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{application_id, other_organization, other_project, time, user_id};

on_both_engines!(
    the_first_organization_and_project_are_there,
    every_kind_reads_back_as_it_was_added,
    a_change_is_written_and_followed,
    a_list_holds_what_its_filter_names_newest_first,
    many_changes_at_once_are_all_followed,
);

fn tenant(kind: TenantKind) -> Tenant {
    Tenant {
        kind,
        organization_id: other_organization(),
        name: "Größe 东京 'quoted' \"twice\"".parse().unwrap(),
        created_at: time(1),
        archived_at: None,
    }
}

fn settings() -> ProjectSettings {
    ProjectSettings {
        regions: vec!["eu-west-1".to_owned()],
        flags: [
            ("beta".to_owned(), Flag::Switch(false)),
            ("tone".to_owned(), Flag::Variant("warm".to_owned())),
        ]
        .into(),
        payloads: Some(PayloadRule::Full {
            retention_seconds: 60,
        }),
    }
}

fn one_of_each_kind() -> [Tenant; 4] {
    [
        tenant(TenantKind::Organization(other_organization())),
        tenant(TenantKind::Project(other_project(), settings())),
        Tenant {
            archived_at: Some(time(9)),
            ..tenant(TenantKind::Application(application_id(1), other_project()))
        },
        tenant(TenantKind::User(
            user_id(1),
            Some("ada@example.com".parse().unwrap()),
        )),
    ]
}

async fn add(bench: &Bench, tenants: impl IntoIterator<Item = Tenant>) {
    for tenant in tenants {
        bench.store.add_tenant(&tenant).await.unwrap();
    }
}

async fn the_first_organization_and_project_are_there(bench: Bench) {
    let (tenants, revision) = bench.store.tenants_changed_since(0).await.unwrap();
    let ids: Vec<TenantId> = tenants.iter().map(Tenant::id).collect();
    let organization = TenantId::Organization(OrganizationId::DEFAULT);
    assert_eq!(ids, [organization, TenantId::Project(ProjectId::DEFAULT)]);
    assert_eq!(revision, 2);
}

async fn every_kind_reads_back_as_it_was_added(bench: Bench) {
    add(&bench, one_of_each_kind()).await;
    for tenant in one_of_each_kind() {
        let found = bench.store.tenant(tenant.id()).await.unwrap();
        assert_eq!(found, Some(tenant));
    }
    let nobody = TenantId::User(user_id(2));
    assert_eq!(bench.store.tenant(nobody).await.unwrap(), None);
}

async fn a_change_is_written_and_followed(bench: Bench) {
    add(&bench, one_of_each_kind()).await;
    let (_, revision) = bench.store.tenants_changed_since(0).await.unwrap();
    let change = TenantChange {
        name: Some("another".parse().unwrap()),
        settings: Some(ProjectSettings::default()),
        archived_at: Some(Some(time(5))),
        email: None,
    };
    let id = TenantId::Project(other_project());
    let expected = Tenant {
        kind: TenantKind::Project(other_project(), ProjectSettings::default()),
        name: "another".parse().unwrap(),
        archived_at: Some(time(5)),
        ..tenant(TenantKind::User(user_id(1), None))
    };
    let changed = bench.store.change_tenant(id, &change).await.unwrap();
    assert_eq!(changed.as_ref(), Some(&expected));
    assert_eq!(bench.store.tenant(id).await.unwrap(), changed);
    let followed = bench.store.tenants_changed_since(revision).await.unwrap();
    assert_eq!(followed, (vec![expected], revision + 1));
    let nobody = TenantId::User(user_id(2));
    assert_eq!(
        bench.store.change_tenant(nobody, &change).await.unwrap(),
        None
    );
}

async fn a_list_holds_what_its_filter_names_newest_first(bench: Bench) {
    let applications = [1, 2, 3].map(|number| Tenant {
        archived_at: (number == 2).then(|| time(3)),
        ..tenant(TenantKind::Application(
            application_id(number),
            other_project(),
        ))
    });
    let elsewhere = Tenant {
        organization_id: OrganizationId::DEFAULT,
        ..tenant(TenantKind::Application(
            application_id(4),
            ProjectId::DEFAULT,
        ))
    };
    add(&bench, applications.into_iter().chain([elsewhere])).await;
    add(&bench, [tenant(TenantKind::User(user_id(1), None))]).await;
    let open = TenantFilter {
        word: TenantWord::Application,
        organization_id: None,
        project_id: None,
        archived: None,
    };
    let list = async |filter: TenantFilter, before: Option<u64>, limit| {
        let before = before.map(|number| TenantId::Application(application_id(number)));
        let listed = bench
            .store
            .list_tenants(&filter, before, limit)
            .await
            .unwrap();
        let number = |tenant: &Tenant| {
            let is_it =
                |number: &u64| tenant.id() == TenantId::Application(application_id(*number));
            (1..10).find(is_it).unwrap()
        };
        listed.iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(list(open, None, 10).await, [4, 3, 2, 1]);
    assert_eq!(list(open, None, 2).await, [4, 3]);
    assert_eq!(list(open, Some(3), 2).await, [2, 1]);
    let ours = TenantFilter {
        organization_id: Some(other_organization()),
        ..open
    };
    assert_eq!(list(ours, None, 10).await, [3, 2, 1]);
    let first = TenantFilter {
        project_id: Some(ProjectId::DEFAULT),
        ..open
    };
    assert_eq!(list(first, None, 10).await, [4]);
    for (archived, expected) in [(true, vec![2]), (false, vec![3, 1])] {
        let filter = TenantFilter {
            archived: Some(archived),
            ..ours
        };
        assert_eq!(list(filter, None, 10).await, expected);
    }
}

async fn many_changes_at_once_are_all_followed(bench: Bench) {
    let added = futures_util::future::join_all((0..20).map(|number| {
        let tenant = tenant(TenantKind::User(user_id(number), None));
        let store = bench.store.clone();
        async move { store.add_tenant(&tenant).await.unwrap() }
    }));
    added.await;
    let (followed, revision) = bench.store.tenants_changed_since(2).await.unwrap();
    assert_eq!((followed.len(), revision), (20, 22));
}
