//! Bootstraps hosted by the test itself: faults that an emulator cannot be made to produce.
//!
//! [`runtime_api`] runs a function's real binary, [`fake_aws`] is all of the AWS it knows, and
//! [`receiver`] the endpoint that it posts to. The tests say by [`fixtures`] what a function is given.

mod account;
mod attributes;
mod fake_aws;
mod fixtures;
mod output;
mod receiver;
pub mod runtime_api;

mod api;
mod cost;
mod fanout;
mod growth;
mod journey;
mod refused;
mod sender;
