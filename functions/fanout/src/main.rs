//! The fanout function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use fanout::Fanout;
use fanout::config::Config;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use webhooks::aws;
use webhooks::bootstrap::exit_code;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_runtime::tracing::init_default_subscriber();
    exit_code(run().await)
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let fanout = Fanout::new(&aws::config()?, config);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        fanout.handle(&event.payload, event.context.deadline()).await.map_err(Error::from)
    }))
    .await
}
