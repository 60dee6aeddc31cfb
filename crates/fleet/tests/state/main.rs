//! Shared state on a real server: every test has one of its own.

#![cfg(test)]

mod breakers;
mod cache;
mod connection;
mod counters;
mod election;
mod server;
mod world;
