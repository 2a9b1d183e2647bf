//! The checkout of this project that a command works in.
//!
//! The rules: it is looked for upwards from the current directory, so that a copy uses its own files; and nothing
//! is written outside [`Checkout::local_folder`].

use std::env::current_dir;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use webhooks::env;

/// What only a checkout has.
const MARKERS: [&str; 2] = ["template.yaml", "cli/local/emulator.py"];

/// A checkout, by its root.
#[derive(Debug, Clone)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The checkout that the current directory lies in.
    pub fn find() -> Result<Self> {
        let folder = current_dir().context("the current directory cannot be read")?;
        let Some(checkout) = Self::around(&folder) else {
            bail!(
                "{} lies in no checkout of DocIntell Webhooks: change into one (the folder with \
                 template.yaml, or any below it)",
                folder.display()
            );
        };
        Ok(checkout)
    }

    fn around(folder: &Path) -> Option<Self> {
        let is_root = |folder: &&Path| MARKERS.iter().all(|marker| folder.join(marker).is_file());
        folder.ancestors().find(is_root).map(|root| Self { root: root.to_owned() })
    }

    /// The workspace's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The template that is deployed.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// A Python program or list that belongs to the local stack.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.root.join("cli/local").join(name)
    }

    /// What a run leaves behind: the Python environment, logs, and while it lasts `stack.json`.
    #[must_use]
    pub fn local_folder(&self) -> PathBuf {
        self.root.join("target/local")
    }
}

/// A path as a person types it here.
pub(crate) fn shown(path: &Path) -> String {
    let folder = current_dir().unwrap_or_default();
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// What a person types before a subcommand.
pub(crate) fn invocation() -> String {
    match (env::optional("CARGO"), std::env::args().next()) {
        (None, Some(path)) => path,
        _ => "cargo run --".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_found_from_any_folder_below_its_root() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = Checkout::around(&here.join("src")).unwrap();
        assert_eq!(Some(checkout.root()), here.parent());
    }

    #[test]
    fn a_folder_outside_is_in_no_checkout() {
        assert!(Checkout::around(Path::new("/usr/bin")).is_none());
    }
}
