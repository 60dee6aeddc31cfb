//! The vocabulary of Trunkline: what a call, a caller, a chat and a cost are, and the ports through
//! which the platform asks the outside world for something.
//!
//! Suggested reading order: [`id`] and [`name`], then [`tenant`], [`caller`] and [`key`] (who asks), [`chat`] (what
//! is asked and answered), [`model`] (what a model can do), [`usage`] and [`money`] (what it took),
//! [`call`] (what is recorded), [`adjustment`] (what is corrected later), [`problem`] (what went wrong), and the ports [`clock`], [`entropy`] and
//! [`egress`] and [`socket`]. Storage ports stand beside their subject: [`key::KeyStore`], [`tenant::TenantStore`],
//! [`call::CallStore`], [`response::ResponseStore`], [`custody::CustodyStore`], [`client_secret::ClientSecretStore`],
//! [`file::FileStore`], [`batch::BatchStore`]; the bytes of files and generated media lie behind
//! [`media::MediaStore`], and what replicas do together behind the ports of [`fleet`] and [`cache`]; limits and how replicas
//! share them are in [`limit`].

pub mod adjustment;
pub mod batch;
pub mod breaker;
pub mod cache;
pub mod call;
pub mod caller;
pub mod chat;
pub mod client_secret;
pub mod clock;
pub mod custody;
pub mod egress;
pub mod embedder;
pub mod embedding;
pub mod entropy;
pub mod event;
pub mod file;
pub mod fleet;
pub mod id;
pub mod json;
pub mod key;
pub mod limit;
pub mod media;
pub mod model;
pub mod money;
pub mod name;
pub mod problem;
pub mod provider_error;
pub mod region;
pub mod rerank;
pub mod response;
pub mod secret;
pub mod socket;
pub mod spend;
pub mod store_error;
pub mod tenant;
pub mod tokenizer;
pub mod usage;
