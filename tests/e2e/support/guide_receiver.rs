//! The webhooks guide's own receiver, a Flask program that knows one secret.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use docintell::checkout::Checkout;
use docintell::local::python::{self, Purpose};
use docintell::progress::Progress;
use harness::eventually;

const FLASK: Purpose = Purpose {
    installing: "installing Flask for the guide's receiver",
    installed: "Flask installed",
};

/// A running receiver. Dropping it kills it. It also ends if this process is killed, because its standard input
/// closes.
#[derive(Debug)]
pub(crate) struct GuideReceiver {
    child: Child,
    stdin: ChildStdin,
    lines: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl GuideReceiver {
    /// Starts the receiver on a free port of 127.0.0.1. The first call installs Flask.
    pub(crate) async fn start(secret: &str) -> Self {
        let checkout = Checkout::find().expect("tests run in a checkout");
        let folder = checkout.root().join("tests/receivers");
        let requirements = folder.join("requirements.txt");
        let python = python::ensure_for(FLASK, &checkout, &requirements, Progress::Shown).await;
        let python = python.unwrap_or_else(|error| panic!("{error:?}"));
        let mut child = Command::new(python)
            .arg("-I")
            .arg(folder.join("guide.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                written.lock().expect("no thread panics while it holds the lock").push(line);
            }
        });
        let mut receiver = Self { child, stdin, lines, port: 0 };
        writeln!(&receiver.stdin, "{secret}").expect("the receiver runs");
        receiver.port = eventually("the guide's receiver to listen", async || {
            let lines = receiver.lines();
            lines.iter().find_map(|line| line.strip_prefix("listening ")?.parse().ok())
        })
        .await;
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/docintel", self.port)
    }

    /// Replaces the secret that the receiver knows, as a deployment of it would.
    pub(crate) async fn switch_to(&self, secret: &str) {
        let switches = || self.lines().iter().filter(|line| *line == "switched").count();
        let before = switches();
        writeln!(&self.stdin, "{secret}").expect("the receiver runs");
        eventually("the guide's receiver to switch", async || (switches() > before).then_some(()))
            .await;
    }

    /// The ids of the uploaded documents that the receiver has handled so far, with repetitions.
    pub(crate) fn uploads(&self) -> Vec<String> {
        let id = |line: String| line.strip_prefix("uploaded ").map(str::to_owned);
        self.lines().into_iter().filter_map(id).collect()
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no thread panics while it holds the lock").clone()
    }
}

impl Drop for GuideReceiver {
    fn drop(&mut self) {
        // Both fail if the receiver has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
