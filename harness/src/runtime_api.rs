//! The Lambda Runtime API for one bootstrap: it hands out events one at a time and receives the answers.
//!
//! The rule: it hands out queued events back to back, and matches an answer to its event by request id.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::USER_AGENT;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::lock;
use crate::server::{Answer, Server, answer};

/// The account in the function's ARN.
pub const ACCOUNT: &str = "123456789012";
pub const REQUEST_ID_PREFIX: &str = "8476a536-e9f4-11e8-9739";

/// The longest wait for a bootstrap to ask for an event; the machine may be busy.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Limit of the recorded calls that are not from the bootstrap's runtime.
const MAX_UNEXPECTED_CALLS: usize = 10;

const INVOCATIONS: &str = "/2018-06-01/runtime/invocation/";
const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";

#[derive(Debug)]
pub(crate) struct RuntimeApi {
    server: Server,
    queue: mpsc::UnboundedSender<Event>,
    state: Arc<State>,
}

/// An invocation that has ended.
#[derive(Debug)]
pub struct Invocation {
    /// Time from handing out the event to receiving the answer.
    pub took: Duration,
    /// The function's answer; `Err` is its error.
    pub answer: Result<Bytes, Bytes>,
}

/// Invokes a bootstrap as another function does, with its result or its error as the answer.
#[derive(Debug, Clone)]
pub struct Invoker {
    queue: mpsc::UnboundedSender<Event>,
    time_limit: Duration,
}

/// An invocation that is queued or running.
#[derive(Debug)]
pub(crate) struct Pending {
    time_limit: Duration,
    handed_out: oneshot::Receiver<()>,
    ended: oneshot::Receiver<Invocation>,
}

#[derive(Debug)]
struct Event {
    payload: Bytes,
    time_limit: Duration,
    handed_out: oneshot::Sender<()>,
    ended: oneshot::Sender<Invocation>,
}

#[derive(Debug)]
struct State {
    arn: String,
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    /// Notified when the bootstrap first asks for an event.
    ready: Mutex<Option<oneshot::Sender<Instant>>>,
    running: Mutex<Option<Running>>,
    number: AtomicU64,
    unexpected_calls: Mutex<Vec<String>>,
    start_error: Mutex<Option<StartError>>,
}

/// What a bootstrap that cannot start reports to Lambda.
#[derive(Debug, Clone)]
pub struct StartError {
    /// The header `Lambda-Runtime-Function-Error-Type`.
    pub category: String,
    pub body: Bytes,
}

/// The event that was handed out last.
#[derive(Debug)]
struct Running {
    id: String,
    since: Instant,
    ended: oneshot::Sender<Invocation>,
}

