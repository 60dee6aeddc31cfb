//! `keys`: virtual keys that the file brings along; others live in the store.

use std::num::{NonZeroU32, NonZeroU64};

use domain::id::ProjectId;
use domain::key::{AddressRange, Budget, ModelPattern, Period, Rate, Role};
use domain::limit::Priority;
use domain::money::Cost;
use domain::region::Region;
use domain::secret::Secret;
use identity::text::MIN_LENGTH;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::node::{Kind, Node};
use super::path::Path;
use super::problem::Complaint;
use super::reading::Reading;
use super::scalar::{Choice, Misfit, Scalar};

/// The most characters of a key's name.
const MAX_NAME: usize = 128;
/// The most characters of a key's text: it travels in a header field.
const MAX_TEXT: usize = 512;

/// A virtual key that the configuration brings along.
#[derive(Debug, Clone)]
pub struct BootstrapKey {
    /// What people call it; no two keys share a name.
    pub name: String,
    /// What its holder shows.
    pub text: Secret<String>,
    /// What its holder may do beside calling models.
    pub role: Role,
    /// The project of the default organization that its calls count in; `None` for the default one.
    pub project: Option<ProjectId>,
    /// The models that may be asked for.
    pub models: Vec<ModelPattern>,
    /// The addresses that it may be used from; empty permits all.
    pub addresses: Vec<AddressRange>,
    /// Where its requests may go; empty for everywhere.
    pub regions: Vec<Region>,
    /// How much it may ask for at a time.
    pub rate: Rate,
    /// How much its calls count where they wait.
    pub priority: Priority,
    /// Money per period.
    pub budget: Option<Budget>,
    /// From when on it is no longer good.
    pub expires_at: Option<Timestamp>,
}

impl Section for BootstrapKey {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let name: Option<KeyName> = fields.required(
            "name",
            "ci",
            "What people call the key; no two keys share a name.",
        );
        let text: Option<KeyText> = fields.required(
            "key",
            "\"${TRUNKLINE_CI_KEY}\"",
            "What its holder shows: best a reference to the environment, or `file:PATH`; 16 \
             characters or more.",
        );
        let role = fields.or(
            "role",
            "member",
            "`admin` may do everything and sees all calls; `member` calls models and sees its own \
             calls.",
        );
        let project = fields.optional(
            "project",
            "proj_00000000000000000000000000000002",
            "The project that its calls count in, by its identifier: one of the default organization, which \
             is left out for its default project.",
        );
        let models = fields.list(
            "models",
            &["*"],
            "The models that may be asked for, under the names that callers use; `*` stands for \
             any text. An empty list permits none.",
        );
        let addresses = fields.list(
            "addresses",
            &[],
            "The IP addresses and ranges that it may be used from; an empty list permits all.",
        );
        let regions = fields.some(
            "regions",
            "Where its requests may go, as under `residency`; left out, everywhere.",
        );
        let rate: Option<Rate> = fields.section("rate", "How much it may ask for at a time.");
        let priority = fields.or(
            "priority",
            "normal",
            "How much its calls count where they wait for room, unless they say less themselves: `low`, `normal` or \
             `high`.",
        );
        let budget = fields.optional_section("budget", "How much it may spend.");
        let expires_at = fields.optional(
            "expires_at",
            "2027-01-01T00:00:00Z",
            "From when on it is no longer good.",
        );
        Some(Self {
            name: name?.0,
            text: text?.0,
            role: role?,
            project,
            models,
            addresses,
            regions,
            rate: rate?,
            priority: priority?,
            budget,
            expires_at,
        })
    }
}

/// Says which keys share a name or a text with one before them.
pub(super) fn refuse_repeated(
    keys: &[Option<BootstrapKey>],
    root: &Node,
    reading: &mut Reading<'_>,
) {
    for (index, key) in keys.iter().enumerate() {
        let Some(key) = key else { continue };
        let path = Path::default().key("keys").index(index);
        for earlier in keys.iter().take(index).flatten() {
            if earlier.name == key.name {
                let complaint = Complaint::new(format!("another key is called `{}` too", key.name));
                reading.refuse_at(
                    root,
                    &path.key("name"),
                    complaint.suggest("give it another name"),
                );
            }
            if earlier.text.reveal() == key.text.reveal() {
                let problem = format!("key `{}` has the same text", earlier.name);
                let complaint = Complaint::new(problem).suggest("give each key a text of its own");
                reading.refuse_at(root, &path.key("key"), complaint);
            }
        }
    }
}

