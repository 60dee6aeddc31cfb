//! Amazon's Security Token Service: temporary keys for a role.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use std::borrow::Cow;

use bytes::Bytes;
use domain::egress::Reach;
use domain::secret::Secret;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use jiff::Timestamp;

use super::issued::Issued;
use super::sigv4::{self, Scope};
use crate::credential::{AwsKeys, Step, Unobtained};
use crate::{failure, token, url};

const VERSION: &str = "2011-06-15";

/// A role that is assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name, `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// What the account's logs call this use of it: 2 to 64 letters, digits and `_+=,.@-`.
    pub session_name: String,
    /// What the role's owner demands to be told, where it belongs to somebody else.
    pub external_id: Option<String>,
}

impl Role {
    /// The role of this name; logs call its use `trunkline`.
    pub fn new(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            session_name: "trunkline".to_owned(),
            external_id: None,
        }
    }
}

/// The service in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sts {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// Where it answers, where that is not the region's own address.
    pub base_url: Option<String>,
}

impl Sts {
    /// Asks for the keys of a role, with other keys.
    pub fn assume(&self, role: &Role, keys: &AwsKeys, now: Timestamp) -> Result<Step, Unobtained> {
        let mut request = self.request("AssumeRole", role, None)?;
        let scope = Scope {
            region: &self.region,
            service: "sts",
        };
        sigv4::sign(&mut request, keys, scope, now)
            .map_err(|refusal| Unobtained::for_good(refusal.detail))?;
        Ok(self.step(request, role))
    }

    /// Asks for the keys of a role, with a token that its owner trusts; the request is not signed.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    pub fn assume_with_web_identity(
        &self,
        role: &Role,
        token: &Secret<String>,
    ) -> Result<Step, Unobtained> {
        let request = self.request("AssumeRoleWithWebIdentity", role, Some(token))?;
        Ok(self.step(request, role))
    }

    fn request(
        &self,
        action: &str,
        role: &Role,
        token: Option<&Secret<String>>,
    ) -> Result<Request<Bytes>, Unobtained> {
        let mut fields = vec![
            ("Action", action),
            ("Version", VERSION),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session_name),
        ];
        if let Some(external_id) = &role.external_id {
            fields.push(("ExternalId", external_id));
        }
        if let Some(token) = token {
            fields.push(("WebIdentityToken", token.reveal()));
        }
        let address = self.address();
        Request::post(&*address)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(url::form(&fields).into())
            .map_err(|error| token::no_request(&address, &error))
    }

    /// <https://docs.aws.amazon.com/general/latest/gr/sts.html>
    fn address(&self) -> Cow<'_, str> {
        if let Some(base_url) = &self.base_url {
            return Cow::Borrowed(base_url);
        }
        let domain = if self.region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        Cow::Owned(format!("https://sts.{}.{domain}/", self.region))
    }

    fn step(&self, request: Request<Bytes>, role: &Role) -> Step {
        // An address of the operator's own may be a private one.
        let reach = match self.base_url {
            Some(_) => Reach::Any,
            None => Reach::Public,
        };
        let arn = role.arn.clone();
        Step::ask(request, reach, move |answer, now| {
            let issued = read(&arn, &answer, now)?;
            Ok(Step::Done(issued.granted()))
        })
    }
}

/// Reads the keys of an answer, which is XML; `arn` names the role in errors.
fn read(arn: &str, answer: &Response<Bytes>, now: Timestamp) -> Result<Issued, Unobtained> {
    let xml = String::from_utf8_lossy(answer.body());
    if !answer.status().is_success() {
        return Err(refused(arn, answer, &xml, now));
    }
    let keys = element(&xml, "Credentials").and_then(|keys| {
        let field = |name| element(&keys, name);
        Some(Issued {
            access_key_id: field("AccessKeyId")?.into_owned(),
            secret_access_key: Secret::new(field("SecretAccessKey")?.into_owned()),
            session_token: Some(Secret::new(field("SessionToken")?.into_owned())),
            expires_at: field("Expiration")?.parse().ok(),
        })
    });
    keys.ok_or_else(|| {
        Unobtained::for_good(format!(
            "AWS STS answered something else than keys of {arn}"
        ))
    })
}

fn refused(arn: &str, answer: &Response<Bytes>, xml: &str, now: Timestamp) -> Unobtained {
    let status = answer.status().as_u16();
    let words: Vec<Cow<'_, str>> = ["Code", "Message"]
        .into_iter()
        .filter_map(|name| element(xml, name))
        .collect();
    let words = if words.is_empty() {
        failure::sentence(answer.body())
    } else {
        failure::clean(&words.join(": "))
    };
    let wait = failure::retry_after(answer.headers(), now);
    Unobtained {
        detail: format!("AWS STS gives no keys of {arn} ({status}): {words}"),
        retry: failure::retry_of(failure::cause_of_status(status), wait),
    }
}

/// The text of the first element of this name, which has neither attributes nor namesakes inside of it.
fn element<'a>(xml: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    if !text.contains('&') {
        return Some(Cow::Borrowed(text));
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let mut plain = text.to_owned();
    for (entity, sign) in entities {
        plain = plain.replace(entity, sign);
    }
    Some(Cow::Owned(plain))
}
