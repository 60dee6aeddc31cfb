//! `providers.NAME.batches`: the bucket through which a provider runs batches; and how buckets are written.

use providers::batches::bucket::{Bucket, Storage};
use providers::credential::{Credential, Source};
use providers::kind::ProviderKind;
use serde_json::{Value, json};

use super::base_url::BaseUrl;
use super::credential::Arn;
use super::fields::{Fields, Section};
use super::kind::Kind;
use super::problem::Complaint;
use super::scalar::{Misfit, Scalar};

/// The bucket of a provider, as the file names it.
pub(super) struct BatchBucket {
    place: Place,
    endpoint: Option<BaseUrl>,
    role_arn: Option<Arn>,
}

impl Section for BatchBucket {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let place: Option<Place> = fields.required(
            "bucket",
            "gs://my-bucket/batches",
            "Where lines are put and results are written: `gs://BUCKET/PREFIX` of kind `vertex`, \
             `s3://BUCKET/PREFIX` of kind `bedrock`, in the provider's region. The provider's own \
             credential reads, writes and deletes there. The lines are deleted when their batch has \
             ended; results stay, for the bucket's own rules to remove.",
        );
        let endpoint = fields.optional(
            "endpoint",
            "https://storage.googleapis.com",
            "Where the storage is reached; left out, at its vendor's own address.",
        );
        let role_arn = fields.optional(
            "role_arn",
            "arn:aws:iam::123456789012:role/batches",
            "Of kind `bedrock`: the service role with which Bedrock reads the lines and writes the \
             results.",
        );
        Some(Self {
            place: place?,
            endpoint,
            role_arn,
        })
    }
}

impl BatchBucket {
    /// The bucket, where a provider of this kind and credential can have it.
    pub(super) fn of_provider(
        self,
        kind: Kind,
        source: Option<&Source>,
        may_be_private: bool,
        fields: &mut impl Fields,
    ) -> Option<Bucket> {
        let mut refuse = |problem: String, hint: &str| {
            fields.refuse("batches", Complaint::new(problem).suggest(hint));
        };
        let storage = match kind.speaks {
            ProviderKind::Vertex => Storage::CloudStorage,
            ProviderKind::Bedrock => Storage::S3,
            _ => {
                let problem = format!("kind `{}` runs no batches from a bucket", kind.word());
                refuse(problem, "remove `batches`");
                return None;
            }
        };
        if self.place.storage != storage {
            let (kind, scheme) = (kind.word(), storage.scheme());
            let problem = format!("kind `{kind}` takes buckets of `{scheme}://`");
            refuse(
                problem,
                &format!("write `bucket: {scheme}://BUCKET/PREFIX`"),
            );
        }
        match (storage, &self.role_arn) {
            (Storage::S3, None) => refuse(
                "`role_arn` is missing".to_owned(),
                "add the service role with which Bedrock reads and writes the bucket",
            ),
            (Storage::CloudStorage, Some(_)) => refuse(
                "Cloud Storage has no `role_arn`".to_owned(),
                "remove `role_arn`; the platform's own service agent reads and writes the bucket",
            ),
            _ => {}
        }
        if let Some(Source::Ready(Credential::ApiKey(_))) = source {
            let problem = "an API key opens no bucket".to_owned();
            refuse(
                problem,
                "use credentials of the cloud in place of `api_key`",
            );
        }
        if self.endpoint.as_ref().is_some_and(BaseUrl::is_private) && !may_be_private {
            let problem = "its `endpoint` is private, and private addresses are refused".to_owned();
            refuse(problem, "add `allow_private_address: true`");
        }
        Some(Bucket {
            storage,
            name: self.place.name,
            prefix: self.place.prefix,
            endpoint: self.endpoint.map(|url| url.as_str().to_owned()),
            role_arn: self.role_arn.map(|arn| arn.0),
        })
    }
}

/// A place in a bucket.
struct Place {
    storage: Storage,
    name: String,
    prefix: String,
}

