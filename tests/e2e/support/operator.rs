//! An operator who works with `docintell` on the deployed stack, but on a dead-letter queue and a queue for faults of
//! their own.
//!
//! The rule: the real queues are emptied into memory ([`World`]); a test parks what it found there for its operator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use docintell::checkout::Checkout;
use docintell::local::{StackInfo, build};
use docintell::progress::Progress;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use super::job;
use super::world::{Parked, World};

pub(crate) struct Operator {
    /// Looks like a checkout with a running stack.
    folder: PathBuf,
    pub info: StackInfo,
    sqs: aws_sdk_sqs::Client,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: Option<i32>,
    /// Standard output.
    pub printed: String,
    /// Standard error without the lines that show how long a slow task takes.
    pub noted: String,
}

/// Visible and hidden messages of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub visible: usize,
    pub hidden: usize,
}

impl Operator {
    pub(crate) async fn new() -> Self {
        let world = World::get();
        let sqs = aws_sdk_sqs::Client::new(&world.aws());
        let id = job::new_id();
        let mut info = world.info().clone();
        info.outputs.dead_letter_queue_url = create(&sqs, &format!("letters-{id}")).await;
        info.outputs.pipeline_faults_queue_url = create(&sqs, &format!("faults-{id}")).await;
        Self::working_on(info, sqs)
    }

    /// An operator of a stack other than the one that all tests share, with its real queues.
    pub(crate) fn of_stack(info: &StackInfo) -> Self {
        Self::working_on(info.clone(), aws_sdk_sqs::Client::new(&info.aws_config()))
    }

    fn working_on(info: StackInfo, sqs: aws_sdk_sqs::Client) -> Self {
        let folder = std::env::temp_dir().join(format!("docintell-operator-{}", job::new_id()));
        let operator = Self { folder, info, sqs };
        operator.save();
        operator
    }

    /// Writes `info` for the commands that follow.
    pub(crate) fn save(&self) {
        let info = serde_json::to_string(&self.info).expect("the outputs are text");
        for (name, text) in [
            ("template.yaml", ""),
            ("cli/local/emulator.py", ""),
            ("target/local/stack.json", info.as_str()),
        ] {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().expect("a file is in a folder"))
                .expect("the folder can be created");
            fs::write(path, text).expect("the file can be written");
        }
    }

    /// Removes what [`Operator::save`] wrote about the stack.
    pub(crate) fn forget(&self) {
        fs::remove_file(self.folder.join("target/local/stack.json")).expect("it was written");
    }

    /// Parks a dead letter, as it was found in the real queue.
    pub(crate) async fn park(&self, letter: &Parked) {
        self.send(&self.info.outputs.dead_letter_queue_url, letter).await;
    }

    /// Parks a fault, as it was found in the real queue.
    pub(crate) async fn park_fault(&self, fault: &Parked) {
        self.send(&self.info.outputs.pipeline_faults_queue_url, fault).await;
    }

    async fn send(&self, url: &str, parked: &Parked) {
        let mut request = self.sqs.send_message().queue_url(url).message_body(&parked.body);
        for (name, value) in &parked.attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value);
            request = request.message_attributes(name, value.build().expect("the type is set"));
        }
        request.send().await.expect("the message can be sent");
    }

    /// The size of the operator's dead-letter queue.
    pub(crate) async fn letters(&self) -> Size {
        self.size(&self.info.outputs.dead_letter_queue_url).await
    }

    /// The size of the operator's queue for faults.
    pub(crate) async fn faults(&self) -> Size {
        self.size(&self.info.outputs.pipeline_faults_queue_url).await
    }

    async fn size(&self, url: &str) -> Size {
        let request = self.sqs.get_queue_attributes().queue_url(url);
        let request = request.attribute_names(QueueAttributeName::All);
        let attributes = request.send().await.expect("the queue exists").attributes;
        let attributes = attributes.expect("a queue has attributes");
        let number = |name| attributes[&name].parse().expect("a size is a number");
        Size {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages),
            hidden: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        }
    }

    /// Runs `docintell dlq` with these arguments.
    pub(crate) async fn dlq(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["dlq"], arguments].concat()).await
    }

    /// Runs `docintell` with these arguments, without a terminal.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.start(arguments).await).await
    }

    /// [`Operator::run`] without waiting for the end.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).await.spawn().expect("the program can be started")
    }

    /// `docintell` with these arguments, which is not started yet.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary().await);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The folder in which the commands run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The objects that `docintell dlq` prints for these arguments.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.dlq(&[arguments, &["--json"]].concat()).await.succeeded().objects()
    }
}

impl Ended {
    pub(crate) async fn of(running: Child) -> Self {
        let output = running.wait_with_output().await.expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
        Self {
            code: output.status.code(),
            printed: text(output.stdout),
            noted: text(output.stderr)
                .split_inclusive('\n')
                .filter(|line| !line.starts_with("  … "))
                .collect(),
        }
    }

    /// The objects that the command printed, one a line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        self.printed.lines().map(parse).collect()
    }

    /// Asserts that the command succeeded.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Asserts that a signal ended the command before it was done.
    pub(crate) fn stopped(self) -> Self {
        assert_eq!(self.code, Some(130), "{self:?}");
        self
    }

    /// Asserts that the command failed.
    pub(crate) fn failed(self) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        self
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

async fn create(sqs: &aws_sdk_sqs::Client, name: &str) -> String {
    let created = sqs.create_queue().queue_name(name).send().await;
    created.expect("a queue can be created").queue_url.expect("a queue has a URL")
}

/// Builds `docintell` once; returns its path.
async fn binary() -> &'static PathBuf {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let checkout = Checkout::find().expect("tests run in a checkout");
        build::this_program(&checkout, Progress::Shown).await
    };
    BINARY.get_or_try_init(build).await.expect("docintell can be built")
}
