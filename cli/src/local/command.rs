//! `docintell local`: the stack, a receiver, two documents on their way, and then whatever is tried.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::containers::Network;
use super::demo::Demo;
use super::{Options, Stack, Steps};
use crate::checkout;
use crate::receiver::Receiver;
use crate::stack::StackInfo;

/// Options of `docintell local`.
#[derive(Debug, Clone, Args)]
pub struct LocalArgs {
    /// Bring the stack up and wait, without a receiver and without documents
    #[arg(long)]
    no_demo: bool,
    /// Port that the API answers on
    #[arg(long, value_name = "PORT", default_value_t = Self::API_PORT)]
    api_port: u16,
    /// Port of the emulated AWS; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    emulator_port: u16,
    /// Port that the receiver listens on; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0, conflicts_with = "no_demo")]
    receiver_port: u16,
    /// Put the emulated AWS into this Docker network, so that functions in containers reach it
    #[arg(long, value_name = "NAME")]
    docker_network: Option<String>,
}

impl LocalArgs {
    const API_PORT: u16 = 3000;
}

/// What bare `docintell` means.
impl Default for LocalArgs {
    fn default() -> Self {
        Self {
            no_demo: false,
            api_port: Self::API_PORT,
            emulator_port: 0,
            receiver_port: 0,
            docker_network: None,
        }
    }
}

/// Runs until Ctrl-C, or until something ends that should not.
pub async fn run(args: LocalArgs) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be caught")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be caught")?;
    tokio::select! {
        result = serve(args) => return result,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    // Whatever was running ended with `serve`.
    eprintln!("\nStopped.");
    Ok(())
}

async fn serve(args: LocalArgs) -> Result<()> {
    let folder = checkout::local_folder();
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let _alone = alone(&folder.join("running.lock"))?;
    // Here, because what comes first can take minutes.
    let loopback = Ipv4Addr::LOCALHOST;
    expect_free(loopback, args.api_port, "the API", "--api-port")?;
    expect_free(loopback, args.receiver_port, "the receiver", "--receiver-port")?;
    let network = match &args.docker_network {
        Some(name) => Some(Network::open(name, Steps::Shown).await?),
        None => None,
    };
    let emulator_host = network.as_ref().map_or(loopback, Network::gateway);
    expect_free(emulator_host, args.emulator_port, "the emulated AWS", "--emulator-port")?;

    eprintln!("DocIntell Webhooks on this machine");
    let mut stack = Stack::start(Options {
        api_port: args.api_port,
        emulator_host,
        emulator_port: args.emulator_port,
        parameters: network.iter().map(Network::parameter).collect(),
        steps: Steps::Shown,
        ..Options::in_folder(folder)
    })
    .await?;
    let mut demo = if args.no_demo {
        None
    } else {
        let receiver = Receiver::start(args.receiver_port).await?;
        Some(Demo::register(stack.info(), receiver, Steps::Shown).await?)
    };
    let _written = WrittenDown::new(stack.info())?;
    if let Some(demo) = &mut demo {
        let log = stack.functions_log();
        demo.run().await.with_context(|| {
            format!("the demonstration did not work out; {} says more", checkout::shown(&log))
        })?;
    }
    say_what_to_try(&stack);
    if let Some(network) = &network {
        network.say_what_to_try(&stack)?;
    }
    let watching = async {
        match &mut demo {
            Some(demo) => demo.watch().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        error = stack.ended() => Err(error),
        result = watching => result,
    }
}

/// Makes sure that this is the checkout's only `docintell local`, for as long as the file is kept.
fn alone(path: &std::path::Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => match StackInfo::load() {
            Ok(other) => bail!(
                "a local stack of this checkout is running, with its API at {}: use that one, or \
                 stop it first with Ctrl-C in its terminal",
                other.api_url
            ),
            Err(_) => bail!(
                "a local stack of this checkout is just being started: use that one, or stop it \
                 first with Ctrl-C in its terminal"
            ),
        },
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

fn expect_free(address: Ipv4Addr, port: u16, whose: &str, option: &str) -> Result<()> {
    let why = match TcpListener::bind((address, port)) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => "is taken".to_owned(),
        Err(error) => format!("cannot be used ({error})"),
    };
    bail!(
        "port {port} on {address}, meant for {whose}, {why}: stop what uses it, or choose another \
         with {option}"
    )
}

/// `stack.json`, which is there for as long as this is.
struct WrittenDown {
    path: PathBuf,
}

impl WrittenDown {
    fn new(info: &StackInfo) -> Result<Self> {
        let path = StackInfo::path();
        info.save(&path)?;
        Ok(Self { path })
    }
}

impl Drop for WrittenDown {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("{} cannot be removed: {error}", self.path.display());
        }
    }
}

fn say_what_to_try(stack: &Stack) {
    let StackInfo { api_url, api_key, .. } = stack.info();
    let docintell = checkout::invocation();
    println!(
        r#"
The stack is up. To try in another terminal:

  KEY={api_key}
  curl {api_url}/v1/webhooks -H "Authorization: Bearer $KEY"
  curl {api_url}/v1/webhooks -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
    -d '{{"url": "http://127.0.0.1:8000/", "events": ["document.processing.completed"]}}'
  {docintell} job complete --pages 3
  {docintell} job fail --message "The file is encrypted"
  {docintell} keys create --name laptop

Log of the functions: {}. Ctrl-C stops everything.
"#,
        checkout::shown(&stack.functions_log())
    );
}
