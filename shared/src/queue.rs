//! An SQS queue: sends messages with a result for each, and hides a message until its next attempt.
//!
//! The rule: a message that the queue will never accept differs from a queue that accepts nothing at the
//! moment, and does not affect other messages.

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

/// Maximum entries of one `SendMessageBatch`.
const MAX_BATCH_ENTRIES: usize = 10;
/// Maximum bytes of one message, and of all entries of one `SendMessageBatch` together. Bodies count, and
/// names, types and values of attributes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// The data type of every attribute.
const ATTRIBUTE_TYPE: &str = "String";
/// Error codes of a whole call that concern its content: the same content would fail again. All other codes
/// concern the queue, the caller or the moment.
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

/// A message to send.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// The message body.
    pub body: MessageJson,
    /// `MessageGroupId`. SQS moves a noisy tenant behind the quiet ones.
    pub group: Option<TenantId>,
    /// How long the queue holds the message back: whole seconds, at most 900.
    pub delay: Duration,
    /// Message attributes. Empty values are left out, because SQS refuses them.
    pub attributes: Vec<(&'static str, AttributeText)>,
}

impl OutgoingMessage {
    /// A message without group, delay and attributes.
    #[must_use]
    pub fn new(body: MessageJson) -> Self {
        Self { body, group: None, delay: Duration::ZERO, attributes: Vec::new() }
    }

    /// Size in bytes, as SQS counts it against its limits.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
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
    /// The queue refuses the message itself. Sending it again cannot help.
    #[error("the queue refused the message: {0}")]
    Refused(String),
    /// The queue did not accept the message this time.
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

    /// Sends messages in as few batches as possible, all at the same time. Retries messages that the queue did
    /// not accept until `give_up_at`. Returns one result per message, in order.
    pub async fn send_all(
        &self,
        messages: &[OutgoingMessage],
        give_up_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        let batches = batches(messages).into_iter().map(|batch| self.send_batch(batch, give_up_at));
        join_all(batches).await.concat()
    }

    /// Sends at most ten messages, in at most three tries.
    async fn send_batch(
        &self,
        messages: &[OutgoingMessage],
        give_up_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        /// Some messages were not accepted and can be retried.
        struct Unsent;

        let mut results = vec![Err(timed_out()); messages.len()];
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
        // `results` has the result of each message.
        drop(sent.await);
        results
    }

    /// One `SendMessageBatch` with the messages at the indexes `open`. Returns their results in that order.
    ///
    /// If the queue refuses the whole call because of its content, sends each message alone, so that only the
    /// invalid ones are refused.
    async fn send_entries(
        &self,
        messages: &[OutgoingMessage],
        open: &[usize],
    ) -> Vec<Result<(), SendError>> {
        let entries = open.iter().map(|&at| entry(at, &messages[at])).collect();
        let response = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(send_error("SendMessageBatch"));
        match response {
            Err(SendError::Refused(_)) if open.len() > 1 => {
                let alone = open.chunks(1).map(|one| Box::pin(self.send_entries(messages, one)));
                join_all(alone).await.concat()
            }
            Err(error) => vec![Err(error); open.len()],
            Ok(response) => {
                let failed: HashMap<&str, &BatchResultErrorEntry> =
                    response.failed().iter().map(|failure| (failure.id(), failure)).collect();
                let queued: Vec<&str> = response
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

    /// Hides a received message for `delay` from now (whole seconds). After that it is received again.
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

fn timed_out() -> SendError {
    SendError::Unavailable("the time limit was reached".to_owned())
}

/// For `map_err`: the result of every message in a failed call.
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

/// SQS writes some codes in the format of its older protocol and others in that of the newer one.
fn is_about_content(code: &str) -> bool {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    CONTENT_ERRORS.contains(&code.strip_suffix("Exception").unwrap_or(code))
}

fn entry_error(failure: &BatchResultErrorEntry) -> SendError {
    let text = format!("{} {}", failure.code(), failure.message().unwrap_or_default());
    if failure.sender_fault() { SendError::Refused(text) } else { SendError::Unavailable(text) }
}

/// Splits messages, in order, into batches within both limits of SQS.
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
        // A message over the limit gets a batch of its own, so that the queue refuses only that one.
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

/// `None` if zero, so that the queue's default applies.
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

    /// A message whose body has `size` bytes.
    fn message(size: usize) -> OutgoingMessage {
        OutgoingMessage::new(MessageJson::of(&"x".repeat(size - 2)).unwrap())
    }

    /// The batches of messages with these sizes, as the sizes of their messages.
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
    fn a_batch_stays_within_the_size_limit() {
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
    fn the_error_code_says_whether_the_content_is_wrong() {
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
    fn no_messages_make_no_batch() {
        assert!(sizes(&[]).is_empty());
    }
}
