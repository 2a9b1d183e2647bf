//! Entry point of the api function: reads the configuration, makes the clients and serves the routes.

use std::process::ExitCode;
use std::sync::Arc;

use api::{AppState, Config, router, serve};
use lambda_http::Error;
use webhooks::bootstrap::exit_code;
use webhooks::metrics::MetricsLog;
use webhooks::{aws, log};

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    log::init();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let metrics_log = MetricsLog::new(config.metrics_namespace.clone());
    let state = AppState::new(&aws::config()?, config);
    serve(router(Arc::new(state)), metrics_log).await
}
