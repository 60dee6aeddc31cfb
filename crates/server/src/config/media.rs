//! `media`: where files and generated media lie, how large they may be and how long they are kept.

use std::time::Duration;

use domain::secret::Secret;
use gateway::files::FileRules;
use serde_json::{Value, json};

use super::base_url::BaseUrl;
use super::bucket::{NAME_AND_PREFIX, name_and_prefix};
use super::credential::{ApiKey, Word};
use super::fields::{Fields, Section};
use super::problem::Complaint;
use super::reference::Environment;
use super::scalar::{Choice, Misfit, Scalar};
use super::size::ByteSize;

/// What AWS's own clients read of the environment: keys, or where the platform gives them out.
const VARIABLES: [&str; 11] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Files and generated media.
#[derive(Debug, Clone)]
pub struct Media {
    /// Where their bytes lie.
    pub place: MediaPlace,
    /// Where links begin; `None` for the address by which their caller came.
    pub public_url: Option<String>,
    /// What bounds them.
    pub rules: FileRules,
}

/// Where bytes lie.
#[derive(Debug, Clone)]
pub enum MediaPlace {
    /// In the folder `media` of the data directory.
    Local,
    /// In object storage.
    S3(Box<S3Bucket>),
}

/// A bucket of S3 or of what speaks its language.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    /// Its name.
    pub name: String,
    /// What the names of objects begin with; may be empty.
    pub prefix: String,
    /// Its region.
    pub region: Option<String>,
    /// Where it is reached; `None` for AWS.
    pub endpoint: Option<String>,
    /// What requests are signed with; `None` leaves it to the environment.
    pub keys: Option<AccessKeys>,
    /// What the environment says, by the names of its variables.
    pub environment: Vec<(&'static str, Secret<String>)>,
}

/// What requests to AWS are signed with.
#[derive(Debug, Clone)]
pub struct AccessKeys {
    /// Names the keys.
    pub access_key_id: String,
    /// Signs.
    pub secret_access_key: Secret<String>,
    /// Stands beside keys that expire.
    pub session_token: Option<Secret<String>>,
}

impl Media {
    /// Takes from the environment what the file does not say of a bucket.
    pub(super) fn complete(&mut self, environment: Environment<'_>) {
        if let MediaPlace::S3(bucket) = &mut self.place {
            bucket.environment = VARIABLES
                .into_iter()
                .filter_map(|name| Some((name, Secret::new(environment(name)?))))
                .filter(|(_, value)| !value.reveal().is_empty())
                .collect();
        }
    }

    /// Whether both say the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.public_url == other.public_url
            && self.rules == other.rules
            && match (&self.place, &other.place) {
                (MediaPlace::Local, MediaPlace::Local) => true,
                (MediaPlace::S3(one), MediaPlace::S3(other)) => one.is_same(other),
                _ => false,
            }
    }
}

impl S3Bucket {
    fn is_same(&self, other: &Self) -> bool {
        fn variable<'v>(
            (name, value): &'v (&'static str, Secret<String>),
        ) -> (&'static str, &'v str) {
            (name, value.reveal())
        }
        let (keys, other_keys) = (self.keys.as_ref(), other.keys.as_ref());
        (&self.name, &self.prefix, &self.region, &self.endpoint)
            == (&other.name, &other.prefix, &other.region, &other.endpoint)
            && keys.map(AccessKeys::revealed) == other_keys.map(AccessKeys::revealed)
            && self
                .environment
                .iter()
                .map(variable)
                .eq(other.environment.iter().map(variable))
    }
}

impl AccessKeys {
    fn revealed(&self) -> (&str, &str, Option<&str>) {
        let token = self.session_token.as_ref();
        (
            &self.access_key_id,
            self.secret_access_key.reveal(),
            token.map(|token| token.reveal().as_str()),
        )
    }
}

