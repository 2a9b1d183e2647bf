//! The sender function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use sender::Sender;
use sender::config::Config;
use serde_json::value::RawValue;
use tracing::error;
use webhooks::aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_runtime::tracing::init_default_subscriber();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %aws::chain(&*error), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let sender = Sender::new(&aws::config().await, config)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        sender.handle(&event.payload, event.context.deadline()).await.map_err(Error::from)
    }))
    .await
}
