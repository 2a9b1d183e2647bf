//! Any call to AWS, by its name in boto3, for what the tests have no Rust client for.

use std::process::Stdio;

use docintell::checkout::Checkout;
use docintell::local::{StackInfo, python};
use docintell::progress::Progress;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// Answers one line of JSON with another one, until standard input closes.
const SERVE: &str = r#"
import boto3, functools, json, sys
endpoint, region = sys.argv[1:]
session = boto3.Session("test", "test", region_name=region)
client = functools.cache(lambda service: session.client(service, endpoint_url=endpoint))
for line in sys.stdin:
    service, operation, parameters = json.loads(line)
    answer = getattr(client(service), operation)(**parameters)
    print(json.dumps(answer, default=str), flush=True)
"#;

/// The emulated AWS of one stack, with all rights.
pub(crate) struct Boto {
    pipes: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _program: Child,
}

impl Boto {
    pub(crate) async fn of(info: &StackInfo) -> Self {
        let checkout = Checkout::find().expect("tests run in a checkout");
        let python = python::ensure(&checkout, Progress::Shown).await;
        let mut program = Command::new(python.expect("the Python environment can be set up"))
            .args(["-c", SERVE, &info.aws_endpoint_url, &info.region])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python can be started");
        let stdin = program.stdin.take().expect("it is piped");
        let stdout = BufReader::new(program.stdout.take().expect("it is piped")).lines();
        Self { pipes: Mutex::new((stdin, stdout)), _program: program }
    }

    /// Calls an operation such as `get_alias` of a service such as `lambda`; panics if AWS refuses it.
    pub(crate) async fn call(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let (stdin, stdout) = &mut *self.pipes.lock().await;
        let line = format!("{}\n", json!([service, operation, parameters]));
        stdin.write_all(line.as_bytes()).await.expect("Python reads");
        let answer = stdout.next_line().await.expect("Python writes text");
        let answer = answer.unwrap_or_else(|| panic!("{service} {operation} failed: {line}"));
        serde_json::from_str(&answer).expect("it writes JSON")
    }
}
