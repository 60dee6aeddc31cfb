//! What Amazon's services have in common: keys, and requests signed with them.

mod keys;
mod sigv4;

pub(crate) use keys::{ACCESS_KEY_ID, Key, SECRET_ACCESS_KEY};
pub(crate) use sigv4::{Unsigned, verify};
