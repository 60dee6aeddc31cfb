//! Amazon's Security Token Service: temporary keys for a role.
//! See <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.

use http::Response;
use serde_json::{Value, json};

use super::form::Form;
use super::{Request, written};
use crate::aws::{Key, Unsigned, verify};
use crate::body::SimBody;
use crate::clock;
use crate::vendor::{field, is_invalid_key};

const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const REQUEST_ID: &str = "51c7c1b7-2722-4a95-9e37-79b97f4a7c15";
/// How long keys live if the caller does not say, in seconds.
const LIFE: u64 = 3600;

/// A refusal: status, code and sentence.
struct Refusal(u16, &'static str, String);

/// Keys that were given out.
struct Assumed {
    action: &'static str,
    role: String,
    session: String,
    key: Key,
    until: u64,
    /// What else the answer tells, by name.
    more: Vec<(&'static str, String)>,
}

/// `POST /` with an `Action`.
pub(super) fn respond(request: &Request<'_>) -> Response<SimBody> {
    let wants_json =
        field(request.head, "accept").is_some_and(|kind| kind.contains("application/json"));
    let form = Form::of(request.head, request.body).unwrap_or_else(|| Form::parsed(""));
    let (status, value, xml) = match answer(request, &form) {
        Ok(Told::Keys(assumed)) => (200, assumed.json(), assumed.xml()),
        Ok(Told::Caller(key)) => (200, caller_json(&key), caller_xml(&key)),
        Err(refusal) => (refusal.0, refusal.json(), refusal.xml()),
    };
    if wants_json {
        written(status, "application/json", value.to_string())
    } else {
        written(status, "text/xml", xml)
    }
}

enum Told {
    Keys(Assumed),
    Caller(String),
}

fn answer(request: &Request<'_>, form: &Form) -> Result<Told, Refusal> {
    let Some(action) = form.get("Action") else {
        return Err(Refusal(400, "MissingAction", "Missing Action".to_owned()));
    };
    if form.get("Version") != Some(VERSION) {
        let sentence = format!(
            "Could not find operation {action} for version {}",
            form.get("Version").unwrap_or("NO_VERSION_SPECIFIED")
        );
        return Err(Refusal(400, "InvalidAction", sentence));
    }
    match action {
        "AssumeRole" => {
            let signer = signed(request)?;
            let most = if signer.starts_with("ASIA") {
                LIFE
            } else {
                43_200
            };
            let mut assumed = assume(request, form, "AssumeRole", most)?;
            assumed.more.clear();
            Ok(Told::Keys(assumed))
        }
        "AssumeRoleWithWebIdentity" => with_web_identity(request, form).map(Told::Keys),
        "GetCallerIdentity" => signed(request).map(Told::Caller),
        _ => Err(Refusal(
            400,
            "InvalidAction",
            format!("Could not find operation {action} for version {VERSION}"),
        )),
    }
}

fn signed(request: &Request<'_>) -> Result<String, Refusal> {
    let refuse = |status, code, sentence: &str| Refusal(status, code, sentence.to_owned());
    verify(request.head, request.body, "sts", request.seed, request.now)
        .map_err(|unsigned| match unsigned {
            Unsigned::Missing => refuse(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ),
            Unsigned::Incomplete(what) => Refusal(400, "IncompleteSignature", what),
            Unsigned::UnknownKey => refuse(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            ),
            Unsigned::ExpiredKey => refuse(
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ),
            Unsigned::Misplaced(what) => Refusal(403, "SignatureDoesNotMatch", what),
            Unsigned::Wrong => refuse(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                 and signing method. Consult the service documentation for details.",
            ),
        })
}

fn with_web_identity(request: &Request<'_>, form: &Form) -> Result<Assumed, Refusal> {
    let token = form
        .get("WebIdentityToken")
        .ok_or_else(|| null_value("webIdentityToken"))?;
    if is_invalid_key(token) || token.split('.').count() != 3 {
        let sentence = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
        return Err(Refusal(400, "InvalidIdentityToken", sentence.to_owned()));
    }
    assume(request, form, "AssumeRoleWithWebIdentity", 43_200)
}

fn assume(
    request: &Request<'_>,
    form: &Form,
    action: &'static str,
    most: u64,
) -> Result<Assumed, Refusal> {
    let role = form.get("RoleArn").ok_or_else(|| null_value("roleArn"))?;
    let session = form
        .get("RoleSessionName")
        .ok_or_else(|| null_value("roleSessionName"))?;
    let is_role = role
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
        .is_some_and(|(account, name)| account.len() == 12 && !name.is_empty());
    if !is_role {
        return Err(Refusal(
            400,
            "ValidationError",
            format!("{role} is invalid"),
        ));
    }
    let is_session = (2..=64).contains(&session.len())
        && session
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if !is_session {
        let sentence = format!(
            "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        );
        return Err(Refusal(400, "ValidationError", sentence));
    }
    let life = match form.get("DurationSeconds").map(str::parse::<u64>) {
        None => LIFE,
        Some(Ok(life)) if (900..=most).contains(&life) => life,
        Some(_) => {
            let sentence =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(Refusal(400, "ValidationError", sentence.to_owned()));
        }
    };
    if role.rsplit('/').next().is_some_and(is_invalid_key) {
        let sentence = format!(
            "User: arn:aws:iam::000000000000:user/simulated is not authorized to perform: sts:{action} on resource: {role}"
        );
        return Err(Refusal(403, "AccessDenied", sentence));
    }
    let until = request.now + life;
    Ok(Assumed {
        action,
        role: role.to_owned(),
        session: session.to_owned(),
        key: Key::temporary(request.seed, &format!("{role}/{session}"), until),
        until,
        more: vec![
            ("SubjectFromWebIdentityToken", "simulated".to_owned()),
            ("Audience", "sts.amazonaws.com".to_owned()),
            ("Provider", "https://issuer.example.com".to_owned()),
        ],
    })
}

fn null_value(member: &str) -> Refusal {
    let sentence = format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    );
    Refusal(400, "ValidationError", sentence)
}

impl Assumed {
    /// Who the role is while it is assumed.
    fn identity(&self) -> (String, String) {
        let name = self.role.rsplit('/').next().unwrap_or_default();
        let account = self.role.split(':').nth(4).unwrap_or_default();
        (
            format!(
                "arn:aws:sts::{account}:assumed-role/{name}/{}",
                self.session
            ),
            format!("AROASIMULATED0000000:{}", self.session),
        )
    }

    fn xml(&self) -> String {
        let Self { action, key, .. } = self;
        let (arn, id) = self.identity();
        let more: Vec<String> = self
            .more
            .iter()
            .map(|(name, value)| format!("<{name}>{value}</{name}>"))
            .collect();
        let more = more.concat();
        format!(
            "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result><AssumedRoleUser><AssumedRoleId>{id}</AssumedRoleId><Arn>{arn}</Arn>\
             </AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{}</Expiration></Credentials>{more}</{action}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId>\
             </ResponseMetadata></{action}Response>",
            key.id,
            key.secret,
            key.session_token.as_deref().unwrap_or_default(),
            clock::written(self.until),
        )
    }

    fn json(&self) -> Value {
        let Self { action, key, .. } = self;
        let (arn, id) = self.identity();
        let mut result = json!({
            "AssumedRoleUser": {"Arn": arn, "AssumedRoleId": id},
            "Credentials": {
                "AccessKeyId": key.id,
                "SecretAccessKey": key.secret,
                "SessionToken": key.session_token,
                "Expiration": self.until,
            },
            "PackedPolicySize": null,
        });
        if let Some(result) = result.as_object_mut() {
            for (name, value) in &self.more {
                result.insert((*name).to_owned(), json!(value));
            }
        }
        answered(action, &result)
    }
}

fn caller_json(key: &str) -> Value {
    let caller = json!({"Account": "000000000000", "Arn": "arn:aws:iam::000000000000:user/simulated", "UserId": key});
    answered("GetCallerIdentity", &caller)
}

fn caller_xml(key: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/simulated</Arn>\
         <UserId>{key}</UserId><Account>000000000000</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId>\
         </ResponseMetadata></GetCallerIdentityResponse>"
    )
}

fn answered(action: &str, result: &Value) -> Value {
    json!({
        format!("{action}Response"): {
            format!("{action}Result"): result,
            "ResponseMetadata": {"RequestId": REQUEST_ID},
        }
    })
}

impl Refusal {
    fn json(&self) -> Value {
        json!({"Error": {"Code": self.1, "Message": self.2, "Type": "Sender"}, "RequestId": REQUEST_ID})
    }

    fn xml(&self) -> String {
        let sentence = self.2.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{}</Code><Message>{sentence}</Message></Error>\
             <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
            self.1
        )
    }
}
