//! A local test receiver that verifies each delivery.
//!
//! The rule: a request without a valid signature gets a 401.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webhooks::id::DeliveryId;
use webhooks::secret::SigningSecret;
use webhooks::signature;

use crate::output;

/// The path of the example endpoint in the public webhook guide.
const PATH: &str = "/webhooks/docintel";

/// A receiver on 127.0.0.1. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    secret: OnceLock<SigningSecret>,
    /// Answers every request with 503.
    is_out_of_order: AtomicBool,
    /// By `X-DocIntell-Delivery`: whether the last request had a valid signature.
    verified: Mutex<HashMap<String, bool>>,
}

impl Shared {
    fn verified(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Listens on `port` of 127.0.0.1; 0 picks a free one.
    pub(super) async fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("the receiver cannot listen on port {port} of 127.0.0.1"))?;
        let address = listener.local_addr().context("the receiver has no address")?;
        let shared = Arc::<Shared>::default();
        let app = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                output::note(format_args!("The receiver has stopped: {error}"));
            }
        });
        Ok(Self { address, shared, server })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Sets the secret that verifies deliveries. Without a secret, every request gets a 401.
    pub(super) fn trust(&self, secret: SigningSecret) -> Result<()> {
        match self.shared.secret.set(secret) {
            Ok(()) => Ok(()),
            Err(_) => bail!("the receiver already has a secret: start another receiver"),
        }
    }

    /// While out of order, the receiver answers every request with 503.
    pub(super) fn set_out_of_order(&self, is_out_of_order: bool) {
        self.shared.is_out_of_order.store(is_out_of_order, Ordering::Relaxed);
    }

    /// Whether the delivery's last request had a valid signature; `None` without a request.
    pub(super) fn has_verified(&self, delivery: DeliveryId) -> Option<bool> {
        self.shared.verified().get(&delivery.to_string()).copied()
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
    if shared.is_out_of_order.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "Out of order"})));
    }
    let header = |name| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let verified = shared.secret.get().is_some_and(|secret| {
        signature::guide_matches(secret, &body, &header("x-docintell-signature"))
    });
    shared.verified().insert(header("x-docintell-delivery"), verified);
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
    const DELIVERY: &str = "019ae3c0-0000-7000-8000-000000000001";

    async fn post(receiver: &Receiver, signature: &str) -> u16 {
        loopback_client()
            .unwrap()
            .post(receiver.url())
            .header("X-DocIntell-Signature", signature)
            .header("X-DocIntell-Delivery", DELIVERY)
            .body(BODY)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    #[tokio::test]
    async fn a_valid_signature_gets_200_and_a_wrong_one_401() {
        let receiver = Receiver::start(0).await.unwrap();
        let delivery = DELIVERY.parse().unwrap();
        let secret = SigningSecret::generate().unwrap();
        receiver.trust(secret.clone()).unwrap();
        assert_eq!(receiver.has_verified(delivery), None);
        assert_eq!(post(&receiver, &signature::guide(&secret, b"another body")).await, 401);
        assert_eq!(receiver.has_verified(delivery), Some(false));
        assert_eq!(post(&receiver, &signature::guide(&secret, BODY.as_bytes())).await, 200);
        assert_eq!(receiver.has_verified(delivery), Some(true));
    }

    #[tokio::test]
    async fn a_receiver_that_is_out_of_order_answers_503() {
        let receiver = Receiver::start(0).await.unwrap();
        let secret = SigningSecret::generate().unwrap();
        receiver.trust(secret.clone()).unwrap();
        let signature = signature::guide(&secret, BODY.as_bytes());
        receiver.set_out_of_order(true);
        assert_eq!(post(&receiver, &signature).await, 503);
        receiver.set_out_of_order(false);
        assert_eq!(post(&receiver, &signature).await, 200);
    }

    #[tokio::test]
    async fn a_receiver_without_a_secret_answers_401() {
        let receiver = Receiver::start(0).await.unwrap();
        let secret = SigningSecret::generate().unwrap();
        assert_eq!(post(&receiver, &signature::guide(&secret, BODY.as_bytes())).await, 401);
    }
}
