//! The replay function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use lambda_runtime::Error;
use replay::{Config, Replayer};
use webhooks::bootstrap::exit_code;
use webhooks::{aws, log, runtime};

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    log::init();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let replayer = Replayer::new(&aws::config()?, config);
    // Boxed, because a large future would be copied at each move.
    runtime::run(async |event, deadline| Ok(Box::pin(replayer.handle(event, deadline)).await?))
        .await
}
