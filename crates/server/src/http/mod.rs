//! HTTP: the site map ([`router`]), who is calling ([`auth`]), what went wrong ([`problem`]), and one file
//! per subject.

pub mod auth;
pub mod chat;
pub mod envelope;
pub mod health;
pub mod keys;
pub mod logs;
pub mod models;
pub mod openapi;
pub mod problem;
pub mod request;
pub mod router;
