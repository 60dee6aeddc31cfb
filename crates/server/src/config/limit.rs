//! `limits`: how much may be taken in which time, by whom; others live in the store.

use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use domain::id::{KeyId, LimitId, OrganizationId, ProjectId};
use domain::key::{ModelPattern, Origin, Period};
use domain::limit::{Bound, Limit, Part, QueueRules, Scope};
use domain::money::Cost;
use domain::name::ProviderName;
use identity::text::configured_id;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::key::{BootstrapKey, KeyName};
use super::node::{Kind, Node};
use super::path::Path;
use super::problem::Complaint;
use super::reading::Reading;
use super::scalar::{Misfit, Scalar};

/// The word for "each has a count of its own".
const EACH: &str = "each";
/// When operators hear of a budget, unless said otherwise, in per cent.
const ALERTS: [&str; 3] = ["50", "80", "100"];

/// One limit as the file says it.
#[derive(Debug, Clone)]
pub(super) struct LimitRow {
    name: String,
    /// The name of the key that the scope names, where it is one of the file's.
    key_name: Option<String>,
    scope: Scope,
    bound: Bound,
    queue: Option<QueueRules>,
    alerts: Vec<u8>,
}

impl LimitRow {
    /// The limit that it stands for, made at `now`.
    pub(super) fn limit(self, now: Timestamp) -> Limit {
        Limit {
            // Keys' own limits have their keys' identifiers: another text gives another digest.
            id: LimitId::of_key(configured_id(&format!("limit {}", self.name))),
            name: self.name,
            organization_id: OrganizationId::DEFAULT,
            project_id: ProjectId::DEFAULT,
            scope: self.scope,
            bound: self.bound,
            queue: self.queue,
            alerts: self.alerts,
            origin: Origin::Configuration,
            created_at: now,
        }
    }
}

impl Section for LimitRow {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let name: Option<KeyName> = fields.required(
            "name",
            "company",
            "What people call the limit; no two share a name.",
        );
        let mut key_name = None;
        let scope = read_scope(fields, &mut key_name);
        let bound = read_bound(fields);
        let queue = fields.optional_section(
            "queue",
            "Lets calls wait for room instead of turning them away at once; not with `usd`.",
        );
        let has_alerts = fields.is_given("alerts");
        let alerts: Vec<Percent> = fields.list(
            "alerts",
            &ALERTS,
            "At which parts, in per cent, an event is raised; without `usd`, none unless it is given.",
        );
        let mut alerts: Vec<u8> = alerts.into_iter().map(|percent| percent.0).collect();
        alerts.sort_unstable();
        alerts.dedup();
        let bound = bound?;
        let is_budget = matches!(bound, Bound::Dollars { .. });
        if is_budget && queue.is_some() {
            let problem = "a budget that is spent does not come back while a call waits";
            fields.refuse("queue", Complaint::new(problem).suggest("remove it"));
            return None;
        }
        Some(Self {
            name: name?.0,
            key_name,
            scope: scope?,
            bound,
            queue,
            alerts: if is_budget || has_alerts {
                alerts
            } else {
                Vec::new()
            },
        })
    }
}

