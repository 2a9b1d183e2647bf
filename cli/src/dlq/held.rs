//! Messages that are hidden from other readers until they are deleted or made visible again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};
use webhooks::aws::chain;

use super::count;
use super::parked::Parked;
use crate::output;

/// Maximum entries per call.
pub(super) const BATCH: usize = 10;
/// Maximum calls in flight.
const CONCURRENT_CALLS: usize = 8;
/// A hold is extended this long before its end.
pub(super) const MARGIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Held {
    client: Client,
    queue_url: String,
    /// Receipt handles by message id.
    handles: HashMap<String, String>,
    duration: Duration,
    until: Instant,
}

impl Held {
    /// Nothing yet; messages will be hidden for `duration` from now, or from their receive.
    pub(super) fn new(client: Client, queue_url: String, duration: Duration) -> Self {
        let until = Instant::now() + duration;
        Self { client, queue_url, handles: HashMap::new(), duration, until }
    }

    /// When the first message becomes visible again.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Adds a message. False if it is known already: SQS can deliver it twice, and the newer receipt handle counts.
    pub(super) fn add(&mut self, message_id: String, receipt_handle: String) -> bool {
        self.handles.insert(message_id, receipt_handle).is_none()
    }

    /// Makes messages visible again, except those in `kept`.
    pub(super) async fn release_except(&mut self, kept: impl IntoIterator<Item = &Parked>) {
        let kept: HashSet<&str> =
            kept.into_iter().map(|parked| parked.received.message_id.as_str()).collect();
        let (kept, released): (HashMap<_, _>, HashMap<_, _>) =
            self.handles.drain().partition(|(id, _)| kept.contains(id.as_str()));
        self.handles = kept;
        let handles: Vec<String> = released.into_values().collect();
        let failed = self.change_visibility(&handles, Duration::ZERO).await;
        if failed > 0 {
            let seconds = self.until.saturating_duration_since(Instant::now()).as_secs();
            output::note(format_args!(
                "{} could not be made visible: the queue hides them for at most {seconds} s more",
                count(failed, "message")
            ));
        }
    }

    pub(super) async fn release_all(&mut self) {
        self.release_except([]).await;
    }

    /// Hides the messages for longer if they would soon be visible.
    pub(super) async fn extend_if_due(&mut self) {
        if Instant::now() + MARGIN < self.until {
            return;
        }
        let handles: Vec<String> = self.handles.values().cloned().collect();
        // If this fails, another reader may see the messages: one may be sent twice, and none is lost.
        self.change_visibility(&handles, self.duration).await;
        self.until = Instant::now() + self.duration;
    }

    /// Keeps the messages hidden until `work` ends.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                () = sleep_until(self.until - MARGIN) => self.extend_if_due().await,
            }
        }
    }

    /// Deletes up to ten messages. Returns the ids of those that the queue could not delete, with the reasons.
    pub(super) async fn delete(&mut self, ids: &[&str]) -> Vec<(String, String)> {
        if ids.is_empty() {
            return Vec::new();
        }
        let handles: Vec<String> =
            ids.iter().map(|id| self.handles.get(*id).cloned().unwrap_or_default()).collect();
        let results = self.delete_handles(&handles).await;
        let mut failed = Vec::new();
        for (id, failure) in ids.iter().zip(results) {
            match failure {
                Some(reason) => failed.push(((*id).to_owned(), reason)),
                None => drop(self.handles.remove(*id)),
            }
        }
        failed
    }

    /// Changes the visibility of messages by their receipt handles; returns how many failed.
    async fn change_visibility(&self, handles: &[String], duration: Duration) -> usize {
        let calls = handles.chunks(BATCH).map(async |batch| {
            let entries = batch.iter().enumerate().map(|(id, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(whole_seconds(duration))
                    .build()
                    .expect("id and receipt handle are set")
            });
            let changed = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            changed.map_or(batch.len(), |response| response.failed.len())
        });
        let failed: Vec<usize> =
            stream::iter(calls).buffer_unordered(CONCURRENT_CALLS).collect().await;
        failed.iter().sum()
    }

    /// Deletes up to ten messages; returns the reason for each that was not deleted.
    async fn delete_handles(&self, handles: &[String]) -> Vec<Option<String>> {
        let entries = handles.iter().enumerate().map(|(id, handle)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(handle)
                .build()
                .expect("id and receipt handle are set")
        });
        let deleted = self
            .client
            .delete_message_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries.collect()))
            .send()
            .await;
        match deleted {
            Err(error) => vec![Some(chain(&error)); handles.len()],
            Ok(response) => (0..handles.len())
                .map(|id| {
                    let id = id.to_string();
                    let failure = response.failed.iter().find(|failure| failure.id == id)?;
                    Some(failure.message.clone().unwrap_or_else(|| failure.code.clone()))
                })
                .collect(),
        }
    }
}

pub(super) fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
