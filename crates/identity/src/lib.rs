//! Who is calling.
//!
//! A caller shows the text of a virtual key. [`text`] makes and hashes such texts, [`ring`] recognises
//! them without asking the store, [`desk`] issues, rotates and revokes keys, and [`tenants`] keeps the
//! organisations, projects, applications and users that keys are made for. A [`client_secret`] stands in
//! for a key for a while, where realtime sessions begin.

pub mod client_secret;
pub mod desk;
pub mod ring;
pub mod tenants;
pub mod text;
