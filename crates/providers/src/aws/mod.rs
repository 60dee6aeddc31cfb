//! What Amazon's services have in common: how requests are signed and where the keys come from.
//!
//! Suggested reading order: [`sigv4`] (signing), [`account`] (where keys come from, and roles) with one file
//! for each of those who give keys out: [`sts`], [`container`] and [`machine`].

pub mod account;
pub mod container;
mod issued;
pub mod machine;
pub mod sigv4;
pub mod sts;
#[cfg(test)]
mod tests;

pub use account::{Account, Origin};
