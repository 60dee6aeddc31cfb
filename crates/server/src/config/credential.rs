//! The keys of a provider that say with which credential it is asked.

use std::num::NonZeroU32;
use std::sync::Arc;

use domain::secret::Secret;
use gateway::credentials::Rotation;
use providers::aws::container::{self, Endpoint};
use providers::aws::machine::Metadata;
use providers::aws::sts::{Role, Sts};
use providers::aws::{self, Origin};
use providers::credential::{AwsKeys, Credential, Source};
use providers::kind::ProviderKind;
use providers::{entra, google};
use serde_json::{Value, json};

use super::fields::Fields;
use super::kind::Kind;
use super::problem::Complaint;
use super::scalar::{Misfit, Scalar};

/// What the file says of a provider's credential.
#[expect(
    clippy::struct_field_names,
    reason = "the fields are called as the keys of the file"
)]
pub(super) struct Credentials {
    api_key: Option<ApiKey>,
    api_keys: Vec<ApiKey>,
    key_weights: Vec<Weight>,
    given: Option<Given>,
    tenant_id: Option<Word>,
    client_id: Option<Word>,
    client_secret: Option<ApiKey>,
    token_file: Option<FileName>,
    access_key_id: Option<Word>,
    secret_access_key: Option<ApiKey>,
    session_token: Option<ApiKey>,
    credentials_url: Option<Word>,
    role_arns: Vec<Arn>,
    external_id: Option<Word>,
}

/// The keys by the kinds that know them; `api_key` is known to all.
const KEYS: [(&str, &[ProviderKind]); 11] = [
    (
        "credentials",
        &[
            ProviderKind::Vertex,
            ProviderKind::AzureOpenai,
            ProviderKind::Bedrock,
        ],
    ),
    ("tenant_id", &[ProviderKind::AzureOpenai]),
    ("client_id", &[ProviderKind::AzureOpenai]),
    ("client_secret", &[ProviderKind::AzureOpenai]),
    (
        "token_file",
        &[ProviderKind::AzureOpenai, ProviderKind::Bedrock],
    ),
    ("access_key_id", &[ProviderKind::Bedrock]),
    ("secret_access_key", &[ProviderKind::Bedrock]),
    ("session_token", &[ProviderKind::Bedrock]),
    ("credentials_url", &[ProviderKind::Bedrock]),
    ("role_arns", &[ProviderKind::Bedrock]),
    ("external_id", &[ProviderKind::Bedrock]),
];

impl Credentials {
    /// Names the keys.
    pub(super) fn read(fields: &mut impl Fields) -> Self {
        Self {
            api_key: fields.optional(
                "api_key",
                "${OPENAI_API_KEY}",
                "The credential: best a reference to the environment, or `file:PATH`. Required at the \
                 vendor's own address.",
            ),
            api_keys: fields.some(
                "api_keys",
                "In place of one key: several of them, which take turns. One that the provider refuses, \
                 or whose limit is reached, is left alone for a while.",
            ),
            key_weights: fields.list(
                "key_weights",
                &[],
                "How often each of `api_keys` is used in proportion to the others, 1 to 100; left out, \
                 equally often.",
            ),
            given: fields.optional(
                "credentials",
                "file:google.json",
                "In place of a key. Of kind `vertex`: a credentials file of Google Cloud \
                 (`file:PATH`, or a reference to a variable that holds its JSON). Of kinds `vertex`, \
                 `azure_openai` and `bedrock`: `machine`, the identity of the machine that Trunkline \
                 runs on.",
            ),
            tenant_id: fields.optional(
                "tenant_id",
                "contoso.onmicrosoft.com",
                "Of kind `azure_openai`, in place of a key: the tenant of Microsoft Entra ID in which \
                 the application is registered.",
            ),
            client_id: fields.optional(
                "client_id",
                "11111111-2222-3333-4444-555555555555",
                "Of kind `azure_openai`: the application, or which identity of a machine that has \
                 several.",
            ),
            client_secret: fields.optional(
                "client_secret",
                "${AZURE_CLIENT_SECRET}",
                "Of kind `azure_openai`: the application's secret.",
            ),
            token_file: fields.optional(
                "token_file",
                "/var/run/secrets/azure/tokens/azure-identity-token",
                "In place of a secret: the file with the token of the workload, which is read anew \
                 each time. Of kind `azure_openai`: of the application; of kind `bedrock`: for the \
                 first of `role_arns`, or for `credentials_url`.",
            ),
            access_key_id: fields.optional(
                "access_key_id",
                "${AWS_ACCESS_KEY_ID}",
                "Of kind `bedrock`, in place of a key: names the keys that requests are signed with.",
            ),
            secret_access_key: fields.optional(
                "secret_access_key",
                "${AWS_SECRET_ACCESS_KEY}",
                "Of kind `bedrock`: signs requests.",
            ),
            session_token: fields.optional(
                "session_token",
                "${AWS_SESSION_TOKEN}",
                "Of kind `bedrock`: stands beside keys that expire.",
            ),
            credentials_url: fields.optional(
                "credentials_url",
                "${AWS_CONTAINER_CREDENTIALS_FULL_URI}",
                "Of kind `bedrock`, in place of keys: where the platform of a container gives them \
                 out: a URL, or a path at the address of ECS.",
            ),
            role_arns: fields.list(
                "role_arns",
                &[],
                "Of kind `bedrock`: the roles that are assumed, each with the keys of the one before.",
            ),
            external_id: fields.optional(
                "external_id",
                "2f1c8a",
                "Of kind `bedrock`: what the owner of the last role demands to be told.",
            ),
        }
    }

