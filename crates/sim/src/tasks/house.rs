//! Who answers: how its callers prove themselves, and how it says no.

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::aws::{Unsigned, verify};
use crate::record::{Face, Host};
use crate::vendor::{Api, Failure, Knock, bearer, field, is_invalid_key};

/// A vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum House {
    /// One that also chats, and refuses as it does there.
    Chatting(Face, Host),
    /// One that does not.
    Other(Other),
}

/// The vendors of pictures, sound and ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// <https://docs.cohere.com/reference/errors>
    Cohere,
    /// <https://platform.stability.ai/docs/api-reference>
    Stability,
    /// <https://docs.bfl.ai/api_integration/errors>
    BlackForestLabs,
    /// <https://docs.fal.ai/errors>
    Fal,
    /// <https://replicate.com/docs/reference/http#errors>
    Replicate,
    /// <https://elevenlabs.io/docs/developer-guides/errors>
    ElevenLabs,
    /// <https://developers.deepgram.com/docs/errors>
    Deepgram,
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
    S3,
    /// Whoever keeps the pictures that were made: anyone who knows the address may fetch them.
    Delivery,
}

pub(crate) const OPENAI: House = House::Chatting(Face::OpenAi, Host::OpenAi);
pub(crate) const HUGGING_FACE: House = House::Chatting(Face::OpenAi, Host::HuggingFace);
pub(crate) const ANTHROPIC: House = House::Chatting(Face::Anthropic, Host::Anthropic);
pub(crate) const GEMINI: House = House::Chatting(Face::Gemini, Host::Gemini);
pub(crate) const VERTEX: House = House::Chatting(Face::Gemini, Host::Vertex);
pub(crate) const BEDROCK: House = House::Chatting(Face::BedrockConverse, Host::Bedrock);

impl House {
    fn api(face: Face, host: Host) -> Api {
        Api::of(face, host)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chatting(face, _) => face.name(),
            Self::Other(other) => other.name(),
        }
    }

    pub(crate) fn authenticate(self, knock: &Knock<'_>) -> Result<(), Failure> {
        match self {
            Self::Chatting(face, host) => Self::api(face, host).vendor.authenticate(knock),
            Self::Other(other) => other.authenticate(knock),
        }
    }

    pub(crate) fn error(self, failure: &Failure, request_id: &str) -> Value {
        match self {
            Self::Chatting(face, host) => Self::api(face, host).error(failure, request_id),
            Self::Other(other) => other.error(failure, request_id),
        }
    }

    pub(crate) fn failure(self, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        match self {
            Self::Chatting(face, host) => Self::api(face, host).failure(status, retry_after, model),
            Self::Other(other) => other.failure(status).retry_after(retry_after),
        }
    }

    pub(crate) fn overloaded_status(self) -> u16 {
        match self {
            Self::Chatting(face, host) => Self::api(face, host).vendor.overloaded_status(face),
            Self::Other(_) => 503,
        }
    }

    pub(crate) fn not_json(self, problem: &serde_json::Error) -> Failure {
        match self {
            Self::Chatting(face, host) => Self::api(face, host).vendor.not_json(face, problem),
            Self::Other(other) => Failure {
                message: format!("the body is not valid JSON: {problem}"),
                ..other.failure(400)
            },
        }
    }

    pub(crate) fn fields(self, request_id: &str, fields: &mut HeaderMap) {
        match self {
            Self::Chatting(face, host) => {
                Self::api(face, host)
                    .vendor
                    .fields(request_id, None, fields);
            }
            Self::Other(other) => {
                if let (Some(name), Ok(id)) = (other.id_field(), HeaderValue::from_str(request_id))
                {
                    fields.insert(name, id);
                }
            }
        }
    }

    pub(crate) fn request_id(self, hash: u64, sequence: u64) -> String {
        match self {
            Self::Chatting(face, host) => Self::api(face, host).vendor.request_id(hash, sequence),
            Self::Other(_) => format!("{hash:016x}{sequence:016x}"),
        }
    }
}

