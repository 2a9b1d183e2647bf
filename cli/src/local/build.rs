//! Builds the functions, with the cargo that started this program or the one in the PATH.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use webhooks::env;

use crate::checkout::Checkout;
use crate::program;
use crate::progress::Progress;

/// The binaries that template.yaml names.
const FUNCTIONS: [&str; 4] = ["api", "fanout", "replay", "sender"];

/// This package, whose binary has the same name.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Prefixes of the variables that cargo sets for the program that it runs.
const PACKAGE_VARIABLES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "OUT_DIR"];

#[derive(Debug)]
pub struct Binary {
    /// The name in the template.
    pub name: &'static str,
    pub path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// The profile of this program's own build.
    #[must_use]
    pub const fn of_this_program() -> Self {
        if cfg!(debug_assertions) { Self::Dev } else { Self::Release }
    }
}

pub async fn functions(
    checkout: &Checkout,
    profile: Profile,
    progress: Progress,
) -> Result<Vec<Binary>> {
    let task = progress.begin("building the functions");
    let messages = program::run(&task, &mut cargo(checkout, profile)).await?;
    let binaries = FUNCTIONS
        .into_iter()
        .map(|name| match executable(&messages, name) {
            Some(path) => Ok(Binary { name, path }),
            None => bail!("cargo built no binary `{name}`: see functions/{name}/Cargo.toml"),
        })
        .collect::<Result<Vec<_>>>()
        .context("the functions could not be built")?;
    task.done(format_args!("functions built: {}", FUNCTIONS.join(", ")));
    Ok(binaries)
}

/// Builds this program, for tests of other packages that run it. Returns the path of its binary.
pub async fn this_program(checkout: &Checkout, progress: Progress) -> Result<PathBuf> {
    let task = progress.begin("building docintell");
    let profile = Profile::of_this_program();
    let mut cargo = cargo(checkout, profile);
    if profile == Profile::Release {
        cargo.args(["--package", PROGRAM]);
    }
    let messages = program::run(&task, &mut cargo).await?;
    executable(&messages, PROGRAM).context("cargo built no binary `docintell`: see cli/Cargo.toml")
}

/// The command that builds the functions.
fn cargo(checkout: &Checkout, profile: Profile) -> Command {
    let mut cargo = Command::new(env::optional("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    cargo
        .current_dir(checkout.root())
        .args(["build", "--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null());
    // Some build scripts run again when these variables change. With them, each build would compile a third of the
    // crates again.
    for (name, _) in std::env::vars_os() {
        if let Some(text) = name.to_str()
            && PACKAGE_VARIABLES.iter().any(|prefix| text.starts_with(prefix))
        {
            cargo.env_remove(&name);
        }
    }
    for name in FUNCTIONS {
        cargo.args(["--package", name]);
    }
    match profile {
        // Cargo unifies features over all packages of a build. With this package included, the build reuses the
        // dependencies that `cargo run` has compiled.
        Profile::Dev => cargo.args(["--package", PROGRAM]),
        Profile::Release => cargo.arg("--release"),
    };
    cargo
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .find(|message| message.target.name == name && message.executable.is_some())
        .and_then(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_distinguished_from_a_library_with_the_same_name() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"api"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"api"},"executable":"/target/debug/api"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "api"), Some(PathBuf::from("/target/debug/api")));
        assert_eq!(executable(messages, "sender"), None);
    }
}
