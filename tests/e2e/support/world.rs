//! The one deployed stack that all tests share.
//!
//! It ends with the test process: the emulator exits when its standard input closes.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::Message;
use aws_types::SdkConfig;
use docintell::checkout::Checkout;
use docintell::local::build::Profile;
use docintell::local::{LocalStack, Options, StackInfo};
use docintell::progress::Progress;
use serde_json::Value;

use super::run_folder::run_folder;

/// The deployed stack, the messages that it has parked, and the secrets that it must not log.
#[derive(Debug)]
pub(crate) struct World {
    stack: LocalStack,
    dead_letters: Mutex<Vec<Parked>>,
    faults: Mutex<Vec<Parked>>,
    secrets: Mutex<Vec<String>>,
}

/// A message of the dead-letter queue or of `PipelineFaultsQueue`.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    pub body: String,
    pub attributes: HashMap<String, String>,
}

impl World {
    /// The stack. The first call starts it.
    pub(crate) fn get() -> &'static Self {
        static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
        static DRAIN: OnceLock<thread::JoinHandle<()>> = OnceLock::new();
        let world = WORLD.get_or_init(|| {
            // On a separate thread, because the stack outlives the caller's runtime.
            thread::spawn(start).join().expect("the start does not panic")
        });
        let world = match world {
            Ok(world) => world,
            Err(reason) => panic!("the stack cannot be started: {reason}"),
        };
        DRAIN.get_or_init(|| thread::spawn(|| drain(world)));
        world
    }

    /// The URL of the API, the names of the tables and the URLs of the queues.
    pub(crate) fn info(&self) -> &StackInfo {
        self.stack.info()
    }

    /// Configuration for clients on the caller's runtime, with longer timeouts than the functions use.
    pub(crate) fn aws(&self) -> SdkConfig {
        patient(&self.stack.info().aws_config())
    }

    /// The dead letters so far whose body contains `id`.
    pub(crate) fn dead_letters_of(&self, id: &str) -> Vec<Parked> {
        containing(&self.dead_letters, id)
    }

    /// The pipeline faults so far whose body contains `id`.
    pub(crate) fn faults_of(&self, id: &str) -> Vec<Parked> {
        containing(&self.faults, id)
    }

    /// Remembers a value that no log may contain.
    pub(crate) fn keep_secret(&self, secret: &str) {
        self.secrets
            .lock()
            .expect("no thread panics while it holds the lock")
            .push(secret.to_owned());
    }

    /// Every value so far that no log may contain.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.secrets.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// Every row of every table now, and every message parked so far.
    pub(crate) async fn stored(&self) -> String {
        let client = aws_sdk_dynamodb::Client::new(&self.aws());
        let outputs = &self.info().outputs;
        let jobs = outputs.jobs_table().expect("a local stack has a Jobs table");
        let mut stored = Vec::new();
        for table in [
            jobs,
            &outputs.webhooks_table,
            &outputs.webhook_audit_table,
            &outputs.api_keys_table,
            &outputs.deliveries_table,
            &outputs.replays_table,
        ] {
            let mut items = client.scan().table_name(table).into_paginator().items().send();
            while let Some(item) = items.next().await {
                stored.push(format!("{:?}", item.expect("the table can be read")));
            }
        }
        for parked in [&self.dead_letters, &self.faults] {
            stored.push(format!(
                "{:?}",
                parked.lock().expect("no thread panics while it holds the lock")
            ));
        }
        stored.concat()
    }

    /// The file that the functions log to.
    pub(crate) fn functions_log(&self) -> PathBuf {
        self.stack.functions_log()
    }

    /// The file that `sam local --env-vars` reads.
    pub(crate) fn env_vars(&self) -> Value {
        let text = fs::read_to_string(self.stack.env_vars()).expect("the file can be read");
        serde_json::from_str(&text).expect("the file is JSON")
    }

    /// The logs of the functions and of the emulator so far.
    pub(crate) fn logs(&self) -> String {
        [self.stack.functions_log(), self.stack.emulator_log()]
            .map(|path| fs::read_to_string(path).expect("the log can be read"))
            .concat()
    }
}

/// The configuration with longer timeouts than the functions use: an emulator is slow while it works for many.
pub(crate) fn patient(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_mins(1)).build();
    config.clone().into_builder().timeout_config(timeouts).build()
}

fn start() -> Result<World, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let logs = run_folder("e2e");
    let checkout = Checkout::find().expect("tests run in a checkout");
    let options = Options {
        profile: Profile::of_this_program(),
        progress: Progress::Shown,
        ..Options::new(checkout, logs)
    };
    let stack =
        runtime.block_on(LocalStack::start(options)).map_err(|error| format!("{error:?}"))?;
    // This runtime reads the stack's output until the test process ends.
    std::mem::forget(runtime);
    Ok(World {
        stack,
        dead_letters: Mutex::default(),
        faults: Mutex::default(),
        secrets: Mutex::default(),
    })
}

/// Moves parked messages into memory. Tests that read the queues themselves would hide messages from each other.
fn drain(world: &'static World) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let sqs = aws_sdk_sqs::Client::new(&world.aws());
        let outputs = &world.info().outputs;
        loop {
            collect(&sqs, &outputs.dead_letter_queue_url, &world.dead_letters).await;
            collect(&sqs, &outputs.pipeline_faults_queue_url, &world.faults).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

async fn collect(sqs: &aws_sdk_sqs::Client, url: &str, into: &Mutex<Vec<Parked>>) {
    let received = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .message_attribute_names("All")
        .send()
        .await
        .expect("the queue can be read");
    for message in received.messages.unwrap_or_default() {
        let handle = message.receipt_handle().expect("a received message has a handle").to_owned();
        into.lock().expect("no thread panics while it holds the lock").push(parked(message));
        sqs.delete_message()
            .queue_url(url)
            .receipt_handle(handle)
            .send()
            .await
            .expect("the message can be deleted");
    }
}

fn parked(message: Message) -> Parked {
    let attributes = message
        .message_attributes
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.string_value.unwrap_or_default()))
        .collect();
    Parked { body: message.body.unwrap_or_default(), attributes }
}

fn containing(parked: &Mutex<Vec<Parked>>, id: &str) -> Vec<Parked> {
    let parked = parked.lock().expect("no thread panics while it holds the lock");
    parked.iter().filter(|parked| parked.body.contains(id)).cloned().collect()
}
