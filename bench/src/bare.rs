//! The bare loop that the sender is measured against: the same posts by the same HTTP library and nothing
//! else. No event, no webhook, no signature, no log, and the guard only to see what that costs.
//!
//! The rule: what it sends has the size of a delivery, and it runs as a process of its own, pinned like
//! the sender, so that both are measured alike.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use sender::guard;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::resolve;

use crate::cores::Cores;
use crate::function::Cost;
use crate::given::BODY;
use crate::process::Process;

/// The headers of a delivery, with values of the right length.
const HEADERS: [(&str, &str); 9] = [
    ("content-type", "application/json"),
    ("user-agent", "DocIntell-Webhooks/0.0.0"),
    (
        "x-docintell-signature",
        "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c",
    ),
    ("x-docintell-event", "document.processing.completed"),
    ("x-docintell-timestamp", "1764757847"),
    ("x-docintell-delivery", "019ae3c0-0000-7000-8000-000000000001"),
    ("webhook-id", "019ae3c0-0000-7000-9000-000000000001"),
    ("webhook-timestamp", "1764757847"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
];

/// What the loop does.
#[derive(Debug, Clone, Args)]
pub struct Bare {
    /// Where it posts.
    #[arg(long)]
    pub url: String,
    /// A certificate authority that it trusts.
    #[arg(long)]
    pub authority: Option<PathBuf>,
    /// Posts in flight together.
    #[arg(long)]
    pub in_flight: usize,
    /// Posts that are measured.
    #[arg(long)]
    pub posts: usize,
    /// Posts before those, which make connections and warm caches.
    #[arg(long)]
    pub warm_up: usize,
    /// Whether the sender's guard judges each URL and every address.
    #[arg(long)]
    pub guarded: bool,
}

/// What the loop's process tells the benchmark, in nanoseconds.
#[derive(Serialize, Deserialize)]
struct Told {
    wall: u64,
    cpu: u64,
}

impl Bare {
    /// Runs it in a process of its own.
    pub async fn run(&self, cores: Option<Cores>) -> Result<Cost> {
        let mut command = Command::new(std::env::current_exe().context("who am I?")?);
        command.args(["bare", "--url", &self.url]);
        if let Some(authority) = &self.authority {
            command.arg("--authority").arg(authority);
        }
        if self.guarded {
            command.arg("--guarded");
        }
        for (name, value) in
            [("--in-flight", self.in_flight), ("--posts", self.posts), ("--warm-up", self.warm_up)]
        {
            command.arg(name).arg(value.to_string());
        }
        let words = Process::start(command, cores)?.ended().await?;
        let told: Told = serde_json::from_str(&words).context("the bare loop told no figures")?;
        Ok(Cost { wall: Duration::from_nanos(told.wall), cpu: Duration::from_nanos(told.cpu) })
    }

    /// Runs it in this process and prints the figures.
    pub fn work(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let told = runtime.block_on(async {
            let policy = Arc::new(policy()?);
            let client = self.client(&policy)?;
            self.post(&client, &policy, self.warm_up).await?;
            let (begun, cpu) = (std::time::Instant::now(), cpu_time()?);
            self.post(&client, &policy, self.posts).await?;
            let nanos = |time: Duration| u64::try_from(time.as_nanos());
            let cpu = cpu_time()?.saturating_sub(cpu);
            anyhow::Ok(Told { wall: nanos(begun.elapsed())?, cpu: nanos(cpu)? })
        })?;
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    }

    async fn post(&self, client: &Client, policy: &EndpointPolicy, posts: usize) -> Result<()> {
        let url = EndpointUrl::parse(&self.url)?;
        stream::iter(0..posts)
            .map(|_| async {
                if self.guarded {
                    policy.check_url(&url)?;
                }
                let response = client.post(url.as_url().clone()).body(BODY).send().await?;
                ensure!(response.status().is_success(), "the endpoint answered {response:?}");
                response.bytes().await?;
                Ok(())
            })
            .map(Ok)
            .try_buffer_unordered(self.in_flight)
            .try_collect()
            .await
    }

    /// The sender's client, or one as a careful user would set it up.
    fn client(&self, policy: &Arc<EndpointPolicy>) -> Result<Client> {
        let authority = self.authority.as_deref();
        let builder = if self.guarded {
            guard::builder(Arc::clone(policy), resolve::system(), authority)?
        } else {
            Client::builder()
                .tls_backend_preconfigured(guard::tls(authority)?)
                .http1_only()
                .no_proxy()
                .redirect(Policy::none())
        };
        let headers = HEADERS
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Ok(builder.default_headers(HeaderMap::from_iter(headers)).build()?)
    }
}

/// Loopback is allowed as a network, so that a judgement goes all the way through the table.
fn policy() -> Result<EndpointPolicy> {
    let networks = ["127.0.0.0/8", "::1/128"].iter().map(|text| text.parse());
    let allowed_networks = networks.collect::<Result<_, _>>().context("they are networks")?;
    Ok(EndpointPolicy { allow_http: true, allowed_networks, protected: Vec::new() })
}

/// Processor time of this process so far, all threads.
fn cpu_time() -> Result<Duration> {
    crate::process::cpu_time(std::process::id())
}
