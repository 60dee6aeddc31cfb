use super::*;

/// The session token of AWS's published test suite.
const SESSION_TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

/// The keys of AWS's published test suite.
fn keys(session_token: Option<&str>) -> AwsKeys {
    AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: session_token.map(|token| Secret::new(token.to_owned())),
    }
}

fn request(method: &str, uri: &str, fields: &[(&str, &str)], body: &'static str) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Bytes::from(body)).unwrap()
}

fn authorization(
    mut request: Request<Bytes>,
    keys: &AwsKeys,
    service: &str,
    region: &str,
    now: &str,
) -> String {
    let scope = Scope { region, service };
    sign(&mut request, keys, scope, now.parse().unwrap()).unwrap();
    let value = request.headers().get(AUTHORIZATION).unwrap();
    assert!(value.is_sensitive());
    value.to_str().unwrap().to_owned()
}

struct Case {
    name: &'static str,
    request: Request<Bytes>,
    token: Option<&'static str>,
    fields: &'static str,
    signature: &'static str,
}

/// Cases of AWS's published test suite (<https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4>).
#[test]
fn the_published_test_suite_is_signed_as_published() {
    let root = "https://example.amazonaws.com/";
    let with = |tail: &str| format!("{root}{tail}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let spaces = [("my-header1", " value1"), ("my-header2", " \"a   b   c\"")];
    let cases = [
        Case {
            name: "get-vanilla",
            request: request("GET", root, &[], ""),
            token: None,
            fields: "host;x-amz-date",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Case {
            name: "get-vanilla-query-order-key-case",
            request: request("GET", &with("?Param2=value2&Param1=value1"), &[], ""),
            token: None,
            fields: "host;x-amz-date",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        },
        Case {
            name: "get-vanilla-query-order-value",
            request: request("GET", &with("?Param1=value2&Param1=value1"), &[], ""),
            token: None,
            fields: "host;x-amz-date",
            signature: "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
        },
        Case {
            name: "get-header-value-trim",
            request: request("GET", root, &spaces, ""),
            token: None,
            fields: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        },
        Case {
            name: "post-vanilla",
            request: request("POST", root, &[], ""),
            token: None,
            fields: "host;x-amz-date",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        },
        Case {
            name: "post-x-www-form-urlencoded",
            request: request("POST", root, &form, "Param1=value1"),
            token: None,
            fields: "content-type;host;x-amz-date",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        },
        Case {
            name: "post-sts-header-before",
            request: request("POST", root, &[], ""),
            token: Some(SESSION_TOKEN),
            fields: "host;x-amz-date;x-amz-security-token",
            signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        },
    ];
    for case in cases {
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={}",
            case.fields, case.signature
        );
        let found = authorization(
            case.request,
            &keys(case.token),
            "service",
            "us-east-1",
            "2015-08-30T12:36:00Z",
        );
        assert_eq!(found, expected, "{}", case.name);
    }
}

/// The worked example of the documentation.
#[test]
fn the_documented_example_is_signed_as_documented() {
    let content_type = [(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )];
    let uri = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
    let found = authorization(
        request("GET", uri, &content_type, ""),
        &keys(None),
        "iam",
        "us-east-1",
        "2015-08-30T12:36:00Z",
    );
    assert!(
        found.ends_with(
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        )
    );
}

/// Signatures that botocore 1.44 makes for the same requests.
#[test]
fn requests_to_bedrock_are_signed_as_amazons_own_client_signs_them() {
    let json = [("content-type", "application/json")];
    let arn = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse";
    let found = authorization(
        request("POST", arn, &json, r#"{"messages":[]}"#),
        &keys(Some(SESSION_TOKEN)),
        "bedrock",
        "eu-west-1",
        "2026-11-05T12:00:00Z",
    );
    assert!(
        found.ends_with(
            "Signature=f2d307267e529ebd5faac9415e09f7a43d33cedc2f6651bda2a257a381524963"
        )
    );
    let with_port = "http://127.0.0.1:8443/model/us.amazon.nova-pro-v1:0/converse-stream";
    let found = authorization(
        request("POST", with_port, &json, "{\"é\":1}"),
        &keys(None),
        "bedrock",
        "us-east-1",
        "2026-11-05T12:00:00Z",
    );
    assert!(
        found.ends_with(
            "Signature=69d3854d8516b47f4e1fc4f85fd7addb8abbecd06f4ff1fe7d84af70b8dd6803"
        )
    );
}

#[test]
fn a_request_is_signed_anew_after_a_wait() {
    let uri = "https://example.amazonaws.com/";
    let mut twice = request("GET", uri, &[("user-agent", "any")], "");
    let scope = Scope {
        region: "us-east-1",
        service: "service",
    };
    let earlier = "2015-08-30T12:00:00Z".parse().unwrap();
    let later = "2015-08-30T12:36:00Z".parse().unwrap();
    sign(&mut twice, &keys(Some("gone")), scope, earlier).unwrap();
    sign(&mut twice, &keys(None), scope, later).unwrap();
    let mut once = request("GET", uri, &[("user-agent", "any")], "");
    sign(&mut once, &keys(None), scope, later).unwrap();
    assert_eq!(twice.headers(), once.headers());
}

#[test]
fn a_relative_address_is_refused() {
    let mut relative = request("GET", "/", &[], "");
    let scope = Scope {
        region: "us-east-1",
        service: "service",
    };
    let now = "2015-08-30T12:36:00Z".parse().unwrap();
    assert!(sign(&mut relative, &keys(None), scope, now).is_err());
}
