//! Follows a replay until it ends.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use webhooks::replay::{Replay, ReplayState};
use webhooks::timestamp::Timestamp;

use super::{Replays, view};
use crate::output;
use crate::progress::Progress;
use crate::stop::{Stop, Stopped};

/// Between two looks. The replay function notes its progress every second.
const PERIOD: Duration = Duration::from_secs(1);

impl Replays<'_> {
    /// Shows the progress and the end. An error if the replay ends before it is completed.
    pub(super) async fn watch(&self, replay: Replay, stop: &Stop) -> Result<()> {
        let task = Progress::Shown.begin("replaying");
        let mut replay = replay;
        let work = async {
            while replay.is_open(Timestamp::now()) && !stop.is_requested() {
                task.note(&view::short_progress(&replay, Timestamp::now()));
                stop.sleep(PERIOD).await;
                let seen = self.get(replay.webhook.webhook_id, replay.replay_id).await?;
                replay = seen.context("the replay has expired")?;
            }
            anyhow::Ok(())
        };
        task.watch(Box::pin(work)).await?;
        let now = Timestamp::now();
        if self.json {
            self.show(&replay)?;
        } else {
            output::line(view::progress(&replay, now))?;
        }
        match replay.state_at(now) {
            ReplayState::Completed => Ok(()),
            ReplayState::Running | ReplayState::Paused => {
                Err(Stopped("the replay goes on".to_owned()).into())
            }
            state => bail!("the replay is {state}"),
        }
    }
}
