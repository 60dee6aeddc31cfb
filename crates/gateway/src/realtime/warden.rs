//! Who watches over a conversation on behalf of the one who holds its socket.

use domain::caller::Caller;
use domain::problem::Problem;

use crate::chat::ChatError;

/// Whether a caller who was let in may go on.
pub enum Standing {
    /// It may; its key as it is now.
    Good(Caller),
    /// It may not any more.
    Gone(Problem),
    /// It may finish what it has begun: the process stops.
    Stopping(Problem),
}

/// Watches over a conversation: knows who the caller is, and how failures are told.
pub trait Warden: Send + Sync {
    /// Whether the caller may go on. Asked about once a second; takes no round trip.
    fn standing(&self) -> Standing;

    /// What the caller is told of an error.
    fn problem(&self, error: ChatError) -> Problem;
}
