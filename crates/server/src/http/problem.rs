//! The one mapping from errors to problems. Internal causes are logged with the request's identifier;
//! the caller sees the identifier and a sentence.

use domain::chat::Conversion;
use domain::problem::{Problem, ProblemKind};
use domain::store_error::StoreError;
use gateway::ChatError;
use gateway::batches::BatchError;
use gateway::cache::warm::WarmError;
use gateway::ledger::JournalError;
use gateway::limits::desk::LimitError;
use gateway::limits::{LimitReached, Relief};
use identity::client_secret::ClientSecretError;
use identity::desk::DeskError;
use identity::ring::Unrecognised;
use identity::tenants::TenantError;
use providers::face::InvalidRequest;

use crate::telemetry::Causes;

/// Turns an error into what the caller is told.
pub trait IntoProblem {
    /// The problem.
    fn into_problem(self) -> Problem;
}

impl IntoProblem for ChatError {
    fn into_problem(self) -> Problem {
        match self {
            Self::Invalid(invalid) => invalid.into_problem(),
            Self::TooManyMessages { count, max } => Problem::new(
                ProblemKind::InvalidRequest,
                format!("The request has {count} messages and at most {max} are taken."),
            )
            .with_param("messages"),
            Self::UnknownModel(unknown) => {
                let hint = match unknown.near.as_slice() {
                    [] => "GET /v1/models lists the models that are.".to_owned(),
                    near => format!("Did you mean {}?", one_of(near)),
                };
                let detail = format!("The model '{}' is not served here. {hint}", unknown.model);
                Problem::new(ProblemKind::UnknownModel, detail).with_param("model")
            }
            Self::NoTarget(nobody) => Problem::new(
                ProblemKind::PermissionDenied,
                format!(
                    "No target of the model '{}' is for this request: {}",
                    nobody.model,
                    nobody.reasons.join(" ")
                ),
            )
            .with_param("model"),
            Self::ModelNotPermitted(model) => Problem::new(
                ProblemKind::PermissionDenied,
                format!("Your key does not permit the model '{model}'."),
            )
            .with_param("model"),
            Self::PassingNotPermitted => Problem::new(
                ProblemKind::PermissionDenied,
                "Your key permits some models only, and a request that passes to a provider's own API may \
                 reach whatever the operator's account holds. It takes a key with `models: [\"*\"]`.",
            ),
            Self::CannotBeMetered => Problem::new(
                ProblemKind::PermissionDenied,
                "Your key has a budget, and what this request takes cannot be metered. Use a key without a \
                 budget, or a path whose usage can be read, such as the provider's own chat.",
            ),
            Self::UnknownProvider { detail } => Problem::new(ProblemKind::NotFound, detail),
            Self::LimitReached(limit) => limit.into_problem(),
            Self::Unpriced { provider, model } => Problem::new(
                ProblemKind::PermissionDenied,
                format!(
                    "Your key has a budget, which cannot hold for the model '{model}' of provider \
                     '{provider}': its price is not known. The operator can give it one under `prices` in \
                     the configuration (zero where it is free); a key without a budget may use it as it is."
                ),
            )
            .with_param("model"),
            Self::Refused(refusal) => Problem {
                param: refusal.param,
                ..Problem::new(ProblemKind::Unsupported, refusal.detail)
            },
            Self::WouldDrop(conversion) => would_drop(&conversion),
            Self::NotKept { detail, param } => {
                Problem::new(ProblemKind::NotFound, detail).with_param(param)
            }
            Self::TooManyJobs => Problem::new(
                ProblemKind::Unavailable,
                "As many answers are made in the background as there is room for. Try again later, or send \
                 the request without `background`.",
            ),
            Self::Store(error) => error.into_problem(),
            Self::File(error) => error.into_problem(),
            Self::Ledger(error) => error.into_problem(),
            Self::Failed { problem, .. } => *problem,
        }
    }
}

impl IntoProblem for InvalidRequest {
    fn into_problem(self) -> Problem {
        Problem {
            param: self.param,
            ..Problem::new(ProblemKind::InvalidRequest, self.detail)
        }
    }
}