    /// Where the credential comes from, after every complaint was made; `None` where there is none.
    /// `is_required` says whether there must be one, `region` where the provider runs.
    pub(super) fn source(
        mut self,
        kind: Kind,
        is_required: bool,
        region: Option<&str>,
        fields: &mut impl Fields,
    ) -> Option<Source> {
        let is_misplaced = refuse_misplaced(kind, fields);
        let is_bedrock = kind.speaks == ProviderKind::Bedrock;
        let ways = [
            fields.is_given("api_key"),
            fields.is_given("api_keys"),
            fields.is_given("credentials"),
            fields.is_given("tenant_id")
                || fields.is_given("client_secret")
                || (fields.is_given("token_file") && !is_bedrock),
            fields.is_given("access_key_id") || fields.is_given("secret_access_key"),
            fields.is_given("credentials_url") || (fields.is_given("token_file") && is_bedrock),
        ];
        let ways = ways.into_iter().filter(|is_given| *is_given).count();
        if ways > 1 && !is_misplaced {
            let complaint = Complaint::new("there are several credentials for one provider");
            fields.refuse("", complaint.suggest("keep one of them"));
            return None;
        }
        if ways == 0 && is_required {
            refuse_missing(kind, fields);
            return None;
        }
        if let Some(api_key) = self.api_key.take().or_else(|| self.first_of_several()) {
            if !self.role_arns.is_empty() {
                let complaint =
                    Complaint::new("a role is assumed with AWS keys, not with an API key");
                fields.refuse("role_arns", complaint.suggest("remove it or the `api_key`"));
            }
            return Some(Credential::ApiKey(api_key.0).into());
        }
        if is_bedrock && ways == 1 {
            return self.of_aws(region, fields);
        }
        match self.given {
            Some(Given::Machine) if kind.speaks == ProviderKind::AzureOpenai => {
                let client = self.client_id.map(|word| word.0);
                return Some(Source::Entra(entra::Account::Machine { client }));
            }
            Some(Given::Machine) => return Some(Source::Google(google::Account::Machine)),
            Some(Given::Google(_)) if kind.speaks == ProviderKind::AzureOpenai => {
                let complaint = Complaint::new("Azure takes no credentials of Google Cloud");
                fields.refuse("credentials", complaint.suggest("write `machine`"));
                return None;
            }
            Some(Given::Google(account)) => return Some(Source::Google(*account)),
            None => {}
        }
        match kind.speaks {
            ProviderKind::AzureOpenai if ways == 1 => application(
                self.tenant_id,
                self.client_id,
                self.client_secret,
                self.token_file,
                fields,
            ),
            _ => None,
        }
    }

    fn first_of_several(&mut self) -> Option<ApiKey> {
        (!self.api_keys.is_empty()).then(|| self.api_keys.swap_remove(0))
    }

    /// Several keys that take turns; `None` where there are not several.
    pub(super) fn rotation(&self, fields: &mut impl Fields) -> Option<Arc<Rotation>> {
        let (keys, weights) = (&self.api_keys, &self.key_weights);
        if fields.is_given("key_weights") && weights.len() != keys.len() {
            let problem = format!(
                "there are {} weights for {} keys",
                weights.len(),
                keys.len()
            );
            let complaint = Complaint::new(problem);
            fields.refuse(
                "key_weights",
                complaint.suggest("write one for each of `api_keys`, or none"),
            );
        }
        let weights = weights.iter().map(|weight| weight.0);
        let weights = weights.chain(std::iter::repeat(1));
        let weighted = keys.iter().zip(weights).map(|(key, weight)| {
            let key = Secret::new(key.0.reveal().clone());
            (Credential::ApiKey(key).into(), weight)
        });
        (keys.len() > 1).then(|| Arc::new(Rotation::new(weighted)))
    }

