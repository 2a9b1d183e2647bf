//! The HTTP API by which a tenant manages webhooks.

pub mod endpoint;
pub mod error;
pub mod extract;
pub mod fields;
pub mod page;

/// The largest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