impl Section for Media {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let store: Option<Place> = fields.or(
            "store",
            "local",
            "Where the bytes of files and generated media lie: `local`, the folder `media` of the data \
             directory, or `s3://BUCKET/PREFIX`, which replicas share. Their records are in `store`.",
        );
        let access = Access::read(fields, store.as_ref());
        let public_url: Option<BaseUrl> = fields.optional(
            "public_url",
            "https://gateway.example.com",
            "Where links to media begin. Left out, with `http://` and the host that the caller asked.",
        );
        let deliver: Option<Deliver> = fields.or(
            "deliver",
            "url",
            "What callers get who ask for the URL of a picture that the provider gives as bytes: `url` \
             stores it and gives a link, `inline` gives them as `b64_json`.",
        );
        let retention = fields.or(
            "retention",
            "24h",
            "How long generated media is kept, and links to it hold.",
        );
        let uploads: Option<Until> = fields.or(
            "uploads",
            "30d",
            "How long files of `/v1/files` are kept, unless their `expires_after` says less; `forever` \
             keeps them until they are deleted.",
        );
        let max_file: Option<ByteSize> = fields.or(
            "max_file",
            "512MiB",
            "The largest file; a larger one is answered with status 413.",
        );
        let max_total: Option<ByteSize> = fields.or(
            "max_total",
            "64GiB",
            "What all files and generated media may take together; what would go beyond is refused.",
        );
        let max_organization: Option<ByteSize> = fields.optional(
            "max_organization",
            "8GiB",
            "What the files and generated media of one organization may take together, of `max_total`; left \
             out, all of it.",
        );
        if let (Some(file), Some(bound)) = (max_file, max_organization)
            && file > bound
        {
            let complaint =
                Complaint::new("one file may be larger than all of an organization together");
            fields.refuse(
                "max_file",
                complaint.suggest("lower `max_file`, or raise `max_organization`"),
            );
        }
        if let (Some(file), Some(total)) = (max_file, max_total)
            && file > total
        {
            let complaint = Complaint::new("one file may be larger than all together");
            fields.refuse("max_file", complaint.suggest("raise `max_total`"));
        }
        let place = match store? {
            Place::Local => MediaPlace::Local,
            Place::S3 { name, prefix } => MediaPlace::S3(Box::new(S3Bucket {
                name,
                prefix,
                region: access.region,
                endpoint: access.endpoint,
                keys: access.keys,
                environment: Vec::new(),
            })),
        };
        Some(Self {
            place,
            public_url: public_url.map(|url| url.as_str().to_owned()),
            rules: FileRules {
                max_file: max_file?.bytes(),
                max_total: max_total?.bytes(),
                max_organization: max_organization.or(max_total)?.bytes(),
                uploads_for: match uploads? {
                    Until::Deleted => None,
                    Until::Over(time) => Some(time),
                },
                generated_for: retention?,
                delivers_urls: deliver? == Deliver::Url,
            },
        })
    }
}

/// How a bucket is reached.
struct Access {
    region: Option<String>,
    endpoint: Option<String>,
    keys: Option<AccessKeys>,
}

impl Access {
    /// Names the keys that only a bucket has, and says what does not go together.
    fn read(fields: &mut impl Fields, place: Option<&Place>) -> Self {
        let region: Option<Word> = fields.optional(
            "region",
            "eu-central-1",
            "Of `s3://`: the bucket's region. Left out, `AWS_REGION` says it, or it is us-east-1.",
        );
        let endpoint: Option<BaseUrl> = fields.optional(
            "endpoint",
            "https://minio.example.com:9000",
            "Of `s3://`: where storage is reached that is not AWS but speaks its language.",
        );
        let access_key_id: Option<Word> = fields.optional(
            "access_key_id",
            "${S3_ACCESS_KEY_ID}",
            "Of `s3://`: names the keys that requests are signed with. Left out, keys or the way to them \
             come from AWS's own variables of the environment, or from the machine.",
        );
        let secret_access_key: Option<ApiKey> = fields.optional(
            "secret_access_key",
            "${S3_SECRET_ACCESS_KEY}",
            "Of `s3://`: signs requests.",
        );
        let session_token: Option<ApiKey> = fields.optional(
            "session_token",
            "${S3_SESSION_TOKEN}",
            "Of `s3://`: stands beside keys that expire.",
        );
        let given = [
            "region",
            "endpoint",
            "access_key_id",
            "secret_access_key",
            "session_token",
        ];
        if let Some(Place::Local) = place
            && let Some(key) = given.into_iter().find(|key| fields.is_given(key))
        {
            let complaint = Complaint::new("a local folder has none");
            fields.refuse(
                key,
                complaint.suggest("remove it, or set `store: s3://BUCKET`"),
            );
        }
        for (key, other) in [
            ("access_key_id", "secret_access_key"),
            ("secret_access_key", "access_key_id"),
            ("session_token", "access_key_id"),
        ] {
            if fields.is_given(key) && !fields.is_given(other) {
                let complaint = Complaint::new(format!("`{other}` is missing beside it"));
                fields.refuse(key, complaint.suggest("set both, or neither"));
            }
        }
        let keys = access_key_id
            .zip(secret_access_key)
            .map(|(id, secret)| AccessKeys {
                access_key_id: id.0,
                secret_access_key: secret.0,
                session_token: session_token.map(|token| token.0),
            });
        Self {
            region: region.map(|region| region.0),
            endpoint: endpoint.map(|url| url.as_str().to_owned()),
            keys,
        }
    }
}

