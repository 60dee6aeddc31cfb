//! What holds on every route: `flags`, `residency`, `equivalents` and `health`.

use std::collections::BTreeMap;

use domain::id::{KeyId, OrganizationId, ProjectId};
use domain::name::ProviderName;
use domain::region::Region;
use gateway::health::HealthRules;
use gateway::routes::flag::{Flag, Flags};
use gateway::routes::residency::{Promise, Residency, Tenant};
use gateway::routes::rollout::Percent;
use gateway::routes::{Equivalent, Policy, RouteTarget};
use identity::text;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::key::BootstrapKey;
use super::node::Node;
use super::path::Path;
use super::problem::Complaint;
use super::reading::Reading;
use super::route::refuse_provider;
use super::scalar::{Misfit, Scalar};
use super::target::{Quality, Word};

/// These sections as they are written; `None` stands for what is wrong.
pub(super) struct Policies {
    pub(super) flags: BTreeMap<Word, Option<Flag>>,
    residency: Vec<Option<HeldTo>>,
    pub(super) equivalents: BTreeMap<Word, Option<Class>>,
    health: Option<HealthRules>,
}

impl Policies {
    pub(super) fn read(fields: &mut impl Fields) -> Self {
        Self {
            flags: fields
                .named_sections(
                    "flags",
                    "new-model",
                    "Switches that conditions ask for, as in `flags[\"new-model\"]`.",
                )
                .unwrap_or_default(),
            residency: fields.sections(
                "residency",
                "Whose data stays in which regions, whatever route is asked for. Several that are about \
                 one caller hold together.",
            ),
            equivalents: fields
                .named_sections(
                    "equivalents",
                    "small",
                    "Classes of models that can stand for each other, for targets of routes.",
                )
                .unwrap_or_default(),
            health: fields.section(
                "health",
                "How providers are looked after beside the calls that go to them, which cost nothing.",
            ),
        }
    }

    /// Says what of it names something that there is not.
    pub(super) fn check(
        &self,
        providers: &[ProviderName],
        keys: &[Option<BootstrapKey>],
        root: &Node,
        reading: &mut Reading<'_>,
    ) {
        for (name, class) in &self.equivalents {
            let models = class.iter().flat_map(|class| &class.models);
            for (index, model) in models.enumerate() {
                let path = Path::default().key("equivalents").key(&name.0);
                let path = path.key("models").index(index).key("model");
                refuse_provider(&model.target, providers, &path, root, reading);
            }
        }
        let names: Vec<&str> = keys.iter().flatten().map(|key| key.name.as_str()).collect();
        for (index, held) in self.residency.iter().enumerate() {
            let keys = held.iter().flat_map(|held| &held.keys);
            for (place, key) in keys.enumerate() {
                let Some(name) = key.name().filter(|name| !names.contains(name)) else {
                    continue;
                };
                let path = Path::default().key("residency").index(index);
                let complaint = Complaint::new(format!("no key under `keys` is called `{name}`"));
                let complaint =
                    complaint.suggest_one_of(name, names.iter().copied(), "the keys are");
                reading.refuse_at(root, &path.key("keys").index(place), complaint);
            }
        }
    }

    /// The classes of equivalents, with how good the best model of each is: of one that is wrong, as good as may be.
    pub(super) fn classes(&self) -> Vec<(&str, f64)> {
        let classes = self.equivalents.iter();
        let best = |class: &Class| {
            let qualities = class.models.iter().map(|model| model.quality);
            qualities.fold(0.0, f64::max)
        };
        classes
            .map(|(name, class)| (&*name.0, class.as_ref().map_or(1.0, best)))
            .collect()
    }