fn read_scope(fields: &mut impl Fields, key_name: &mut Option<String>) -> Option<Scope> {
    let mut is_wrong = false;
    let scope = Scope {
        organization: part(
            fields,
            "organization",
            "each",
            "The organisation that it holds for: an identifier, or `each` for a count of its own \
             for each. Left out, all share one count.",
            &mut is_wrong,
        ),
        project: part(
            fields,
            "project",
            "each",
            "The project, in the same way.",
            &mut is_wrong,
        ),
        user: part(
            fields,
            "user",
            "each",
            "The user, in the same way; keys of no user are not limited then.",
            &mut is_wrong,
        ),
        application: part(
            fields,
            "application",
            "each",
            "The application, in the same way; keys of no application are not limited then.",
            &mut is_wrong,
        ),
        key: match part::<NamedKey>(
            fields,
            "key",
            "ci",
            "The key, in the same way, or the name of one under `keys`.",
            &mut is_wrong,
        ) {
            Part::Any => Part::Any,
            Part::Each => Part::Each,
            Part::Only(NamedKey::Id(id)) => Part::Only(id),
            Part::Only(NamedKey::Name(name)) => {
                let id = configured_id(&name);
                *key_name = Some(name);
                Part::Only(id)
            }
        },
        provider: part(
            fields,
            "provider",
            "openai",
            "The provider that answers: its name under `providers`, or `each`.",
            &mut is_wrong,
        ),
        model: match part::<Pattern>(
            fields,
            "model",
            "openai/gpt-5.4*",
            "The model that answers: `provider/model` or its name at any provider, `*` standing \
             for any text, or `each`.",
            &mut is_wrong,
        ) {
            Part::Any => Part::Any,
            Part::Each => Part::Each,
            Part::Only(pattern) => Part::Only(pattern.0),
        },
    };
    (!is_wrong).then_some(scope)
}

/// One part of the scope; a wrong one is said and noted.
fn part<T: FromStr>(
    fields: &mut impl Fields,
    key: &'static str,
    example: &str,
    about: &str,
    is_wrong: &mut bool,
) -> Part<T> {
    let Some(PartText(text)) = fields.optional(key, example, about) else {
        return Part::Any;
    };
    if text == EACH {
        return Part::Each;
    }
    if let Ok(only) = text.parse() {
        return Part::Only(only);
    }
    let complaint = Complaint::new(format!("`{text}` names no {key}"));
    let suggestion = "write its identifier, or `each` for a count of its own for each";
    fields.refuse(key, complaint.suggest(suggestion));
    *is_wrong = true;
    Part::Any
}

fn read_bound(fields: &mut impl Fields) -> Option<Bound> {
    let requests: Option<NonZeroU64> = fields.optional("requests", "600", "How many requests.");
    let tokens: Option<NonZeroU64> = fields.optional(
        "tokens",
        "2000000",
        "How many tokens, input and output together.",
    );
    let concurrency: Option<NonZeroU64> =
        fields.optional("concurrency", "50", "How many calls at the same time.");
    let usd: Option<Cost> = fields.optional(
        "usd",
        "500",
        "How many US dollars, at most nine decimals, read exactly; 0 permits nothing. One of \
         `requests`, `tokens`, `concurrency` and `usd` is given.",
    );
    let per: Option<Word> = fields.optional(
        "per",
        "month",
        "In which time: `minute`, `hour` or `day` of requests and tokens, counted over any such \
         stretch of time; `hour`, `day`, `week` (from Monday), `month`, all by the calendar in \
         UTC, or `total` of `usd`. Not with `concurrency`.",
    );
    let given = ["requests", "tokens", "concurrency", "usd"];
    let given: Vec<&str> = given
        .into_iter()
        .filter(|key| fields.is_given(key))
        .collect();
    let [measure] = given.as_slice() else {
        let complaint = match given.first() {
            None => Complaint::new("it says not how much")
                .suggest("add one of `requests`, `tokens`, `concurrency` and `usd`"),
            Some(_) => Complaint::new(format!("it has {} together", given.join(" and ")))
                .suggest("make a limit of each"),
        };
        fields.refuse("", complaint);
        return None;
    };
    let most = match (requests, tokens, concurrency, usd) {
        (Some(most), ..) | (_, Some(most), ..) | (_, _, Some(most), _) => most.get(),
        (.., Some(most)) => u64::try_from(most.nano_dollars()).unwrap_or(0),
        _ => return None,
    };
    let per = per.map(|word| word.0);
    let bound = Bound::from_words(measure, most, per.as_deref());
    if bound.is_none() {
        let periods = match *measure {
            "concurrency" => "remove it: calls at the same time are counted at every moment",
            "usd" => "write one of: hour, day, week, month, total",
            _ => "write one of: minute, hour, day",
        };
        let problem = match &per {
            Some(per) => format!("`{measure}` is not counted per `{per}`"),
            None => format!("`{measure}` is counted in a time"),
        };
        fields.refuse("per", Complaint::new(problem).suggest(periods));
    }
    bound
}

