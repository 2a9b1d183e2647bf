//! The fanout function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use fanout::{Config, Fanout};
use lambda_runtime::Error;
use webhooks::bootstrap::exit_code;
use webhooks::{aws, runtime};

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    lambda_runtime::tracing::init_default_subscriber();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let fanout = Fanout::new(&aws::config()?, config);
    runtime::run(async |event, deadline| Ok(fanout.handle(event, deadline).await?)).await
}