    /// The policy, unless something of it was wrong.
    pub(super) fn policy(self, keys: &[BootstrapKey]) -> Option<Policy> {
        let flags = self.flags.into_iter();
        let flags: Option<Vec<_>> = flags
            .map(|(name, flag)| Some((name.0.to_string(), flag?)))
            .collect();
        let promises = self.residency.into_iter();
        let promises: Option<Vec<_>> = promises.map(|held| Some(held?.promise())).collect();
        let of_keys = keys.iter().filter(|key| !key.regions.is_empty());
        let of_keys = of_keys.map(|key| Promise {
            whose: vec![Tenant::Key(text::configured_id(&key.name))],
            regions: key.regions.clone(),
        });
        let classes = self.equivalents.into_iter();
        let classes = classes.map(|(name, class)| Some((name.0.to_string(), class?.models)));
        Some(Policy {
            flags: Flags::new(flags?),
            residency: Residency::new(promises?.into_iter().chain(of_keys)),
            equivalents: classes.collect::<Option<_>>()?,
            health: self.health?,
        })
    }
}

impl Section for Flag {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let projects = fields.some(
            "projects",
            "The projects that it is on for, by identifier; left out, all.",
        );
        let percent: Option<Percent> = fields.or(
            "percent",
            "100%",
            "For how many of their callers it is on, always the same ones.",
        );
        Some(Self {
            projects,
            percent: percent?,
        })
    }
}

/// Who is held to which regions.
struct HeldTo {
    organizations: Vec<OrganizationId>,
    projects: Vec<ProjectId>,
    keys: Vec<KeyName>,
    regions: Vec<Region>,
}

impl HeldTo {
    fn promise(self) -> Promise {
        let organizations = self.organizations.into_iter().map(Tenant::Organization);
        let projects = self.projects.into_iter().map(Tenant::Project);
        let keys = self.keys.into_iter().map(|key| Tenant::Key(key.id()));
        Promise {
            whose: organizations.chain(projects).chain(keys).collect(),
            regions: self.regions,
        }
    }
}

impl Section for HeldTo {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let held = Self {
            organizations: fields.some("organizations", "Organisations, by identifier (`org_…`)."),
            projects: fields.some("projects", "Projects, by identifier (`proj_…`)."),
            keys: fields.some(
                "keys",
                "Keys: by their name under `keys`, others by identifier (`key_…`).",
            ),
            regions: fields.some(
                "regions",
                "Where their requests may go. A target whose region nobody knows is nowhere.",
            ),
        };
        if !fields.is_given("regions") {
            let complaint = Complaint::new("`regions` is missing");
            fields.refuse(
                "regions",
                complaint.suggest("add it, as in `regions: [eu]`"),
            );
        }
        if !["organizations", "projects", "keys"]
            .iter()
            .any(|key| fields.is_given(key))
        {
            let complaint = Complaint::new("it says nobody's data");
            fields.refuse(
                "projects",
                complaint.suggest("add `organizations`, `projects` or `keys`"),
            );
        }
        Some(held)
    }
}

/// Models that can stand for each other.
pub(super) struct Class {
    models: Vec<Equivalent>,
}

impl Section for Class {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let models = fields.some_sections("models", "The models, with how good each is.");
        Some(Self { models: models? })
    }
}

impl Section for Equivalent {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let target: Option<RouteTarget> = fields.required(
            "model",
            "openai/gpt-5.4-nano",
            "The provider's name under `providers`, a `/`, and the model as that provider calls it.",
        );
        let quality: Option<Quality> = fields.required(
            "quality",
            "0.7",
            "How good it is, 0 to 1, by the operator's own measure.",
        );
        Some(Self {
            target: target?,
            quality: quality?.0,
        })
    }
}

/// A key, by its name in the file or its identifier.
enum KeyName {
    Named(String),
    Id(KeyId),
}

impl KeyName {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Id(_) => None,
        }
    }

    fn id(self) -> KeyId {
        match self {
            Self::Named(name) => text::configured_id(&name),
            Self::Id(id) => id,
        }
    }
}

impl Scalar for KeyName {
    const EXPECTED: &'static str = "a key's name under `keys` or its identifier";

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) if text.is_empty() => Err(Misfit::default()),
            Err(_) => Ok(Self::Named(text.to_owned())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 128 })
    }
}

impl Scalar for ProjectId {
    const EXPECTED: &'static str = "a project's identifier such as `proj_…`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^proj_[0-9a-f]{32}$" })
    }
}

impl Scalar for OrganizationId {
    const EXPECTED: &'static str = "an organisation's identifier such as `org_…`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^org_[0-9a-f]{32}$" })
    }
}
