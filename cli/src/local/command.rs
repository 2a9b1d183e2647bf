//! `docintell local`: the stack, a receiver, two documents on their way, and then whatever is tried.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::containers::Network;
use super::deliveries::{Deliveries, headings};
use super::demo::Demo;
use super::info::ACCESS_KEY;
use super::receiver::Receiver;
use super::{LocalStack, Options, StackInfo};
use crate::checkout::{Checkout, invocation, shown};
use crate::progress::Progress;

/// Options of `docintell local`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LocalArgs {
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
pub(crate) async fn run(args: LocalArgs) -> Result<()> {
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
    eprintln!("\nStopped; the stack and its data are gone.");
    Ok(())
}

async fn serve(args: LocalArgs) -> Result<()> {
    let checkout = Checkout::find()?;
    let folder = checkout.local_folder();
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = StackInfo::path(&checkout);
    let _alone = alone(&folder.join("running.lock"), &path)?;
    // Here, because what comes first can take minutes.
    let loopback = Ipv4Addr::LOCALHOST;
    expect_free(loopback, args.api_port, "the API", "--api-port")?;
    expect_free(loopback, args.receiver_port, "the receiver", "--receiver-port")?;
    let network = match &args.docker_network {
        Some(name) => Some(Network::open(name, Progress::Shown).await?),
        None => None,
    };
    let emulator_host = network.as_ref().map_or(loopback, Network::gateway);
    expect_free(emulator_host, args.emulator_port, "the emulated AWS", "--emulator-port")?;

    eprintln!("DocIntell Webhooks on this machine");
    let mut stack = LocalStack::start(Options {
        api_port: args.api_port,
        emulator_host,
        emulator_port: args.emulator_port,
        parameters: network.iter().map(Network::parameter).collect(),
        progress: Progress::Shown,
        ..Options::new(checkout, folder)
    })
    .await?;
    let info = stack.info().clone();
    let files = Files {
        stack: path,
        functions_log: stack.functions_log(),
        emulator_log: stack.emulator_log(),
        env_vars: stack.env_vars(),
    };
    tokio::select! {
        error = stack.ended() => Err(error),
        result = show(args, &info, &files, network.as_ref()) => result,
    }
}

/// The files of a running stack.
struct Files {
    /// `stack.json`.
    stack: PathBuf,
    functions_log: PathBuf,
    emulator_log: PathBuf,
    /// For `sam local --env-vars`.
    env_vars: PathBuf,
}

/// Runs the demonstration, says what to try, and then shows each delivery.
async fn show(
    args: LocalArgs,
    info: &StackInfo,
    files: &Files,
    network: Option<&Network>,
) -> Result<()> {
    let mut deliveries = Deliveries::new(info, files.functions_log.clone())?;
    let demo = if args.no_demo {
        None
    } else {
        let receiver = Receiver::start(args.receiver_port).await?;
        Some(Demo::register(info, receiver).await?)
    };
    let _written = StackFile::write(&files.stack, info)?;
    if let Some(demo) = &demo {
        demo.run(&mut deliveries).await.with_context(|| {
            format!("the demonstration did not work out; {} says more", shown(&files.functions_log))
        })?;
    }
    say_where_things_are(info, files)?;
    say_what_to_try(info);
    if let Some(network) = network {
        network.say_what_to_try(info, &files.env_vars)?;
    }
    println!("Deliveries of all webhooks:\n\n{}", headings());
    deliveries.show_until(|_| false).await;
    Ok(())
}

/// Makes sure that this is the checkout's only `docintell local`, for as long as the file is kept.
fn alone(path: &Path, stack: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => match StackInfo::load_from(stack) {
            Ok(other) => bail!(
                "a local stack of this checkout is running, with its API at {}: use that one, or \
                 stop it first with Ctrl-C in its terminal",
                other.outputs.api_url
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
struct StackFile<'a> {
    path: &'a Path,
}

impl<'a> StackFile<'a> {
    fn write(path: &'a Path, info: &StackInfo) -> Result<Self> {
        info.save(path)?;
        Ok(Self { path })
    }
}

impl Drop for StackFile<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.path) {
            eprintln!("{} cannot be removed: {error}", self.path.display());
        }
    }
}

fn say_where_things_are(info: &StackInfo, files: &Files) -> Result<()> {
    let StackInfo { outputs, api_key, aws_endpoint_url, region, .. } = info;
    let tables = [
        outputs.jobs_table()?,
        &outputs.webhooks_table,
        &outputs.api_keys_table,
        &outputs.deliveries_table,
    ];
    println!(
        "
The stack is up. Where things are:

  API          {api_url}
  API key      {api_key}
               `test` keys are for development and `live` keys for production; the API treats them alike
  AWS          {aws_endpoint_url}, region {region}
  credentials  access key `{ACCESS_KEY}`, secret key `{ACCESS_KEY}`; they open this emulator only
  tables       {tables}
  stack.json   {path}: all of this and the queues, for programs
  logs         {functions}, {emulator}

Ctrl-C stops everything and throws the data away: the next start is a new, empty stack.",
        api_url = outputs.api_url,
        tables = tables.join("\n               "),
        path = shown(&files.stack),
        functions = shown(&files.functions_log),
        emulator = shown(&files.emulator_log),
    );
    Ok(())
}

fn say_what_to_try(info: &StackInfo) {
    let StackInfo { outputs, api_key, .. } = info;
    let (docintell, api_url) = (invocation(), &outputs.api_url);
    println!(
        r#"
To try in another terminal (nothing listens at the example's endpoint: below you see it fail and be retried):

  KEY={api_key}
  curl {api_url}/v1/webhooks -H "Authorization: Bearer $KEY"
  curl {api_url}/v1/webhooks -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
    -d '{{"url": "http://127.0.0.1:8000/", "events": ["document.processing.completed"]}}'
  {docintell} job complete --pages 3
  {docintell} job fail --message "The file is encrypted"
  {docintell} keys create --name laptop
"#
    );
}
