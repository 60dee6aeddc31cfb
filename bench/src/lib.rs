//! Measures Trunkline beside a bare pass-through proxy: same mock provider, same load, same core.
//!
//! `bench/run` is the way in, and `docs/benchmark.md` says what the figures mean. In reading order:
//! [`wire`] (what is asked and answered), [`mock`] and [`proxy`] (the other processes), [`subject`] (how
//! each is started), [`load`] (the load generator), [`compare`] (what is measured in which order), [`fresh`]
//! and [`stand`] (how), [`situation`] (the same with more of everything), [`figure`], [`figures`] and [`report`] (what comes out), and for what to do about it,
//! [`profile`]. It speaks to Trunkline through its front door only and knows none of its crates.

pub mod wire;

pub mod mock;
pub mod proxy;

pub mod pinning;
pub mod probe;
pub mod process;
pub mod situation;
pub mod subject;

pub mod load;

pub mod compare;
pub mod fresh;
pub mod stand;

pub mod figure;
pub mod figures;
pub mod report;

pub mod profile;

mod clock;
mod keys;
mod listen;
mod task;
