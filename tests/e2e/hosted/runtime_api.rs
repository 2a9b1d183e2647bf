//! A Lambda Runtime API of the test's own, and a real bootstrap that works for it.
//!
//! The rule: the bootstrap knows the environment it is given and nothing else, and does not outlive the
//! test: it is killed when its host is dropped, and ends by itself when the connection it waits on does.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use docintell::checkout::Checkout;
use docintell::local::build::{self, Binary, Profile};
use docintell::progress::Progress;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::output::end;

/// The account, in the ARN that the bootstrap is told.
pub const ACCOUNT: &str = "123456789012";
/// How every invocation's request id begins.
pub const REQUEST_ID_PREFIX: &str = "8476a536-e9f4-11e8-9739";

/// Bootstraps that run at once, whatever the number of tests: the functions give their AWS calls a
/// second each, which holds only while there is some processor for everyone.
pub static PLACES: Semaphore = Semaphore::const_new(4);

/// How long a bootstrap may take to ask for an invocation, and to end, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_mins(1);

const VERSION: &str = "/2018-06-01/runtime";

/// A bootstrap that takes invocations.
#[derive(Debug)]
pub struct Hosted {
    function: &'static str,
    /// Killed when dropped.
    bootstrap: Child,
    api: Arc<RuntimeApi>,
    address: SocketAddr,
    server: JoinHandle<()>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    _place: SemaphorePermit<'static>,
}

#[derive(Debug)]
struct RuntimeApi {
    function_arn: HeaderValue,
    queue: mpsc::UnboundedSender<Invocation>,
    invocations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Result<Value, Value>>>>,
    begun: AtomicUsize,
    connections: Arc<AtomicUsize>,
    strangers: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    time_limit: Duration,
    payload: Value,
    handed_out: oneshot::Sender<()>,
}

