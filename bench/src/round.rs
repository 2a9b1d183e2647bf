//! One round: so many posts, ten at a time as in a sender's batch, and the processor time they took.

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Client;
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};

use crate::endpoint::BODY;

/// Posts in flight together: a batch of the sender.
const IN_FLIGHT: usize = 10;

/// What is measured.
pub struct Round<'a> {
    /// Who posts.
    pub client: Client,
    /// Where to.
    pub url: &'a EndpointUrl,
    /// What judges the URL before each post, if anything does.
    pub policy: Option<&'a EndpointPolicy>,
    /// How often.
    pub posts: usize,
}

impl Round<'_> {
    /// Microseconds of this thread's processor time per post.
    pub async fn run(self) -> Result<f64> {
        // Connections are made and code is paged in outside the measurement.
        self.post(self.posts / 10).await?;
        let before = processor_nanos()?;
        self.post(self.posts).await?;
        let nanos = u32::try_from((processor_nanos()? - before) / u64::try_from(self.posts)?)?;
        Ok(f64::from(nanos) / 1000.0)
    }

    async fn post(&self, posts: usize) -> Result<()> {
        stream::iter(0..posts)
            .map(|_| Ok(self.post_once()))
            .try_buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn post_once(&self) -> Result<()> {
        if let Some(policy) = self.policy {
            policy.check_url(self.url)?;
        }
        let response = self.client.post(self.url.as_url().clone()).body(BODY).send().await?;
        ensure!(response.status().is_success(), "the endpoint answered {}", response.status());
        Ok(())
    }
}

/// Time that this thread has spent on a processor, from Linux's scheduler.
fn processor_nanos() -> Result<u64> {
    const FILE: &str = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(FILE).context("the benchmark needs Linux's /proc")?;
    let nanos = text.split_whitespace().next().context("the file is empty")?;
    nanos.parse().with_context(|| format!("{FILE} does not begin with a number"))
}
