//! `docintell doctor`: a stack that is well, faults that somebody made by hand, and runs that end early.
//!
//! The rule: the tests share one stack, which no other test uses, one after the other. Each leaves it well.

mod between;
mod broken;
mod ended;
mod healthy;
mod permissions;

use std::sync::OnceLock;
use std::thread;

use docintell::checkout::Checkout;
use docintell::local::build::Profile;
use docintell::local::{LocalStack, Options, StackInfo};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::support::boto::Boto;
use crate::support::operator::{Ended, Operator};
use crate::support::run_folder::run_folder;

/// How the tenant of each run begins.
const TENANT: &str = "d0c70000-";

/// The stack of these tests, for one of them.
struct Patient {
    info: StackInfo,
    operator: Operator,
    boto: Boto,
    _turn: MutexGuard<'static, ()>,
}

impl Patient {
    async fn get() -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let info = stack().info().clone();
        let (operator, boto) = (Operator::of_stack(&info), Boto::of(&info).await);
        Self { info, operator, boto, _turn: turn }
    }

    async fn doctor(&self, arguments: &[&str]) -> Ended {
        self.operator.run(&[&["doctor"], arguments].concat()).await
    }

    /// What a run finds, whose exit code must be `code`.
    async fn findings(&self, code: i32) -> Vec<Value> {
        let ended = self.doctor(&["--json"]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        ended.objects()
    }

    async fn aws(&self, service: &str, operation: &str, parameters: Value) -> Value {
        self.boto.call(service, operation, parameters).await
    }

    /// The names of all secrets, and the messages in all queues and rows in all tables, by their names.
    async fn contents(&self) -> Value {
        let mut contents = json!({});
        let tables = self.aws("dynamodb", "list_tables", json!({})).await;
        for table in names(&tables["TableNames"]) {
            let scanned = self.aws("dynamodb", "scan", json!({"TableName": table})).await;
            contents[table] = scanned["Items"].clone();
        }
        let queues = self.aws("sqs", "list_queues", json!({})).await;
        for url in names(&queues["QueueUrls"]) {
            let all = json!({"QueueUrl": url, "AttributeNames": ["All"]});
            let attributes = self.aws("sqs", "get_queue_attributes", all).await;
            contents[url] = attributes["Attributes"]["ApproximateNumberOfMessages"].clone();
        }
        let secrets = self.aws("secretsmanager", "list_secrets", json!({})).await;
        let secrets = secrets["SecretList"].as_array().expect("it is a list");
        contents["secrets"] = secrets.iter().map(|secret| secret["Name"].clone()).collect();
        contents
    }
}

fn stack() -> &'static LocalStack {
    static STACK: OnceLock<LocalStack> = OnceLock::new();
    STACK.get_or_init(|| {
        // On a separate thread, because the stack outlives the caller's runtime.
        thread::spawn(start).join().expect("the stack can be started")
    })
}

fn start() -> LocalStack {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let checkout = Checkout::find().expect("tests run in a checkout");
    let profile = Profile::of_this_program();
    let options = Options { profile, ..Options::new(checkout, run_folder("e2e-doctor")) };
    let stack = runtime.block_on(LocalStack::start(options));
    // This runtime reads the stack's output until the test process ends.
    std::mem::forget(runtime);
    stack.expect("another stack can be started")
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("it is a list").iter().filter_map(Value::as_str).collect()
}

/// The finding of this check.
fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("there is no check {check}: {findings:#?}"))
}

/// Asserts that this check has this status, and that message and action contain these texts.
#[track_caller]
fn assert_found(findings: &[Value], check: &str, status: &str, message: &str, action: &str) {
    let finding = of(findings, check);
    assert_eq!(finding["status"], status, "{finding}");
    for (field, expected) in [("message", message), ("action", action)] {
        let text = finding[field].as_str().unwrap_or_default();
        assert!(text.contains(expected), "{expected} is not in {field} of {finding}");
    }
}

/// The checks that found a fault.
fn faults(findings: &[Value]) -> Vec<&str> {
    let faults = findings.iter().filter(|finding| finding["status"] == "fault");
    faults.filter_map(|finding| finding["check"].as_str()).collect()
}
