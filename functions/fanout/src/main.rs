//! The fanout function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use fanout::{Config, Fanout};
use lambda_runtime::Error;
use webhooks::bootstrap::exit_code;
use webhooks::{aws, log, runtime};

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    log::init();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let fanout = Fanout::new(&aws::config()?, config);
    runtime::run(async |event, deadline| Ok(fanout.handle(event, deadline).await?)).await
}