/// A media store as it is written.
enum Place {
    Local,
    S3 { name: String, prefix: String },
}

impl Scalar for Place {
    const EXPECTED: &'static str = "`local` or `s3://BUCKET/PREFIX`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let rest = text.strip_prefix("s3://").ok_or_else(Misfit::default)?;
        let (name, prefix) = name_and_prefix(rest)?;
        Ok(Self::S3 {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    fn schema() -> Value {
        let pattern = format!("^(local|s3://{NAME_AND_PREFIX})$");
        json!({ "type": "string", "pattern": pattern })
    }
}

/// How a picture's URL is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deliver {
    Url,
    Inline,
}

impl Choice for Deliver {
    const EXPECTED: &'static str = "`url` or `inline`";
    const CHOICES: &'static [(&'static str, Self)] =
        &[("url", Self::Url), ("inline", Self::Inline)];
}

/// How long an upload is kept.
enum Until {
    /// Until it is deleted.
    Deleted,
    /// Until its time is over.
    Over(Duration),
}

impl Scalar for Until {
    const EXPECTED: &'static str = "`forever` or a duration such as `30d`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text {
            "forever" => Ok(Self::Deleted),
            _ => Duration::parse(text).map(Self::Over),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(forever|[0-9]*[1-9][0-9]*(ms|s|m|h|d))$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const NOTHING: Environment<'static> = &|_| None;

    fn media(text: &str, environment: Environment<'_>) -> Result<Media, String> {
        let parsed = Config::parse(text, "trunkline.yaml", environment);
        parsed
            .map(|config| config.media)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_local_folder_is_where_media_lies_when_nothing_is_said() {
        let media = media("", NOTHING).unwrap();
        assert!(matches!(media.place, MediaPlace::Local));
        assert_eq!(media.rules.max_file, 512 * 1024 * 1024);
        assert_eq!(media.rules.generated_for, Duration::from_hours(24));
        assert_eq!(media.rules.uploads_for, Some(Duration::from_hours(24 * 30)));
        assert!(media.rules.delivers_urls);
    }

    #[test]
    fn a_bucket_takes_from_the_environment_what_the_file_leaves_out() {
        let environment = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIA".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
            "AWS_SESSION_TOKEN" => Some(String::new()),
            _ => None,
        };
        let text = "media: { store: \"s3://a-bucket/some/prefix/\", region: eu-central-1 }";
        let media = media(text, &environment).unwrap();
        let MediaPlace::S3(bucket) = &media.place else {
            panic!("it is a bucket");
        };
        assert_eq!(
            (&*bucket.name, &*bucket.prefix),
            ("a-bucket", "some/prefix")
        );
        let found: Vec<&str> = bucket.environment.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
        assert!(!format!("{media:?}").contains("secret\""));
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        for (text, said) in [
            (
                "{ region: eu-central-1 }",
                "media.region: a local folder has none",
            ),
            (
                "{ store: \"s3://a-bucket\", access_key_id: AKIA }",
                "media.access_key_id: `secret_access_key` is missing beside it",
            ),
            (
                "{ max_file: 2MiB, max_organization: 1MiB }",
                "media.max_file: one file may be larger than all of an organization",
            ),
            (
                "{ max_file: 2GiB, max_total: 1GiB }",
                "media.max_file: one file may be larger than all together",
            ),
            ("{ store: \"s3://x\" }", "a bucket's name has 3 to 63"),
            ("{ store: \"s3://a-bucket/../x\" }", "a prefix is letters"),
            ("{ store: gcs }", "`local` or `s3://BUCKET/PREFIX`"),
        ] {
            let problems = media(&format!("media: {text}"), NOTHING).unwrap_err();
            assert!(problems.contains(said), "{problems}");
        }
    }
}
