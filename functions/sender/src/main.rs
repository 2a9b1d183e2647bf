//! The sender function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use mimalloc::MiMalloc;
use sender::Sender;
use sender::config::Config;
use sender::received::Received;
use webhooks::aws;
use webhooks::batch::Batch;
use webhooks::bootstrap::exit_code;

/// A tenth less processor time for each delivery than with the C library's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_runtime::tracing::init_default_subscriber();
    exit_code(run().await)
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let sender = Sender::new(&aws::config()?, config)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch<Received>>| {
        Ok::<_, Error>(sender.handle(event.payload, event.context.deadline()).await)
    }))
    .await
}
