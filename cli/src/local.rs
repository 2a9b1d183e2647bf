//! The local stack: template.yaml and the functions' binaries, deployed to an AWS emulator on this machine.
//!
//! [`LocalStack`] starts it: [`python`] installs the emulator, `emulator` starts it, [`build`] builds the functions
//! and `deploy` deploys them. [`StackInfo`] holds the stack's addresses. `command` is `docintell local`: it runs the
//! `demo` with its `receiver`, prints a `welcome` and shows [`deliveries`]. `api` calls the stack's API. `containers` connects functions in
//! Docker.
//!
//! The rule: nothing outlives the [`LocalStack`], even if its process is killed.

pub(crate) mod api;
pub mod build;
pub(crate) mod command;
mod containers;
pub mod deliveries;
mod demo;
mod deploy;
mod emulator;
mod info;
pub mod python;
mod receiver;
mod welcome;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use webhooks::id::TenantId;
use webhooks::secret::KeyEnvironment;

use crate::checkout::Checkout;
use crate::keys;
use crate::progress::Progress;
use crate::stack::Outputs;
use build::Profile;
use emulator::Emulator;
pub use info::StackInfo;

/// Options of a local stack.
#[derive(Debug, Clone)]
pub struct Options {
    /// The checkout to deploy.
    pub checkout: Checkout,
    /// The address on which the AWS endpoint listens.
    pub emulator_host: Ipv4Addr,
    /// Port of the AWS endpoint; 0 picks a free one.
    pub emulator_port: u16,
    /// Port of the API on 127.0.0.1; 0 picks a free one.
    pub api_port: u16,
    /// Folder for logs and temporary files. Two running stacks must not share it.
    pub folder: PathBuf,
    /// Template parameters; they override the local stack's own.
    pub parameters: BTreeMap<String, String>,
    pub profile: Profile,
    pub progress: Progress,
}

impl Options {
    /// Free ports on 127.0.0.1, a debug build, and no progress output.
    #[must_use]
    pub fn new(checkout: Checkout, folder: PathBuf) -> Self {
        Self {
            checkout,
            emulator_host: Ipv4Addr::LOCALHOST,
            emulator_port: 0,
            api_port: 0,
            folder,
            parameters: BTreeMap::new(),
            profile: Profile::Dev,
            progress: Progress::Silent,
        }
    }
}

/// A running stack with one tenant and its API key. Dropping it stops the stack.
#[derive(Debug)]
pub struct LocalStack {
    info: StackInfo,
    folder: PathBuf,
    emulator: Emulator,
}

impl LocalStack {
    /// Starts a stack: Python environment, emulator, functions, deployment, tenant and key.
    ///
    /// The stack does not depend on the tokio runtime that starts it.
    pub async fn start(options: Options) -> Result<Self> {
        let mut parameters = deploy::parameters()?;
        parameters.extend(options.parameters.clone());
        let Options { checkout, progress, .. } = &options;
        let python = python::ensure(checkout, *progress).await?;
        let (emulator, addresses) = Emulator::start(&python, &options).await?;
        let binaries = build::functions(checkout, options.profile, *progress).await?;
        let endpoint = &addresses.endpoint;
        let outputs = deploy::deploy(&options, &python, endpoint, &binaries, &parameters).await?;
        let mut info = StackInfo {
            outputs: Outputs { api_url: addresses.api_url, ..outputs },
            api_key: String::new(),
            tenant_id: TenantId::random(),
            aws_endpoint_url: addresses.endpoint,
            region: addresses.region,
        };
        let (key, _) = keys::create(
            &keys::store(&info.aws_config(), &info.outputs.api_keys_table),
            info.tenant_id,
            "local",
            KeyEnvironment::Test,
            None,
        )
        .await?;
        key.expose().clone_into(&mut info.api_key);
        progress.done(format_args!("tenant {} with an API key", info.tenant_id));
        progress.done(format_args!("API at {}", info.outputs.api_url));
        Ok(Self { info, folder: options.folder, emulator })
    }

    #[must_use]
    pub fn info(&self) -> &StackInfo {
        &self.info
    }

    /// The log of all functions: one JSON object per line, with `time` and `function` first.
    #[must_use]
    pub fn functions_log(&self) -> PathBuf {
        self.folder.join("functions.log")
    }

    #[must_use]
    pub fn emulator_log(&self) -> PathBuf {
        self.folder.join("emulator.log")
    }

    /// The functions' environment variables, in the format of `sam local --env-vars`.
    #[must_use]
    pub fn env_vars(&self) -> PathBuf {
        deploy::env_vars(&self.folder)
    }

    /// Waits until the emulator stops unexpectedly; the error says why.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        self.emulator.ended().await
    }
}
