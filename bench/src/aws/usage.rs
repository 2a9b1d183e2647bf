//! What AWS was asked for: requests, bytes, and the units that it charges.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// An operation that one of our functions, or AWS in its name, calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are AWS's own names")]
pub enum Operation {
    GetItem,
    Query,
    BatchGetItem,
    BatchWriteItem,
    UpdateItem,
    TransactWriteItems,
    SendMessage,
    SendMessageBatch,
    ChangeMessageVisibility,
    GetSecretValue,
    CreateSecret,
    PutSecretValue,
    DeleteSecret,
}

/// All of them, by their names in a request.
const OPERATIONS: [(&str, Operation); 13] = [
    ("GetItem", Operation::GetItem),
    ("Query", Operation::Query),
    ("BatchGetItem", Operation::BatchGetItem),
    ("BatchWriteItem", Operation::BatchWriteItem),
    ("UpdateItem", Operation::UpdateItem),
    ("TransactWriteItems", Operation::TransactWriteItems),
    ("SendMessage", Operation::SendMessage),
    ("SendMessageBatch", Operation::SendMessageBatch),
    ("ChangeMessageVisibility", Operation::ChangeMessageVisibility),
    ("GetSecretValue", Operation::GetSecretValue),
    ("CreateSecret", Operation::CreateSecret),
    ("PutSecretValue", Operation::PutSecretValue),
    ("DeleteSecret", Operation::DeleteSecret),
];

impl Operation {
    /// The operation of that name, if it is one that the functions need.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        OPERATIONS.iter().find(|(it, _)| *it == name).map(|&(_, operation)| operation)
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
