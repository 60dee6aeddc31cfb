//! The vendor's JSON.

pub(super) mod request;
pub(super) mod response;