impl IntoProblem for ClientSecretError {
    fn into_problem(self) -> Problem {
        let sentence = capitalised(&self.to_string());
        match self {
            Self::TooMany => Problem::new(
                ProblemKind::RateLimited,
                format!("{sentence}. Give them a shorter life, or wait until some have expired."),
            ),
            Self::Unknown => Problem::new(
                ProblemKind::Unauthenticated,
                format!("{sentence}. POST /v1/realtime/client_secrets makes another."),
            ),
            Self::Key(error) => error.into_problem(),
            Self::Store(error) => error.into_problem(),
        }
    }
}

impl IntoProblem for LimitReached {
    fn into_problem(self) -> Problem {
        let sentence = capitalised(&self.to_string());
        match (self.relief, self.retry_after()) {
            (Relief::After(_), Some(wait)) => {
                let detail = format!("{sentence}. Try again in {} s.", wait.as_secs());
                Problem::new(ProblemKind::RateLimited, detail).with_retry_after(wait)
            }
            (Relief::Never { .. }, _) => Problem::new(
                ProblemKind::RateLimited,
                format!("{sentence}. It is never admitted."),
            ),
            (Relief::At(at), _) => Problem::new(
                ProblemKind::BudgetExhausted,
                format!("{sentence}. The next period begins at {at}."),
            ),
            (Relief::Unknown | Relief::After(_), _) => {
                Problem::new(ProblemKind::BudgetExhausted, format!("{sentence}."))
            }
        }
    }
}

impl IntoProblem for LimitError {
    fn into_problem(self) -> Problem {
        let sentence = format!("{}.", capitalised(&self.to_string()));
        let invalid = |param: &str, detail: String| {
            Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
        };
        match self {
            Self::Name => invalid("name", sentence),
            Self::Amount => Problem::new(ProblemKind::InvalidRequest, sentence),
            Self::Queue => invalid("queue", sentence),
            Self::Alerts => invalid("alerts", sentence),
            Self::ReadOnly(_) => Problem::new(ProblemKind::Conflict, sentence),
            Self::NoSuchLimit(_) => Problem::new(ProblemKind::NotFound, sentence),
            Self::Store(error) => error.into_problem(),
        }
    }
}

impl IntoProblem for BatchError {
    fn into_problem(self) -> Problem {
        let sentence = capitalised(&self.to_string());
        match self {
            Self::Unknown(id) => Problem::new(
                ProblemKind::NotFound,
                format!("No batch found with id '{id}'."),
            ),
            Self::Invalid(invalid) => invalid.into_problem(),
            Self::TooMany { .. } => Problem::new(
                ProblemKind::RateLimited,
                format!("{sentence} (batches.max_open). Wait for one of them, or cancel one."),
            ),
            Self::NotEnded => Problem::new(
                ProblemKind::InvalidRequest,
                format!("{sentence}. Wait for it, or cancel it."),
            ),
            Self::HasEnded(_) => Problem::new(ProblemKind::InvalidRequest, format!("{sentence}.")),
            Self::File(error) => error.into_problem(),
            Self::Store(error) => error.into_problem(),
        }
    }
}

impl IntoProblem for WarmError {
    fn into_problem(self) -> Problem {
        let sentence = format!("{}.", capitalised(&self.to_string()));
        match self {
            Self::NoCache => {
                let detail = "No answers are kept: `cache.exact` is not in the configuration.";
                Problem::new(ProblemKind::NotFound, detail)
            }
            Self::Unknown(_) => {
                Problem::new(ProblemKind::NotFound, sentence).with_param("request_id")
            }
            Self::NotKept(_) => {
                let detail = format!("{sentence} Payloads are kept where `payloads.keep` says so.");
                Problem::new(ProblemKind::NotFound, detail).with_param("request_id")
            }
            Self::NotRepeatable(_) | Self::NotCached(_) => {
                Problem::new(ProblemKind::InvalidRequest, sentence).with_param("request_id")
            }
            Self::Chat(error) => error.into_problem(),
            Self::Store(error) => error.into_problem(),
        }
    }
}

impl IntoProblem for JournalError {
    fn into_problem(self) -> Problem {
        tracing::error!(error = %self, "the ledger takes no new calls");
        let detail = "The gateway cannot record new calls at the moment, and sends none that it cannot \
                      record. Try again later; the operator finds the cause in the log.";
        Problem::new(ProblemKind::Unavailable, detail)
    }
}

