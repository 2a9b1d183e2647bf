//! What AWS was asked for: requests, bytes, and the units that it charges.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Defines [`Operation`], each spelled once.
macro_rules! operations {
    ($($name:ident)*) => {
        /// An operation that one of our functions, or AWS in its name, calls.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "they are AWS's own names")]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// The operation of that name, if it is one that the functions need.
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
}

/// What AWS counts an operation in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// DynamoDB's read units.
    Read,
    /// DynamoDB's write units.
    Write,
    /// Requests to SQS, of 64 KB each.
    Queue,
    /// Calls to Secrets Manager.
    Secret,
}

impl Operation {
    /// What it is counted in.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::GetItem | Self::Query | Self::BatchGetItem => Unit::Read,
            Self::BatchWriteItem | Self::UpdateItem | Self::TransactWriteItems => Unit::Write,
            Self::SendMessage
            | Self::SendMessageBatch
            | Self::ReceiveMessage
            | Self::ChangeMessageVisibility
            | Self::DeleteMessageBatch => Unit::Queue,
            Self::GetSecretValue
            | Self::CreateSecret
            | Self::PutSecretValue
            | Self::DeleteSecret => Unit::Secret,
        }
    }
}

/// The requests of one operation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// How many.
    pub calls: u64,
    /// Bytes of their bodies.
    pub bytes_in: u64,
    /// Bytes of the answers' bodies.
    pub bytes_out: u64,
    /// What is charged: read or write units, or requests.
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

/// The requests of all operations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Usage(BTreeMap<Operation, Requests>);

impl Usage {
    /// Counts one request.
    pub fn add(&mut self, operation: Operation, bytes_in: usize, bytes_out: usize, units: u64) {
        let (bytes_in, bytes_out) = (bytes_in as u64, bytes_out as u64);
        *self.0.entry(operation).or_default() += Requests { calls: 1, bytes_in, bytes_out, units };
    }

    /// The requests of one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> Requests {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// What is charged of one kind.
    #[must_use]
    pub fn units(&self, unit: Unit) -> u64 {
        let those = self.0.iter().filter(|(operation, _)| operation.unit() == unit);
        those.map(|(_, requests)| requests.units).sum()
    }

    /// The requests of all operations together.
    #[must_use]
    pub fn total(&self) -> Requests {
        let mut total = Requests::default();
        for requests in self.0.values() {
            total += *requests;
        }
        total
    }

    /// Each operation that was called, in the order of [`Operation`].
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