impl Section for QueueRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let max_wait: Option<Duration> = fields.or(
            "max_wait",
            "10s",
            "How long a call waits at most; at most 10m.",
        );
        let max_waiting: Option<NonZeroU32> = fields.or(
            "max_waiting",
            "100",
            "How many calls wait at most; where several tenants share the limit, one takes no more than half of the \
             places.",
        );
        let max_wait = max_wait?;
        if max_wait > Self::MAX_WAIT {
            let complaint = Complaint::new("it is longer than clients wait");
            fields.refuse("max_wait", complaint.suggest("write at most `10m`"));
            return None;
        }
        Some(Self {
            max_wait,
            max_waiting: max_waiting?.get(),
        })
    }
}

/// Says which limits share a name with one before them, or name a provider or key that there is not.
pub(super) fn refuse_unknown_and_repeated(
    rows: &[Option<LimitRow>],
    providers: &[ProviderName],
    keys: &[Option<BootstrapKey>],
    root: &Node,
    reading: &mut Reading<'_>,
) {
    let limits = Path::default().key("limits");
    for (index, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        let path = limits.index(index);
        let mut earlier = rows.iter().take(index).flatten();
        if earlier.any(|earlier| earlier.name == row.name) {
            let complaint = Complaint::new(format!("another limit is called `{}` too", row.name));
            let complaint = complaint.suggest("give it another name");
            reading.refuse_at(root, &path.key("name"), complaint);
        }
        if let Part::Only(provider) = &row.scope.provider
            && !providers.contains(provider)
        {
            let complaint = Complaint::new(format!("no provider is called `{provider}`"));
            let known = providers.iter().map(ProviderName::as_str);
            let complaint = complaint.suggest_one_of(provider.as_str(), known, "the providers are");
            reading.refuse_at(root, &path.key("provider"), complaint);
        }
        let mut configured = keys.iter().flatten();
        if let Some(name) = &row.key_name
            && !configured.any(|key| key.name == *name)
        {
            let complaint = Complaint::new(format!("no key called `{name}` stands under `keys`"));
            let suggestion = "of a key that lives in the store, write the identifier";
            reading.refuse_at(root, &path.key("key"), complaint.suggest(suggestion));
        }
    }
}

/// A key by its name under `keys` or by its identifier.
enum NamedKey {
    Id(KeyId),
    Name(String),
}

impl FromStr for NamedKey {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse() {
            Ok(id) => Self::Id(id),
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

struct Pattern(ModelPattern);

impl FromStr for Pattern {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        ModelPattern::parse(text).map(Self)
    }
}

/// What stands in a part of a scope.
struct PartText(String);

impl Scalar for PartText {
    const EXPECTED: &'static str = "an identifier, a name, or `each`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.is_empty() {
            return Err(Misfit::suggest("leave it out where all share one count"));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "." })
    }
}

/// A word that other keys decide about.
struct Word(String);

impl Scalar for Word {
    const EXPECTED: &'static str = "a time such as `minute` or `month`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let is_known = text == "minute" || Period::ALL.iter().any(|period| period.as_str() == text);
        if !is_known {
            let all = "write one of: minute, hour, day, week, month, total";
            return Err(Misfit::suggest(all));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "enum": ["minute", "hour", "day", "week", "month", "total"] })
    }
}

/// A part of a budget.
struct Percent(u8);

impl Scalar for Percent {
    const EXPECTED: &'static str = "a whole number of per cent from 1 to 100";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer];

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text.parse() {
            Ok(percent @ 1..=100) => Ok(Self(percent)),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": 100 })
    }
}
