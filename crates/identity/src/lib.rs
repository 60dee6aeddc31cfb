//! Who is calling.
//!
//! A caller shows the text of a virtual key. [`text`] makes and hashes such texts, [`ring`] recognises
//! them without asking the store, and [`desk`] issues, rotates and revokes keys. A [`client_secret`] stands in
//! for a key for a while, where realtime sessions begin.

pub mod client_secret;
pub mod desk;
pub mod ring;
pub mod text;
