//! Reads all messages of a queue of parked messages.
//!
//! The rules: whatever was received is deleted or made visible again, and reading ends. Neither queue has a redrive
//! policy, so a receive costs a message nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use aws_types::SdkConfig;
use futures_util::future::join_all;
use tokio::time::Instant;
use webhooks::timestamp::Timestamp;

use super::held::{Held, MARGIN, whole_seconds};
use crate::progress::Task;
use crate::stop::Stop;

/// Maximum receives in flight.
const MAX_READERS: usize = 8;
/// A reader for each so many messages.
const MESSAGES_PER_READER: usize = 100;
/// How many messages per second are received, at least.
const SLOWEST_READING: u32 = 50;
/// How long an empty receive waits. Without a wait, SQS asks only some of its servers and can miss messages.
const EMPTY_AFTER_SECONDS: i32 = 1;
/// How long messages stay hidden, at least.
const SHORTEST_HOLD: Duration = Duration::from_secs(30);
/// The longest time that SQS accepts.
const LONGEST_HOLD: Duration = Duration::from_hours(12);

/// A message as it was received.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) message_id: String,
    pub(super) body: String,
    /// String attributes.
    pub(super) attributes: BTreeMap<String, String>,
    /// When it was first sent. A message that SQS moved here keeps this time; its retention counts from it.
    pub(super) sent_at: Timestamp,
    /// How often it was received, from this queue and the one it came from.
    pub(super) receive_count: u32,
}

#[derive(Debug, Clone)]
pub(super) struct ParkedQueue {
    client: Client,
    url: String,
}

/// The result of reading a queue.
#[derive(Debug)]
pub(super) struct Reading {
    /// Oldest first, each once.
    pub(super) messages: Vec<Received>,
    pub(super) held: Held,
    /// False if the time did not suffice or the user stopped.
    pub(super) is_complete: bool,
    /// Messages that another reader hid when the reading began.
    pub(super) hidden_by_others: usize,
}

impl ParkedQueue {
    pub(super) fn new(config: &SdkConfig, url: String) -> Self {
        Self { client: Client::new(config), url }
    }

    /// Receives every message of the queue, and hides them until the reading is dealt with.
    ///
    /// Ends when a receive finds nothing for a second, or before the first message would become visible again. No
    /// message can then come round for ever, however fast others arrive.
    pub(super) async fn read(&self, task: &Task, stop: &Stop) -> Result<Reading> {
        let [visible, hidden_by_others] = self.sizes().await?;
        let duration = hold_for(visible);
        let held = Held::new(self.client.clone(), self.url.clone(), duration);
        let read_until = held.until() - MARGIN;
        let mut reading =
            Reading { messages: Vec::new(), held, is_complete: true, hidden_by_others };
        let readers = (visible / MESSAGES_PER_READER).clamp(1, MAX_READERS);
        loop {
            // Never given up half-way: a message that SQS hands out must be known, to be made visible again.
            let round = join_all((0..readers).map(|_| self.receive(duration))).await;
            let mut found = Ok(false);
            for received in round {
                match received {
                    Ok(messages) => {
                        found = found.map(|found| found || !messages.is_empty());
                        reading.add(messages);
                    }
                    Err(error) => found = Err(error),
                }
            }
            task.note(&format!("{} messages", reading.messages.len()));
            match found {
                Ok(true) if stop.is_requested() || Instant::now() >= read_until => {
                    reading.is_complete = false;
                    break;
                }
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    reading.held.release_all().await;
                    return Err(error);
                }
            }
        }
        reading
            .messages
            .sort_by(|a, b| (a.sent_at, &a.message_id).cmp(&(b.sent_at, &b.message_id)));
        Ok(reading)
    }

    /// The approximate numbers of visible and of hidden messages.
    async fn sizes(&self) -> Result<[usize; 2]> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let response = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .with_context(|| format!("cannot read the attributes of queue {}", self.url))?;
        let attributes = response.attributes.unwrap_or_default();
        Ok(names.map(|name| attributes.get(&name).and_then(|size| size.parse().ok()).unwrap_or(0)))
    }

    async fn receive(&self, hold: Duration) -> Result<Vec<Message>> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .visibility_timeout(whole_seconds(hold))
            .wait_time_seconds(EMPTY_AFTER_SECONDS)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .with_context(|| format!("cannot receive messages from queue {}", self.url))?;
        Ok(received.messages.unwrap_or_default())
    }
}

impl Reading {
    fn add(&mut self, messages: Vec<Message>) {
        for message in messages {
            let (Some(id), Some(handle)) =
                (message.message_id.clone(), message.receipt_handle.clone())
            else {
                continue;
            };
            if self.held.add(id.clone(), handle) {
                self.messages.push(received(id, message));
            }
        }
    }
}

/// How long the messages of a queue with `visible` messages must be hidden to be received once each.
fn hold_for(visible: usize) -> Duration {
    let messages = u32::try_from(visible).unwrap_or(u32::MAX);
    let reading = Duration::from_secs((messages / SLOWEST_READING).into());
    (SHORTEST_HOLD + reading).min(LONGEST_HOLD)
}

fn received(message_id: String, message: Message) -> Received {
    let system = message.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    let sent_at = Timestamp::from_unix_millis(number(MessageSystemAttributeName::SentTimestamp));
    let receive_count = number(MessageSystemAttributeName::ApproximateReceiveCount);
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    Received {
        message_id,
        body: message.body.unwrap_or_default(),
        attributes: attributes
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect(),
        sent_at,
        receive_count: u32::try_from(receive_count).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_hidden_for_as_long_as_reading_the_queue_may_take() {
        assert_eq!(hold_for(0), SHORTEST_HOLD);
        assert_eq!(hold_for(10_000).as_secs(), 30 + 200);
        assert_eq!(hold_for(usize::MAX), LONGEST_HOLD);
    }
}
