//! Markers that tell which webhooks `docintell listen` has registered, and which of its runs have ended.
//!
//! A marker is a file whose name is the last part of the webhook's path. Its run holds a lock on the file. The system
//! releases the lock when the run ends, even if it is killed, so a file without a lock was left behind.
//!
//! The rule: a marker exists before its webhook, so no kill can leave a webhook without a marker.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use uuid::Uuid;

/// The path of the webhooks' URLs before the marker's name.
const PREFIX: &str = "/docintell-listen/";

/// A marker that this run has locked.
#[derive(Debug)]
pub(crate) struct Marker {
    path: PathBuf,
    name: String,
    /// Dropping it releases the lock.
    _lock: File,
}

impl Marker {
    /// A new marker with a random name.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let name = Uuid::new_v4().to_string();
        let path = folder.join(&name);
        let create = || -> io::Result<File> {
            fs::create_dir_all(folder)?;
            // Locked before it has the name that others look at.
            let partial = folder.join(format!("{name}.partial"));
            let file = File::create(&partial)?;
            file.try_lock().map_err(io::Error::from)?;
            fs::rename(partial, &path)?;
            Ok(file)
        };
        let lock =
            create().with_context(|| format!("cannot write a file to {}", folder.display()))?;
        Ok(Self { path, name, _lock: lock })
    }

    /// Locks the markers of runs that have ended.
    pub(crate) fn left_behind(folder: &Path) -> Result<Vec<Self>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let is_marker = |name: &String| Uuid::try_parse(name).is_ok();
        Ok(names.filter(is_marker).filter_map(|name| Self::lock(folder, name)).collect())
    }

    /// `None` if its run still has it, or has just removed it.
    fn lock(folder: &Path, name: String) -> Option<Self> {
        let path = folder.join(&name);
        let file = File::open(&path).ok()?;
        file.try_lock().ok()?;
        Some(Self { path, name, _lock: file })
    }

    /// The path of the URL of this marker's webhook.
    pub(crate) fn url_path(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// Removes the marker, after its webhook.
    pub(crate) fn remove(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_left_behind_once_its_run_ends_without_removing_it() {
        let folder = std::env::temp_dir().join(format!("docintell-{}", Uuid::new_v4()));
        let paths = || {
            let markers = Marker::left_behind(&folder).unwrap();
            markers.iter().map(Marker::url_path).collect::<Vec<_>>()
        };
        assert_eq!(paths(), [""; 0]);
        let [killed, running] =
            [Marker::create(&folder).unwrap(), Marker::create(&folder).unwrap()];
        let path = killed.url_path();
        assert!(path.starts_with(PREFIX) && path != running.url_path());
        assert_eq!(paths(), [""; 0]);
        drop(killed);
        fs::write(folder.join("notes.txt"), "not a marker").unwrap();
        // Only looking leaves it there.
        assert_eq!([paths(), paths()], [[path.clone()], [path]]);
        for marker in Marker::left_behind(&folder).unwrap() {
            marker.remove().unwrap();
        }
        running.remove().unwrap();
        assert_eq!(paths(), [""; 0]);
        fs::remove_dir_all(folder).unwrap();
    }
}