impl Other {
    fn name(self) -> &'static str {
        match self {
            Self::Cohere => "cohere",
            Self::Stability => "stability",
            Self::BlackForestLabs => "black_forest_labs",
            Self::Fal => "fal",
            Self::Replicate => "replicate",
            Self::ElevenLabs => "elevenlabs",
            Self::Deepgram => "deepgram",
            Self::S3 => "s3",
            Self::Delivery => "delivery",
        }
    }

    fn id_field(self) -> Option<&'static str> {
        match self {
            Self::Fal => Some("x-fal-request-id"),
            Self::ElevenLabs => Some("request-id"),
            Self::Deepgram => Some("dg-request-id"),
            Self::S3 => Some("x-amz-request-id"),
            _ => None,
        }
    }

    fn authenticate(self, knock: &Knock<'_>) -> Result<(), Failure> {
        let head = knock.head;
        let scheme = |name: &str| {
            let (scheme, key) = field(head, "authorization")?.split_once(' ')?;
            scheme.eq_ignore_ascii_case(name).then(|| key.trim())
        };
        let key = match self {
            Self::Cohere | Self::Stability | Self::Replicate => bearer(head),
            Self::BlackForestLabs => field(head, "x-key"),
            Self::Fal => scheme("key"),
            Self::ElevenLabs => field(head, "xi-api-key"),
            Self::Deepgram => scheme("token"),
            Self::S3 => return signed(knock),
            Self::Delivery => return Ok(()),
        };
        match key {
            Some(key) if !key.is_empty() && !is_invalid_key(key) => Ok(()),
            _ => Err(self.failure(if self == Self::BlackForestLabs {
                403
            } else {
                401
            })),
        }
    }

    /// The vendor's own words for a status.
    fn failure(self, status: u16) -> Failure {
        let (kind, message) = match (self, status) {
            (Self::Stability, 400) => ("bad_request", "some-field: is required"),
            (Self::Stability, 401) => ("unauthorized", "authorization: is required"),
            (Self::Stability, 403) => (
                "content_moderation",
                "Your request was flagged by our content moderation system, as a result your request was denied.",
            ),
            (Self::Stability, 413) => (
                "payload_too_large",
                "body: payload cannot be larger than 10MiB in size",
            ),
            (Self::Stability, 429) => (
                "rate_limit_exceeded",
                "You have exceeded the rate limit of 150 requests within a 10 second period.",
            ),
            (Self::Stability, _) => ("internal_error", "An unexpected server error has occurred."),
            (Self::ElevenLabs, 401) => ("invalid_api_key", "Invalid API key"),
            (Self::ElevenLabs, 402) => ("quota_exceeded", "This request exceeds your quota."),
            (Self::ElevenLabs, 429) => (
                "too_many_concurrent_requests",
                "Too many concurrent requests. Your current subscription is associated with a maximum of 5.",
            ),
            (Self::ElevenLabs, 503) => (
                "system_busy",
                "The system is experiencing heavy traffic, please try again.",
            ),
            (Self::Deepgram, 401) => ("INVALID_AUTH", "Invalid credentials."),
            (Self::Deepgram, 402) => (
                "ASR_PAYMENT_REQUIRED",
                "Project does not have enough credits for an ASR request and does not have an overage agreement.",
            ),
            (Self::Deepgram, 429) => (
                "TOO_MANY_REQUESTS",
                "Too many requests. Please try again later",
            ),
            (Self::Cohere, 401) => ("unauthorized", "no api key supplied"),
            (Self::Cohere, 429) => (
                "too_many_requests",
                "You are using a Trial key, which is limited to 10 API calls / minute.",
            ),
            (Self::Fal, 401) => (
                "unauthorized",
                "Cannot access application. Authentication is required to access this application.",
            ),
            (Self::Replicate, 401) => (
                "Unauthenticated",
                "You did not pass a valid authentication token",
            ),
            (Self::Replicate, 402) => (
                "Insufficient credit",
                "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to purchase credit.",
            ),
            (Self::BlackForestLabs, 402) => ("error", "Insufficient credits"),
            (Self::BlackForestLabs, 403) => ("error", "Not authenticated - Invalid Authentication"),
            (_, 429) => (
                "Too Many Requests",
                "Request was throttled. Expected available in 1 second.",
            ),
            (_, 404) => ("Not Found", "Not Found"),
            (_, 400..=499) => ("Bad Request", "The request failed (simulated)."),
            _ => (
                "Internal Server Error",
                "An internal error occurred (simulated).",
            ),
        };
        Failure::new(status, kind, message)
    }

    /// The refusal of a field, in the manner of `FastAPI`: `param` is the way to it.
    fn error(self, failure: &Failure, request_id: &str) -> Value {
        let complaints = || {
            let place: Vec<&str> = failure
                .param
                .as_deref()
                .unwrap_or_default()
                .split('.')
                .collect();
            json!({"detail": [{"loc": place, "msg": failure.message, "type": failure.kind}]})
        };
        let names_a_field = failure.param.is_some();
        match self {
            Self::Cohere => json!({"id": request_id, "message": failure.message}),
            Self::Stability => {
                json!({"id": request_id, "name": failure.kind, "errors": [failure.message]})
            }
            Self::ElevenLabs | Self::Fal | Self::BlackForestLabs if names_a_field => complaints(),
            Self::ElevenLabs => {
                json!({"detail": {"status": failure.kind, "message": failure.message}})
            }
            Self::Fal | Self::BlackForestLabs => json!({"detail": failure.message}),
            Self::Replicate => {
                json!({"title": failure.kind, "detail": failure.message, "status": failure.status})
            }
            Self::Deepgram => {
                json!({"err_code": failure.kind, "err_msg": failure.message, "request_id": request_id})
            }
            Self::S3 | Self::Delivery => json!({"message": failure.message}),
        }
    }
}

/// Whether a request to S3 is signed, and says what of.
fn signed(knock: &Knock<'_>) -> Result<(), Failure> {
    if field(knock.head, "x-amz-content-sha256").is_none() {
        let message = "Missing required header for this request: x-amz-content-sha256";
        return Err(Failure::new(400, "InvalidRequest", message));
    }
    let refused = |kind, message: &str| Failure::new(403, kind, message);
    match verify(knock.head, knock.body, "s3", knock.seed, knock.now) {
        Ok(_) => Ok(()),
        Err(Unsigned::Missing) => Err(refused("AccessDenied", "Access Denied")),
        Err(Unsigned::Incomplete(what) | Unsigned::Misplaced(what)) => {
            Err(Failure::new(400, "AuthorizationHeaderMalformed", what))
        }
        Err(Unsigned::UnknownKey) => Err(refused(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        )),
        Err(Unsigned::ExpiredKey) => {
            Err(refused("ExpiredToken", "The provided token has expired."))
        }
        Err(Unsigned::Wrong) => Err(refused(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        )),
    }
}

/// The refusal of a field of a JSON body, as `FastAPI`'s validation writes it.
pub(crate) fn unprocessable(place: &str, message: impl Into<String>) -> Failure {
    Failure::new(422, "value_error", message).at(format!("body.{place}"))
}