    /// Keys of AWS, or where they are given out, and the roles that are assumed with them.
    fn of_aws(self, region: Option<&str>, fields: &mut impl Fields) -> Option<Source> {
        let mut roles: Vec<Role> = self
            .role_arns
            .into_iter()
            .map(|Arn(arn)| Role::new(arn))
            .collect();
        if let Some(Word(external_id)) = self.external_id {
            if let Some(role) = roles.last_mut() {
                role.external_id = Some(external_id);
            } else {
                let complaint = Complaint::new("there is no role whose owner could be told");
                fields.refuse("external_id", complaint.suggest("add `role_arns`"));
            }
        }
        let origin = match (self.given, self.credentials_url, self.token_file) {
            (Some(Given::Machine), _, _) => Origin::Machine(Metadata::default()),
            (Some(Given::Google(_)), _, _) => {
                let complaint = Complaint::new("Amazon takes no credentials of Google Cloud");
                fields.refuse("credentials", complaint.suggest("write `machine`"));
                return None;
            }
            (None, Some(Word(address)), file) => {
                Origin::Container(container(&address, file, fields)?)
            }
            (None, None, Some(FileName(file))) => {
                if roles.is_empty() {
                    let complaint = Complaint::new("the token is for a role, and there is none");
                    let hint = "add `role_arns: [\"${AWS_ROLE_ARN}\"]`";
                    fields.refuse("token_file", complaint.suggest(hint));
                    return None;
                }
                Origin::WebIdentity {
                    token_file: file.into(),
                    role: roles.remove(0),
                }
            }
            (None, None, None) => {
                let id = wanted("access_key_id", self.access_key_id, fields);
                let secret = wanted("secret_access_key", self.secret_access_key, fields);
                let keys = AwsKeys {
                    access_key_id: id?.0,
                    secret_access_key: secret?.0,
                    session_token: self.session_token.map(|token| token.0),
                };
                if roles.is_empty() {
                    return Some(Credential::Aws(keys).into());
                }
                Origin::Keys(keys)
            }
        };
        let sts = Sts {
            region: region?.to_owned(),
            base_url: None,
        };
        Some(Source::Aws(aws::Account { origin, roles, sts }))
    }
}

/// Where a container's platform gives keys out.
fn container(
    address: &str,
    token_file: Option<FileName>,
    fields: &mut impl Fields,
) -> Option<Endpoint> {
    let proof = match token_file {
        Some(FileName(file)) => container::Proof::File(file.into()),
        None => container::Proof::None,
    };
    let endpoint = if address.starts_with('/') {
        Endpoint::of_ecs(address, proof)
    } else {
        Endpoint::at(address, proof)
    };
    let refuse = |error: container::ForeignEndpoint| {
        fields.refuse("credentials_url", Complaint::new(error.to_string()));
    };
    endpoint.map_err(refuse).ok()
}

fn application(
    tenant: Option<Word>,
    client: Option<Word>,
    secret: Option<ApiKey>,
    token_file: Option<FileName>,
    fields: &mut impl Fields,
) -> Option<Source> {
    let tenant = wanted("tenant_id", tenant, fields);
    let client = wanted("client_id", client, fields);
    let proof = match (secret, token_file) {
        (Some(secret), None) => Some(entra::Proof::Secret(secret.0)),
        (None, Some(FileName(file))) => Some(entra::Proof::File(file.into())),
        (Some(_), Some(_)) => {
            let complaint = Complaint::new("an application has a secret or a token, not both");
            fields.refuse("token_file", complaint.suggest("keep one of them"));
            None
        }
        (None, None) if fields.is_given("client_secret") || fields.is_given("token_file") => None,
        (None, None) => {
            let complaint = Complaint::new("`client_secret` is missing");
            let hint =
                "add `client_secret: \"${AZURE_CLIENT_SECRET}\"`, or `token_file` for a workload";
            fields.refuse("tenant_id", complaint.suggest(hint));
            None
        }
    };
    Some(Source::Entra(entra::Account::Application {
        tenant: tenant?.0,
        client: client?.0,
        proof: proof?,
        authority: entra::AUTHORITY.to_owned(),
    }))
}

/// How often a key is used in proportion to the others.
struct Weight(u32);

