//! Counts requests, bytes and the units that AWS charges.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Defines [`Operation`] and spells each name once.
macro_rules! operations {
    ($($name:ident)*) => {
        /// An operation that a function, or Lambda on its behalf, calls.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// `None` for an operation that the functions do not need.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    GetItem
    Query
    BatchGetItem
    BatchWriteItem
    PutItem
    UpdateItem
    TransactWriteItems
    SendMessage
    SendMessageBatch
    ReceiveMessage
    ChangeMessageVisibility
    DeleteMessageBatch
    GetSecretValue
    CreateSecret
    PutSecretValue
    DeleteSecret
    PutEvents
}

/// The unit in which AWS charges an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Read,
    Write,
    /// Requests to SQS, of 64 KiB each.
    Queue,
    /// Calls to Secrets Manager.
    Secret,
    /// Events of our own on EventBridge.
    Event,
}

impl Operation {
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::GetItem | Self::Query | Self::BatchGetItem => Unit::Read,
            Self::BatchWriteItem | Self::PutItem | Self::UpdateItem | Self::TransactWriteItems => {
                Unit::Write
            }
            Self::SendMessage
            | Self::SendMessageBatch
            | Self::ReceiveMessage
            | Self::ChangeMessageVisibility
            | Self::DeleteMessageBatch => Unit::Queue,
            Self::GetSecretValue
            | Self::CreateSecret
            | Self::PutSecretValue
            | Self::DeleteSecret => Unit::Secret,
            Self::PutEvents => Unit::Event,
        }
    }
}

/// The requests of one operation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    pub calls: u64,
    /// Bytes of the requests' bodies.
    pub bytes_in: u64,
    /// Bytes of the answers' bodies.
    pub bytes_out: u64,
    /// Charged units: read units, write units or requests.
    pub units: u64,
}

impl AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.units += other.units;
    }
}

/// The requests of each operation.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Usage(BTreeMap<Operation, Requests>);

impl Usage {
    pub fn add(&mut self, operation: Operation, bytes_in: usize, bytes_out: usize, units: u64) {
        let (bytes_in, bytes_out) = (bytes_in as u64, bytes_out as u64);
        *self.0.entry(operation).or_default() += Requests { calls: 1, bytes_in, bytes_out, units };
    }

    #[must_use]
    pub fn of(&self, operation: Operation) -> Requests {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// Charged units of one kind, over all operations.
    #[must_use]
    pub fn units(&self, unit: Unit) -> u64 {
        let those = self.0.iter().filter(|(operation, _)| operation.unit() == unit);
        those.map(|(_, requests)| requests.units).sum()
    }

    #[must_use]
    pub fn total(&self) -> Requests {
        let mut total = Requests::default();
        for requests in self.0.values() {
            total += *requests;
        }
        total
    }

    /// Operations with at least one request, in the order of [`Operation`].
    pub fn iter(&self) -> impl Iterator<Item = (Operation, Requests)> {
        self.0.iter().map(|(&operation, &requests)| (operation, requests))
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        for (operation, requests) in other.0 {
            *self.0.entry(operation).or_default() += requests;
        }
    }
}
