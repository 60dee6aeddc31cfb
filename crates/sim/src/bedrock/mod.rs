//! Amazon Bedrock: as a vendor of Anthropic's format (`InvokeModel`), and its own format for every model (`Converse`).
//! Reference: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html>.

mod converse;
pub(crate) mod jobs;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::aws::{Unsigned, verify};
use crate::frames::Frames;
use crate::record::Face;
use crate::vendor::{Failure, Knock, Vendor, bearer, is_invalid_key};

pub(crate) use converse::Converse;

/// Amazon Bedrock.
pub(crate) struct Bedrock;

/// The version of Anthropic's format that a body names here.
pub(crate) const ANTHROPIC_VERSION: &str = "bedrock-2023-05-31";
const VALIDATION: &str = "ValidationException";

/// Betas of Anthropic's that Bedrock knows
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>).
const BETAS: [&str; 15] = [
    "compact-",
    "computer-use-",
    "context-1m-",
    "context-management-",
    "dangerous-tool-use-",
    "dev-full-thinking-",
    "effort-",
    "fine-grained-tool-streaming-",
    "interleaved-thinking-",
    "mid-conversation-",
    "output-128k-",
    "thinking-binding-controls-",
    "thinking-display-updates-",
    "token-efficient-tools-",
    "tool-search-tool-",
];

/// Refuses a beta that is Anthropic's alone.
pub(crate) fn known_beta(beta: &str) -> Result<(), Failure> {
    if BETAS.iter().any(|known| beta.starts_with(known)) {
        Ok(())
    } else {
        Err(invalid("invalid beta flag"))
    }
}

/// A refusal of what was asked.
pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(400, VALIDATION, message)
}

/// The refusal of a model that is not there.
pub(crate) fn unknown_model() -> Failure {
    invalid("The provided model identifier is invalid.")
}

/// Puts an error into a binary stream that has begun.
pub(crate) fn exception(failure: &Failure, error: &Value, frames: &mut Frames) {
    let mut name = kind(failure).to_owned();
    name.get_mut(..1)
        .into_iter()
        .for_each(str::make_ascii_lowercase);
    frames.exception(&name, error);
}

/// The class of an error: Bedrock's own, also for what the model refuses in its vendor's words.
fn kind(failure: &Failure) -> &'static str {
    if failure.kind.ends_with("Exception") {
        return failure.kind;
    }
    of_status(failure.status).0
}

fn of_status(status: u16) -> (&'static str, &'static str) {
    match status {
        403 => (
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
        ),
        404 => (
            "ResourceNotFoundException",
            "Could not resolve the foundation model from the provided model identifier.",
        ),
        408 => (
            "ModelTimeoutException",
            "The request took too long to process. Processing time exceeded the model timeout length.",
        ),
        424 => (
            "ModelErrorException",
            "The request failed due to an error while processing the model.",
        ),
        429 => (
            "ThrottlingException",
            "Too many requests, please wait before trying again.",
        ),
        400..=499 => (
            VALIDATION,
            "The input fails to satisfy the constraints specified by Amazon Bedrock (simulated).",
        ),
        503 => (
            "ServiceUnavailableException",
            "The service isn't currently available. Try again later.",
        ),
        _ => (
            "InternalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
    }
}

impl Vendor for Bedrock {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        let refuse = |kind, message: &str| Failure::new(403, kind, message);
        if let Some(key) = bearer(knock.head) {
            return if is_invalid_key(key) || key.is_empty() {
                Err(refuse(
                    "AccessDeniedException",
                    "Authentication failed: Please make sure your API Key is valid.",
                ))
            } else {
                Ok(())
            };
        }
        match verify(knock.head, knock.body, "bedrock", knock.seed, knock.now) {
            Ok(_) => Ok(()),
            Err(Unsigned::Missing) => Err(refuse(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )),
            Err(Unsigned::Incomplete(what)) => Err(refuse("IncompleteSignatureException", &what)),
            Err(Unsigned::UnknownKey) => Err(refuse(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )),
            Err(Unsigned::ExpiredKey) => Err(refuse(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )),
            Err(Unsigned::Misplaced(what)) => Err(refuse("InvalidSignatureException", &what)),
            Err(Unsigned::Wrong) => Err(refuse(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                 and signing method. Consult the service documentation for details.",
            )),
        }
    }

    fn error(&self, _face: Face, failure: &Failure, _request_id: &str) -> Value {
        json!({"message": failure.message})
    }

    fn failure(&self, _face: Face, status: u16, retry_after: Option<u64>, _model: &str) -> Failure {
        let (kind, message) = of_status(status);
        Failure::new(status, kind, message).retry_after(retry_after)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        503
    }

    fn not_json(&self, _face: Face, problem: &serde_json::Error) -> Failure {
        Failure::new(
            400,
            "SerializationException",
            format!("The request body is not JSON: {problem}"),
        )
    }

    fn no_such_path(&self, _method: &str, _path: &str) -> Failure {
        Failure::new(
            404,
            "UnknownOperationException",
            "The requested operation is not recognized by the service.",
        )
    }

    fn wrong_method(&self, method: &str, path: &str) -> Failure {
        self.no_such_path(method, path)
    }

    fn models(&self) -> Result<Value, Failure> {
        Err(self.no_such_path("GET", "models"))
    }

    fn model(&self, _name: &str) -> Result<Value, Failure> {
        Err(self.no_such_path("GET", "model"))
    }

    fn fields(&self, request_id: &str, failure: Option<&Failure>, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(request_id) {
            fields.insert("x-amzn-requestid", id);
        }
        if let Some(failure) = failure {
            let kind = format!(
                "{}:http://internal.amazon.com/coral/com.amazon.bedrock/",
                kind(failure)
            );
            if let Ok(kind) = HeaderValue::from_str(&kind) {
                fields.insert("x-amzn-errortype", kind);
            }
        }
    }

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("{hash:016x}-sim-{sequence:08x}")
    }
}
