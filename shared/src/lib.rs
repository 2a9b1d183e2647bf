//! The domain of DocIntell Webhooks: webhooks, events and deliveries, and where they are stored.
//!
//! When a document's job changes state, that is an [`event`]. Every [`webhook`] of the tenant that subscribes
//! to it gets one [`delivery`]: a message on a [`queue`] with the event's exact bytes. The sender reads the
//! webhook and its [`secret`], checks the [`endpoint`], makes the [`signature`]s, posts, and writes the result
//! to the delivery log ([`store::deliveries`]). [`retry`] computes when it tries again, and [`redelivery`] sends a
//! delivery of the log again. A [`replay`] does so for all that it selects. A webhook's [`health`] says whether its
//! endpoint accepts deliveries, [`withheld`] why it gets none, and its [`audit`] rows who has changed it. A record that we
//! cannot process becomes a [`fault`]. A [`webhook_test`] is one POST that a tenant asks for. An [`idempotency`] key lets
//! a client repeat a request that takes effect once.
//!
//! The modules from [`id`] to [`withheld`] do no I/O, except [`resolve`], which queries DNS. [`store`], [`secrets`],
//! [`queue`] and [`health_events`] call AWS, each through a concrete client. Time and policy are always arguments. [`log`]
//! and [`metrics`] write what the operator reads.

pub mod id;
pub mod text;
pub mod timestamp;

mod named;
mod schema;

pub mod job;

pub mod event;
pub mod event_schema;
pub mod event_type;
pub mod message;

pub(crate) mod address;
pub mod endpoint;
pub mod resolve;
pub mod retry;
pub mod rotation;
pub mod webhook;

pub mod audit;
pub mod health;

pub mod idempotency;

pub mod secret;
pub mod signature;

pub mod delivery;
pub mod fault;
pub mod replay;
pub mod webhook_test;
pub mod withheld;

pub mod tls;

pub mod aws;
pub mod batch;
pub mod bootstrap;
pub mod env;
pub mod health_events;
pub mod log;
pub mod metrics;
pub mod queue;
pub mod redelivery;
pub mod replay_start;
pub mod runtime;
pub mod secrets;
pub mod store;
