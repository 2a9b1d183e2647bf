//! Entry point of the api function: reads the configuration, makes the clients and serves the routes.

use std::process::ExitCode;
use std::sync::Arc;

use api::{AppState, Config, router, serve};
use lambda_http::Error;
use webhooks::aws;
use webhooks::bootstrap::exit_code;

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    lambda_http::tracing::init_default_subscriber();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let state = AppState::new(&aws::config()?, config);
    serve(router(Arc::new(state))).await
}
