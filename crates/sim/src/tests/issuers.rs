//! Token endpoints: Google's, Microsoft's and Amazon's.

use crate::Sim;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::ask::{Answer, Fields, cases, send, with};

const FORM: Fields<'_> = &[("content-type", "application/x-www-form-urlencoded")];
const NOW: u64 = 1_795_219_200;

async fn form(sim: &Sim, uri: &str, body: &str) -> Answer {
    send(sim, "POST", uri, FORM, body.to_owned().into()).await
}

/// The key file of the one service account, and its key.
async fn service_account(sim: &Sim) -> (Value, RsaKeyPair) {
    let fields = [("host", "127.0.0.1:9100")];
    let file = send(sim, "GET", "/sim/google-key-file", &fields, "".into())
        .await
        .json();
    let pem = file["private_key"].as_str().unwrap();
    let text: String = pem
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap();
    (file, key)
}

fn assertion(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn google_gives_tokens_for_what_its_service_account_signed() {
    let sim = Sim::default();
    let (file, key) = service_account(&sim).await;
    assert_eq!(file["token_uri"], "http://127.0.0.1:9100/token");
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": file["private_key_id"]});
    let claims = json!({
        "iss": file["client_email"], "aud": file["token_uri"], "iat": NOW, "exp": NOW + 3600,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    });
    let ask = async |header: &Value, claims: &Value| {
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
            assertion(&key, header, claims)
        );
        form(&sim, "/token", &body).await
    };
    let granted = ask(&header, &claims).await.json();
    assert_eq!(
        (&granted["token_type"], &granted["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    for (changes, error, says) in [
        (
            json!({"iss": "someone@else"}),
            "invalid_grant",
            "account not found",
        ),
        (
            json!({"exp": NOW + 3601}),
            "invalid_grant",
            "short-lived token",
        ),
        (
            json!({"iat": NOW - 9000, "exp": NOW - 6000}),
            "invalid_grant",
            "reasonable timeframe",
        ),
        (
            json!({"exp": null}),
            "invalid_grant",
            "'iat' and 'exp' are required",
        ),
        (
            json!({"aud": "https://example.com"}),
            "invalid_grant",
            "'aud'",
        ),
        (
            json!({"scope": null}),
            "invalid_scope",
            "Invalid OAuth scope",
        ),
        (json!({"scope": "openid"}), "invalid_scope", "openid"),
    ] {
        let answer = ask(&header, &with(&claims, &changes)).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["error"]),
            (400, &json!(error)),
            "{changes}"
        );
        assert!(
            body["error_description"].as_str().unwrap().contains(says),
            "{body}"
        );
    }
    let other = with(&header, &json!({"alg": "HS256"}));
    assert!(
        ask(&other, &claims)
            .await
            .text()
            .contains("unsupported algorithm")
    );
    let (_, stranger) = service_account(&Sim::default()).await;
    let forged = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={}",
        assertion(&stranger, &header, &claims)
    );
    assert!(
        form(&sim, "/token", &forged)
            .await
            .text()
            .contains("Invalid JWT Signature.")
    );
}

#[tokio::test]
async fn google_exchanges_tokens_and_lets_one_account_act_for_another() {
    let sim = Sim::default();
    let good = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x\
        &scope=https://www.googleapis.com/auth/cloud-platform&requested_token_type=urn:ietf:params:oauth:token-type:access_token\
        &subject_token=a.b.c&subject_token_type=urn:ietf:params:oauth:token-type:jwt";
    let granted = form(&sim, "/v1/token", good).await.json();
    assert_eq!(
        granted["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    for (from, to, says) in [
        ("token-exchange", "other", "grant_type"),
        ("//iam.", "//other.", "audience"),
        (":access_token", ":other", "requested_token_type"),
        ("=a.b.c", "=invalid", "rejected by the attribute condition"),
        (
            "subject_token_type=urn",
            "subject_token_type=x",
            "subject_token_type",
        ),
    ] {
        let refused = form(&sim, "/v1/token", &good.replacen(from, to, 1)).await;
        assert!(
            refused.status == 400 && refused.text().contains(says),
            "{}",
            refused.text()
        );
    }
    let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
    let uri = "/v1/projects/-/serviceAccounts/simulated@trunkline-sim.iam.gserviceaccount.com:generateAccessToken";
    let body =
        json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "600s"})
            .to_string();
    let acting = send(
        &sim,
        "POST",
        uri,
        &[("authorization", &bearer)],
        body.clone().into(),
    )
    .await
    .json();
    assert_eq!(acting["expireTime"], "2026-11-21T00:10:00Z");
    let nobody = send(&sim, "POST", uri, &[], body.clone().into()).await;
    assert_eq!(nobody.status, 401);
    let other = uri.replace("simulated@", "other@");
    let denied = send(
        &sim,
        "POST",
        &other,
        &[("authorization", &bearer)],
        body.into(),
    )
    .await;
    assert_eq!(denied.status, 403);
}

