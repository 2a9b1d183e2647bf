//! Entry point of the api function: reads the configuration, makes the clients and serves the routes.

use std::process::ExitCode;
use std::sync::Arc;

use api::config::Config;
use api::{AppState, gateway, router};
use lambda_http::Error;
use webhooks::bootstrap::exit_code;
use webhooks::secrets::SecretStore;
use webhooks::store::{ApiKeyStore, DynamoDb, RateLimiter, WebhookStore};

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    lambda_http::tracing::init_default_subscriber();
    exit_code(run()).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let aws = webhooks::aws::config()?;
    let dynamodb = DynamoDb::new(&aws);
    let secrets_manager = aws_sdk_secretsmanager::Client::new(&aws);
    let state = AppState {
        api_keys: ApiKeyStore::new(dynamodb.clone(), config.api_keys_table),
        webhooks: WebhookStore::new(dynamodb.clone(), config.webhooks_table.clone()),
        rate_limiter: RateLimiter::new(dynamodb, config.webhooks_table),
        secrets: SecretStore::new(secrets_manager, config.secrets_prefix),
        endpoint_policy: config.endpoint_policy,
        max_webhooks_per_tenant: config.max_webhooks_per_tenant,
        changes_per_minute: config.changes_per_minute,
    };
    gateway::serve(router(Arc::new(state))).await
}
