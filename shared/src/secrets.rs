//! Signing secrets in Secrets Manager, one per webhook, named `<prefix>/<tenant_id>/<webhook_config_id>`.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::aws::AwsError;
use crate::id::{TenantId, WebhookId};
use crate::rotation::StagingLabel;
use crate::secret::SigningSecret;

/// Reads and writes the signing secrets of all webhooks.
#[derive(Debug, Clone)]
pub struct SecretStore {
    client: Client,
    prefix: String,
}

/// Why a secret could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused the call or did not answer it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The secret does not exist, or is being deleted.
    #[error("the webhook has no secret")]
    NotFound,
    /// The response or the stored text is malformed. The error does not quote it.
    #[error("the stored secret cannot be read")]
    Malformed,
}

/// The stored JSON. Its fields are zeroed when it is dropped.
#[derive(Serialize, Deserialize)]
struct StoredSecret {
    current: Zeroizing<String>,
}

impl SecretStore {
    /// Secrets whose names begin with `prefix`.
    #[must_use]
    pub fn new(client: Client, prefix: String) -> Self {
        Self { client, prefix }
    }

    /// Stores the first secret of a webhook. Returns its version id.
    pub async fn create(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        secret: &SigningSecret,
    ) -> Result<String, SecretError> {
        let response = self
            .client
            .create_secret()
            .name(self.name(tenant, webhook))
            .secret_string(stored(secret)?.as_str())
            .send()
            .await
            .map_err(AwsError::of("CreateSecret"))?;
        response.version_id.ok_or(SecretError::Malformed)
    }

    /// Stores a new version of a webhook's secret under `label`. Returns its version id. Secrets Manager keeps the
    /// versions with other labels, `AWSCURRENT` on the first one included.
    pub async fn put(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        secret: &SigningSecret,
        label: StagingLabel,
    ) -> Result<String, SecretError> {
        let response = self
            .client
            .put_secret_value()
            .secret_id(self.name(tenant, webhook))
            .secret_string(stored(secret)?.as_str())
            .version_stages(label.as_str())
            .send()
            .await
            .map_err(|error| match error.as_service_error() {
                Some(
                    PutSecretValueError::ResourceNotFoundException(_)
                    | PutSecretValueError::InvalidRequestException(_),
                ) => SecretError::NotFound,
                _ => AwsError::of("PutSecretValue")(error).into(),
            })?;
        response.version_id.ok_or(SecretError::Malformed)
    }

    /// Reads the version with id `version`.
    pub async fn get(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        version: &str,
    ) -> Result<SigningSecret, SecretError> {
        let response = self
            .client
            .get_secret_value()
            .secret_id(self.name(tenant, webhook))
            .version_id(version)
            .send()
            .await
            .map_err(AwsError::of("GetSecretValue"))?;
        let text = Zeroizing::new(response.secret_string.ok_or(SecretError::Malformed)?);
        // Parse errors are dropped on purpose, because they can quote the secret.
        let stored =
            serde_json::from_str::<StoredSecret>(&text).ok().ok_or(SecretError::Malformed)?;
        SigningSecret::parse(&stored.current).ok().ok_or(SecretError::Malformed)
    }

    /// Deletes a webhook's secret permanently. Succeeds if it does not exist.
    pub async fn delete(&self, tenant: TenantId, webhook: WebhookId) -> Result<(), SecretError> {
        let response = self
            .client
            .delete_secret()
            .secret_id(self.name(tenant, webhook))
            // Webhook ids are never reused, so the secret never has to be recovered.
            .force_delete_without_recovery(true)
            .send()
            .await;
        match response {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError::is_resource_not_found_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(AwsError::of("DeleteSecret")(error).into()),
        }
    }

    fn name(&self, tenant: TenantId, webhook: WebhookId) -> String {
        format!("{}/{tenant}/{webhook}", self.prefix)
    }
}

fn stored(secret: &SigningSecret) -> Result<Zeroizing<String>, SecretError> {
    let stored = StoredSecret { current: Zeroizing::new(secret.expose().to_owned()) };
    serde_json::to_string(&stored).map(Zeroizing::new).ok().ok_or(SecretError::Malformed)
}
