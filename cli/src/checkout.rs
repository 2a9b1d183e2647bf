//! The checkout of this project in which a command works.
//!
//! The rules: the search starts in the current directory and goes up, so a copied checkout uses its own files.
//! Commands write only to [`Checkout::local_folder`].

use std::env::current_dir;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use webhooks::env;

/// Only a checkout has both files.
const MARKERS: [&str; 2] = ["template.yaml", "cli/local/emulator.py"];

#[derive(Debug, Clone)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Finds the checkout around the current directory.
    pub fn find() -> Result<Self> {
        let folder = current_dir().context("the current directory cannot be read")?;
        let Some(checkout) = Self::find_above(&folder) else {
            bail!(
                "{} is not in a checkout of DocIntell Webhooks: change to the folder with \
                 template.yaml, or to one below it",
                folder.display()
            );
        };
        Ok(checkout)
    }

    fn find_above(folder: &Path) -> Option<Self> {
        let is_root = |folder: &&Path| MARKERS.iter().all(|marker| folder.join(marker).is_file());
        folder.ancestors().find(is_root).map(|root| Self { root: root.to_owned() })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// A file of the local stack's Python part.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.root.join("cli/local").join(name)
    }

    /// Holds the Python environment, logs and, while a stack runs, `stack.json`.
    #[must_use]
    pub fn local_folder(&self) -> PathBuf {
        self.root.join("target/local")
    }
}

/// The path relative to the current directory, if it lies below it.
pub(crate) fn display_path(path: &Path) -> String {
    let folder = current_dir().unwrap_or_default();
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// The command that a user types before a subcommand.
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
        let checkout = Checkout::find_above(&here.join("src")).unwrap();
        assert_eq!(Some(checkout.root()), here.parent());
    }

    #[test]
    fn no_checkout_is_found_from_a_folder_outside() {
        assert!(Checkout::find_above(Path::new("/usr/bin")).is_none());
    }
}
