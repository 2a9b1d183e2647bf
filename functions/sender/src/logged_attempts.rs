//! Reads from the delivery log how many attempts of a delivery were made.
//!
//! The rule: only for a message that was received before. A delivery that succeeds at once needs no read.

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;

use crate::Sender;
use crate::message::{Message, message_error};

impl Sender {
    /// Counts the logged attempts of the messages that were received before, by the messages' indices; `None` if the log
    /// cannot be read.
    pub(crate) async fn count_attempts(
        &self,
        messages: &[Message],
        read_by: Instant,
    ) -> Vec<(usize, Option<u32>)> {
        let again = messages.iter().enumerate().filter(|(_, message)| message.receive_count > 1);
        let counts = again.filter_map(|(index, message)| {
            let delivery = message.delivery.as_ref().ok()?;
            Some(async move { (index, self.count_attempts_of(message, delivery, read_by).await) })
        });
        join_all(counts).await
    }

    /// Counts the logged attempts of the delivery's chain. Without a row there are none.
    async fn count_attempts_of(
        &self,
        message: &Message,
        delivery: &DeliveryMessage,
        read_by: Instant,
    ) -> Option<u32> {
        let row = self.log.get(delivery.webhook(), delivery.delivery_id);
        let error = match timeout_at(read_by, row).await {
            Ok(Ok(row)) => return Some(row.map_or(0, |row| row.attempts_of(delivery.chain))),
            Ok(Err(error)) => chain(&error),
            Err(_elapsed) => "the invocation's deadline was reached".to_owned(),
        };
        message_error!(
            message,
            error,
            "cannot read the delivery's row; each receive of its message counts as an attempt"
        );
        None
    }
}