#[tokio::test]
async fn google_renews_a_users_token() {
    let sim = Sim::default();
    let good = "grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=1%2F%2Fr";
    assert!(form(&sim, "/token", good).await.json()["access_token"].is_string());
    let revoked = form(&sim, "/token", &good.replace("1%2F%2Fr", "invalid"))
        .await
        .json();
    assert_eq!(revoked["error"], "invalid_grant");
    let lacking = form(&sim, "/token", "grant_type=refresh_token&client_id=c")
        .await
        .json();
    assert_eq!(lacking["error"], "invalid_request");
}

#[tokio::test]
async fn entra_gives_tokens_for_a_secret_or_a_signed_assertion() {
    let sim = Sim::default();
    let scope = "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
    let secret = format!("grant_type=client_credentials&client_id=c&client_secret=s&{scope}");
    let uri = "/contoso/oauth2/v2.0/token";
    let granted = form(&sim, uri, &secret).await.json();
    assert_eq!(
        (&granted["token_type"], &granted["expires_in"]),
        (&json!("Bearer"), &json!(3599))
    );
    let asserted = format!(
        "grant_type=client_credentials&client_id=c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion=a.b.c&{scope}"
    );
    assert_eq!(form(&sim, uri, &asserted).await.status, 200);
    for (uri, body, status, code) in [
        ("/invalid/oauth2/v2.0/token", secret.clone(), 400, 90_002),
        (
            uri,
            secret.replace("grant_type=client_credentials&", ""),
            400,
            900_144,
        ),
        (
            uri,
            secret.replace("client_credentials", "password"),
            400,
            70_003,
        ),
        (
            uri,
            secret.replace("client_id=c", "client_id=invalid"),
            400,
            700_016,
        ),
        (
            uri,
            secret.replace("client_secret=s", "client_secret=invalid"),
            401,
            7_000_215,
        ),
        (uri, secret.replace("&client_secret=s", ""), 401, 7_000_218),
        (uri, secret.replace("%2F.default", ""), 400, 1_002_012),
        (uri, asserted.replace("a.b.c", "a"), 401, 50_027),
    ] {
        let answer = form(&sim, uri, &body).await;
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["error_codes"][0]),
            (status, &json!(code)),
            "{body}: {told}"
        );
        let begins = format!("AADSTS{code}: ");
        assert!(
            told["error_description"]
                .as_str()
                .unwrap()
                .starts_with(&begins)
        );
    }
}

