//! The bare loop that the sender is measured against: the same posts by reqwest, as most would write it, and
//! nothing else. No event, no webhook, no signature, no log. On the sender's own connections, with the guard and
//! without it, it shows what the guard costs.
//!
//! The rule: what it sends has the size of a delivery, and it runs as a process of its own, pinned like
//! the sender, so that both are measured alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Client;
use reqwest::redirect::Policy;
use sender::guard;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use webhooks::connections::{Connections, connector};
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
    /// Through what it posts.
    #[arg(long)]
    pub by: By,
}

/// What carries the posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// reqwest, as a careful user would set it up.
    Reqwest,
    /// The sender's connections without their guard.
    Connections,
    /// The sender's connections; its guard judges each URL and every address.
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
    pub async fn run(&self, cores: Option<Cores>) -> Result<Cost> {
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
        let words = Process::start(command, cores)?.ended().await?;
        let told: Told = serde_json::from_str(&words).context("the bare loop told no figures")?;
        Ok(Cost { wall: Duration::from_nanos(told.wall), cpu: Duration::from_nanos(told.cpu) })
    }

    /// Runs it in this process and prints the figures.
    pub fn work(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let told = runtime.block_on(async {
            let policy = Arc::new(policy()?);
            let url = EndpointUrl::parse(&self.url)?;
            let authority = self.authority.as_deref();
            match self.by {
                By::Reqwest => {
                    let client = client(authority)?;
                    let post = async || {
                        let request = client.post(url.as_url().clone()).body(BODY);
                        let response = request.send().await?;
                        ensure!(
                            response.status().is_success(),
                            "the endpoint answered {response:?}"
                        );
                        response.bytes().await?;
                        Ok(())
                    };
                    self.measure(post).await
                }
                By::Connections => {
                    let tls = Arc::new(guard::tls(authority)?);
                    let connections = Connections::new(connector(HttpConnector::new(), tls));
                    let request = request(&url)?;
                    self.measure(async || send(&connections, request.clone()).await).await
                }
                By::Guarded => {
                    let lookup = resolve::system();
                    let connections = guard::connections(Arc::clone(&policy), lookup, authority)?;
                    let request = request(&url)?;
                    let post = async || {
                        policy.check_url(&url)?;
                        send(&connections, request.clone()).await
                    };
                    self.measure(post).await
                }
            }
        })?;
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    }

    async fn measure(&self, post: impl AsyncFn() -> Result<()>) -> Result<Told> {
        self.post(&post, self.warm_up).await?;
        let (begun, cpu) = (std::time::Instant::now(), cpu_time()?);
        self.post(&post, self.posts).await?;
        let nanos = |time: Duration| u64::try_from(time.as_nanos());
        let cpu = cpu_time()?.saturating_sub(cpu);
        Ok(Told { wall: nanos(begun.elapsed())?, cpu: nanos(cpu)? })
    }

    async fn post(&self, post: &impl AsyncFn() -> Result<()>, posts: usize) -> Result<()> {
        let posts = stream::iter(0..posts).map(|_| post()).map(Ok);
        posts.try_buffer_unordered(self.in_flight).try_collect().await
    }
}

/// reqwest as a careful user would set it up.
fn client(authority: Option<&Path>) -> Result<Client> {
    Ok(Client::builder()
        .tls_backend_preconfigured(guard::tls(authority)?)
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .default_headers(headers())
        .build()?)
}

/// What is posted, for those who set every header themselves.
fn request(url: &EndpointUrl) -> Result<Request<Bytes>> {
    let uri = url.as_uri();
    let host = uri.authority().context("the URL has no host")?.as_str();
    let mut request = Request::post(uri).body(Bytes::from_static(BODY.as_bytes()))?;
    *request.headers_mut() = headers();
    request.headers_mut().insert(HOST, HeaderValue::from_str(host)?);
    Ok(request)
}

async fn send(connections: &Connections, request: Request<Bytes>) -> Result<()> {
    let response = connections.send(request).await?;
    ensure!(response.status().is_success(), "the endpoint answered {response:?}");
    response.body(usize::MAX).await?;
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

/// Processor time of this process so far, all threads.
fn cpu_time() -> Result<Duration> {
    crate::process::cpu_time(std::process::id())
}
