//! What every section of the benchmark works with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bench::aws::Aws;
use bench::cores::Cores;
use bench::function::Program;
use bench::given;
use bench::tls::Tls;
use docintell::local::{Steps, build};

use crate::alternatives::Alternative;

/// The bootstraps and the machine.
pub struct Bench {
    /// By function.
    bootstraps: Vec<(String, PathBuf)>,
    /// Which processor runs what.
    pub cores: Cores,
    /// The certificate authority that the sender trusts.
    pub tls: Tls,
    /// Fewer repetitions.
    pub quick: bool,
    /// The sender in other languages, if it is to be measured.
    pub alternatives: Vec<Alternative>,
}

impl Bench {
    /// Builds the functions in the profile of this program, or takes those in `folder`.
    pub async fn prepare(folder: Option<&Path>, cores: Cores, quick: bool) -> Result<Self> {
        let bootstraps = if let Some(folder) = folder {
            ["api", "fanout", "sender"].map(|name| (name.to_owned(), folder.join(name))).into()
        } else {
            let built = build::functions(Steps::Shown).await?.into_iter();
            built.map(|binary| (binary.name.to_owned(), binary.path)).collect()
        };
        let folder = docintell::checkout::local_folder();
        std::fs::create_dir_all(&folder).context("target/local cannot be made")?;
        Ok(Self { bootstraps, cores, tls: Tls::new(&folder)?, quick, alternatives: Vec::new() })
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
    pub fn or_quick(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }
}
