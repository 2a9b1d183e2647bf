//! What every section of the benchmark works with.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use harness::{Authority, Cores, FakeAws, Program, TlsAcceptor};

/// The bootstraps and the machine.
pub struct Bench {
    /// Where `api`, `fanout` and `sender` lie.
    bootstraps: PathBuf,
    /// Which processor runs what; `None` where nothing is measured, only counted.
    pub cores: Option<Cores>,
    /// An authority that the sender is told to trust.
    pub authority: Authority,
    /// Its server, known as `localhost`.
    pub tls: TlsAcceptor,
    /// Fewer repetitions.
    pub quick: bool,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("bootstraps", &self.bootstraps).finish_non_exhaustive()
    }
}

impl Bench {
    /// Builds the functions, in the profile that this program was built in, or takes those in `folder`.
    pub async fn prepare(folder: Option<&Path>, cores: Option<Cores>, quick: bool) -> Result<Self> {
        let bootstraps = if let Some(folder) = folder {
            folder.to_owned()
        } else {
            // Cargo puts them all into one folder.
            let sender = harness::bootstrap("sender").await;
            sender.parent().context("a bootstrap has no folder")?.to_owned()
        };
        let authority = Authority::new("benchmark");
        let tls = authority.server("localhost");
        Ok(Self { bootstraps, cores, authority, tls, quick })
    }

    /// The path of a function's bootstrap.
    pub fn bootstrap(&self, function: &str) -> Result<PathBuf> {
        let path = self.bootstraps.join(function);
        ensure!(path.exists(), "no bootstrap {}", path.display());
        Ok(path)
    }

    /// The function `name` with `aws`.
    pub fn program(&self, name: &str, aws: &FakeAws) -> Result<Program> {
        Ok(Program::new(self.bootstrap(name)?, aws.environment()))
    }

    /// The sender with `aws`, trusting [`Bench::authority`].
    pub fn sender(&self, aws: &FakeAws) -> Result<Program> {
        let mut program = self.program("sender", aws)?;
        let authority = self.authority.file().display().to_string();
        program.environment.push(("EXTRA_CA_FILE", authority));
        Ok(program)
    }

    /// One of two amounts: for a whole run, or for a quick one.
    #[must_use]
    pub fn or_quick(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }
}
