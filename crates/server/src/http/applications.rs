//! What `/api/ai/chat` has beside a chat of any face: the provider that is tried first, and the provider's name and
//! the cost in the answer.

use domain::name::ModelName;
use domain::problem::{Problem, ProblemKind};
use gateway::Inbound;
use gateway::reply::Reply;
use providers::application::{preferred, with_provider};

use crate::app::App;

/// Reads of a request what its body says to the gateway and not to the model.
pub fn ask(app: &App, inbound: &mut Inbound) -> Result<(), Problem> {
    // The answer says what it cost.
    inbound.report.cost = true;
    let wanted = preferred(&inbound.body).map_err(|invalid| Problem {
        param: invalid.param,
        ..Problem::new(ProblemKind::InvalidRequest, invalid.detail)
    })?;
    let Some((model, wanted)) = wanted else {
        return Ok(());
    };
    if knows(app, &wanted) || app.gateway.routes().plan(&model).is_err() {
        inbound.asked.model = Some(wanted);
    }
    Ok(())
}

/// Whether a provider is there and known to have the model.
fn knows(app: &App, name: &ModelName) -> bool {
    let plan = app.gateway.routes().plan(name);
    plan.is_ok_and(|plan| plan.target().facts.is_some())
}

/// Puts the provider's name into a whole answer.
pub fn show(reply: Reply) -> Reply {
    match reply {
        Reply::Whole {
            facts,
            content_type,
            body,
        } => Reply::Whole {
            body: with_provider(&body, &facts.provider),
            facts,
            content_type,
        },
        stream @ Reply::Stream { .. } => stream,
    }
}
