//! What hosts the real bootstraps for the benchmark, and for tests that count what they ask of AWS.

pub mod cores;
pub mod process;
pub mod server;

pub mod aws;
pub mod function;
pub mod given;
pub mod receiver;
pub mod tls;

pub mod bare;
