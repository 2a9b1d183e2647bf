//! `target/local/stack.json`: everything that a program needs to use the local stack.
//!
//! The rule: the file contains a key, so only its owner may read it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use aws_sdk_dynamodb::config::Credentials;
use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};
use webhooks::id::TenantId;

use crate::checkout::{self, Checkout};
use crate::stack::Outputs;

/// The emulator's access key, and its secret key. They work for the emulator only.
pub(super) const ACCESS_KEY: &str = "test";

/// The content of `stack.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct StackInfo {
    /// The stack's outputs, with the API's URL on this machine.
    #[serde(flatten)]
    pub outputs: Outputs,
    pub api_key: String,
    /// The owner of `api_key`.
    pub tenant_id: TenantId,
    pub aws_endpoint_url: String,
    pub region: String,
}

/// Omits the key.
impl fmt::Debug for StackInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackInfo")
            .field("api_url", &self.outputs.api_url)
            .field("tenant_id", &self.tenant_id)
            .field("aws_endpoint_url", &self.aws_endpoint_url)
            .finish_non_exhaustive()
    }
}

impl StackInfo {
    /// Configuration for clients of the emulated AWS, with all rights.
    ///
    /// A client's connections belong to the tokio runtime that creates them, so each runtime needs its own client.
    #[must_use]
    pub fn aws_config(&self) -> SdkConfig {
        let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "docintell local");
        let endpoint_url = Some(self.aws_endpoint_url.clone());
        webhooks::aws::config_for(self.region.clone(), credentials, endpoint_url)
    }

    /// The path of the checkout's `stack.json`.
    pub(super) fn path(checkout: &Checkout) -> PathBuf {
        checkout.local_folder().join("stack.json")
    }

    /// Writes the file atomically, with access for its owner only.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let partial = path.with_extension("partial");
        let write = || -> Result<()> {
            let mut file = private_file(&partial)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            writeln!(file)?;
            Ok(fs::rename(&partial, path)?)
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The running stack of the checkout around the current directory.
    pub(crate) fn load() -> Result<Self> {
        Self::load_or("choose a deployed one with --stack-name")
    }

    /// [`Self::load`]; the error for a missing stack also suggests `alternative`.
    pub(crate) fn load_or(alternative: &str) -> Result<Self> {
        let checkout = Checkout::find().with_context(|| {
            format!("no stack to work on ({alternative}; the local stack belongs to a checkout)")
        })?;
        Self::read(&Self::path(&checkout), alternative)
    }

    /// The running stack whose `stack.json` is `path`.
    pub(super) fn load_from(path: &Path) -> Result<Self> {
        Self::read(path, "choose a deployed one with --stack-name")
    }

    fn read(path: &Path, alternative: &str) -> Result<Self> {
        let not_running = || {
            anyhow!(
                "no local stack is running: start one with `{} local` in another terminal, or {alternative}",
                checkout::invocation()
            )
        };
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => not_running(),
            _ => anyhow!(error).context(format!("{} cannot be read", path.display())),
        })?;
        let info: Self = serde_json::from_reader(file).with_context(|| {
            format!("{} is damaged: remove it and start the stack again", path.display())
        })?;
        // A killed stack leaves its file behind.
        let address = info.aws_endpoint_url.trim_start_matches("http://");
        TcpStream::connect(address).map_err(|_refused| not_running())?;
        Ok(info)
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    // An existing file would keep its mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    pub(in crate::local) fn info() -> StackInfo {
        let url = || "http://127.0.0.1:1".to_owned();
        let name = || "a".to_owned();
        StackInfo {
            outputs: Outputs {
                api_url: url(),
                api_function_name: name(),
                fanout_function_name: name(),
                sender_function_name: name(),
                replay_function_name: name(),
                function_alias: name(),
                jobs_table: Some(name()),
                webhooks_table: name(),
                webhook_audit_table: name(),
                api_keys_table: name(),
                deliveries_table: name(),
                replays_table: name(),
                replay_queue_url: url(),
                delivery_queue_url: url(),
                dead_letter_queue_url: url(),
                pipeline_faults_queue_url: url(),
                delivery_log_days: name(),
                audit_days: name(),
                secrets_prefix: name(),
            },
            api_key: "dk_test_hidden".to_owned(),
            tenant_id: TenantId::random(),
            aws_endpoint_url: url(),
            region: name(),
        }
    }

    #[test]
    fn only_the_owner_can_read_the_file_even_if_it_replaces_another() {
        let path = std::env::temp_dir().join(format!("{}.json", TenantId::random()));
        fs::write(&path, "old").unwrap();
        fs::write(path.with_extension("partial"), "left behind").unwrap();
        info().save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read: StackInfo = serde_json::from_reader(File::open(&path).unwrap()).unwrap();
        assert_eq!(read.api_key, "dk_test_hidden");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert!(!format!("{:?}", info()).contains("hidden"));
    }
}
