//! What became of a parked message: a name for scripts, and the reason. Pure.

use serde_json::{Value, json};
use webhooks::id::DeliveryId;

use super::parked::Parked;
use super::plan::LeftOut;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A dry run.
    WouldRedrive,
    Redriven,
    /// Sent, but it is still in the queue.
    NotDeleted(String),
    LeftOut(LeftOut),
    NotRedriven(String),
    /// A dry run.
    WouldDrop,
    Dropped,
    NotDropped(String),
}

/// A message and what became of it.
#[derive(Debug)]
pub(super) struct Ended {
    message_id: String,
    delivery_id: Option<DeliveryId>,
    pub(super) outcome: Outcome,
}

impl Outcome {
    const fn name(&self) -> &'static str {
        match self {
            Self::WouldRedrive => "would_redrive",
            Self::Redriven => "redriven",
            Self::NotDeleted(_) => "not_deleted",
            Self::LeftOut(_) => "left_out",
            Self::WouldDrop => "would_drop",
            Self::Dropped => "dropped",
            Self::NotRedriven(_) | Self::NotDropped(_) => "failed",
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::NotDeleted(reason) | Self::NotRedriven(reason) | Self::NotDropped(reason) => {
                Some(reason.clone())
            }
            Self::LeftOut(reason) => Some(reason.to_string()),
            Self::WouldRedrive | Self::Redriven | Self::WouldDrop | Self::Dropped => None,
        }
    }
}

impl Ended {
    pub(super) fn new(parked: &Parked, outcome: Outcome) -> Self {
        let delivery_id = parked.delivery().map(|delivery| delivery.delivery_id);
        Self { message_id: parked.received.message_id.clone(), delivery_id, outcome }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "message_id": self.message_id,
            "delivery_id": self.delivery_id,
            "result": self.outcome.name(),
            "reason": self.outcome.reason(),
        })
    }

    /// A sentence if something went wrong.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.outcome {
            Outcome::LeftOut(_) => None,
            outcome => Some(format!("message {}: {}", self.message_id, outcome.reason()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::DELIVERY;
    use super::super::parked::tests::parked;
    use super::*;

    #[test]
    fn each_outcome_has_a_name_for_scripts_and_a_reason_if_the_message_stays() {
        let busy = || "busy".to_owned();
        for (outcome, name, reason, is_problem) in [
            (Outcome::Redriven, "redriven", "", false),
            (Outcome::Dropped, "dropped", "", false),
            (Outcome::WouldDrop, "would_drop", "", false),
            (Outcome::WouldRedrive, "would_redrive", "", false),
            (Outcome::NotDeleted(busy()), "not_deleted", "busy", true),
            (Outcome::NotRedriven(busy()), "failed", "busy", true),
            (Outcome::NotDropped(busy()), "failed", "busy", true),
            (Outcome::LeftOut(LeftOut::Deleted), "left_out", "the webhook was deleted", false),
        ] {
            let ended = Ended::new(&parked(DELIVERY), outcome);
            let value = ended.json();
            assert_eq!((&value["result"], &value["message_id"]), (&json!(name), &json!("m1")));
            assert_eq!(value["delivery_id"], "019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f");
            let shown = value["reason"].as_str().unwrap_or_default();
            assert!(shown.starts_with(reason) && shown.is_empty() == reason.is_empty(), "{value}");
            assert_eq!(ended.problem().is_some(), is_problem, "{value}");
        }
    }
}