impl IntoProblem for Unrecognised {
    fn into_problem(self) -> Problem {
        let sentence = format!("{}.", capitalised(&self.to_string()));
        match self {
            Self::Unknown => Problem::new(
                ProblemKind::Unauthenticated,
                "The API key is not known here. Check that it is a Trunkline key (not a provider's) and \
                 complete.",
            ),
            Self::Revoked | Self::Expired => Problem::new(ProblemKind::Unauthenticated, sentence),
            Self::Archived(_) | Self::Address(_) => {
                Problem::new(ProblemKind::PermissionDenied, sentence)
            }
        }
    }
}

impl IntoProblem for DeskError {
    fn into_problem(self) -> Problem {
        match self {
            Self::Name => invalid(&self, "name"),
            Self::Grace => invalid(&self, "grace"),
            Self::Expiry => invalid(&self, "expires_at"),
            Self::Rate => invalid(&self, "rate"),
            Self::Queue => invalid(&self, "rate.queue"),
            Self::Budget => invalid(&self, "budget.usd"),
            Self::NoSuchKey(_) => Problem::new(
                ProblemKind::NotFound,
                format!("{}.", capitalised(&self.to_string())),
            ),
            Self::RotatedMeanwhile(_) => Problem::new(
                ProblemKind::Conflict,
                format!(
                    "{}. That rotation's text is good; rotate again if you need one of your own.",
                    capitalised(&self.to_string())
                ),
            ),
            Self::Store(error) => error.into_problem(),
        }
    }
}

impl IntoProblem for TenantError {
    fn into_problem(self) -> Problem {
        let sentence = format!("{}.", capitalised(&self.to_string()));
        match self {
            Self::Unknown(_) => Problem::new(ProblemKind::NotFound, sentence),
            Self::Archived(_) => Problem::new(ProblemKind::Conflict, sentence),
            Self::Elsewhere(id, _) => Problem::new(ProblemKind::InvalidRequest, sentence)
                .with_param(format!("{}_id", id.word().as_str())),
            Self::OperatorsOnly => Problem::new(ProblemKind::PermissionDenied, sentence),
            Self::AlwaysThere => Problem::new(ProblemKind::InvalidRequest, sentence),
            Self::Store(error) => error.into_problem(),
        }
    }
}

impl IntoProblem for StoreError {
    fn into_problem(self) -> Problem {
        tracing::error!(
            error = %Causes(&self),
            "the store did not answer"
        );
        match self {
            Self::Unavailable(_) => Problem::new(
                ProblemKind::Unavailable,
                "The store cannot be reached at the moment. Try again later.",
            ),
            Self::Failed(_) | Self::Corrupt { .. } => Problem::new(
                ProblemKind::Internal,
                "The store could not do this. The operator finds the cause in the log under this \
                 request's identifier.",
            ),
        }
    }
}

fn invalid(error: &DeskError, param: &str) -> Problem {
    let detail = format!("{}.", capitalised(&error.to_string()));
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}

fn would_drop(conversion: &Conversion) -> Problem {
    let dropped: Vec<String> = conversion
        .dropped
        .iter()
        .map(|loss| format!("{} ({})", loss.field, loss.reason.trim_end_matches('.')))
        .collect();
    let detail = format!(
        "The route is strict, and the target cannot take: {}. Leave it out, or use a route that is not \
         strict.",
        dropped.join("; ")
    );
    let param = conversion
        .dropped
        .first()
        .map(|loss| loss.field.to_string());
    Problem {
        param,
        ..Problem::new(ProblemKind::Unsupported, detail)
    }
}

fn one_of(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

pub(super) fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_comes_with_names_that_are_known() {
        let unknown = gateway::routes::UnknownModel {
            model: "gtp".parse().unwrap(),
            near: vec!["sim/gpt".to_owned(), "fast".to_owned()],
        };
        let problem = ChatError::from(unknown).into_problem();
        assert_eq!(problem.status().as_u16(), 404);
        assert_eq!(
            problem.detail,
            "The model 'gtp' is not served here. Did you mean 'sim/gpt' or 'fast'?"
        );
    }

    #[test]
    fn a_reached_rate_says_when_to_come_back() {
        let limit = LimitReached {
            whose: "the key's",
            bound: domain::limit::Bound::Requests {
                most: 5,
                per: domain::limit::Window::Minute,
            },
            relief: Relief::After(std::time::Duration::from_secs(12)),
            is_of_target: false,
            standing: None,
            left: domain::money::Cost::ZERO,
        };
        let problem = limit.into_problem();
        assert_eq!(problem.status().as_u16(), 429);
        assert_eq!(problem.retry_after.unwrap().as_secs(), 12);
    }
}
