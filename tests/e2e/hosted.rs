//! Bootstraps hosted by the test itself: faults that an emulator cannot be made to produce.
//!
//! Functions, AWS and endpoints are the crate `harness`'s.

mod account;
mod api;
mod cost;
mod fanout;
mod growth;
mod journey;
mod refused;
mod sdk;
mod sender;
