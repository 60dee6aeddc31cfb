//! Where Bedrock answers and how a request proves itself there.
//! <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>

use std::borrow::Cow;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use jiff::Timestamp;

use crate::aws::sigv4::{self, ForStorage, S3, Scope};
use crate::credential::{self, Credential};
use crate::dialect::{Refusal, Target};
use crate::host::Host;
use crate::url;

/// Stands for the region in a base URL.
const PLACEHOLDER: &str = "{region}";

/// The address of an operation on the target's model. The model, which may be an ARN, is one segment of
/// the path.
pub(crate) fn address(target: &Target<'_>, operation: &str) -> Result<String, Refusal> {
    address_of(target, target.model, operation)
}

/// The address of an operation on another model, in the target's region.
pub(super) fn address_of(
    target: &Target<'_>,
    model: &str,
    operation: &str,
) -> Result<String, Refusal> {
    let model = url::segment(model)?;
    let base_url = with_region(target.base_url, || region(target))?;
    Ok(format!("{base_url}/model/{model}/{operation}"))
}

/// Where the API begins, with the configured region in its place.
pub(crate) fn root<'a>(base_url: &'a str, host: &Host) -> Result<Cow<'a, str>, Refusal> {
    with_region(base_url, || {
        let region = host.region.as_deref().map(Cow::Borrowed);
        region.ok_or_else(no_region)
    })
}

/// Where jobs are made: beside where models are asked.
/// <https://docs.aws.amazon.com/general/latest/gr/bedrock.html#br-cp>
pub(crate) fn control(target: &Target<'_>) -> Result<String, Refusal> {
    let base_url = with_region(target.base_url, || region(target))?;
    Ok(base_url.replacen("bedrock-runtime", "bedrock", 1))
}

fn with_region<'a, 'r>(
    base_url: &'a str,
    region: impl FnOnce() -> Result<Cow<'r, str>, Refusal>,
) -> Result<Cow<'a, str>, Refusal> {
    if base_url.contains(PLACEHOLDER) {
        Ok(Cow::Owned(base_url.replace(PLACEHOLDER, &region()?)))
    } else {
        Ok(Cow::Borrowed(base_url))
    }
}

/// What is said of an address that cannot be used.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
pub(super) fn unusable(error: http::Error) -> Refusal {
    Refusal {
        detail: format!("The provider's base URL is not usable: {error}."),
        param: None,
    }
}

/// Signs the request, for S3 where it is for storage, or writes a Bedrock API key into it
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html>).
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    target: &Target<'_>,
    credential: &Credential,
    now: Timestamp,
) -> Result<(), Refusal> {
    match credential {
        Credential::Aws(keys) => {
            let region = region(target)?;
            let is_for_storage = request.extensions().get::<ForStorage>().is_some();
            let scope = Scope {
                region: &region,
                service: if is_for_storage { S3 } else { "bedrock" },
            };
            sigv4::sign(request, keys, scope, now)
        }
        Credential::ApiKey(_) | Credential::Token(_)
            if request.extensions().get::<ForStorage>().is_some() =>
        {
            Err(credential::wrong_kind("Amazon S3", "keys of AWS"))
        }
        Credential::ApiKey(key) | Credential::Token(key) => {
            let value = credential::field("Bearer ", key)?;
            request.headers_mut().insert(AUTHORIZATION, value);
            Ok(())
        }
    }
}

/// The region that answers: what the configuration says, else what the address or the model's ARN
/// tells.
fn region<'a>(target: &Target<'a>) -> Result<Cow<'a, str>, Refusal> {
    let region = target
        .host
        .region
        .as_deref()
        .or_else(|| region_of_address(target.base_url))
        .or_else(|| region_of_arn(target.model));
    region.map(Cow::Borrowed).ok_or_else(no_region)
}

fn no_region() -> Refusal {
    Refusal {
        detail: "The provider's region is not known. Set `region` on the provider, as in `region: us-east-1`."
            .to_owned(),
        param: None,
    }
}

