//! `docintell`, the tool for people: a stack of one's own, job states, API keys.
//!
//! [`local`] brings the deployed system up on this machine; [`stack`] says where a stack's parts are and
//! which stack a command means. [`pipeline`] writes what the document pipeline would write,
//! [`receiver`] is an endpoint that verifies and shows what arrives. [`job`] and [`keys`] are commands
//! over these. Tests start their stacks through [`local::Stack`].
//!
//! The rule: an error is a sentence that says what was wrong and what to do.

pub mod checkout;
pub mod child;
pub mod http;
pub mod job;
pub mod keys;
pub mod local;
pub mod pipeline;
pub mod receiver;
pub mod stack;
pub mod steps;
