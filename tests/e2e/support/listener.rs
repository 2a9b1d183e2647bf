//! A running `docintell listen`, started by the developer of a tenant.

use std::process::Command;
use std::sync::{Arc, Mutex};

use harness::eventually;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::operator::Operator;
use super::tenant::Tenant;
use super::world::World;

/// A developer who works on one tenant's webhooks, in a checkout of their own.
pub(crate) struct Developer(Operator);

/// A running command. Dropping it kills it.
pub(crate) struct Listener {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    /// Reads standard output.
    reader: JoinHandle<()>,
    noted: Arc<Mutex<Vec<String>>>,
    /// Without a path.
    pub url: String,
}

impl Developer {
    pub(crate) fn of(tenant: &Tenant) -> Self {
        let mut info = World::get().info().clone();
        info.tenant_id = tenant.id;
        info.api_key.clone_from(&tenant.key);
        Self(Operator::of_stack(&info))
    }

    /// As if the stack had stopped.
    pub(crate) fn stop_stack(&self) {
        self.0.forget();
    }

    /// As if the stack had been started again: this tenant is the new one's.
    pub(crate) fn start_stack(&mut self, tenant: &Tenant) {
        self.0.info.tenant_id = tenant.id;
        self.0.info.api_key.clone_from(&tenant.key);
        self.0.save();
    }

    /// Runs `docintell listen` on a free port, with these words, and waits until it listens.
    pub(crate) async fn listen(&self, arguments: &[&str]) -> Listener {
        let mut child = self.0.start(&[&["listen", "--port", "0"], arguments].concat()).await;
        let (printed, reader) = lines(child.stdout.take().expect("it is piped"));
        let (noted, _) = lines(child.stderr.take().expect("it is piped"));
        let mut listener = Listener { child, printed, reader, noted, url: String::new() };
        listener.url = eventually("the listener to listen", async || {
            let noted = listener.noted();
            let (_, url) = noted.split_once("Listening on ")?;
            Some(url.split_once(". ")?.0.to_owned())
        })
        .await;
        if let Some(secret) = listener.own_secret() {
            World::get().keep_secret(&secret);
        }
        listener
    }
}

impl Listener {
    /// Standard error so far.
    pub(crate) fn noted(&self) -> String {
        text(&self.noted)
    }

    /// Standard output so far.
    pub(crate) fn printed(&self) -> String {
        text(&self.printed)
    }

    /// The id of the webhook that it has registered.
    pub(crate) fn webhook_id(&self) -> String {
        let noted = self.noted();
        let (_, after) = noted.split_once("Webhook ").expect("it has registered a webhook");
        after.split(' ').next().expect("there is a first word").to_owned()
    }

    fn own_secret(&self) -> Option<String> {
        let noted = self.noted();
        let (_, after) = noted.split_once("Its signing secret is ")?;
        after.lines().next().map(str::to_owned)
    }

    /// The first requests that it has shown, at least so many. Needs `--json`.
    pub(crate) async fn requests(&self, count: usize) -> Vec<Value> {
        let lines = eventually(&format!("{count} requests at the listener"), async || {
            let lines = self.printed.lock().expect("no thread panics with the lock").clone();
            (lines.len() >= count).then_some(lines)
        })
        .await;
        let parse = |line: &String| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))
        };
        lines.iter().map(parse).collect()
    }

    /// Sends Ctrl-C and waits for the end; returns the exit code and standard error.
    pub(crate) async fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().expect("it runs").to_string();
        let kill = Command::new("kill").args(["-INT", &id]).status();
        assert!(kill.expect("kill can be started").success());
        let status = self.child.wait().await.expect("it ends");
        eventually("the listener's last note", async || {
            Some(()).filter(|()| status.code() != Some(0) || self.noted().contains(" removed"))
        })
        .await;
        (status.code(), self.noted())
    }

    /// Closes the pipe that it prints to, and waits for the end, which the next request brings; returns the exit code.
    pub(crate) async fn close(mut self, cause: impl AsyncFnOnce()) -> Option<i32> {
        self.reader.abort();
        drop(self.reader.await);
        cause().await;
        self.child.wait().await.expect("it ends").code()
    }

    /// Kills it, so that it cannot clean up.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

fn lines(
    stream: impl AsyncRead + Unpin + Send + 'static,
) -> (Arc<Mutex<Vec<String>>>, JoinHandle<()>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let read = Arc::clone(&lines);
    let reader = tokio::spawn(async move {
        let mut stream = BufReader::new(stream).lines();
        while let Ok(Some(line)) = stream.next_line().await {
            read.lock().expect("no thread panics with the lock").push(line);
        }
    });
    (lines, reader)
}

fn text(lines: &Mutex<Vec<String>>) -> String {
    let lines = lines.lock().expect("no thread panics with the lock");
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}
