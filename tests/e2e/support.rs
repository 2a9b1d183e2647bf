//! What the tests of the deployed stack stand on: one stack for all of them, and tenants of their own.

pub(crate) mod job;
pub(crate) mod tenant;
pub(crate) mod world;
