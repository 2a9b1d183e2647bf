//! The deployed system on this machine: template.yaml and the functions' binaries on an AWS emulator.
//!
//! The rule: nothing outlives the [`Stack`], however its process ends.

pub mod build;
pub mod command;
mod containers;
mod demo;
mod deploy;
mod emulator;
pub mod python;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use webhooks::id::TenantId;
use webhooks::secret::KeyEnvironment;

use crate::keys;
use crate::stack::StackInfo;
pub use crate::steps::Steps;
use emulator::Emulator;

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct Options {
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
    /// Whether each step is shown.
    pub steps: Steps,
}

impl Options {
    /// Loopback, any free ports, no further parameters, nothing shown.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            emulator_host: Ipv4Addr::LOCALHOST,
            emulator_port: 0,
            api_port: 0,
            folder,
            parameters: BTreeMap::new(),
            steps: Steps::Silent,
        }
    }
}

/// A running stack with one tenant and a key of theirs. It ends when this is dropped.
#[derive(Debug)]
pub struct Stack {
    info: StackInfo,
    folder: PathBuf,
    emulator: Emulator,
}

impl Stack {
    /// Brings a stack up: Python environment, emulator, functions, deployment, tenant and key.
    ///
    /// The stack belongs to no runtime: it may be started on one and used from others.
    pub async fn start(options: Options) -> Result<Self> {
        let mut parameters = deploy::parameters()?;
        parameters.extend(options.parameters.clone());
        let python = python::ensure(options.steps).await?;
        let (emulator, addresses) = Emulator::start(&python, &options).await?;
        let binaries = build::functions(options.steps).await?;
        let outputs =
            deploy::deploy(&options, &python, &addresses.endpoint, &binaries, &parameters).await?;
        let mut info = StackInfo {
            api_url: addresses.api_url,
            api_key: String::new(),
            tenant_id: TenantId::random(),
            aws_endpoint_url: addresses.endpoint,
            region: addresses.region,
            jobs_table: outputs.jobs_table,
            webhooks_table: outputs.webhooks_table,
            api_keys_table: outputs.api_keys_table,
            deliveries_table: outputs.deliveries_table,
            delivery_queue_url: outputs.delivery_queue_url,
            dead_letter_queue_url: outputs.dead_letter_queue_url,
            pipeline_faults_queue_url: outputs.pipeline_faults_queue_url,
        };
        let (key, _) = keys::create(
            &keys::store(&info.aws_config(), &info.api_keys_table),
            info.tenant_id,
            "local",
            KeyEnvironment::Test,
            None,
        )
        .await?;
        key.expose().clone_into(&mut info.api_key);
        options.steps.done(format_args!("tenant {} with an API key", info.tenant_id));
        options.steps.done(format_args!("API at {}", info.api_url));
        Ok(Self { info, folder: options.folder, emulator })
    }

    /// Where everything is.
    #[must_use]
    pub fn info(&self) -> &StackInfo {
        &self.info
    }

    /// The log of all functions: what each wrote, a line at a time, the function's name before it.
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
