//! The webhook with which `docintell listen` receives a local stack's deliveries.
//!
//! The rule: only webhooks with a marker of this checkout are removed; see [`super::marker`].

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, bail};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;
use webhooks::id::WebhookId;
use webhooks::secret::SigningSecret;

use super::marker::Marker;
use crate::local::StackInfo;
use crate::local::api::Api;
use crate::output;

/// Webhooks per page when listing; the API's maximum.
const PAGE: usize = 100;

#[derive(Debug)]
pub(crate) struct Registration {
    api: Api,
    pub(crate) webhook_id: WebhookId,
    pub(crate) secret: SigningSecret,
    marker: Marker,
}

impl Registration {
    /// Removes what killed runs left behind, and registers `address` for all events. `folder` has the markers.
    pub(crate) async fn create(
        info: &StackInfo,
        folder: &Path,
        address: SocketAddr,
    ) -> Result<Self> {
        #[derive(Deserialize)]
        struct Created {
            webhook_config_id: WebhookId,
            signing_secret: String,
        }
        let api = Api::new(info)?;
        remove_left_behind(&api, folder).await?;
        let marker = Marker::create(folder)?;
        let webhook = json!({
            "url": format!("http://{address}{}", marker.url_path()),
            "description": "docintell listen",
            "events": ["*"],
        });
        let body = api.send(Method::POST, "/v1/webhooks", Some(&webhook)).await?;
        // The parser's own error could quote the secret.
        let Ok(Created { webhook_config_id: webhook_id, signing_secret }) =
            serde_json::from_value(body)
        else {
            bail!("the API's response to a new webhook has no id or no signing secret");
        };
        let secret = SigningSecret::parse(&signing_secret)?;
        Ok(Self { api, webhook_id, secret, marker })
    }

    /// Removes the marker of a webhook that is gone with its stack.
    pub(crate) fn forget(self) -> Result<()> {
        self.marker.remove()
    }

    /// Removes the webhook. If that fails, the marker stays, and the next run removes it.
    pub(crate) async fn remove(self) -> Result<()> {
        remove(&self.api, self.webhook_id).await?;
        self.marker.remove()
    }
}

async fn remove_left_behind(api: &Api, folder: &Path) -> Result<()> {
    let markers = Marker::left_behind(folder)?;
    if markers.is_empty() {
        return Ok(());
    }
    let webhooks = webhooks(api).await?;
    for marker in markers {
        for (id, _) in webhooks.iter().filter(|(_, path)| *path == marker.url_path()) {
            remove(api, *id).await?;
            output::note(format_args!("Webhook {id}, which a killed run left behind, is removed."));
        }
        marker.remove()?;
    }
    Ok(())
}

/// The tenant's webhooks with the paths of their URLs.
async fn webhooks(api: &Api) -> Result<Vec<(WebhookId, String)>> {
    #[derive(Deserialize)]
    struct Page {
        webhooks: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        webhook_config_id: WebhookId,
        url: String,
    }
    let mut all = Vec::new();
    for number in 1.. {
        let path = format!("/v1/webhooks?per_page={PAGE}&page={number}");
        let page: Page = serde_json::from_value(api.send(Method::GET, &path, None).await?)?;
        let is_last = page.webhooks.len() < PAGE;
        for Listed { webhook_config_id, url } in page.webhooks {
            all.push((webhook_config_id, Url::parse(&url)?.path().to_owned()));
        }
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// Succeeds if there is no such webhook.
async fn remove(api: &Api, id: WebhookId) -> Result<()> {
    api.delete(&format!("/v1/webhooks/{id}")).await
}
