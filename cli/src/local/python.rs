//! Installs Python environments on first use, such as the emulator's.
//!
//! The rule: an environment is complete if its marker file exists, and the marker is written last.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base16ct::lower::encode_string as hex;
use sha2::{Digest, Sha256};

use crate::checkout::{Checkout, display_path};
use crate::program;
use crate::progress::{Progress, Task};

/// The oldest Python version that the requirements support.
const OLDEST: (u32, u32) = (3, 10);

/// Possible names of Python 3, the likeliest first.
const NAMES: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// What an environment is for, in the progress.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// Such as "installing the AWS emulator".
    pub installing: &'static str,
    /// Such as "AWS emulator installed".
    pub installed: &'static str,
}

const EMULATOR: Purpose =
    Purpose { installing: "installing the AWS emulator", installed: "AWS emulator installed" };

/// Installs the emulator's packages if needed; returns the path of the environment's Python.
pub async fn ensure(checkout: &Checkout, progress: Progress) -> Result<PathBuf> {
    ensure_for(EMULATOR, checkout, &checkout.script("requirements.txt"), progress).await
}

/// Installs the packages of the file `requirements` if needed; returns the path of the environment's Python.
pub async fn ensure_for(
    purpose: Purpose,
    checkout: &Checkout,
    requirements: &Path,
    progress: Progress,
) -> Result<PathBuf> {
    let text = fs::read(requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    let key = &hex(&Sha256::digest(&text))[..12];
    let folder = checkout.local_folder();
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be created", folder.display()))?;
    let environment = Environment { folder: folder.join(format!("venv-{key}")) };
    if !environment.is_complete() {
        environment.install(requirements, purpose, progress).await?;
    }
    Ok(environment.python())
}

struct Environment {
    folder: PathBuf,
}

impl Environment {
    fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Contains the Python version of the installed packages.
    fn marker(&self) -> PathBuf {
        self.folder.join("complete")
    }

    /// Also compares Python's version: the environment links to the system's Python, which may be upgraded or removed.
    fn is_complete(&self) -> bool {
        fs::read_to_string(self.marker()).is_ok_and(|version| {
            probe(&self.python()).is_some_and(|found| format!("{:?}", found.version) == version)
        })
    }

    async fn install(
        &self,
        requirements: &Path,
        purpose: Purpose,
        progress: Progress,
    ) -> Result<()> {
        let task = progress.begin("looking for Python");
        let python = find()?;
        task.done(format_args!("Python {}.{}", python.version.0, python.version.1));

        let task = progress.begin(purpose.installing);
        let lock = self.lock(&task).await?;
        if self.is_complete() {
            return Ok(());
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).with_context(|| {
                format!("{} cannot be removed: remove it yourself", self.folder.display())
            })?;
        }
        // Each program inherits the lock as its standard input. If this process is killed, the lock lasts until the
        // program ends.
        let lock_as_stdin =
            || lock.try_clone().map(Stdio::from).context("the lock cannot be shared");
        let mut make = Command::new(&python.path);
        make.args(["-I", "-m", "venv"]).arg(&self.folder).stdin(lock_as_stdin()?);
        program::run(&task, &mut make).await?;
        let mut install = Command::new(self.python());
        install
            .args(["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"])
            // The file pins all dependencies, so pip neither resolves nor builds anything.
            .args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"])
            .args(["--progress-bar", "off", "--requirement"])
            .arg(requirements)
            .stdin(lock_as_stdin()?);
        program::run(&task, &mut install).await?;
        fs::write(self.marker(), format!("{:?}", python.version))
            .with_context(|| format!("{} cannot be written", self.marker().display()))?;
        task.done(format_args!("{} in {}", purpose.installed, display_path(&self.folder)));
        Ok(())
    }

    /// Waits until no other process installs. The lock lasts until the last copy of the file is closed.
    async fn lock(&self, task: &Task) -> Result<File> {
        let path = self.folder.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        task.note("waiting for another process that is installing it");
        task.watch(async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    Err(TryLockError::Error(error)) => {
                        return Err(error)
                            .with_context(|| format!("{} cannot be locked", path.display()));
                    }
                }
            }
        })
        .await?;
        task.note("");
        Ok(file)
    }
}

struct Python {
    path: PathBuf,
    version: (u32, u32),
    has_venv: bool,
}

/// Finds a Python that is new enough and has the venv module.
fn find() -> Result<Python> {
    let mut found: Vec<Python> = NAMES.iter().filter_map(|name| probe(Path::new(name))).collect();
    if let Some(at) = found.iter().position(|it| it.version >= OLDEST && it.has_venv) {
        return Ok(found.swap_remove(at));
    }
    let needed = format!("Python {}.{} or newer", OLDEST.0, OLDEST.1);
    match found.into_iter().max_by_key(|it| it.version) {
        None => bail!("Python was not found: install {needed} and put `python3` in the PATH"),
        Some(Python { version: (major, minor), .. }) if (major, minor) < OLDEST => {
            bail!("Python {major}.{minor} is too old: install {needed}")
        }
        Some(Python { path, version: (major, minor), .. }) => bail!(
            "Python {major}.{minor} ({}) cannot create virtual environments: install its venv module \
             (on Debian and Ubuntu: `sudo apt install python{major}.{minor}-venv`)",
            path.display()
        ),
    }
}

/// Runs `path`; `None` unless it is Python 3.
fn probe(path: &Path) -> Option<Python> {
    const SCRIPT: &str = "
import sys
print(*sys.version_info[:2])
try:
    import venv, ensurepip
    print('venv')
except ImportError:
    pass
";
    let output =
        Command::new(path).args(["-I", "-c", SCRIPT]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    let (major, minor) = lines.next()?.split_once(' ')?;
    Some(Python {
        path: path.to_owned(),
        version: (major.parse().ok()?, minor.parse().ok()?),
        has_venv: lines.next() == Some("venv"),
    })
}
