//! A queue: sending with every refused entry accounted for, and hiding a message until its next attempt.
//!
//! The rule: a message that the queue will never take is told apart from a queue that cannot take any now,
//! and costs none of the messages beside it anything.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, MessageAttributeValue, SendMessageBatchRequestEntry,
};
use aws_types::request_id::RequestId;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::aws::retry::{backoff, retry};
use crate::aws::{AwsError, chain};
use crate::id::TenantId;
use crate::message::{AttributeText, MessageJson};

/// Entries that one `SendMessageBatch` may have.
const MAX_BATCH_ENTRIES: usize = 10;
/// Bytes that one message, and all entries of one `SendMessageBatch` together, may have: their bodies, and
/// their attributes' names, types and values.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// The type of each attribute that is sent.
const ATTRIBUTE_TYPE: &str = "String";
/// Errors of a whole call that are about what was sent: sent again as it is, it would fail again. All others
/// are about the queue, the caller or the moment.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html#API_SendMessageBatch_Errors>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>
const CONTENT_ERRORS: [&str; 8] = [
    "BatchRequestTooLong",
    "InvalidMessageContents",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "Serialization",
    "Validation",
    "ValidationError",
];
/// One SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// The message's text.
    pub body: MessageJson,
    /// `MessageGroupId`: SQS puts a noisy tenant behind the quiet ones.
    pub group: Option<TenantId>,
    /// How long the queue holds the message back, up to 900 s; whole seconds count.
    pub delay: Duration,
    /// Attributes for whoever reads the queue; empty ones, which SQS refuses, are left out.
    pub attributes: Vec<(&'static str, AttributeText)>,
}

impl OutgoingMessage {
    /// A message of no group, without delay and attributes.
    #[must_use]
    pub fn new(body: MessageJson) -> Self {
        Self { body, group: None, delay: Duration::ZERO, attributes: Vec::new() }
    }

    /// What SQS counts of the message against its limits, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = self
            .sent_attributes()
            .map(|(name, value)| name.len() + ATTRIBUTE_TYPE.len() + value.len());
        self.body.as_str().len() + attributes.sum::<usize>()
    }

    fn sent_attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.attributes
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(_, value)| !value.is_empty())
    }
}

