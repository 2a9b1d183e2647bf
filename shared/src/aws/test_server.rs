//! An AWS server for unit tests. It returns the given responses in order and records the requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::Credentials;
use aws_types::SdkConfig;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::config_for;

/// Status, extra headers and body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Value);

/// A server that runs as long as the test's runtime.
#[derive(Debug)]
pub(crate) struct TestServer {
    pub endpoint: String,
    account: Arc<Mutex<Account>>,
}

#[derive(Debug)]
struct Account {
    answers: Vec<Answer>,
    latency: Duration,
    received: Vec<Received>,
    connections: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub body: Value,
}

/// An error response of DynamoDB.
pub(crate) fn refusal(status: u16, code: &str) -> Answer {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let id = ("x-amzn-requestid", "REQUEST".to_owned());
    (status, vec![id], serde_json::json!({"__type": kind, "message": "the test asks for it"}))
}

/// A successful response of DynamoDB.
pub(crate) fn success(body: Value) -> Answer {
    (200, Vec::new(), body)
}

pub(crate) fn credentials() -> Credentials {
    let token = Some("a session's token".to_owned());
    Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", token, None, "test")
}

impl TestServer {
    /// Returns these responses; the last one repeats forever.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_slow(Duration::ZERO, answers).await
    }

    /// Like [`Self::start`], but each response takes this long.
    pub(crate) async fn start_slow(
        latency: Duration,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.into_iter().collect();
        let account = Account { answers, latency, received: Vec::new(), connections: 0 };
        let account = Arc::new(Mutex::new(account));
        tokio::spawn(serve(listener, Arc::clone(&account)));
        Self { endpoint, account }
    }

    /// An SDK configuration that calls this server.
    pub(crate) fn sdk(&self) -> SdkConfig {
        config_for("eu-central-1".to_owned(), credentials(), Some(self.endpoint.clone()))
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.account.lock().unwrap().received.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.account.lock().unwrap().connections
    }
}

async fn serve(listener: TcpListener, account: Arc<Mutex<Account>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        account.lock().unwrap().connections += 1;
        let account = Arc::clone(&account);
        let service = service_fn(move |request| answer(request, Arc::clone(&account)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    account: Arc<Mutex<Account>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    let latency = account.lock().unwrap().latency;
    sleep(latency).await;
    let mut account = account.lock().unwrap();
    account.received.push(Received { headers: head.headers, bytes, body });
    let at = account.received.len().min(account.answers.len()) - 1;
    let (status, headers, body) = account.answers[at].clone();
    let response = headers
        .into_iter()
        .fold(Response::builder().status(status), |it, (name, value)| it.header(name, value));
    Ok(response.body(Full::from(body.to_string())).unwrap())
}
