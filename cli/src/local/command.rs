//! `docintell local`: starts the stack, runs a demo, and then shows every delivery.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::containers::Network;
use super::deliveries::{Deliveries, headings};
use super::demo::Demo;
use super::receiver::Receiver;
use super::welcome::{Files, print_examples, print_locations, stack_json};
use super::{LocalStack, Options, StackInfo};
use crate::checkout::{Checkout, display_path, invocation};
use crate::output;
use crate::progress::Progress;
use crate::stop::Stop;

#[derive(Debug, Clone, Args)]
pub(crate) struct LocalArgs {
    /// Start the stack only, without a receiver and without documents
    #[arg(long)]
    no_demo: bool,
    /// Port of the API; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = Self::API_PORT)]
    api_port: u16,
    /// Port of the emulated AWS; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    emulator_port: u16,
    /// Port of the receiver; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 0, conflicts_with = "no_demo")]
    receiver_port: u16,
    /// Docker network in which the emulated AWS listens, for functions in containers
    #[arg(long, value_name = "NAME", value_parser = docker_name)]
    docker_network: Option<String>,
}

impl LocalArgs {
    const API_PORT: u16 = 3000;
}

/// The options of `docintell` without a command.
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

/// Accepts names that Docker accepts and that a shell does not split.
fn docker_name(text: &str) -> Result<String, String> {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_usual) {
        return Ok(text.to_owned());
    }
    Err("not a name for a Docker network; expected letters, digits, `_`, `.` and `-`".to_owned())
}

/// Runs until Ctrl-C, or until a part of the stack fails.
pub(crate) async fn run(args: LocalArgs, json: bool) -> Result<()> {
    let stop = Stop::on_signals()?;
    tokio::select! {
        result = serve(args, json) => return result,
        () = stop.requested() => {}
    }
    // Dropping `serve` has stopped the stack.
    output::note("\nStopped. The stack and its data are gone.");
    Ok(())
}

async fn serve(args: LocalArgs, json: bool) -> Result<()> {
    let checkout = Checkout::find()?;
    let folder = checkout.local_folder();
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be created", folder.display()))?;
    let path = StackInfo::path(&checkout);
    let _lock = lock_checkout(&folder.join("running.lock"), &path)?;
    // Checked now, because the build can take minutes.
    let loopback = Ipv4Addr::LOCALHOST;
    expect_free(loopback, args.api_port, "the API", "--api-port")?;
    expect_free(loopback, args.receiver_port, "the receiver", "--receiver-port")?;
    output::note("DocIntell Webhooks on this machine");
    let network = match &args.docker_network {
        Some(name) => Some(Network::open(name, Progress::Shown).await?),
        None => None,
    };
    let emulator_host = network.as_ref().map_or(loopback, Network::gateway);
    expect_free(emulator_host, args.emulator_port, "the emulated AWS", "--emulator-port")?;

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
        result = show(args, json, &info, &files, network.as_ref()) => result,
    }
}

/// Runs the demo, prints commands to try, and then shows each delivery.
async fn show(
    args: LocalArgs,
    json: bool,
    info: &StackInfo,
    files: &Files,
    network: Option<&Network>,
) -> Result<()> {
    let mut deliveries = Deliveries::new(info, files.functions_log.clone())?.with_json(json);
    let demo = if args.no_demo {
        None
    } else {
        let receiver = Receiver::start(args.receiver_port).await?;
        Some(Demo::register(info, receiver, json).await?)
    };
    let _stack_file = StackFile::write(&files.stack, info)?;
    if json {
        output::json(&stack_json(info, files)?)?;
    }
    if let Some(demo) = &demo {
        demo.run(&mut deliveries).await.with_context(|| {
            format!("the demo failed: see {}", display_path(&files.functions_log))
        })?;
    }
    if !json {
        print_locations(info, files)?;
        print_examples(info)?;
        if let Some(network) = network {
            network.print_examples(info, &files.env_vars)?;
        }
        output::line(format_args!("Deliveries of all webhooks:\n\n{}", headings()))?;
    }
    deliveries.show_until(|_| false).await.map(drop)
}

/// Refuses to run beside another `docintell local` of the checkout, until the file is dropped.
fn lock_checkout(path: &Path, stack: &Path) -> Result<File> {
    let file =
        File::create(path).with_context(|| format!("{} cannot be created", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => match StackInfo::load_from(stack) {
            Ok(other) => bail!(
                "a local stack of this checkout is already running, with its API at {}: use it, or \
                 stop it with Ctrl-C in its terminal",
                other.outputs.api_url
            ),
            Err(_) => bail!(
                "a local stack of this checkout is starting: wait for it, or stop it with Ctrl-C in its \
                 terminal"
            ),
        },
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

fn expect_free(address: Ipv4Addr, port: u16, purpose: &str, option: &str) -> Result<()> {
    let problem = match TcpListener::bind((address, port)) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => "is in use".to_owned(),
        Err(error) => format!("cannot be used ({error})"),
    };
    bail!(
        "port {port} on {address} for {purpose} {problem}: stop the program that uses it, or choose \
         another port with `{docintell} local {option}`",
        docintell = invocation()
    )
}

/// `stack.json`; dropping this removes the file.
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
            output::note(format_args!("{} cannot be removed: {error}", self.path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_network_has_a_name_that_a_shell_takes_too() {
        for name in ["", "a b", "-a", "a;b"] {
            assert!(docker_name(name).is_err(), "{name}");
        }
        assert_eq!(docker_name("docintell.local-1_a").as_deref(), Ok("docintell.local-1_a"));
    }
}
