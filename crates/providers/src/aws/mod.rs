//! What Amazon's services have in common: how requests are signed.

pub mod sigv4;
