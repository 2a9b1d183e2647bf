//! What every section of the benchmark works with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use docintell::checkout::Checkout;
use docintell::local::build::{self, Profile};
use docintell::progress::Progress;

use crate::aws::Aws;
use crate::cores::Cores;
use crate::function::Program;
use crate::given;
use crate::tls::Tls;

/// The bootstraps and the machine.
#[derive(Debug)]
pub struct Bench {
    /// The functions' folder or the build's, where `api`, `fanout` and `sender` lie.
    bootstraps: Vec<(String, PathBuf)>,
    /// Which processor runs what; `None` where nothing is measured, only counted.
    pub cores: Option<Cores>,
    /// An authority that the functions are told to trust, and its server.
    pub tls: Tls,
    /// Fewer repetitions.
    pub quick: bool,
}

impl Bench {
    /// Builds the functions, in the profile that this program was built in, or takes those in `folder`.
    pub async fn prepare(folder: Option<&Path>, cores: Option<Cores>, quick: bool) -> Result<Self> {
        let checkout = Checkout::find()?;
        let bootstraps = match folder {
            Some(folder) => {
                ["api", "fanout", "sender"].map(|name| (name.to_owned(), folder.join(name))).into()
            }
            None => build::functions(&checkout, Profile::of_this_program(), Progress::Shown)
                .await?
                .into_iter()
                .map(|binary| (binary.name.to_owned(), binary.path))
                .collect(),
        };
        let folder = checkout.local_folder();
        std::fs::create_dir_all(&folder).context("target/local cannot be made")?;
        Ok(Self { bootstraps, cores, tls: Tls::new(&folder)?, quick })
    }

    /// The path of a function's bootstrap.
    pub fn bootstrap(&self, function: &str) -> Result<PathBuf> {
        let found = self.bootstraps.iter().find(|(name, _)| name == function);
        found.map(|(_, path)| path.clone()).with_context(|| format!("no bootstrap `{function}`"))
    }

    /// The sender with `aws`, trusting [`Bench::tls`].
    pub fn sender(&self, aws: &Aws) -> Result<Program> {
        let authority = self.tls.authority().display().to_string();
        Ok(given::sender(self.bootstrap("sender")?, &aws.endpoint(), &authority))
    }

    /// One of two amounts: for a whole run, or for a quick one.
    #[must_use]
    pub fn or_quick(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }
}
