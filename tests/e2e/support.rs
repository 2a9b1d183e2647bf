//! What the tests of the deployed stack stand on: one stack for all of them, and tenants of their own.

pub mod job;
pub mod tenant;
pub mod world;
