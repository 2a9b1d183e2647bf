//! Setup shared by all sections.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use harness::{Authority, Cores, FakeAws, Program, TlsAcceptor};

use crate::alternatives::Alternative;

/// The bootstraps, the processors and the test certificate authority.
pub(crate) struct Bench {
    /// The folder with `api`, `fanout`, `sender` and `replay`.
    bootstraps: PathBuf,
    /// The processors of the functions and of the benchmark.
    pub cores: Cores,
    /// The certificate authority that the sender trusts.
    pub authority: Authority,
    /// For servers named `localhost`.
    pub tls: TlsAcceptor,
    /// Measures only headline figures, with fewer repetitions.
    pub quick: bool,
    /// The sender in other languages; empty unless they are measured.
    pub alternatives: Vec<Alternative>,
}

impl Bench {
    /// Builds the functions in this program's profile, or uses those in `folder`.
    pub(crate) async fn prepare(folder: Option<&Path>, cores: Cores, quick: bool) -> Result<Self> {
        let bootstraps = if let Some(folder) = folder {
            folder.to_owned()
        } else {
            // Cargo puts all bootstraps into one folder.
            let sender = harness::bootstrap("sender").await;
            sender.parent().context("a bootstrap has no folder")?.to_owned()
        };
        let authority = Authority::new("benchmark");
        let tls = authority.server("localhost");
        Ok(Self { bootstraps, cores, authority, tls, quick, alternatives: Vec::new() })
    }

    /// The function `name`, calling `aws`.
    pub(crate) fn program(&self, name: &str, aws: &FakeAws) -> Result<Program> {
        let path = self.bootstraps.join(name);
        let path =
            path.canonicalize().with_context(|| format!("no bootstrap {}", path.display()))?;
        Ok(Program::new(path, aws.environment()))
    }

    /// The sender, calling `aws` and trusting [`Bench::authority`].
    pub(crate) fn sender(&self, aws: &FakeAws) -> Result<Program> {
        let mut program = self.program("sender", aws)?;
        let authority = self.authority.file().display().to_string();
        program.environment.push(("EXTRA_CA_FILE", authority));
        Ok(program)
    }

    /// The amount for a full run or for a quick one.
    pub(crate) fn or_quick(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }
}
