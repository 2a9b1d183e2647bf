//! The deployed system on this machine: template.yaml and the functions' binaries on an AWS emulator.
//!
//! [`LocalStack`] brings it up, from what [`python`], `emulator`, [`build`] and `deploy` do; [`StackInfo`] says where
//! it is. `command` is `docintell local`: it runs the `demo` with its `receiver`, and [`deliveries`] shows what
//! the delivery log and the functions say of each delivery.
//!
//! The rule: nothing outlives the [`LocalStack`], however its process ends.

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

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose template and functions are deployed.
    pub checkout: Checkout,
    /// Address of this machine that the AWS endpoint listens on.
    pub emulator_host: Ipv4Addr,
    /// Port of the AWS endpoint; 0 takes any free one.
    pub emulator_port: u16,
    /// Port of the API on 127.0.0.1; 0 takes any free one.
    pub api_port: u16,
    /// Folder for logs and temporary files; two stacks that run at once must not share one.
    pub folder: PathBuf,
    /// Template parameters beyond those that this machine needs.
    pub parameters: BTreeMap<String, String>,
    /// How the functions are built.
    pub profile: Profile,
    /// Whether each task is shown.
    pub progress: Progress,
}

impl Options {
    /// Loopback, any free ports, no further parameters, functions that are built quickly, nothing shown.
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

/// A running stack with one tenant and a key of theirs. It ends when this is dropped.
#[derive(Debug)]
pub struct LocalStack {
    info: StackInfo,
    folder: PathBuf,
    emulator: Emulator,
}

impl LocalStack {
    /// Brings a stack up: Python environment, emulator, functions, deployment, tenant and key.
    ///
    /// The stack belongs to no runtime: it may be started on one and used from others.
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

    /// Where everything is.
    #[must_use]
    pub fn info(&self) -> &StackInfo {
        &self.info
    }

    /// The log of all functions: one JSON object a line, with `time` and `function` in front.
    #[must_use]
    pub fn functions_log(&self) -> PathBuf {
        self.folder.join("functions.log")
    }

    /// The emulator's own log.
    #[must_use]
    pub fn emulator_log(&self) -> PathBuf {
        self.folder.join("emulator.log")
    }

    /// The functions' variables, in the form that `sam local --env-vars` reads.
    #[must_use]
    pub fn env_vars(&self) -> PathBuf {
        deploy::env_vars(&self.folder)
    }

    /// Waits for an end that nobody asked for, and says why.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        self.emulator.ended().await
    }
}
