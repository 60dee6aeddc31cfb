//! Who is held to which regions: a promise that the data of a tenant stays where it is, whatever route is
//! asked for and whoever fails. The configuration makes such promises, and so does a project's own record.

use domain::caller::Caller;
use domain::id::{KeyId, OrganizationId, ProjectId};
use domain::region::{self, Region};

/// Every promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Residency(Vec<Promise>);

/// Some callers are held to some regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// Whose calls.
    pub whose: Vec<Tenant>,
    /// Where they may go; at least one.
    pub regions: Vec<Region>,
}

/// Whose calls a promise is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenant {
    /// An organisation's.
    Organization(OrganizationId),
    /// A project's.
    Project(ProjectId),
    /// Those of a key.
    Key(KeyId),
}

impl Residency {
    /// These promises, which hold together.
    pub fn new(promises: impl IntoIterator<Item = Promise>) -> Self {
        Self(promises.into_iter().collect())
    }

    /// Whether it makes a difference to a caller where a request goes.
    pub fn concerns(&self, caller: &Caller) -> bool {
        let settings = caller.settings();
        !self.0.is_empty() || settings.is_some_and(|settings| !settings.regions.is_empty())
    }

    /// Whether a caller's request may go to `region`. What lies nobody knows where is nowhere that is permitted.
    pub fn permits(&self, caller: &Caller, region: Option<&Region>) -> bool {
        let mut about = self.about(caller);
        let settings = caller.settings();
        settings.is_none_or(|settings| settings.permits(region))
            && about.all(|promise| region::permits(&promise.regions, region))
    }

    /// The regions of each promise that a caller is held to.
    pub fn of<'a>(&'a self, caller: &'a Caller) -> Vec<Vec<&'a str>> {
        let promised = self.about(caller).map(|promise| {
            let regions = promise.regions.iter();
            regions.map(Region::as_str).collect()
        });
        let own = caller.settings().map(|settings| &settings.regions);
        let own = own.filter(|regions| !regions.is_empty());
        let own = own.map(|regions| regions.iter().map(String::as_str).collect());
        promised.chain(own).collect()
    }

    fn about(&self, caller: &Caller) -> impl Iterator<Item = &Promise> {
        let is_about = |promise: &&Promise| promise.whose.iter().any(|tenant| tenant.has(caller));
        self.0.iter().filter(is_about)
    }
}

impl Tenant {
    fn has(&self, caller: &Caller) -> bool {
        match self {
            Self::Organization(id) => caller.organization_id() == *id,
            Self::Project(id) => caller.project_id() == *id,
            Self::Key(id) => caller.key_id() == *id,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::key::Rate;
    use domain::tenant::ProjectSettings;

    use super::*;
    use crate::testing::caller;

    fn promise(tenant: Tenant, regions: &[&str]) -> Promise {
        Promise {
            whose: vec![tenant],
            regions: regions.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_promise_holds_for_those_that_it_is_about() {
        let (held, free) = (caller(Rate::default(), None), caller(Rate::default(), None));
        let residency = Residency::new([promise(Tenant::Key(held.key_id()), &["eu"])]);
        let (eu, us) = ("eu-west-1".parse().unwrap(), "us".parse().unwrap());
        assert!(residency.permits(&held, Some(&eu)));
        assert!(!residency.permits(&held, Some(&us)));
        assert!(!residency.permits(&held, None));
        assert!(residency.permits(&free, Some(&us)) && residency.permits(&free, None));
    }

    #[test]
    fn a_project_holds_its_calls_to_its_own_regions_beside_the_promises() {
        let settings = ProjectSettings {
            regions: vec!["eu".to_owned()],
            ..ProjectSettings::default()
        };
        let free = caller(Rate::default(), None);
        let held = free.clone().of_project(Some(Arc::new(settings)), false);
        let none = Residency::default();
        assert!(none.concerns(&held) && !none.concerns(&free));
        let region = |name: &str| name.parse::<Region>().unwrap();
        assert!(none.permits(&held, Some(&region("eu-west-1"))));
        assert!(!none.permits(&held, Some(&region("us"))));
        let tenant = Tenant::Key(held.key_id());
        let both = Residency::new([promise(tenant, &["eu-west-1", "us"])]);
        assert!(both.permits(&held, Some(&region("eu-west-1"))));
        assert!(!both.permits(&held, Some(&region("eu-central-1"))));
        assert!(!both.permits(&held, Some(&region("us"))));
        assert_eq!(both.of(&held), [vec!["eu-west-1", "us"], vec!["eu"]]);
    }

    #[test]
    fn several_promises_hold_together() {
        let held = caller(Rate::default(), None);
        let residency = Residency::new([
            promise(Tenant::Organization(held.organization_id()), &["eu", "us"]),
            promise(Tenant::Project(held.project_id()), &["eu-west-1"]),
        ]);
        let permits = |name: &str| residency.permits(&held, Some(&name.parse().unwrap()));
        assert!(permits("eu-west-1"));
        assert!(!permits("eu-central-1") && !permits("us"));
    }
}