/// `https://bedrock-runtime.us-east-1.amazonaws.com`, and the names of FIPS and private endpoints.
fn region_of_address(base_url: &str) -> Option<&str> {
    let (_, rest) = base_url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let mut labels = host.split('.');
    labels.find(|label| matches!(*label, "bedrock-runtime" | "bedrock-runtime-fips"))?;
    labels.next().filter(|label| *label != PLACEHOLDER)
}

/// `arn:aws:bedrock:us-east-1:123456789012:inference-profile/…`
fn region_of_arn(model: &str) -> Option<&str> {
    let mut parts = model.strip_prefix("arn:")?.split(':');
    parts.nth(2).filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use domain::secret::Secret;

    use super::*;
    use crate::credential::AwsKeys;
    use crate::host::Host;

    const ARN: &str = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2";

    fn with_target<T>(
        model: &str,
        base_url: &str,
        region: Option<&str>,
        look: impl FnOnce(&Target<'_>) -> T,
    ) -> T {
        let capabilities = Capabilities::default();
        let host = Host {
            region: region.map(str::to_owned),
            ..Host::NONE
        };
        look(&Target {
            model,
            base_url,
            capabilities: &capabilities,
            host: &host,
        })
    }

    fn region_of(model: &str, base_url: &str, configured: Option<&str>) -> Option<String> {
        with_target(model, base_url, configured, |target| {
            region(target).ok().map(Cow::into_owned)
        })
    }

    #[test]
    fn the_region_is_configured_or_told_by_the_address_or_the_model() {
        let address = "https://bedrock-runtime.us-west-2.amazonaws.com";
        let private = "https://vpce-1.bedrock-runtime.us-east-2.vpce.amazonaws.com:443";
        let fips = "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/";
        let template = "https://bedrock-runtime.{region}.amazonaws.com";
        let cases = [
            ("m", address, Some("ap-south-1"), Some("ap-south-1")),
            ("m", address, None, Some("us-west-2")),
            ("m", private, None, Some("us-east-2")),
            ("m", fips, None, Some("us-gov-west-1")),
            (ARN, template, None, Some("eu-west-1")),
            ("m", template, None, None),
            ("m", "http://127.0.0.1:9000", None, None),
        ];
        for (model, base_url, configured, region) in cases {
            assert_eq!(
                region_of(model, base_url, configured).as_deref(),
                region,
                "{base_url}"
            );
        }
    }

    #[test]
    fn the_model_is_one_segment_of_the_path() {
        let template = "https://bedrock-runtime.{region}.amazonaws.com";
        let arn = with_target(ARN, template, None, |target| address(target, "converse"));
        assert_eq!(
            arn.unwrap(),
            "https://bedrock-runtime.eu-west-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2/converse"
        );
        for model in ["", ".", ".."] {
            let refusal = with_target(model, "https://a", None, |target| {
                address(target, "converse")
            });
            assert_eq!(refusal.unwrap_err().param.as_deref(), Some("model"));
        }
    }

    #[test]
    fn keys_sign_and_an_api_key_is_a_bearer_token() {
        let authorization = |credential: &Credential| {
            let base_url = "https://bedrock-runtime.us-west-2.amazonaws.com";
            with_target("m", base_url, None, |target| {
                let mut request = Request::post(address(target, "converse").unwrap())
                    .body(Bytes::from_static(b"{}"))
                    .unwrap();
                let now = "2026-11-05T12:00:00Z".parse().unwrap();
                authorize(&mut request, target, credential, now).unwrap();
                let value = request.headers().get(AUTHORIZATION).unwrap().clone();
                value.to_str().unwrap().to_owned()
            })
        };
        let secret = |text: &str| Secret::new(text.to_owned());
        assert_eq!(
            authorization(&Credential::ApiKey(secret("ABSK-1"))),
            "Bearer ABSK-1"
        );
        let signed = authorization(&Credential::Aws(AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: secret("x"),
            session_token: None,
        }));
        assert!(
            signed.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261105/us-west-2/bedrock/aws4_request,"
            ),
            "{signed}"
        );
    }
}