impl Scalar for Place {
    const EXPECTED: &'static str = "`gs://BUCKET/PREFIX` or `s3://BUCKET/PREFIX`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let mut storages = [Storage::CloudStorage, Storage::S3].into_iter();
        let (storage, rest) = storages
            .find_map(|storage| Some((storage, after_scheme(storage.scheme(), text)?)))
            .ok_or_else(Misfit::default)?;
        let (name, prefix) = name_and_prefix(rest)?;
        Ok(Self {
            storage,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    fn schema() -> Value {
        let pattern = format!("^(gs|s3)://{NAME_AND_PREFIX}$");
        json!({ "type": "string", "pattern": pattern })
    }
}

fn after_scheme<'a>(scheme: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(scheme)?.strip_prefix("://")
}

/// What [`name_and_prefix`] takes, as a regular expression.
pub(super) const NAME_AND_PREFIX: &str = "[A-Za-z0-9._-]{3,63}(/[A-Za-z0-9._/-]*)?";

/// `BUCKET/PREFIX`, the prefix without a slash at its end.
pub(super) fn name_and_prefix(text: &str) -> Result<(&str, &str), Misfit> {
    let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
    let of_bucket = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    if !(3..=63).contains(&name.len()) || !name.bytes().all(of_bucket) {
        return Err(Misfit::because(
            "a bucket's name has 3 to 63 letters, digits, `-` and `.`",
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    let of_prefix = |byte: u8| of_bucket(byte) || byte == b'/';
    let is_path = prefix.is_empty()
        || prefix
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."));
    if prefix.len() > 256 || !is_path || !prefix.bytes().all(of_prefix) {
        return Err(Misfit::because(
            "a prefix is letters, digits, `-`, `_` and `.`, in segments joined by `/`",
        ));
    }
    Ok((name, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn bucket(provider: &str) -> Result<Option<Bucket>, String> {
        let text = format!("providers: {{ cloud: {{ {provider} }} }}");
        let parsed = Config::parse(&text, "trunkline.yaml", &|_| None);
        let config = parsed.map_err(|problems| problems.to_string())?;
        Ok(config.providers[0].host.bucket.clone())
    }

    const BEDROCK: &str =
        "kind: bedrock, region: us-east-1, access_key_id: A, secret_access_key: s";

    #[test]
    fn a_provider_with_a_bucket_runs_batches_and_one_without_does_not() {
        let role = "role_arn: \"arn:aws:iam::1:role/r\"";
        let with = format!("{BEDROCK}, batches: {{ bucket: \"s3://my-bucket/a/b/\", {role} }}");
        let found = bucket(&with).unwrap().unwrap();
        assert_eq!((&*found.name, &*found.prefix), ("my-bucket", "a/b"));
        assert_eq!(found.role_arn.as_deref(), Some("arn:aws:iam::1:role/r"));
        assert_eq!(bucket(BEDROCK).unwrap(), None);
        let problems = bucket(&format!("{BEDROCK}, batch_api: true")).unwrap_err();
        assert!(problems.contains("batches: { bucket"), "{problems}");
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let role = "role_arn: \"arn:aws:iam::1:role/r\"";
        for (provider, said) in [
            (
                format!("{BEDROCK}, batches: {{ bucket: \"gs://my-bucket\", {role} }}"),
                "kind `bedrock` takes buckets of `s3://`",
            ),
            (
                format!("{BEDROCK}, batches: {{ bucket: \"s3://my-bucket\" }}"),
                "`role_arn` is missing",
            ),
            (
                format!("{BEDROCK}, batches: {{ bucket: \"s3://my-bucket/../x\", {role} }}"),
                "a prefix is letters",
            ),
            (
                format!(
                    "{BEDROCK}, batches: {{ bucket: \"s3://my-bucket\", endpoint: \"http://127.0.0.1:9\", {role} }}"
                ),
                "its `endpoint` is private",
            ),
            (
                "kind: vertex, api_key: k, batches: { bucket: \"gs://my-bucket\" }".to_owned(),
                "an API key opens no bucket",
            ),
            (
                "kind: openai, api_key: k, batches: { bucket: \"gs://my-bucket\" }".to_owned(),
                "kind `openai` runs no batches from a bucket",
            ),
        ] {
            let problems = bucket(&provider).unwrap_err();
            assert!(problems.contains(said), "{provider}: {problems}");
        }
    }
}
