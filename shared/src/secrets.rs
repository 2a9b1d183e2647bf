//! Signing secrets in Secrets Manager, one per webhook, named `<prefix>/<tenant_id>/<webhook_config_id>`.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::aws::AwsError;
use crate::id::{TenantId, WebhookId};
use crate::secret::SigningSecret;

/// The signing secrets of all webhooks.
#[derive(Debug, Clone)]
pub struct SecretStore {
    client: Client,
    prefix: String,
}

/// Why a secret could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not answer, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There is no such secret, or it is being deleted.
    #[error("the webhook has no secret")]
    NotFound,
    /// The answer lacks what it must have, or holds something that is not ours. It does not say what.
    #[error("the stored secret cannot be read")]
    Malformed,
}

/// What is stored. Its fields are wiped when it is dropped.
#[derive(Serialize, Deserialize)]
struct StoredSecret {
    current: Zeroizing<String>,
}

impl SecretStore {
    /// The secrets whose names begin with `prefix`.
    #[must_use]
    pub fn new(client: Client, prefix: String) -> Self {
        Self { client, prefix }
    }

    /// Stores the first secret of a webhook; the answer is its version.
    pub async fn create(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        secret: &SigningSecret,
    ) -> Result<String, SecretError> {
        let answer = self
            .client
            .create_secret()
            .name(self.name(tenant, webhook))
            .secret_string(stored(secret)?.as_str())
            .send()
            .await
            .map_err(AwsError::of("CreateSecret"))?;
        answer.version_id.ok_or(SecretError::Malformed)
    }

    /// Stores another secret of a webhook; the answer is its version. Earlier versions stay readable.
    pub async fn put(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        secret: &SigningSecret,
    ) -> Result<String, SecretError> {
        let answer = self
            .client
            .put_secret_value()
            .secret_id(self.name(tenant, webhook))
            .secret_string(stored(secret)?.as_str())
            .send()
            .await
            .map_err(|error| match error.as_service_error() {
                Some(
                    PutSecretValueError::ResourceNotFoundException(_)
                    | PutSecretValueError::InvalidRequestException(_),
                ) => SecretError::NotFound,
                _ => AwsError::of("PutSecretValue")(error).into(),
            })?;
        answer.version_id.ok_or(SecretError::Malformed)
    }

    /// Reads one version.
    pub async fn get(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        version: &str,
    ) -> Result<SigningSecret, SecretError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(self.name(tenant, webhook))
            .version_id(version)
            .send()
            .await
            .map_err(AwsError::of("GetSecretValue"))?;
        let text = Zeroizing::new(answer.secret_string.ok_or(SecretError::Malformed)?);
        // The parse errors are dropped on purpose: they can quote what they could not read.
        let stored =
            serde_json::from_str::<StoredSecret>(&text).ok().ok_or(SecretError::Malformed)?;
        SigningSecret::parse(&stored.current).ok().ok_or(SecretError::Malformed)
    }

    /// Deletes a webhook's secret for good. Deleting what is not there succeeds.
    pub async fn delete(&self, tenant: TenantId, webhook: WebhookId) -> Result<(), SecretError> {
        let answer = self
            .client
            .delete_secret()
            .secret_id(self.name(tenant, webhook))
            // A webhook's id is never used again, so there is nothing to recover the secret for.
            .force_delete_without_recovery(true)
            .send()
            .await;
        match answer {
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