impl Hosted {
    /// Starts the bootstrap of `function` with `environment` and what Lambda itself sets.
    pub async fn start(function: &'static str, environment: &[(&'static str, String)]) -> Self {
        let place = PLACES.acquire().await.expect("it is never closed");
        let program = bootstrap(function).await;
        let connections = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let listener = listener.tap_io({
            let connections = Arc::clone(&connections);
            move |_| {
                connections.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (queue, invocations) = mpsc::unbounded_channel();
        let arn = format!("arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{function}");
        let api = Arc::new(RuntimeApi {
            function_arn: HeaderValue::from_str(&arn).expect("an ARN is ASCII"),
            queue,
            invocations: invocations.into(),
            waiting: Mutex::default(),
            begun: AtomicUsize::new(0),
            connections,
            strangers: Mutex::default(),
        });
        let app = router(&api);
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the Runtime API serves until it is dropped");
        });
        let mut bootstrap = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the bootstrap can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(bootstrap.stdout.take().expect("it is piped"), &log),
            collect(bootstrap.stderr.take().expect("it is piped"), &log),
        ];
        Self { function, bootstrap, api, address, server, log, readers, _place: place }
    }

    /// What the function answers to `payload`, `Err` being its error, with the time of template.yaml.
    pub async fn invoke(&self, payload: Value) -> Result<Value, Value> {
        let seconds = if self.function == "sender" { 20 } else { 30 };
        self.invoke_within(Duration::from_secs(seconds), payload).await
    }

    /// The same with another time limit, which begins when the bootstrap takes the invocation; panics when it is
    /// over, as Lambda would end the function.
    pub async fn invoke_within(
        &self,
        time_limit: Duration,
        payload: Value,
    ) -> Result<Value, Value> {
        let number = self.api.begun.fetch_add(1, Ordering::SeqCst);
        let id = format!("{REQUEST_ID_PREFIX}-{number:012}");
        let (sender, answer) = oneshot::channel();
        self.api.waiting.lock().expect("no handler panics").insert(id.clone(), sender);
        let (handed_out, is_handed_out) = oneshot::channel();
        let invocation = Invocation { id, time_limit, payload, handed_out };
        self.api.queue.send(invocation).expect("the Runtime API is up");
        match timeout(PATIENCE, is_handed_out).await {
            Ok(handed_out) => handed_out.expect("it is handed out before it is forgotten"),
            Err(_elapsed) => self.give_up("the bootstrap asks for no invocation"),
        }
        let answer = timeout(time_limit, answer)
            .await
            .unwrap_or_else(|_elapsed| self.give_up(&format!("no answer within {time_limit:?}")));
        answer.expect("it is answered before it is forgotten")
    }

    fn give_up(&self, what: &str) -> ! {
        panic!("{what}; the log ends with\n{}", end(&self.log()))
    }

    /// Where the Runtime API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asserts that nothing but the bootstrap's own runtime has ever connected to the Runtime API.
    pub fn assert_nobody_else_called(&self) {
        let strangers = self.api.strangers.lock().expect("no handler panics");
        assert!(strangers.is_empty(), "the Runtime API was called: {strangers:?}");
        let connections = self.api.connections.load(Ordering::SeqCst);
        assert_eq!(connections, 1, "the runtime keeps to one connection");
    }

    /// A figure of the process in `/proc/<pid>/status`, such as `VmRSS`, in KiB.
    pub fn memory_kib(&self, figure: &str) -> u64 {
        let pid = self.bootstrap.id().expect("the bootstrap runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).expect("it is there");
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("it is a number")
    }

    /// What the bootstrap has written so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Ends the bootstrap; everything it has written.
    pub async fn finish(mut self) -> String {
        self.bootstrap.start_kill().expect("it can be killed");
        self.ended().await
    }

    /// Waits for the bootstrap to end by itself; everything it has written.
    pub async fn ended(&mut self) -> String {
        timeout(PATIENCE, self.bootstrap.wait())
            .await
            .expect("it ends")
            .expect("it can be waited for");
        for reader in self.readers.drain(..) {
            reader.await.expect("no reader panics");
        }
        self.log()
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A function's binary, which is built first.
pub async fn bootstrap(function: &str) -> &'static Path {
    static BINARIES: tokio::sync::OnceCell<Vec<Binary>> = tokio::sync::OnceCell::const_new();
    let built = BINARIES
        .get_or_try_init(async || {
            let checkout = Checkout::find()?;
            build::functions(&checkout, Profile::of_this_program(), Progress::Shown).await
        })
        .await
        .unwrap_or_else(|error| panic!("the functions cannot be built: {error:?}"));
    &built.iter().find(|binary| binary.name == function).expect("it is a function's name").path
}

fn router(api: &Arc<RuntimeApi>) -> Router {
    Router::new()
        .route(&format!("{VERSION}/invocation/next"), get(next))
        .route(&format!("{VERSION}/invocation/{{id}}/response"), post(response))
        .route(&format!("{VERSION}/invocation/{{id}}/error"), post(error))
        .layer(from_fn_with_state(Arc::clone(api), note_strangers))
        .with_state(Arc::clone(api))
}

/// The next invocation, once there is one.
async fn next(State(api): State<Arc<RuntimeApi>>) -> (HeaderMap, Json<Value>) {
    let mut invocations = api.invocations.lock().await;
    let invocation = invocations.recv().await.expect("its sender is in the same struct");
    let deadline = SystemTime::now() + invocation.time_limit;
    // Whoever asked may have given up.
    invocation.handed_out.send(()).ok();
    let since_epoch = deadline.duration_since(SystemTime::UNIX_EPOCH);
    let deadline = since_epoch.expect("it is later").as_millis().to_string();
    let header = |name, value: &str| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("it is ASCII"))
    };
    let mut headers = HeaderMap::from_iter([
        header("lambda-runtime-aws-request-id", &invocation.id),
        header("lambda-runtime-deadline-ms", &deadline),
        header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
    ]);
    headers.insert("lambda-runtime-invoked-function-arn", api.function_arn.clone());
    (headers, Json(invocation.payload))
}

async fn response(
    State(api): State<Arc<RuntimeApi>>,
    axum::extract::Path(id): axum::extract::Path<String>,
    body: Bytes,
) -> StatusCode {
    api.answer(&id, Ok(serde_json::from_slice(&body).expect("an answer is JSON")))
}

async fn error(
    State(api): State<Arc<RuntimeApi>>,
    axum::extract::Path(id): axum::extract::Path<String>,
    body: Bytes,
) -> StatusCode {
    api.answer(&id, Err(serde_json::from_slice(&body).expect("an error is JSON")))
}

impl RuntimeApi {
    fn answer(&self, id: &str, answer: Result<Value, Value>) -> StatusCode {
        match self.waiting.lock().expect("no handler panics").remove(id) {
            // Whoever asked may have given up.
            Some(waiting) => {
                waiting.send(answer).map_or(StatusCode::GONE, |()| StatusCode::ACCEPTED)
            }
            None => StatusCode::NOT_FOUND,
        }
    }
}

/// Keeps every request that the bootstrap's runtime did not make.
async fn note_strangers(
    State(api): State<Arc<RuntimeApi>>,
    request: Request,
    next: Next,
) -> Response {
    let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    if !agent.is_some_and(|agent| agent.starts_with("aws-lambda-rust/")) {
        let line = format!("{} {}", request.method(), request.uri());
        api.strangers.lock().expect("no handler panics").push(line);
    }
    next.run(request).await
}

/// Reads a child's output to its end, on a task of its own.
fn collect(
    mut output: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    log: &Arc<Mutex<String>>,
) -> JoinHandle<()> {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..read]);
            log.lock().expect("no reader panics").push_str(&text);
        }
    })
}
