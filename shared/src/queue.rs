//! A queue: sending with every refused entry accounted for, and hiding a message until its next attempt.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, MessageAttributeValue, SendMessageBatchRequestEntry,
};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::aws::AwsError;

/// Entries that one `SendMessageBatch` may have.
const MAX_BATCH_ENTRIES: usize = 10;
/// Bytes that one message, and all entries of one `SendMessageBatch` together, may have: 1 MiB less
/// room for attributes.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024 - 16 * 1024;
/// How often an entry is sent before it counts as failed.
const MAX_SENDS: u32 = 3;

/// One SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message to be sent.
#[derive(Debug, Clone, Default)]
pub struct OutgoingMessage {
    /// The message's text.
    pub body: String,
    /// `MessageGroupId`: SQS puts a noisy group behind the quiet ones.
    pub group: Option<String>,
    /// How long the queue holds the message back, up to 900 s; whole seconds count.
    pub delay: Duration,
    /// String attributes for whoever reads the queue; empty values are left out.
    pub attributes: Vec<(&'static str, String)>,
}

/// Why one entry of a batch was not queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue says that the message itself is wrong: sending it again cannot help.
    #[error("the queue refused the message: {0}")]
    Refused(String),
    /// The queue could not take it this time.
    #[error("the queue did not take the message: {0}")]
    Unavailable(String),
}

impl Queue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends one message.
    pub async fn send(&self, message: OutgoingMessage) -> Result<(), AwsError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .set_delay_seconds(delay_seconds(&message))
            .set_message_attributes(attributes(&message))
            .set_message_group_id(message.group)
            .message_body(message.body)
            .send()
            .await
            .map(drop)
            .map_err(AwsError::of("SendMessage"))
    }

    /// Sends messages in as few batches as possible, all under way together, and sends refused
    /// entries again while `give_up_at` allows. The results are in the messages' order.
    pub async fn send_all(
        &self,
        messages: &[OutgoingMessage],
        give_up_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        let batches = batches(messages).into_iter().map(|batch| self.send_batch(batch, give_up_at));
        join_all(batches).await.concat()
    }

    /// Sends at most ten messages, and those that failed again.
    async fn send_batch(
        &self,
        messages: &[OutgoingMessage],
        give_up_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        let mut results =
            vec![Err(SendError::Unavailable("no time was left".to_owned())); messages.len()];
        for sends in 1..=MAX_SENDS {
            if Instant::now() >= give_up_at {
                break;
            }
            let open: Vec<usize> = (0..messages.len())
                .filter(|&at| matches!(results[at], Err(SendError::Unavailable(_))))
                .collect();
            self.send_entries(messages, &open, &mut results).await;

            let backoff = Duration::from_millis(100) * 2_u32.pow(sends - 1);
            let all_settled =
                results.iter().all(|result| !matches!(result, Err(SendError::Unavailable(_))));
            if all_settled || sends == MAX_SENDS || Instant::now() + backoff >= give_up_at {
                break;
            }
            sleep(backoff).await;
        }
        results
    }

    /// One `SendMessageBatch` of the messages at the places `open`.
    async fn send_entries(
        &self,
        messages: &[OutgoingMessage],
        open: &[usize],
        results: &mut [Result<(), SendError>],
    ) {
        let entries = open.iter().map(|&at| entry(at, &messages[at])).collect();
        let answer = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await;
        match answer {
            Err(error) => {
                let error = AwsError::of("SendMessageBatch")(error);
                let cause = crate::aws::chain(&error);
                for &at in open {
                    results[at] = Err(SendError::Unavailable(cause.clone()));
                }
            }
            Ok(answer) => {
                let failed: HashMap<&str, &BatchResultErrorEntry> =
                    answer.failed().iter().map(|failure| (failure.id(), failure)).collect();
                let queued: Vec<&str> = answer
                    .successful()
                    .iter()
                    .map(aws_sdk_sqs::types::SendMessageBatchResultEntry::id)
                    .collect();
                for &at in open {
                    let id = at.to_string();
                    results[at] = match failed.get(id.as_str()) {
                        Some(failure) => Err(send_error(failure)),
                        None if queued.contains(&id.as_str()) => Ok(()),
                        None => Err(SendError::Unavailable("no answer for the entry".to_owned())),
                    };
                }
            }
        }
    }

    /// Hides a received message for `delay` (whole seconds, counted from now), then it is received
    /// again.
    pub async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), AwsError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
            .map(drop)
            .map_err(AwsError::of("ChangeMessageVisibility"))
    }
}

fn send_error(failure: &BatchResultErrorEntry) -> SendError {
    let text = format!("{} {}", failure.code(), failure.message().unwrap_or_default());
    if failure.sender_fault() { SendError::Refused(text) } else { SendError::Unavailable(text) }
}

/// Cuts messages into batches within both of SQS's limits, in order.
fn batches(mut messages: &[OutgoingMessage]) -> Vec<&[OutgoingMessage]> {
    let mut batches = Vec::new();
    while !messages.is_empty() {
        let mut bytes = 0;
        let fitting = messages
            .iter()
            .take(MAX_BATCH_ENTRIES)
            .take_while(|message| {
                bytes += message.body.len();
                bytes <= MAX_BATCH_BYTES
            })
            .count();
        // A message that alone is too large goes alone: the queue refuses it and no other.
        let (batch, rest) = messages.split_at(fitting.max(1));
        batches.push(batch);
        messages = rest;
    }
    batches
}

fn entry(id: usize, message: &OutgoingMessage) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(&message.body)
        .set_message_group_id(message.group.clone())
        .set_delay_seconds(delay_seconds(message))
        .set_message_attributes(attributes(message))
        .build()
        .expect("id and body are set")
}

/// Absent when zero, so that the queue's own default holds.
fn delay_seconds(message: &OutgoingMessage) -> Option<i32> {
    i32::try_from(message.delay.as_secs()).ok().filter(|&seconds| seconds > 0)
}

fn attributes(message: &OutgoingMessage) -> Option<HashMap<String, MessageAttributeValue>> {
    let attributes: HashMap<_, _> = message
        .attributes
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .expect("the data type is set");
            ((*name).to_owned(), value)
        })
        .collect();
    Some(attributes).filter(|attributes| !attributes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bodies: &[usize]) -> Vec<Vec<usize>> {
        let messages: Vec<_> = bodies
            .iter()
            .map(|&size| OutgoingMessage { body: "x".repeat(size), ..OutgoingMessage::default() })
            .collect();
        batches(&messages)
            .iter()
            .map(|batch| batch.iter().map(|message| message.body.len()).collect())
            .collect()
    }

    #[test]
    fn a_batch_ends_at_ten_entries() {
        assert_eq!(sizes(&[1; 23]).iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
    }

    #[test]
    fn a_batch_ends_before_it_outgrows_the_queues_limit() {
        let half = MAX_BATCH_BYTES / 2;
        assert_eq!(sizes(&[half, half, 1, half]), [vec![half, half], vec![1, half]]);
        assert_eq!(sizes(&[1, 3 * half, 1]), [vec![1], vec![3 * half], vec![1]]);
    }

    #[test]
    fn nothing_to_send_makes_no_batch() {
        assert!(sizes(&[]).is_empty());
    }
}
