//! An endpoint that answers as it is told and keeps every request, byte for byte.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use webhooks::secret::SigningSecret;
use webhooks::signature;

use super::eventually;

/// An endpoint on loopback. Its server ends with the test's runtime.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When its last byte was read.
    pub at: Instant,
    /// Its path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    answer: Box<dyn Fn(usize) -> Answer + Send + Sync>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("arrivals", &self.arrivals).finish_non_exhaustive()
    }
}

/// What a receiver says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// How long it keeps the sender waiting.
    pub after: Duration,
    /// The `Location` header, if there is to be one.
    pub location: Option<String>,
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self { status, body: String::new(), after: Duration::ZERO, location: None }
    }
}

impl Receiver {
    /// An endpoint that answers 200.
    pub async fn start() -> Self {
        Self::answering(|_| 200.into()).await
    }

    /// An endpoint that answers request number n, from 1, with `answer(n)`.
    pub async fn answering(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared { arrivals: Mutex::default(), answer: Box::new(answer) });
        let app = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, shared }
    }

    /// The endpoint's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/docintel", self.port)
    }

    /// Every request so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().expect("no handler panics").clone()
    }

    /// The requests, once there are at least `count`.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        eventually(&format!("request {count} at the receiver"), async || {
            Some(self.arrivals()).filter(|arrivals| arrivals.len() >= count)
        })
        .await
    }
}

impl Arrival {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether the guide's receiver would accept it: the header against the HMAC of the raw body under
    /// the literal secret.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let secret =
            SigningSecret::parse(secret).expect("the API gives out secrets of the right form");
        signature::guide_matches(&secret, &self.body, self.header("X-DocIntell-Signature"))
    }

    /// Whether the official library of Standard Webhooks accepts it.
    pub fn passes_standard_webhooks(&self, secret: &str) -> bool {
        let verifier =
            standardwebhooks::Webhook::new(secret).expect("the secret has the standard's form");
        verifier.verify(&self.body, &self.headers).is_ok()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are JSON")
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let number = {
        let mut arrivals = shared.arrivals.lock().expect("no handler panics");
        arrivals.push(Arrival { at: Instant::now(), target: uri.to_string(), headers, body });
        arrivals.len()
    };
    let answer = (shared.answer)(number);
    sleep(answer.after).await;
    let location = answer.location.map(|url| HeaderValue::from_str(&url).expect("a URL is ASCII"));
    let headers = location.map(|url| (axum::http::header::LOCATION, url)).into_iter().collect();
    (StatusCode::from_u16(answer.status).expect("a test names real statuses"), headers, answer.body)
}
