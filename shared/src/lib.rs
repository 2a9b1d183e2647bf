//! The domain of DocIntell Webhooks: what a webhook, an event and a delivery are, and where they are kept.
//!
//! A document's job changes state; that is an [`event`]. For every [`webhook`] of the tenant that
//! subscribes to it there is one [`delivery`], a message on a [`queue`] that carries the event's exact
//! bytes. The sender reads the webhook and its [`secret`], checks the [`endpoint`], makes the
//! [`signature`]s, posts, and says in the log ([`store::deliveries`]) how it went; [`retry`] says when
//! it tries again. What we cannot make sense of is a [`fault`].
//!
//! The modules from [`id`] to [`fault`] are pure, but for [`resolve`], which asks DNS. [`store`],
//! [`secrets`] and [`queue`] talk to AWS, each through a concrete client; time and policy are always
//! arguments.

pub mod id;
pub mod text;
pub mod timestamp;

mod named;

pub mod job;

pub mod event;
pub mod event_type;
pub mod message;

pub mod address;
pub mod endpoint;
pub mod resolve;
pub mod retry;
pub mod webhook;

pub mod secret;
pub mod signature;

pub mod delivery;
pub mod fault;

pub mod tls;

pub mod aws;
pub mod batch;
pub mod bootstrap;
pub mod env;
pub mod queue;
pub mod runtime;
pub mod secrets;
pub mod store;
