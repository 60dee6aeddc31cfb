//! How far a streamed choice is: its calls, under whatever numbers a host gives them.

/// How far one choice is.
pub(super) struct Progress {
    pub(super) index: u32,
    pub(super) calls: Vec<Call>,
    /// How many bytes of thoughts came in pieces of plain text since a thought was shown in detail.
    pub(super) bare_thoughts: usize,
    pub(super) finished: bool,
}

/// A tool call that was opened; its place is its number.
pub(super) struct Call {
    /// The host's own number of it.
    pub(super) index: Option<u32>,
    pub(super) id: String,
}

impl Progress {
    /// The call that a piece belongs to: by its number, unless it opens a call with an id of its own, as
    /// hosts do that number every call 0; without a number by its id; else the last one.
    pub(super) fn call_of(
        &self,
        index: Option<u32>,
        id: Option<&str>,
        opens: bool,
    ) -> Option<usize> {
        let same_id = |call: &Call| id.is_none_or(|id| call.id == id);
        match index {
            Some(_) => self
                .calls
                .iter()
                .rposition(|call| call.index == index && (same_id(call) || !opens)),
            None if id.is_some() => self.calls.iter().rposition(same_id),
            None if opens => None,
            None => self.calls.len().checked_sub(1),
        }
    }
}

/// The number of calls is bounded, so that it fits.
pub(super) fn number(call: usize) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}