impl RuntimeApi {
    /// Starts an API for `function`; the channel gets the time of the first request for an event.
    pub(crate) async fn start(function: &str) -> (Self, oneshot::Receiver<Instant>) {
        let (queue, events) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let state = Arc::new(State {
            arn: format!("arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{function}"),
            events: events.into(),
            ready: Some(ready).into(),
            running: Mutex::default(),
            number: AtomicU64::new(0),
            unexpected_calls: Mutex::default(),
            start_error: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let server = Server::http(move |request| Arc::clone(&shared).answer(request)).await;
        (Self { server, queue, state }, is_ready)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Invokes the bootstrap with this time limit.
    pub(crate) fn invoker(&self, time_limit: Duration) -> Invoker {
        Invoker { queue: self.queue.clone(), time_limit }
    }

    /// Queues an event. Its time limit starts when the bootstrap takes it.
    pub(crate) fn invoke(&self, payload: Bytes, time_limit: Duration) -> Pending {
        self.invoker(time_limit).queue(payload)
    }

    /// The failed start that the bootstrap has reported.
    pub(crate) fn start_error(&self) -> Option<StartError> {
        lock(&self.state.start_error).clone()
    }

    /// Asserts that only the bootstrap's own runtime has connected.
    pub(crate) fn assert_nobody_else_called(&self) {
        let unexpected_calls = lock(&self.state.unexpected_calls);
        assert!(unexpected_calls.is_empty(), "the Runtime API was called: {unexpected_calls:?}");
        assert_eq!(self.server.connections(), 1, "the runtime uses one connection");
    }
}

impl Invoker {
    /// The function's answer; `Err` is its error, or Lambda's if the function does not answer.
    pub(crate) async fn invoke(&self, payload: Bytes) -> Result<Bytes, Bytes> {
        let ended = self.queue(payload).ended().await;
        let lost =
            |what| serde_json::json!({"errorType": "Sandbox.Timedout", "errorMessage": what});
        ended.map_err(|what| Bytes::from(lost(what).to_string()))?.answer
    }

    fn queue(&self, payload: Bytes) -> Pending {
        let ((handed_out, is_handed_out), (ended, has_ended)) =
            (oneshot::channel(), oneshot::channel());
        let time_limit = self.time_limit;
        let event = Event { payload, time_limit, handed_out, ended };
        // Fails if the API has stopped; `ended` says so.
        self.queue.send(event).ok();
        Pending { time_limit, handed_out: is_handed_out, ended: has_ended }
    }
}

impl Pending {
    /// Waits for the answer; an error says what is missing.
    pub(crate) async fn ended(self) -> Result<Invocation, String> {
        timeout(TIMEOUT, self.handed_out)
            .await
            .map_err(|_elapsed| "the bootstrap did not ask for an event".to_owned())?
            .map_err(|_lost| "the Runtime API has stopped".to_owned())?;
        let no_answer = || format!("no answer within {:?}", self.time_limit);
        timeout(self.time_limit, self.ended).await.ok().and_then(Result::ok).ok_or_else(no_answer)
    }
}

impl State {
    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Answer {
        if (request.method(), request.uri().path()) == (&Method::POST, INIT_ERROR) {
            return self.record_start_error(&request);
        }
        let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        if !agent.is_some_and(|agent| agent.starts_with("aws-lambda-rust/")) {
            self.record_unexpected_call(&request);
        }
        let path = request.uri().path();
        let Some(rest) = path.strip_prefix(INVOCATIONS) else {
            return answer(StatusCode::NOT_FOUND, "");
        };
        if rest == "next" {
            return self.next().await;
        }
        let status = match rest.split_once('/') {
            Some((id, "response")) => self.end(id, Ok(request.body().clone())),
            Some((id, "error")) => self.end(id, Err(request.body().clone())),
            _ => StatusCode::NOT_FOUND,
        };
        answer(status, "")
    }

    fn record_start_error(&self, request: &Request<Bytes>) -> Answer {
        let category = request.headers().get("lambda-runtime-function-error-type");
        let category = category.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let error = StartError { category: category.to_owned(), body: request.body().clone() };
        *lock(&self.start_error) = Some(error);
        answer(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
    }

    fn record_unexpected_call(&self, request: &Request<Bytes>) {
        let mut unexpected_calls = lock(&self.unexpected_calls);
        if unexpected_calls.len() < MAX_UNEXPECTED_CALLS {
            unexpected_calls.push(format!("{} {}", request.method(), request.uri()));
        }
    }

    /// Waits for the next event.
    async fn next(&self) -> Answer {
        if let Some(ready) = lock(&self.ready).take() {
            // Fails if nobody waits for it.
            ready.send(Instant::now()).ok();
        }
        let Some(event) = self.events.lock().await.recv().await else {
            return answer(StatusCode::GONE, "");
        };
        let id = format!("{REQUEST_ID_PREFIX}-{:012}", self.number.fetch_add(1, Ordering::Relaxed));
        let deadline =
            (SystemTime::now() + event.time_limit).duration_since(SystemTime::UNIX_EPOCH);
        let answer = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &id)
            .header(
                "lambda-runtime-deadline-ms",
                deadline.unwrap_or_default().as_millis().to_string(),
            )
            .header("lambda-runtime-invoked-function-arn", &self.arn)
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
            .body(Full::new(event.payload))
            .expect("every header is ASCII");
        // Fails if the caller has stopped waiting.
        event.handed_out.send(()).ok();
        let running = Running { id, since: Instant::now(), ended: event.ended };
        *lock(&self.running) = Some(running);
        answer
    }

    fn end(&self, id: &str, answer: Result<Bytes, Bytes>) -> StatusCode {
        let Some(running) = lock(&self.running).take_if(|it| it.id == id) else {
            return StatusCode::NOT_FOUND;
        };
        let invocation = Invocation { took: running.since.elapsed(), answer };
        running.ended.send(invocation).map_or(StatusCode::GONE, |()| StatusCode::ACCEPTED)
    }
}
