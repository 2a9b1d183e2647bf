//! Creates a replay, unless another one of the webhook is open.
//!
//! The rule: one transaction puts the row and moves the webhook's pointer to its latest replay, which two concurrent
//! creates cannot both do. A pointer that expired counts as missing, because DynamoDB deletes expired rows in any order:
//! the row that it names may be gone. That does no harm, because the latest row is read as well.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};

use super::{ReplayStore, key};
use crate::id::{ReplayId, WebhookKey};
use crate::replay::{FAILED_AFTER, Replay, ReplayFilter, ReplayState};
use crate::store::transaction::transact;
use crate::store::update::{number, text};
use crate::store::{SdkItem, StoreError};
use crate::timestamp::Timestamp;

/// A replay to create.
#[derive(Debug, Clone)]
pub struct NewReplay {
    /// Whose deliveries are sent again.
    pub webhook: WebhookKey,
    /// Which of them.
    pub filter: ReplayFilter,
    /// At least 1.
    pub rate_per_second: u32,
    /// See [`Replay::counted`].
    pub counted: u64,
}

/// Why a replay was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Another replay of the webhook is running or paused.
    #[error("another replay of the webhook is running or paused")]
    Open,
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplayStore {
    /// Creates a running replay. The caller then queues its [`message`](Replay::message), or cancels it.
    ///
    /// A failed predecessor becomes failed for good, so that it is not resumed beside the new one.
    pub async fn create(&self, new: NewReplay, now: Timestamp) -> Result<Replay, CreateError> {
        let latest = self.list(new.webhook, 1).await?.pop();
        if latest.as_ref().is_some_and(|latest| latest.is_open(now)) {
            return Err(CreateError::Open);
        }
        let replay = self.replay(new, latest.as_ref(), now);
        let mut writes = vec![self.point_to(&replay, latest.as_ref()), self.put(&replay)?];
        writes.extend(latest.filter(|it| it.is_lost(now)).map(|lost| self.fail(&lost)));
        match transact(&self.dynamodb.client, writes).await {
            Ok(()) => Ok(replay),
            Err(error) if error.failed_condition.is_some() => Err(CreateError::Open),
            Err(error) => Err(StoreError::from(error.source).into()),
        }
    }

    fn replay(&self, new: NewReplay, latest: Option<&Replay>, now: Timestamp) -> Replay {
        // Clocks differ, and the latest replay must have the highest id.
        let after = latest.map(|it| it.replay_id.time().plus(std::time::Duration::from_millis(1)));
        Replay {
            webhook: new.webhook,
            replay_id: ReplayId::at(after.map_or(now, |after| after.max(now))),
            state: ReplayState::Running,
            reason: None,
            filter: new.filter,
            rate_per_second: new.rate_per_second,
            counted: new.counted,
            sent: 0,
            slice: 1,
            cursor: None,
            claimed_by: None,
            claimed_at: None,
            created_at: now,
            updated_at: now,
            progressed_at: now,
            completed_at: None,
            ttl: self.ttl(now),
        }
    }

    /// Points to `replay` if the pointer is at `latest`, missing or expired.
    fn point_to(&self, replay: &Replay, latest: Option<&Replay>) -> TransactWriteItem {
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(pointer_key(replay.webhook)))
            .update_expression("SET latest = :new, #ttl = :ttl")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":new", text(replay.replay_id))
            .expression_attribute_values(":ttl", self.expiry(replay.created_at))
            .expression_attribute_values(":now", number(replay.created_at.unix_seconds()));
        let is_free = "attribute_not_exists(latest) OR #ttl <= :now";
        update = match latest {
            None => update.condition_expression(is_free),
            Some(latest) => update
                .condition_expression(format!("{is_free} OR latest = :latest"))
                .expression_attribute_values(":latest", text(latest.replay_id)),
        };
        write(update)
    }

    fn put(&self, replay: &Replay) -> Result<TransactWriteItem, StoreError> {
        let row: SdkItem = serde_dynamo::to_item(replay).map_err(StoreError::Encode)?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(replay_id)")
            .build()
            .expect("table and item are set");
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Fails a replay that still makes no progress.
    fn fail(&self, lost: &Replay) -> TransactWriteItem {
        let failed_at = lost.progressed_at.plus(FAILED_AFTER);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(lost.webhook, lost.replay_id)))
            .update_expression("SET #state = :failed, completed_at = :at")
            .condition_expression("#state = :running AND progressed_at = :progressed_at")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":failed", text(ReplayState::Failed))
            .expression_attribute_values(":at", text(failed_at))
            .expression_attribute_values(":running", text(ReplayState::Running))
            .expression_attribute_values(":progressed_at", text(lost.progressed_at));
        write(update)
    }
}

fn write(update: aws_sdk_dynamodb::types::builders::UpdateBuilder) -> TransactWriteItem {
    let update = update.build().expect("table, key and expression are set");
    TransactWriteItem::builder().update(update).build()
}

/// The pointer has a partition of its own, so that a query for the webhook's replays does not return it.
fn pointer_key(webhook: WebhookKey) -> SdkItem {
    SdkItem::from([
        ("webhook".to_owned(), text(format_args!("latest#{webhook}"))),
        ("replay_id".to_owned(), text("latest")),
    ])
}
