//! The real bootstraps, started by the test, with failures that an emulator cannot produce.
//!
//! The crate `harness` provides the Runtime API, the fake AWS and the endpoints.

mod account;
mod api;
mod cost;
mod fanout;
mod growth;
mod journey;
mod metrics;
mod queries;
mod refused;
mod replay;
mod sdk;
mod sender;
mod start;