impl Section for Rate {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let rpm: Option<NonZeroU32> = fields.optional(
            "rpm",
            "600",
            "Requests per minute; left out, without bound.",
        );
        let tpm: Option<NonZeroU64> = fields.optional(
            "tpm",
            "200000",
            "Tokens per minute, input and output together; left out, without bound.",
        );
        let concurrency: Option<NonZeroU32> = fields.optional(
            "concurrency",
            "20",
            "Calls at the same time; left out, without bound.",
        );
        let queue = fields.optional_section(
            "queue",
            "Lets its calls wait for room instead of turning them away at once.",
        );
        let rate = Self {
            rpm: rpm.map(NonZeroU32::get),
            tpm: tpm.map(NonZeroU64::get),
            concurrency: concurrency.map(NonZeroU32::get),
            queue,
        };
        if rate.queue.is_some() && rate.is_unbounded() {
            let complaint = Complaint::new("there is nothing to wait for");
            let suggestion = "add `rpm`, `tpm` or `concurrency`, or remove it";
            fields.refuse("queue", complaint.suggest(suggestion));
            return None;
        }
        Some(rate)
    }
}

impl Section for Budget {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let limit = fields.required(
            "usd",
            "5",
            "US dollars, at most nine decimals, read exactly; 0 permits nothing.",
        );
        let per = fields.required(
            "per",
            "month",
            "In which time: `hour`, `day`, `week` (from Monday), `month`, all by the calendar in \
             UTC, or `total`.",
        );
        Some(Self {
            limit: limit?,
            per: per?,
        })
    }
}

pub(super) struct KeyName(pub(super) String);

impl Scalar for KeyName {
    const EXPECTED: &'static str = "a name of 1 to 128 characters without control characters";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let length = text.chars().count();
        if length == 0 || length > MAX_NAME || text.chars().any(char::is_control) {
            return Err(Misfit::default());
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": MAX_NAME })
    }
}

struct KeyText(Secret<String>);

impl Scalar for KeyText {
    const EXPECTED: &'static str = "a key's text of 16 to 512 ASCII characters without spaces";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.len() < MIN_LENGTH {
            return Err(Misfit {
                reason: Some("it is too short".to_owned()),
                suggestion: Some("make one with `openssl rand -hex 24`".to_owned()),
            });
        }
        if text.len() > MAX_TEXT {
            return Err(Misfit::because("it is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misfit::because(
                "it has spaces, line ends or letters beyond ASCII in it",
            ));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(\\S{16,512}|file:.+)$" })
    }
}

impl Scalar for ModelPattern {
    const EXPECTED: &'static str = "a model's name or a pattern such as `openai/*`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.is_empty() {
            return Err(Misfit::suggest("write \"*\" for every model"));
        }
        Ok(Self::new(text))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "." })
    }
}

impl Scalar for AddressRange {
    const EXPECTED: &'static str =
        "an IP address or a range such as `10.0.0.0/8` or `2001:db8::/32`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" })
    }
}

impl Scalar for Timestamp {
    const EXPECTED: &'static str = "a time with its zone such as `2027-01-01T00:00:00Z`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse()
            .map_err(|_| match text.parse::<jiff::civil::Date>() {
                Ok(date) if text.len() == "2027-01-01".len() => {
                    Misfit::suggest(format!("write `{date}T00:00:00Z`"))
                }
                _ => Misfit::default(),
            })
    }

    fn schema() -> Value {
        json!({
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt \
             ][0-9]{2}:[0-9]{2}.*([Zz]|[+-][0-9]{2}:?[0-9]{2})$",
        })
    }
}

impl Scalar for Cost {
    const EXPECTED: &'static str = "an amount of US dollars such as `5` or `0.25`";
    const ACCEPTS: &'static [Kind] = &[Kind::Text, Kind::Integer, Kind::Decimal];

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text.parse() {
            Ok(cost) if cost >= Self::ZERO => Ok(cost),
            Ok(_) => Err(Misfit::because("it is less than nothing")),
            Err(error) => Err(Misfit::because(domain::money::InvalidAmount::to_string(
                &error,
            ))),
        }
    }

    fn schema() -> Value {
        json!({ "type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+)?$", "minimum": 0 })
    }
}

impl Choice for Role {
    const EXPECTED: &'static str = "a role";
    const CHOICES: &'static [(&'static str, Self)] =
        &[("admin", Self::Admin), ("member", Self::Member)];
}

impl Choice for Priority {
    const EXPECTED: &'static str = "a priority";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("low", Self::Low),
        ("normal", Self::Normal),
        ("high", Self::High),
    ];
}

impl Choice for Period {
    const EXPECTED: &'static str = "a period";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("total", Self::Total),
    ];
}
