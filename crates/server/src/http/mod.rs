//! HTTP: how requests come in ([`connection`]), what can be asked for ([`faces`] and [`router`]), who is
//! calling ([`auth`]), what went wrong ([`problem`]), and one file per subject.

pub mod admin;
pub mod answer;
pub mod applications;
pub mod auth;
pub mod batches;
pub mod cache;
pub mod call;
pub mod chat_socket;
pub mod client_secrets;
pub mod connection;
pub mod cost;
pub mod envelope;
pub mod events;
pub mod faces;
pub mod files;
pub mod health;
pub mod keys;
pub mod limits;
pub mod logs;
pub mod media;
pub mod message_batches;
pub mod models;
pub mod openapi;
mod passing;
pub mod problem;
pub mod rates;
pub mod replicas;
pub mod request;
pub mod responses;
pub mod router;
pub mod routes;
pub mod services;
pub mod shadows;
pub mod sockets;
pub mod tenants;
mod value;
