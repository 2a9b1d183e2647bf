//! Support for tests of the deployed stack: all tests share one stack, and each test creates its own tenants.

pub(crate) mod boto;
pub(crate) mod bus;
pub(crate) mod guide_receiver;
pub(crate) mod job;
pub(crate) mod listener;
pub(crate) mod logged;
pub(crate) mod openapi;
pub(crate) mod operator;
pub(crate) mod run_folder;
pub(crate) mod tenant;
pub(crate) mod world;
