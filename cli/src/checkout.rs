//! Where things lie in the checkout that this program was built from.
//!
//! The rule: nothing is written outside [`local_folder`].

use std::path::{Path, PathBuf};

use webhooks::env;

/// The workspace's root.
///
/// # Panics
///
/// Never: the crate lies in a folder of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies inside the workspace")
}

/// The template that is deployed.
#[must_use]
pub fn template() -> PathBuf {
    root().join("template.yaml")
}

/// A program or list that belongs to the local stack.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    root().join("cli/local").join(name)
}

/// What a run leaves behind: the Python environment, logs, and while it lasts `stack.json`.
#[must_use]
pub fn local_folder() -> PathBuf {
    root().join("target/local")
}

/// A path as a person in the checkout writes it.
#[must_use]
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// What a person types before a subcommand.
#[must_use]
pub fn invocation() -> String {
    match (env::optional("CARGO"), std::env::args().next()) {
        (None, Some(path)) => path,
        _ => "cargo run --".to_owned(),
    }
}
