//! How a session begins that a client secret describes: the provider is told before the caller is heard, and what
//! the caller hears first is the session as it is wanted.

use providers::openai::realtime::preset::{Outset, outset};

/// What the caller gets of an event of the provider's.
#[derive(Debug, PartialEq)]
pub(super) enum Shown {
    /// This.
    Event(String),
    /// Nothing.
    Nothing,
    /// This, and nothing more: the provider does not hold such a session.
    Refused(String),
}

/// What the caller gets of the event `text`. `awaited` is the event that described the session, for as long as
/// the provider has not answered it.
pub(super) fn show(awaited: &mut Option<String>, text: String) -> Shown {
    let Some(event_id) = awaited else {
        return Shown::Event(text);
    };
    match outset(&text, event_id) {
        Outset::Created => Shown::Nothing,
        Outset::Updated(created) => {
            *awaited = None;
            Shown::Event(created)
        }
        Outset::Refused => Shown::Refused(text),
        Outset::Other => Shown::Event(text),
    }
}
