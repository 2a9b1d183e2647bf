//! The Python environment that the emulator runs in, made on first use.
//!
//! The rule: it counts as there only when its marker says so, and the marker is the last thing written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base16ct::lower::encode_string as hex;
use sha2::{Digest, Sha256};

use crate::checkout::{Checkout, shown};
use crate::program;
use crate::progress::{Progress, Task};

/// The oldest Python that the emulator runs on.
const OLDEST: (u32, u32) = (3, 10);

/// What may be called Python 3, the likeliest first.
const NAMES: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// The path of the environment's Python. Its packages are those of `requirements.txt`.
pub async fn ensure(checkout: &Checkout, progress: Progress) -> Result<PathBuf> {
    let requirements = checkout.script("requirements.txt");
    let text = fs::read(&requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    let key = &hex(&Sha256::digest(&text))[..12];
    let folder = checkout.local_folder();
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let environment = Environment { folder: folder.join(format!("venv-{key}")) };
    if !environment.is_complete() {
        environment.install(&requirements, progress).await?;
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

    /// Holds the version of Python that the packages were installed for.
    fn marker(&self) -> PathBuf {
        self.folder.join("complete")
    }

    /// The environment's Python is a link: what it leads to may have been upgraded, or be gone.
    fn is_complete(&self) -> bool {
        fs::read_to_string(self.marker()).is_ok_and(|version| {
            probe(&self.python()).is_some_and(|found| format!("{:?}", found.version) == version)
        })
    }

    async fn install(&self, requirements: &Path, progress: Progress) -> Result<()> {
        let task = progress.begin("looking for Python");
        let python = find()?;
        task.done(format_args!("Python {}.{}", python.version.0, python.version.1));

        let task = progress.begin("installing the AWS emulator");
        let lock = self.lock(&task).await?;
        if self.is_complete() {
            return Ok(());
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).with_context(|| {
                format!("{} cannot be removed: remove it", self.folder.display())
            })?;
        }
        // Each program gets the lock as its standard input: should we be killed, the lock is held for as
        // long as one of them still writes.
        let held = || lock.try_clone().map(Stdio::from).context("the lock cannot be shared");
        let mut make = Command::new(&python.path);
        make.args(["-I", "-m", "venv"]).arg(&self.folder).stdin(held()?);
        program::run(&task, &mut make).await?;
        let mut install = Command::new(self.python());
        install
            .args(["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"])
            // The requirements are the whole closure: nothing needs resolving, and nothing building.
            .args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"])
            .args(["--progress-bar", "off", "--requirement"])
            .arg(requirements)
            .stdin(held()?);
        program::run(&task, &mut install).await?;
        fs::write(self.marker(), format!("{:?}", python.version))
            .with_context(|| format!("{} cannot be written", self.marker().display()))?;
        task.done(format_args!("AWS emulator installed in {}", shown(&self.folder)));
        Ok(())
    }

    /// Waits until no other process installs here. The lock ends with the last copy of the file.
    async fn lock(&self, task: &Task) -> Result<File> {
        let path = self.folder.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        task.note("waiting for another process that installs it");
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

/// A Python that is new enough and can make environments.
fn find() -> Result<Python> {
    let mut found: Vec<Python> = NAMES.iter().filter_map(|name| probe(Path::new(name))).collect();
    if let Some(at) = found.iter().position(|it| it.version >= OLDEST && it.has_venv) {
        return Ok(found.swap_remove(at));
    }
    let needed = format!("Python {}.{} or newer", OLDEST.0, OLDEST.1);
    match found.into_iter().max_by_key(|it| it.version) {
        None => bail!("Python was not found: install {needed} so that `python3` is in the PATH"),
        Some(Python { version: (major, minor), .. }) if (major, minor) < OLDEST => {
            bail!("Python {major}.{minor} is too old for the AWS emulator: install {needed}")
        }
        Some(Python { path, version: (major, minor), .. }) => bail!(
            "Python {major}.{minor} ({}) cannot make virtual environments: install its venv module \
             (on Debian and Ubuntu: `sudo apt install python{major}.{minor}-venv`)",
            path.display()
        ),
    }
}

/// What `path` is, if it is a Python 3.
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
