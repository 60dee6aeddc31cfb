//! Through the front door: every test starts the real binary on a free port, in front of the simulated
//! provider or of one that the test scripts, and speaks HTTP with it.
//!
//! `bench` is what tests stand on; every other module is one subject. What needs PostgreSQL uses a
//! database of its own on the server at `TRUNKLINE_TEST_POSTGRES`.

#![cfg(test)]

mod applications;
mod background;
mod bad_input;
mod batches;
mod bench;
mod budgets;
mod cache;
mod commands;
mod counting;
mod custody;
mod disk;
mod failures;
mod fallback;
mod fidelity;
mod files;
mod health;
mod interruption;
mod keys;
mod limits;
mod money;
mod passing;
mod realtime;
mod reload;
mod replicas;
mod restart;
mod routing;
mod shadows;
mod shared_limits;
mod shared_state;
mod store_outage;
mod store_tls;
mod telemetry;
mod tenants;
mod tokenizers;