/// Why a message was not queued.
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
    pub async fn send(&self, message: OutgoingMessage) -> Result<(), SendError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .set_delay_seconds(delay_seconds(&message))
            .set_message_attributes(attributes(&message))
            .set_message_group_id(group(&message))
            .message_body(message.body)
            .send()
            .await
            .map(drop)
            .map_err(send_error("SendMessage"))
    }

    /// Sends messages in as few batches as possible, all under way together, and sends those again that
    /// the queue could not take while `give_up_at` allows. The results are in the messages' order.
    pub async fn send_all(
        &self,
        messages: &[OutgoingMessage],
        give_up_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        let batches = batches(messages).into_iter().map(|batch| self.send_batch(batch, give_up_at));
        join_all(batches).await.concat()
    }

    /// Sends at most ten messages, and those that failed again, in three tries at most.
    async fn send_batch(
        &self,
        messages: &[OutgoingMessage],
        give_up_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        /// Some messages may be taken a moment later.
        struct Unsent;

        let mut results = vec![Err(no_time()); messages.len()];
        let is_unsent = |result: &_| matches!(result, Err(SendError::Unavailable(_)));
        let sent = retry(
            backoff(),
            |_: &Unsent| Instant::now() < give_up_at,
            async || {
                let open: Vec<usize> =
                    (0..messages.len()).filter(|&at| is_unsent(&results[at])).collect();
                if Instant::now() < give_up_at {
                    let sent = self.send_entries(messages, &open).await;
                    for (&at, result) in open.iter().zip(sent) {
                        results[at] = result;
                    }
                }
                if results.iter().any(is_unsent) { Err(Unsent) } else { Ok(()) }
            },
        );
        // What became of each message says more.
        drop(sent.await);
        results
    }

    /// One `SendMessageBatch` of the messages at the places `open`, whose order the results have. When it is
    /// refused as a whole for what is in it, each message is sent by itself, so that only the wrong ones are
    /// refused.
    async fn send_entries(
        &self,
        messages: &[OutgoingMessage],
        open: &[usize],
    ) -> Vec<Result<(), SendError>> {
        let entries = open.iter().map(|&at| entry(at, &messages[at])).collect();
        let answer = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(send_error("SendMessageBatch"));
        match answer {
            Err(SendError::Refused(_)) if open.len() > 1 => {
                let alone = open.chunks(1).map(|one| Box::pin(self.send_entries(messages, one)));
                join_all(alone).await.concat()
            }
            Err(error) => vec![Err(error); open.len()],
            Ok(answer) => {
                let failed: HashMap<&str, &BatchResultErrorEntry> =
                    answer.failed().iter().map(|failure| (failure.id(), failure)).collect();
                let queued: Vec<&str> = answer
                    .successful()
                    .iter()
                    .map(aws_sdk_sqs::types::SendMessageBatchResultEntry::id)
                    .collect();
                let result = |at: &usize| {
                    let id = at.to_string();
                    match failed.get(id.as_str()) {
                        Some(failure) => Err(entry_error(failure)),
                        None if queued.contains(&id.as_str()) => Ok(()),
                        None => Err(SendError::Unavailable("no answer for the entry".to_owned())),
                    }
                };
                open.iter().map(result).collect()
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

fn no_time() -> SendError {
    SendError::Unavailable("no time was left".to_owned())
}

/// For `map_err`: what a failed call says about the messages that it sent.
fn send_error<E>(operation: &'static str) -> impl FnOnce(E) -> SendError
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    move |error| {
        let is_refusal = error.code().is_some_and(is_about_content);
        let error = AwsError::of(operation)(error);
        let text = chain(&error);
        if is_refusal { SendError::Refused(text) } else { SendError::Unavailable(text) }
    }
}

/// SQS writes some codes as its older protocol did, others as the newer one does.
fn is_about_content(code: &str) -> bool {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    CONTENT_ERRORS.contains(&code.strip_suffix("Exception").unwrap_or(code))
}

fn entry_error(failure: &BatchResultErrorEntry) -> SendError {
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
                bytes += message.size();
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
        .message_body(message.body.as_str())
        .set_message_group_id(group(message))
        .set_delay_seconds(delay_seconds(message))
        .set_message_attributes(attributes(message))
        .build()
        .expect("id and body are set")
}

fn group(message: &OutgoingMessage) -> Option<String> {
    message.group.map(|tenant| tenant.to_string())
}

/// Absent when zero, so that the queue's own default holds.
fn delay_seconds(message: &OutgoingMessage) -> Option<i32> {
    i32::try_from(message.delay.as_secs()).ok().filter(|&seconds| seconds > 0)
}

fn attributes(message: &OutgoingMessage) -> Option<HashMap<String, MessageAttributeValue>> {
    let attributes: HashMap<_, _> = message
        .sent_attributes()
        .map(|(name, value)| {
            let value = MessageAttributeValue::builder()
                .data_type(ATTRIBUTE_TYPE)
                .string_value(value)
                .build()
                .expect("the data type is set");
            (name.to_owned(), value)
        })
        .collect();
    Some(attributes).filter(|attributes| !attributes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message whose body has so many bytes.
    fn message(size: usize) -> OutgoingMessage {
        OutgoingMessage::new(MessageJson::of(&"x".repeat(size - 2)).unwrap())
    }

    /// The sizes of the batches of messages with so many bytes each.
    fn sizes(sizes: &[usize]) -> Vec<Vec<usize>> {
        let messages: Vec<_> = sizes.iter().map(|&size| message(size)).collect();
        batches(&messages)
            .iter()
            .map(|batch| batch.iter().map(OutgoingMessage::size).collect())
            .collect()
    }

    #[test]
    fn a_batch_ends_at_ten_entries() {
        assert_eq!(sizes(&[2; 23]).iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
    }

    #[test]
    fn a_batch_ends_before_it_outgrows_the_queues_limit() {
        let half = MAX_BATCH_BYTES / 2;
        assert_eq!(sizes(&[half, half, 2, half]), [vec![half, half], vec![2, half]]);
        assert_eq!(sizes(&[2, 3 * half, 2]), [vec![2], vec![3 * half], vec![2]]);
    }

    #[test]
    fn a_messages_size_is_its_body_and_the_names_types_and_values_of_its_attributes() {
        let attributes = vec![("reason", "é".into()), ("status_code", "".into())];
        let message = OutgoingMessage { attributes, ..message(100) };
        assert_eq!(message.size(), 100 + "reason".len() + "String".len() + "é".len());
        let full = MAX_BATCH_BYTES - message.size();
        assert_eq!(batches(&[message.clone(), self::message(full)]).len(), 1);
        assert_eq!(batches(&[message, self::message(full + 1)]).len(), 2);
    }

    #[test]
    fn an_error_about_the_content_is_told_from_one_about_the_queue_by_its_code() {
        for code in [
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "InvalidMessageContents",
            "InvalidParameterValue",
            "InvalidParameterValueException",
            "MissingParameter",
        ] {
            assert!(is_about_content(code), "{code}");
        }
        for code in [
            "AWS.SimpleQueueService.NonExistentQueue",
            "AccessDenied",
            "InternalFailure",
            "InvalidSecurity",
            "KMS.ThrottlingException",
            "OverLimit",
            "RequestThrottled",
        ] {
            assert!(!is_about_content(code), "{code}");
        }
    }

    #[test]
    fn nothing_to_send_makes_no_batch() {
        assert!(sizes(&[]).is_empty());
    }
}
