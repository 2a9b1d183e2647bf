//! Why a webhook that exists gets no deliveries.
//!
//! The rule: fanout, the sender, replay, the API and the command line ask [`Webhook::withheld`], so that all of them
//! withhold the same deliveries.

use std::fmt;

use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

/// Why deliveries to a webhook are withheld. The text is their reason in the delivery log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The webhook is switched off.
    SwitchedOff,
    /// The endpoint has not answered a test with 2xx since the webhook got its URL.
    NeedsTest,
}

impl Withheld {
    /// A clause for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SwitchedOff => "the webhook is switched off",
            Self::NeedsTest => "the webhook needs a successful test first",
        }
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Webhook {
    /// Why and since when nothing but tests is posted to the webhook; `None` if it gets deliveries.
    #[must_use]
    pub fn withheld(&self) -> Option<(Withheld, Timestamp)> {
        let switched_off = self.disabled.map(|disabled| (Withheld::SwitchedOff, disabled.at));
        switched_off.or(self.needs_test_since.map(|since| (Withheld::NeedsTest, since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::webhook::{Disabled, DisabledReason};

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn webhook(off_at: Option<Timestamp>, needs_test_since: Option<Timestamp>) -> Webhook {
        let disabled = off_at.map(|at| Disabled { at, reason: DisabledReason::Owner });
        Webhook { needs_test_since, disabled, ..Webhook::example(at(0)) }
    }

    #[test]
    fn a_webhook_gets_deliveries_while_it_is_on_and_needs_no_test() {
        for (off_at, needs_test_since, expected) in [
            (None, None, None),
            (Some(at(1)), None, Some((Withheld::SwitchedOff, at(1)))),
            (None, Some(at(2)), Some((Withheld::NeedsTest, at(2)))),
            (Some(at(1)), Some(at(2)), Some((Withheld::SwitchedOff, at(1)))),
        ] {
            let webhook = webhook(off_at, needs_test_since);
            assert_eq!(webhook.withheld(), expected);
            assert_eq!(webhook.needs_test(), needs_test_since.is_some());
        }
    }
}
