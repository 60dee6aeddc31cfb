//! The story of a call and everything it decides.
//!
//! Start at [`chat`]: it tells the whole story on one page. Then what each step needs, in its order:
//! [`routes`] (which target), [`limits`] (may the caller), [`prepare`] (what is sent), [`ledger`] (what is
//! written down), [`cache`] (what need not be asked again), [`prompt_cache`] (what vendors keep), [`attempt`] (how it is sent), [`health`] (how targets are doing), [`reply`] (how the answer goes back), [`custody`] (what
//! clients leave out), [`payload`] and [`responses`] (what is kept of it), [`files`] (what is uploaded,
//! referred to and handed out), and [`catalog`] (what models can do and cost). [`task`] is the story of
//! everything that is not a chat, [`batches`] that of many requests at once, [`realtime`] that of
//! conversations over one connection, and [`native`] that of what passes to a vendor's own API. Afterwards,
//! [`rerate`] corrects what calls cost, [`invoice`] compares with what vendors charge, and [`audit`] goes
//! through the books. [`shadow`] sends copies of calls elsewhere, in the name of the `house`.

mod admit;
pub mod attempt;
pub mod audit;
pub mod batches;
pub mod cache;
pub mod catalog;
pub mod chat;
mod continuation;
pub mod credentials;
pub mod custody;
pub mod drain;
mod estimate;
pub mod files;
pub mod health;
mod house;
pub mod invoice;
pub mod ledger;
pub mod limits;
pub mod media;
pub mod native;
pub mod payload;
mod pipeline;
pub mod plan;
pub mod prepare;
pub mod problem;
pub mod prompt_cache;
pub mod realtime;
pub mod reply;
pub mod rerate;
pub mod responses;
pub mod routes;
mod safe_reply;
pub mod shadow;
mod simulated;
pub mod task;
#[cfg(test)]
mod testing;
pub mod waiting;
mod within;

pub use chat::{ChatError, Gateway, Inbound, Parts, ReportWanted, Settings};
