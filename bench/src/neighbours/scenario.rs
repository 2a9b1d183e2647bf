//! What is simulated: how the queue is read, and whose events come when.

use std::time::Duration;

use super::queue::{Grouping, Time};
use super::template::Deployed;

/// How the queue is read.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What the template says, or something else to compare it with.
    pub deployed: Deployed,
    /// Between whom the queue is fair.
    pub grouping: Grouping,
    /// How the number of pollers follows the load.
    pub scaling: Scaling,
}

/// How Lambda follows the load. AWS says that it adds up to 300 pollers a minute while messages are waiting and
/// goes back when traffic is low; in what steps, and how soon, it does not say.
#[derive(Debug, Clone, Copy)]
pub struct Scaling {
    /// The time from one step to the next, and to the first.
    pub every: Duration,
    /// Pollers that a step adds.
    pub by: u32,
    /// Whether a poller beyond the first ones is dropped as soon as it finds nothing.
    pub drops_idle: bool,
}

impl Scaling {
    /// Added one by one, dropped at once.
    pub const CLOSE: Self = Self { every: Duration::from_millis(200), by: 1, drops_idle: true };
    /// Added one by one, never dropped.
    pub const KEEPING: Self = Self { drops_idle: false, ..Self::CLOSE };
    /// A minute's pollers added at its end, dropped at once.
    pub const BY_THE_MINUTE: Self = Self { every: Duration::from_mins(1), by: 300, ..Self::CLOSE };
}

/// A webhook and its events.
#[derive(Debug, Clone, Copy)]
pub struct Webhook {
    /// The number of the tenant that it belongs to. A tenant's documents are events of all its webhooks, so
    /// those with the same mean time between two have them at the same moments.
    pub tenant: usize,
    /// What it does with a post.
    pub endpoint: Endpoint,
    /// When it has events.
    pub events: Events,
}

/// What an endpoint does with a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// It takes it.
    Answers,
    /// It keeps the sender waiting until the attempt times out.
    Hangs,
}

/// When a webhook's events are queued.
#[derive(Debug, Clone, Copy)]
pub enum Events {
    /// So many at one moment.
    AtOnce {
        /// The moment.
        at: Time,
        /// How many.
        count: u32,
    },
    /// Independently of one another.
    Steady {
        /// The mean time between two.
        mean: Duration,
    },
    /// Always the same time apart.
    Regular {
        /// The time between two, and before the first.
        every: Duration,
    },
}