#[tokio::test]
async fn sts_answers_in_xml_or_json_as_the_caller_wishes() {
    let sim = Sim::default();
    let signed = cases(include_str!("signed.jsonl"))
        .find(|case| case["name"] == "a role assumed")
        .unwrap();
    let part = |key: &str| signed[key].as_str().unwrap();
    let fields: Vec<(&str, &str)> = signed["fields"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let xml = send(&sim, "POST", "/", &fields, part("body").to_owned().into())
        .await
        .text();
    let json_fields = [fields.as_slice(), &[("accept", "application/json")]].concat();
    let json = send(
        &sim,
        "POST",
        "/",
        &json_fields,
        part("body").to_owned().into(),
    )
    .await
    .json();
    let keys = &json["AssumeRoleResponse"]["AssumeRoleResult"]["Credentials"];
    for (name, value) in [
        ("AccessKeyId", keys["AccessKeyId"].as_str().unwrap()),
        ("SecretAccessKey", keys["SecretAccessKey"].as_str().unwrap()),
        ("SessionToken", keys["SessionToken"].as_str().unwrap()),
        ("Expiration", "2026-11-21T01:00:00Z"),
        ("Arn", "arn:aws:sts::000000000000:assumed-role/tester/me"),
    ] {
        assert!(
            xml.contains(&format!("<{name}>{value}</{name}>")),
            "{name}: {xml}"
        );
    }
    assert_eq!(keys["Expiration"], NOW + 3600);
    let web = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=pod&WebIdentityToken=a.b.c";
    assert!(
        form(&sim, "/", web)
            .await
            .text()
            .contains("<SubjectFromWebIdentityToken>simulated<")
    );
    for (from, to, status, code) in [
        (
            "Action=AssumeRoleWithWebIdentity",
            "Action=AssumeRole",
            403,
            "MissingAuthenticationToken",
        ),
        ("2011-06-15", "2012-01-01", 400, "InvalidAction"),
        ("a.b.c", "a", 400, "InvalidIdentityToken"),
        ("role/r", "user/r", 400, "ValidationError"),
        ("role/r", "role/invalid", 403, "AccessDenied"),
        ("=pod", "=a%20pod", 400, "ValidationError"),
        (
            "&RoleSessionName=pod",
            "&DurationSeconds=60&RoleSessionName=pod",
            400,
            "ValidationError",
        ),
    ] {
        let refused = form(&sim, "/", &web.replacen(from, to, 1)).await;
        let told = format!("<Code>{code}</Code>");
        assert!(
            refused.status == status && refused.text().contains(&told),
            "{}",
            refused.text()
        );
    }
}

#[tokio::test]
async fn machines_are_told_who_they_are() {
    let sim = Sim::default();
    let get = async |uri: &str, fields: Fields<'_>| send(&sim, "GET", uri, fields, "".into()).await;
    let google = "/computeMetadata/v1/instance/service-accounts/default/token";
    assert_eq!(get(google, &[]).await.status, 403);
    assert!(get(google, &[("metadata-flavor", "Google")]).await.json()["access_token"].is_string());
    let azure = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(get(azure, &[]).await.status, 400);
    let told = get(azure, &[("metadata", "true")]).await.json();
    assert_eq!(told["expires_in"], "21600");
    let roles = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(get(roles, &[]).await.status, 401);
    let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
    let session = send(&sim, "PUT", "/latest/api/token", &ttl, "".into())
        .await
        .text();
    let fields = [("x-aws-ec2-metadata-token", session.as_str())];
    let role = get(roles, &fields).await.text();
    let keys = get(&format!("{roles}{role}"), &fields).await.json();
    assert!(keys["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert_eq!(get(&format!("{roles}other"), &fields).await.status, 404);
    assert!(get("/v2/credentials/51c7c1b7", &[]).await.json()["Token"].is_string());
}

#[tokio::test]
async fn requests_for_tokens_are_recorded_and_fail_when_it_was_planned() {
    let sim = Sim::default();
    let web = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=pod&WebIdentityToken=a.b.c";
    let plan = async |fault: Value| {
        let queued = send(&sim, "POST", "/sim/faults", &[], fault.to_string().into()).await;
        assert_eq!(queued.status, 201);
    };
    plan(json!({"directive": "status=500"})).await;
    plan(json!({"match": {"face": "token", "model": "entra"}, "directive": "status=500"})).await;
    plan(json!({"match": {"face": "token", "model": "aws_sts"}, "directive": "status=503"})).await;
    plan(json!({"match": {"face": "token"}, "directive": "html"})).await;
    let statuses = [
        form(&sim, "/", web).await.status,
        form(&sim, "/", web).await.status,
        form(&sim, "/", web).await.status,
    ];
    assert_eq!(statuses, [503, 502, 200]);
    let listed = send(&sim, "GET", "/sim/tokens?since=1", &[], "".into())
        .await
        .json();
    assert_eq!(listed, json!(sim.tokens()[1..]));
    let seen: Vec<_> = sim
        .tokens()
        .iter()
        .map(|token| (token.sequence, token.issuer, token.status))
        .collect();
    assert_eq!(
        seen,
        [
            (0, "aws_sts", 503),
            (1, "aws_sts", 502),
            (2, "aws_sts", 200)
        ]
    );
    send(&sim, "DELETE", "/sim/tokens", &[], "".into()).await;
    assert!(sim.tokens().is_empty());
}