impl Scalar for Weight {
    const EXPECTED: &'static str = "a whole number from 1 to 100";
    const ACCEPTS: &'static [super::node::Kind] = NonZeroU32::ACCEPTS;

    fn parse(text: &str) -> Result<Self, Misfit> {
        match NonZeroU32::parse(text)?.get() {
            weight @ 1..=100 => Ok(Self(weight)),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": 100 })
    }
}

/// One of several keys that go together.
fn wanted<T>(key: &'static str, value: Option<T>, fields: &mut impl Fields) -> Option<T> {
    if value.is_none() && !fields.is_given(key) {
        let complaint = Complaint::new(format!("`{key}` is missing"));
        fields.refuse(
            "",
            complaint.suggest(format!("add `{key}`; it goes with the others")),
        );
    }
    value
}

/// Says which keys this kind does not know; whether there is one.
fn refuse_misplaced(kind: Kind, fields: &mut impl Fields) -> bool {
    let mut is_misplaced = false;
    for (key, kinds) in KEYS {
        if fields.is_given(key) && !kinds.contains(&kind.speaks) {
            let known: Vec<String> = kinds
                .iter()
                .map(|it| format!("`{}`", it.as_str()))
                .collect();
            let problem = format!(
                "kind `{}` takes no such key; it is of kind {}",
                kind.word(),
                known.join(" and ")
            );
            let complaint = Complaint::new(problem);
            fields.refuse(key, complaint.suggest(format!("remove `{key}`")));
            is_misplaced = true;
        }
    }
    is_misplaced
}

fn refuse_missing(kind: Kind, fields: &mut impl Fields) {
    let (key, hint) = match kind.speaks {
        ProviderKind::Vertex => (
            "credentials",
            "add `credentials: file:PATH`, or `credentials: machine` in Google Cloud".to_owned(),
        ),
        ProviderKind::AzureOpenai => (
            "api_key",
            format!(
                "add `api_key: {}`, or `tenant_id`, `client_id` and `client_secret`, or \
                 `credentials: machine` in Azure",
                kind.example_key()
            ),
        ),
        ProviderKind::Bedrock => (
            "access_key_id",
            "add `access_key_id` and `secret_access_key`, or `api_key`, or `credentials: machine` in \
             AWS"
                .to_owned(),
        ),
        _ => ("api_key", format!("add `api_key: {}`", kind.example_key())),
    };
    let complaint = Complaint::new(format!("`{key}` is missing: {} wants one", kind.vendor()));
    fields.refuse(key, complaint.suggest(hint));
}

/// A credential that fits into a header field.
pub(super) struct ApiKey(pub(super) Secret<String>);

impl Scalar for ApiKey {
    const EXPECTED: &'static str = "an API key";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.is_empty() {
            return Err(Misfit::because("it is empty"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misfit::because(
                "it has spaces, line ends or letters beyond ASCII in it",
            ));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(\\S+|file:.+)$" })
    }
}

/// What stands in place of a key.
enum Given {
    /// The identity of the machine.
    Machine,
    /// A credentials file of Google Cloud.
    Google(Box<google::Account>),
}

impl Scalar for Given {
    const EXPECTED: &'static str = "`machine` or a credentials file of Google Cloud";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text == "machine" {
            return Ok(Self::Machine);
        }
        if !text.trim_start().starts_with('{') {
            return Err(Misfit::suggest("write `file:PATH` to name the file"));
        }
        match google::Account::read(text) {
            Ok(account) => Ok(Self::Google(Box::new(account))),
            Err(invalid) => Err(Misfit::because(invalid.to_string())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// An identifier.
pub(super) struct Word(pub(super) String);

impl Scalar for Word {
    const EXPECTED: &'static str = "an identifier";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.is_empty() {
            return Err(Misfit::because("it is empty"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misfit::because(
                "it has spaces or letters beyond ASCII in it",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^\\S+$" })
    }
}

/// The name of a role.
pub(super) struct Arn(pub(super) String);

impl Scalar for Arn {
    const EXPECTED: &'static str = "a role's name such as `arn:aws:iam::123456789012:role/name`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.starts_with("arn:") && text.contains(":role/") {
            Ok(Self(text.to_owned()))
        } else {
            Err(Misfit::default())
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^arn:.+:role/.+$" })
    }
}

/// The name of a file.
struct FileName(String);

impl Scalar for FileName {
    const EXPECTED: &'static str = "the absolute name of a file";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if std::path::Path::new(text).is_absolute() {
            Ok(Self(text.to_owned()))
        } else {
            Err(Misfit::because("it begins at the root"))
        }
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}
