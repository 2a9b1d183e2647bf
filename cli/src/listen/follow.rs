//! Registers with the local stack, and again when it restarts.
//!
//! The rule: each stack has a key of its own, so another key is another stack. The webhooks of a stack that stops are gone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use webhooks::secret::SigningSecret;

use super::registration::Registration;
use crate::checkout::Checkout;
use crate::local::StackInfo;
use crate::output::note;

/// Between two looks at the stack.
pub(super) const PERIOD: Duration = Duration::from_secs(2);

/// The webhook of the stack that runs now, if one does.
#[derive(Debug)]
pub(super) struct Follower {
    address: SocketAddr,
    /// Has the markers.
    folder: PathBuf,
    secret: watch::Sender<SigningSecret>,
    /// With the stack's key.
    registered: Option<(String, Registration)>,
    /// No stack answers. The webhook is kept: the stack may only have been too busy.
    is_stopped: bool,
    /// The last problem that was reported.
    problem: Option<String>,
}

impl Follower {
    /// Registers `address` for all events. The receiver has the secret in force.
    pub(super) async fn register(
        address: SocketAddr,
    ) -> Result<(Self, watch::Receiver<SigningSecret>)> {
        let info = StackInfo::load_or(
            "give the secret of a webhook that reaches this machine with --secret",
        )?;
        let folder = Checkout::find()?.local_folder().join("listen");
        let registration = Registration::create(&info, &folder, address)
            .await
            .context("cannot register with the local stack")?;
        announce(&registration);
        let (secret, receiver) = watch::channel(registration.secret.clone());
        let registered = Some((info.api_key, registration));
        let follower =
            Self { address, folder, secret, registered, is_stopped: false, problem: None };
        Ok((follower, receiver))
    }

    /// Registers again if another stack runs now. Must not be cancelled: a webhook could stay behind.
    pub(super) async fn look(&mut self) {
        let Ok(info) = spawn_blocking(StackInfo::load).await else { return };
        match (info, &self.registered) {
            (Ok(info), Some((key, _))) if *key == info.api_key => self.is_stopped = false,
            (Ok(info), _) => self.register_again(info).await,
            (Err(_), _) if self.is_stopped => {}
            (Err(_), _) => {
                self.is_stopped = true;
                note(
                    "The local stack has stopped. This command registers again as soon as another one runs.",
                );
            }
        }
    }

    async fn register_again(&mut self, info: StackInfo) {
        self.forget();
        match Registration::create(&info, &self.folder, self.address).await {
            Ok(registration) => {
                note("Another local stack runs now.");
                announce(&registration);
                self.secret.send_replace(registration.secret.clone());
                self.registered = Some((info.api_key, registration));
                self.problem = None;
                self.is_stopped = false;
            }
            Err(error) => {
                let problem = format!("{error:#}");
                if self.problem.as_ref() != Some(&problem) {
                    note(format_args!(
                        "Cannot register with the local stack, will retry: {problem}"
                    ));
                    self.problem = Some(problem);
                }
            }
        }
    }

    /// The webhook is gone with its stack.
    fn forget(&mut self) {
        if let Some((_, registration)) = self.registered.take()
            && let Err(error) = registration.forget()
        {
            note(format_args!("{error:#}"));
        }
    }

    /// Removes the webhook.
    pub(super) async fn remove(self) {
        let Some((_, registration)) = self.registered else { return };
        let id = registration.webhook_id;
        match registration.remove().await {
            Ok(()) => note(format_args!("Webhook {id} is removed.")),
            // It is gone with its stack.
            Err(_) if self.is_stopped => {}
            Err(error) => note(format_args!(
                "Webhook {id} is not removed: {error:#}. The next `listen` removes it."
            )),
        }
    }
}

fn announce(registration: &Registration) {
    note(format_args!(
        "Webhook {} for all events of the local stack's tenant, until this command ends.",
        registration.webhook_id
    ));
    note(format_args!("Its signing secret is {}", registration.secret.expose()));
}
