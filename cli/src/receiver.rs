//! An endpoint of one's own: it verifies each delivery as the guide's receiver does, and passes it on.
//!
//! The rule: what does not carry the right signature is answered 401, and is still shown.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use webhooks::secret::SigningSecret;
use webhooks::signature;
use webhooks::timestamp::Timestamp;

/// A receiver on loopback; it answers until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    server: JoinHandle<()>,
}

/// One delivery that has arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When its last byte was read.
    pub at: Timestamp,
    /// The value of `X-DocIntell-Event`.
    pub event: String,
    /// How often this delivery has arrived, this time included.
    pub attempt: u32,
    /// Whether its signature is that of the trusted secret over its body.
    pub verified: bool,
    /// What was sent.
    pub body: Bytes,
}

#[derive(Debug)]
struct Shared {
    secret: OnceLock<SigningSecret>,
    attempts: Mutex<HashMap<String, u32>>,
    sender: mpsc::UnboundedSender<Arrival>,
}

impl Receiver {
    /// Listens on `port` of 127.0.0.1; 0 takes any free one.
    pub async fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("the receiver cannot listen on port {port} of 127.0.0.1"))?;
        let address = listener.local_addr().context("the receiver has no address")?;
        let (sender, arrivals) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            secret: OnceLock::new(),
            attempts: Mutex::new(HashMap::new()),
            sender,
        });
        let app = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("The receiver has stopped: {error}");
            }
        });
        Ok(Self { address, shared, arrivals, server })
    }

    /// Where deliveries are to be posted.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/webhooks/docintel", self.address)
    }

    /// The secret that deliveries are verified with. Before there is one, none is verified.
    pub fn trust(&self, secret: SigningSecret) -> Result<()> {
        match self.shared.secret.set(secret) {
            Ok(()) => Ok(()),
            Err(_) => bail!("the receiver has a secret already: start another receiver"),
        }
    }

    /// The next delivery.
    pub async fn next(&mut self) -> Result<Arrival> {
        self.arrivals.recv().await.context("the receiver has stopped")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let at = Timestamp::now();
    let header = |name| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let verified = shared.secret.get().is_some_and(|secret| {
        signature::guide_matches(secret, &body, &header("x-docintell-signature"))
    });
    let attempt = {
        let mut attempts = shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(header("x-docintell-delivery")).or_default();
        *count += 1;
        *count
    };
    let arrival = Arrival { at, event: header("x-docintell-event"), attempt, verified, body };
    if shared.sender.send(arrival).is_err() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"error": "The receiver is stopping"})),
        );
    }
    if verified {
        (StatusCode::OK, Json(json!({"status": "ok"})))
    } else {
        (StatusCode::UNAUTHORIZED, Json(json!({"error": "Invalid signature"})))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::loopback_client;

    const BODY: &str = r#"{"event":"document.uploaded"}"#;

    async fn post(receiver: &Receiver, signature: &str) -> u16 {
        loopback_client()
            .unwrap()
            .post(receiver.url())
            .header("X-DocIntell-Signature", signature)
            .header("X-DocIntell-Event", "document.uploaded")
            .header("X-DocIntell-Delivery", "1")
            .body(BODY)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    #[tokio::test]
    async fn a_right_signature_is_accepted_and_attempts_are_counted() {
        let mut receiver = Receiver::start(0).await.unwrap();
        let secret = SigningSecret::generate().unwrap();
        receiver.trust(secret.clone()).unwrap();
        assert_eq!(post(&receiver, &signature::guide(&secret, b"another body")).await, 401);
        assert_eq!(post(&receiver, &signature::guide(&secret, BODY.as_bytes())).await, 200);
        let (first, second) = (receiver.next().await.unwrap(), receiver.next().await.unwrap());
        assert_eq!((first.attempt, first.verified), (1, false));
        assert_eq!((second.attempt, second.verified), (2, true));
        assert_eq!(
            (second.event.as_str(), &second.body[..]),
            ("document.uploaded", BODY.as_bytes())
        );
    }

    #[tokio::test]
    async fn nothing_is_verified_before_there_is_a_secret() {
        let receiver = Receiver::start(0).await.unwrap();
        let secret = SigningSecret::generate().unwrap();
        assert_eq!(post(&receiver, &signature::guide(&secret, BODY.as_bytes())).await, 401);
    }
}
