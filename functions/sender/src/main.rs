//! The sender function's bootstrap: logs, configuration, clients, run.

use std::process::ExitCode;

use lambda_runtime::Error;
use mimalloc::MiMalloc;
use sender::{Config, Sender};
use webhooks::bootstrap::exit_code;
use webhooks::{aws, log, runtime};

/// Takes 10 % less processor time for each delivery than the C library's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    log::init();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let sender = Sender::new(&aws::config()?, config)?;
    runtime::run(async |event, deadline| sender.handle(event, deadline).await).await
}
