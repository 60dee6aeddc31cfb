//! Access tokens of Microsoft Entra ID for Azure OpenAI
//! (<https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).

use std::path::PathBuf;

use bytes::Bytes;
use domain::egress::Reach;
use domain::secret::Secret;
use http::Request;

use crate::credential::{Step, Unobtained};
use crate::token;
use crate::url;

/// What the tokens are for: every service of Azure AI.
const RESOURCE: &str = "https://cognitiveservices.azure.com";

/// Where tokens are given out in Azure's public cloud.
pub const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The service that every machine of the platform finds at this link-local address
/// (<https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Who asks for tokens.
#[derive(Debug, Clone)]
pub enum Account {
    /// An application that is registered in a tenant.
    Application {
        /// The tenant: its identifier or one of its domains.
        tenant: String,
        /// The application's identifier.
        client: String,
        /// How it proves who it is.
        proof: Proof,
        /// Where tokens are given out: [`AUTHORITY`], or that of a national cloud.
        authority: String,
    },
    /// The identity of the machine, asked of its metadata service.
    Machine {
        /// Which one, where the machine has several: the identifier of the application.
        client: Option<String>,
    },
}

/// How an application proves who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By a secret.
    Secret(Secret<String>),
    /// By a token of another issuer, which is in this file and changes there (workload identity).
    File(PathBuf),
}

impl Account {
    /// The first step on the way to a token.
    pub fn begin(&self) -> Result<Step, Unobtained> {
        match self {
            Self::Application {
                tenant,
                client,
                proof,
                authority,
            } => {
                let tenant = url::segment(tenant).map_err(|_| {
                    Unobtained::for_good(format!("{tenant:?} is no tenant of Microsoft Entra ID"))
                })?;
                let endpoint = format!("{authority}/{tenant}/oauth2/v2.0/token");
                match proof {
                    Proof::Secret(secret) => {
                        exchange(&endpoint, client, &[("client_secret", secret.reveal())])
                    }
                    Proof::File(file) => {
                        let client = client.clone();
                        Ok(Step::read(file.clone(), move |content, _| {
                            asserted(&endpoint, &client, &content)
                        }))
                    }
                }
            }
            Self::Machine { client } => machine(client.as_deref()),
        }
    }
}

/// Asks with the token of another issuer (RFC 7523 §2.2).
fn asserted(endpoint: &str, client: &str, content: &[u8]) -> Result<Step, Unobtained> {
    let assertion = std::str::from_utf8(content).unwrap_or_default().trim();
    if assertion.is_empty() {
        return Err(Unobtained::for_good(
            "the file with the workload's own token is empty",
        ));
    }
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let proof = [
        ("client_assertion_type", kind),
        ("client_assertion", assertion),
    ];
    exchange(endpoint, client, &proof)
}

fn exchange(endpoint: &str, client: &str, proof: &[(&str, &str)]) -> Result<Step, Unobtained> {
    let scope = format!("{RESOURCE}/.default");
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", scope.as_str()),
    ];
    fields.extend_from_slice(proof);
    let request = token::post(endpoint, &fields)?;
    Ok(Step::ask(request, Reach::Public, |answer, now| {
        token::granted("Microsoft Entra ID", &answer, now).map(Step::Done)
    }))
}

fn machine(client: Option<&str>) -> Result<Step, Unobtained> {
    let mut fields = vec![("api-version", "2018-02-01"), ("resource", RESOURCE)];
    fields.extend(client.map(|client| ("client_id", client)));
    let request = Request::get(format!("{METADATA}?{}", url::form(&fields)))
        .header("metadata", "true")
        .body(Bytes::new())
        .map_err(|error| token::no_request(METADATA, &error))?;
    Ok(Step::ask(request, Reach::Any, |answer, now| {
        token::granted("the machine's identity service", &answer, now).map(Step::Done)
    }))
}

#[cfg(test)]
mod tests {
    use http::Response;
    use jiff::Timestamp;

    use super::*;
    use crate::credential::Credential;

    fn now() -> Timestamp {
        "2026-11-05T12:00:00Z".parse().unwrap()
    }

    fn application(proof: Proof) -> Account {
        Account::Application {
            tenant: "contoso.example".to_owned(),
            client: "11111111-2222-3333-4444-555555555555".to_owned(),
            proof,
            authority: AUTHORITY.to_owned(),
        }
    }

    /// The request of a step as its line and body.
    fn asked(step: &Step) -> (String, String) {
        let Step::Ask { request, .. } = step else {
            panic!("{step:?} asks nothing");
        };
        let line = format!("{} {}", request.method(), request.uri());
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        (line, body)
    }

    const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"eyJ0"}"#;

    fn token_of(step: Step) -> String {
        let Step::Ask { then, .. } = step else {
            panic!("{step:?} asks nothing");
        };
        let answer = Response::new(Bytes::from_static(TOKEN.as_bytes()));
        match then(answer, now()).unwrap() {
            Step::Done(granted) => match granted.credential {
                Credential::Token(token) => token.reveal().clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_is_exchanged_for_a_token() {
        let proof = Proof::Secret(Secret::new("s3&cret".to_owned()));
        let step = application(proof).begin().unwrap();
        assert_eq!(
            asked(&step),
            (
                "POST https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
                    .to_owned(),
                "grant_type=client_credentials&client_id=11111111-2222-3333-4444-555555555555&\
                 scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=s3%26cret"
                    .to_owned()
            )
        );
        assert_eq!(token_of(step), "eyJ0");
    }

    #[test]
    fn a_workloads_own_token_is_read_anew_each_time() {
        let file = PathBuf::from("/var/run/secrets/token");
        let step = application(Proof::File(file.clone())).begin().unwrap();
        let Step::Read { file: read, then } = step else {
            panic!("it reads the file first");
        };
        assert_eq!(read, file);
        let step = then(Bytes::from_static(b"eyJh.bGci\n"), now()).unwrap();
        let (_, body) = asked(&step);
        assert!(body.ends_with("&client_assertion=eyJh.bGci"), "{body}");
        assert_eq!(token_of(step), "eyJ0");
    }

    #[test]
    fn an_empty_file_is_told_as_such() {
        let step = application(Proof::File("t".into())).begin().unwrap();
        let Step::Read { then, .. } = step else {
            panic!("it reads the file first");
        };
        let refusal = then(Bytes::from_static(b" \n"), now()).unwrap_err();
        assert!(refusal.detail.contains("empty"));
    }

    #[test]
    fn a_machine_is_asked_at_its_own_address() {
        let step = Account::Machine {
            client: Some("abc".to_owned()),
        }
        .begin()
        .unwrap();
        let (line, _) = asked(&step);
        assert_eq!(
            line,
            "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&\
             resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=abc"
        );
        assert!(matches!(
            step,
            Step::Ask {
                reach: Reach::Any,
                ..
            }
        ));
    }
}
