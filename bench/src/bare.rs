//! The bare loop that the sender is compared with: it makes the same posts with the same HTTP library and does
//! nothing else. It parses no event, reads no webhook and writes no log. It signs or guards only on request.
//!
//! The rule: its requests have the size of a delivery, and it runs in a pinned process of its own like the
//! sender, so that both are measured in the same way.

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

/// The headers of a delivery, with values of realistic length.
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

/// The loop's settings.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bare {
    /// The endpoint's URL.
    #[arg(long)]
    pub url: String,
    /// A certificate authority to trust.
    #[arg(long)]
    pub authority: Option<PathBuf>,
    /// Posts in flight at the same time.
    #[arg(long)]
    pub in_flight: usize,
    /// Measured posts.
    #[arg(long)]
    pub posts: usize,
    /// Posts before the measured ones, to open connections and warm up caches.
    #[arg(long)]
    pub warm_up: usize,
    /// The client that makes the posts.
    #[arg(long)]
    pub by: By,
}

/// The client that makes the posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// reqwest with careful settings.
    Reqwest,
    /// The same, and makes both signatures for each post.
    Signed,
    /// The sender's client, which checks each URL and every address.
    Guarded,
}

/// The figures that the loop's process prints, in nanoseconds.
#[derive(Serialize, Deserialize)]
struct Figures {
    wall: u64,
    cpu: u64,
}

impl Bare {
    /// Runs the loop in a process of its own.
    pub(crate) async fn run(&self, cores: Option<Cores>) -> Result<Cost> {
        let mut command =
            Command::new(std::env::current_exe().context("cannot find this program's path")?);
        command.args(["bare", "--url", &self.url]);
        if let Some(authority) = &self.authority {
            command.arg("--authority").arg(authority);
        }
        let by = self.by.to_possible_value().context("the client has no name as an argument")?;
        command.args(["--by", by.get_name()]);
        for (name, value) in
            [("--in-flight", self.in_flight), ("--posts", self.posts), ("--warm-up", self.warm_up)]
        {
            command.arg(name).arg(value.to_string());
        }
        let mut process = Process::start(command, cores)?;
        let status = process.ended().await?;
        let output = process.log();
        ensure!(status.success(), "the bare loop failed ({status}): {output}");
        let figures: Figures =
            serde_json::from_str(&output).context("the bare loop printed no figures")?;
        Ok(Cost {
            wall: Duration::from_nanos(figures.wall),
            cpu: Duration::from_nanos(figures.cpu),
        })
    }

    /// Runs the loop in this process and prints its figures.
    pub(crate) fn work(&self) -> Result<()> {
        interrupt_nobody(std::process::id())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let figures = runtime.block_on(async {
            let url = EndpointUrl::parse(&self.url)?;
            match self.by {
                By::Reqwest => self.reqwest(&url).await,
                By::Signed => self.signed(&url).await,
                By::Guarded => self.guarded(&url).await,
            }
        })?;
        println!("{}", serde_json::to_string(&figures)?);
        Ok(())
    }

    async fn reqwest(&self, url: &EndpointUrl) -> Result<Figures> {
        let client = self.client()?;
        self.measure(async || send(client.post(url.as_url().clone())).await).await
    }

    async fn signed(&self, url: &EndpointUrl) -> Result<Figures> {
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

    async fn guarded(&self, url: &EndpointUrl) -> Result<Figures> {
        let (policy, tls) = (policy()?, guard::tls(self.authority.as_deref())?);
        let builder = guard::builder(policy.clone(), &resolve::system(), &tls);
        let client = builder.default_headers(headers()).build()?;
        let post = async || {
            policy.check_url(url)?;
            send(client.post(url.as_url().clone())).await
        };
        self.measure(post).await
    }

    async fn measure(&self, post: impl AsyncFn() -> Result<()>) -> Result<Figures> {
        self.repeat(&post, self.warm_up).await?;
        let own = std::process::id();
        let (begun, cpu) = (std::time::Instant::now(), cpu_time(own)?);
        self.repeat(&post, self.posts).await?;
        let nanos = |time: Duration| u64::try_from(time.as_nanos());
        let cpu = cpu_time(own)?.saturating_sub(cpu);
        Ok(Figures { wall: nanos(begun.elapsed())?, cpu: nanos(cpu)? })
    }

    async fn repeat(&self, post: &impl AsyncFn() -> Result<()>, times: usize) -> Result<()> {
        let posts = stream::iter(0..times).map(|_| post()).map(Ok);
        posts.try_buffer_unordered(self.in_flight).try_collect().await
    }

    /// reqwest with careful settings.
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

/// Allows loopback as a network, so that every check goes through the whole table of addresses.
fn policy() -> Result<EndpointPolicy> {
    let networks = ["127.0.0.0/8", "::1/128"].iter().map(|text| text.parse());
    let allowed_networks =
        networks.collect::<Result<_, _>>().context("cannot parse the loopback networks")?;
    Ok(EndpointPolicy { allow_http: true, allowed_networks, protected: Vec::new() })
}
