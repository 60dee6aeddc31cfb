//! What `/api/ai/chat` has beside a chat of any face: the provider that is tried first, and the provider's name and
//! the cost in the answer.

use domain::problem::{Problem, ProblemKind};
use gateway::Inbound;
use gateway::plan::Wishes;
use gateway::reply::Reply;
use providers::application::{preferred, with_provider};

use crate::app::App;

/// Reads of a request what its body says to the gateway and not to the model.
pub fn ask(app: &App, inbound: &mut Inbound) -> Result<(), Problem> {
    // The answer says what it cost.
    inbound.report.cost = true;
    let preferred = preferred(&inbound.body).map_err(|invalid| Problem {
        param: invalid.param,
        ..Problem::new(ProblemKind::InvalidRequest, invalid.detail)
    })?;
    let Some(preferred) = preferred else {
        return Ok(());
    };
    if app.gateway.routes().plan(&preferred.model).is_err() {
        inbound.asked.model = Some(preferred.there);
        return Ok(());
    }
    inbound.wishes = Some(Box::new(Wishes {
        provider: Some(preferred.provider),
        ..Wishes::default()
    }));
    Ok(())
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
