//! Receives requests, checks them, answers, and hands each one over to be shown.
//!
//! The rule: a request is shown even if its sender no longer waits for the answer.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use webhooks::secret::SigningSecret;
use webhooks::timestamp::Timestamp;

use super::answer::Answers;
use super::check::{Checks, check};
use super::forward::Forward;
use super::received::Received;
use crate::output;

/// Maximum bytes of a body; the largest event has 64 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// A request with the answer that it gets.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) received: Received,
    /// Number of this request among those of its delivery, from 1.
    pub(crate) number: usize,
    pub(crate) checks: Checks,
    pub(crate) status: StatusCode,
    /// Time until the answer.
    pub(crate) delay: Duration,
    pub(crate) forwarded: Option<Forwarded>,
}

/// A request that was passed on.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) url: String,
    /// Why there was no answer.
    pub(crate) error: Option<String>,
}

/// What the server does with requests.
#[derive(Debug)]
pub(crate) struct Behaviour {
    /// Changes when the local stack restarts.
    pub(crate) secret: watch::Receiver<SigningSecret>,
    pub(crate) answers: Answers,
    pub(crate) forward: Option<Forward>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    /// Requests so far, by delivery.
    counts: Mutex<HashMap<Option<String>, usize>>,
    handled: mpsc::UnboundedSender<Handled>,
}

/// A socket on 127.0.0.1 that does not answer yet.
#[derive(Debug)]
pub(crate) struct Socket(TcpListener);

/// Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Server(JoinHandle<()>);

impl Socket {
    /// Port 0 picks a free one.
    pub(crate) async fn bind(port: u16) -> Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| {
            format!(
                "cannot listen on port {port} of 127.0.0.1 (choose another one with --port; 0 picks a free one)"
            )
        })?;
        Ok(Self(socket))
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        self.0.local_addr().context("the socket has no address")
    }

    /// Starts to answer; each request that was handled is sent to `handled`.
    pub(crate) fn serve(
        self,
        behaviour: Behaviour,
        handled: mpsc::UnboundedSender<Handled>,
    ) -> Server {
        let shared = Arc::new(Shared { behaviour, counts: Mutex::default(), handled });
        let app = Router::new().fallback(receive).with_state(shared);
        Server(tokio::spawn(async move {
            if let Err(error) = axum::serve(self.0, app).await {
                output::note(format_args!("the server has stopped: {error}"));
            }
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The server drops this future if the sender closes the connection, so a task of its own does the work.
async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answered = tokio::spawn(answer(shared, request)).await;
    answered.unwrap_or_else(|_panicked| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn answer(shared: Arc<Shared>, request: Request) -> Response {
    let (begun, at) = (Instant::now(), Timestamp::now());
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        output::note(format_args!(
            "A body was longer than {MAX_BODY} bytes or ended early: no delivery. Answered 413."
        ));
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let (method, headers) = (head.method, head.headers);
    let received = Received { at, method, target, headers, body };
    let Behaviour { secret, answers, forward } = &shared.behaviour;
    let secret = secret.borrow().clone();
    let checks = check(&secret, &received, at);
    let number = shared.count(&received);
    let (response, forwarded) = match forward {
        None => (own(answers.status(number, checks.are_valid())), None),
        Some(forward) => passed_on(forward, &received).await,
    };
    let until = begun + begun.elapsed().max(answers.delay);
    let (status, delay) = (response.status(), until - begun);
    let handled = Handled { received, number, checks, status, delay, forwarded };
    // Fails only after the command has ended.
    shared.handled.send(handled).ok();
    sleep(until.duration_since(Instant::now())).await;
    response
}

impl Shared {
    fn count(&self, received: &Received) -> usize {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(received.header("x-docintell-delivery")).or_default();
        *count += 1;
        *count
    }
}

fn own(status: StatusCode) -> Response {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return status.into_response();
    }
    let body = if status.is_success() {
        json!({"status": "ok"})
    } else {
        json!({"error": format!("docintell listen answers {}", status.as_u16())})
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn passed_on(forward: &Forward, received: &Received) -> (Response, Option<Forwarded>) {
    let url = forward.url().to_string();
    match forward.send(received).await {
        Ok(answer) => {
            let mut response = Response::new(Body::from(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            (response, Some(Forwarded { url, error: None }))
        }
        Err(error) => {
            let error = Some(format!("{error:#}"));
            (StatusCode::BAD_GATEWAY.into_response(), Some(Forwarded { url, error }))
        }
    }
}
