//! What a caller is told of a provider's failure.

use domain::name::ProviderName;
use domain::problem::{Problem, ProblemKind};
use domain::provider_error::{Cause, ProviderError, Retry};
use http::StatusCode;

/// The problem that a provider's failure is for the caller. Where the caller speaks the provider's
/// format (`same_format`), the provider's own error passes as it is, unless it is about our credential.
pub fn provider_problem(
    error: &ProviderError,
    provider: &ProviderName,
    same_format: bool,
) -> Problem {
    let kind = kind(error.cause);
    let detail = match kind {
        ProblemKind::ProviderCredential => format!(
            "Provider {provider} does not accept the gateway's credential for this request; your own \
             key is fine. The operator has to check the provider's API key and its permissions."
        ),
        ProblemKind::ProviderUnreachable => {
            format!("Provider {provider} cannot be reached: {}", error.message)
        }
        _ if error.message.is_empty() => format!("Provider {provider} failed without a message."),
        _ => error.message.clone(),
    };
    let is_shown = kind != ProblemKind::ProviderCredential;
    Problem {
        param: error.param.clone(),
        retry_after: match error.retry {
            Retry::After(wait) => Some(wait),
            Retry::Now | Retry::Never => None,
        },
        provider_status: error
            .status
            .filter(|_| is_shown && is_callers_to_see(error.cause))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .filter(StatusCode::is_client_error),
        provider_code: error
            .code
            .clone()
            .or_else(|| error.native_type.clone())
            .filter(|_| is_shown),
        verbatim: error.body.clone().filter(|_| is_shown && same_format),
        ..Problem::new(kind, detail)
    }
}

fn kind(cause: Cause) -> ProblemKind {
    match cause {
        Cause::InvalidRequest => ProblemKind::InvalidRequest,
        Cause::ContextTooLong => ProblemKind::ContextTooLong,
        Cause::TooLarge => ProblemKind::TooLarge,
        Cause::Authentication | Cause::Permission => ProblemKind::ProviderCredential,
        Cause::NotFound => ProblemKind::UnknownModel,
        Cause::RateLimited | Cause::QuotaExhausted => ProblemKind::ProviderRateLimited,
        Cause::Overloaded => ProblemKind::ProviderOverloaded,
        Cause::ContentPolicy => ProblemKind::ContentPolicy,
        Cause::Server | Cause::Interrupted | Cause::Malformed => ProblemKind::ProviderFailed,
        Cause::Timeout => ProblemKind::ProviderTimeout,
        Cause::Unreachable => ProblemKind::ProviderUnreachable,
    }
}

/// Whether the provider's own 4xx says it better than the kind's status (422 beside 400).
fn is_callers_to_see(cause: Cause) -> bool {
    matches!(cause, Cause::InvalidRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(cause: Cause, status: u16, same_format: bool) -> Problem {
        let error = ProviderError {
            status: Some(status),
            body: Some(bytes::Bytes::from_static(b"{}")),
            ..ProviderError::new(cause, "it failed")
        };
        provider_problem(&error, &"openai".parse().unwrap(), same_format)
    }

    #[test]
    fn a_refused_credential_is_never_the_callers_401() {
        for status in [401, 403] {
            let problem = problem(Cause::Authentication, status, true);
            assert_eq!(problem.status(), StatusCode::BAD_GATEWAY);
            assert_eq!(problem.verbatim, None);
            assert!(!problem.detail.contains("it failed"));
        }
    }

    #[test]
    fn the_providers_own_refusal_keeps_its_status() {
        let problem = problem(Cause::InvalidRequest, 422, true);
        assert_eq!(problem.status().as_u16(), 422);
        assert!(problem.verbatim.is_some());
    }

    #[test]
    fn another_format_never_sees_the_providers_body() {
        assert_eq!(problem(Cause::RateLimited, 429, false).verbatim, None);
    }

    #[test]
    fn overload_is_503_whatever_the_vendor_calls_it() {
        assert_eq!(
            problem(Cause::Overloaded, 529, false).status().as_u16(),
            503
        );
    }
}
