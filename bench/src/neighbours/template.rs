//! The numbers that `template.yaml` decides, read from it, so that the model is of what is deployed.

use std::time::Duration;

pub(crate) const TEMPLATE: &str = include_str!("../../../template.yaml");

/// What the template says about the delivery queue and how the sender takes from it.
#[derive(Debug, Clone, Copy)]
pub struct Deployed {
    /// Messages that one invocation gets at most.
    pub batch_size: usize,
    /// Invocations that run at the same time at most.
    pub max_concurrency: u32,
    /// How long a received message is hidden, unless it is deleted or its visibility is changed.
    pub visibility_timeout: Duration,
    /// Receives after which a message that becomes visible again goes to the dead-letter queue.
    pub max_receives: u32,
}

impl Deployed {
    /// The template's numbers, parameters at their defaults.
    #[must_use]
    pub fn read() -> Self {
        Self {
            batch_size: number("SenderFunction", "BatchSize"),
            max_concurrency: number("SenderMaximumConcurrency", "Default"),
            visibility_timeout: Duration::from_secs(number("DeliveryQueue", "VisibilityTimeout")),
            max_receives: number("DeliveryQueue", "maxReceiveCount"),
        }
    }
}

/// The first number that `key` has in the section called `section`.
pub(crate) fn number<T: std::str::FromStr>(section: &str, key: &str) -> T {
    let (_, section) =
        TEMPLATE.split_once(&format!("\n  {section}:\n")).expect("the template has the section");
    // It ends where a line is indented no deeper than its name.
    let lines = section.lines().take_while(|line| line.is_empty() || line.starts_with("   "));
    lines
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| *name == key)
        .find_map(|(_, value)| value.parse().ok())
        .expect("the section gives the key a number")
}

#[cfg(test)]
mod tests {
    use sender::{ATTEMPT_TIMEOUT, MAX_RECEIVES};

    use super::*;

    #[test]
    fn the_sender_and_the_queue_agree_on_the_last_receive() {
        assert_eq!(Deployed::read().max_receives, MAX_RECEIVES);
    }

    #[test]
    fn no_message_becomes_visible_while_its_attempt_is_under_way() {
        assert!(Deployed::read().visibility_timeout > 2 * ATTEMPT_TIMEOUT);
    }

    #[test]
    #[should_panic(expected = "the section gives the key a number")]
    fn a_key_of_another_section_is_not_taken() {
        number::<u32>("DeadLetterQueue", "VisibilityTimeout");
    }
}
