//! The sender function's bootstrap: logs, configuration, clients, run.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use sender::Sender;
use sender::config::Config;
use serde_json::value::RawValue;
use webhooks::aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let config = Config::from_env()?;
    let sender = Sender::new(&aws::config().await, config)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        sender.handle(&event.payload, event.context.deadline()).await.map_err(Error::from)
    }))
    .await
}
