//! The bare loop that the sender is measured against: the same posts by the same HTTP library and nothing
//! else. It reads no event and no webhook, writes no log, and signs or guards only if it is told to.
//!
//! The rule: what it sends has the size of a delivery, and it runs as a process of its own, pinned like
//! the sender, so that both are measured alike.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::fixtures::{GUIDES_BODY, SECRET};
use harness::{Cores, Cost, Process, cpu_time, interrupt_nobody};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use sender::guard;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::resolve;
use webhooks::secret::SigningSecret;
use webhooks::signature;

const GUIDES_SIGNATURE: &str = "x-docintell-signature";
const STANDARD_SIGNATURE: &str = "webhook-signature";
const EVENT_ID: &str = "019ae3c0-0000-7000-9000-000000000001";
const SENT_AT: i64 = 1_764_757_847;

/// The headers of a delivery, with values of the right length.
const HEADERS: [(&str, &str); 9] = [
    ("content-type", "application/json"),
    ("user-agent", "DocIntell-Webhooks/0.0.0"),
    (GUIDES_SIGNATURE, "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c"),
    ("x-docintell-event", "document.processing.completed"),
    ("x-docintell-timestamp", "1764757847"),
    ("x-docintell-delivery", "019ae3c0-0000-7000-8000-000000000001"),
    ("webhook-id", EVENT_ID),
    ("webhook-timestamp", "1764757847"),
    (STANDARD_SIGNATURE, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
];

/// What the loop does.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bare {
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
    /// How it posts.
    #[arg(long)]
    pub by: By,
}

/// How the loop posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Through reqwest, as a careful user would set it up.
    Reqwest,
    /// The same, with both signatures made for each post.
    Signed,
    /// Through the sender's reqwest, whose guard judges each URL and every address.
    Guarded,
}

/// What the loop's process tells the benchmark, in nanoseconds.
#[derive(Serialize, Deserialize)]
struct Told {
    wall: u64,
    cpu: u64,
}

impl Bare {
    /// Runs it in a process of its own.
    pub(crate) async fn run(&self, cores: Option<Cores>) -> Result<Cost> {
        let mut command = Command::new(std::env::current_exe().context("who am I?")?);
        command.args(["bare", "--url", &self.url]);
        if let Some(authority) = &self.authority {
            command.arg("--authority").arg(authority);
        }
        let by = self.by.to_possible_value().context("it has no name")?;
        command.args(["--by", by.get_name()]);
        for (name, value) in
            [("--in-flight", self.in_flight), ("--posts", self.posts), ("--warm-up", self.warm_up)]
        {
            command.arg(name).arg(value.to_string());
        }
        let mut process = Process::start(command, cores)?;
        let status = process.ended().await?;
        let words = process.log();
        ensure!(status.success(), "the bare loop failed ({status}): {words}");
        let told: Told = serde_json::from_str(&words).context("the bare loop told no figures")?;
        Ok(Cost { wall: Duration::from_nanos(told.wall), cpu: Duration::from_nanos(told.cpu) })
    }

    /// Runs it in this process and prints the figures.
    pub(crate) fn work(&self) -> Result<()> {
        interrupt_nobody(std::process::id())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let told = runtime.block_on(async {
            let url = EndpointUrl::parse(&self.url)?;
            match self.by {
                By::Reqwest => self.reqwest(&url).await,
                By::Signed => self.signed(&url).await,
                By::Guarded => self.guarded(&url).await,
            }
        })?;
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    }

    async fn reqwest(&self, url: &EndpointUrl) -> Result<Told> {
        let client = self.client()?;
        self.measure(async || send(client.post(url.as_url().clone())).await).await
    }

    async fn signed(&self, url: &EndpointUrl) -> Result<Told> {
        let (client, secret) = (self.client()?, SigningSecret::parse(SECRET)?);
        let post = async || {
            let body = GUIDES_BODY.as_bytes();
            let guide = signature::guide(&secret, body);
            let standard = signature::standard(&secret, EVENT_ID, SENT_AT, body);
            let post = client.post(url.as_url().clone());
            send(post.header(GUIDES_SIGNATURE, guide).header(STANDARD_SIGNATURE, standard)).await
        };
        self.measure(post).await
    }

    async fn guarded(&self, url: &EndpointUrl) -> Result<Told> {
        let (policy, tls) = (policy()?, guard::tls(self.authority.as_deref())?);
        let builder = guard::builder(policy.clone(), &resolve::system(), &tls);
        let client = builder.default_headers(headers()).build()?;
        let post = async || {
            policy.check_url(url)?;
            send(client.post(url.as_url().clone())).await
        };
        self.measure(post).await
    }

    async fn measure(&self, post: impl AsyncFn() -> Result<()>) -> Result<Told> {
        self.repeat(&post, self.warm_up).await?;
        let own = std::process::id();
        let (begun, cpu) = (std::time::Instant::now(), cpu_time(own)?);
        self.repeat(&post, self.posts).await?;
        let nanos = |time: Duration| u64::try_from(time.as_nanos());
        let cpu = cpu_time(own)?.saturating_sub(cpu);
        Ok(Told { wall: nanos(begun.elapsed())?, cpu: nanos(cpu)? })
    }

    async fn repeat(&self, post: &impl AsyncFn() -> Result<()>, times: usize) -> Result<()> {
        let posts = stream::iter(0..times).map(|_| post()).map(Ok);
        posts.try_buffer_unordered(self.in_flight).try_collect().await
    }

    /// reqwest as a careful user would set it up.
    fn client(&self) -> Result<Client> {
        Ok(Client::builder()
            .tls_backend_preconfigured(guard::tls(self.authority.as_deref())?)
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .default_headers(headers())
            .build()?)
    }
}

async fn send(post: RequestBuilder) -> Result<()> {
    let response = post.body(GUIDES_BODY).send().await?;
    check(response.status())?;
    response.bytes().await?;
    Ok(())
}

fn check(status: StatusCode) -> Result<()> {
    ensure!(status.is_success(), "the endpoint answered {status}");
    Ok(())
}

fn headers() -> HeaderMap {
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    HEADERS.map(header).into_iter().collect()
}

/// Loopback is allowed as a network, so that a judgement goes all the way through the table.
fn policy() -> Result<EndpointPolicy> {
    let networks = ["127.0.0.0/8", "::1/128"].iter().map(|text| text.parse());
    let allowed_networks = networks.collect::<Result<_, _>>().context("they are networks")?;
    Ok(EndpointPolicy { allow_http: true, allowed_networks, protected: Vec::new() })
}
