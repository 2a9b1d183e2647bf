//! Folders for the logs of the stacks that a run of the tests starts.
//!
//! The rule: the logs of the last run stay, to look into a failure. Those of earlier runs go when the next one starts.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of this process in Cargo's folder for tests. Removes those of processes that have ended.
pub(crate) fn run_folder(name: &str) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    remove_ended(parent, name);
    parent.join(format!("{name}-{}", std::process::id()))
}

fn remove_ended(parent: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let process =
            file_name.to_str().and_then(|text| text.strip_prefix(name)?.strip_prefix('-'));
        if process.and_then(|id| id.parse().ok()).is_some_and(has_ended) {
            // Another run may remove it at the same time.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// False where the system has no `/proc`.
fn has_ended(process: u32) -> bool {
    let proc = Path::new("/proc");
    proc.join("self").exists() && !proc.join(process.to_string()).exists()
}

#[test]
fn a_run_removes_the_folders_of_ended_runs_and_no_others() {
    let mut child = std::process::Command::new("true").spawn().expect("the program is there");
    let ended = child.id();
    child.wait().expect("the program ends");
    let parent = std::env::temp_dir().join(super::job::new_id());
    let kept =
        [format!("e2e-{}", std::process::id()), format!("e2e-x-{ended}"), "e2e-x".to_owned()];
    for name in kept.iter().chain([&format!("e2e-{ended}")]) {
        fs::create_dir_all(parent.join(name).join("logs")).expect("the folder is new");
    }
    remove_ended(&parent, "e2e");
    let left = fs::read_dir(&parent).expect("it is a folder").flatten().map(|it| it.file_name());
    let mut left: Vec<_> = left.map(|name| name.into_string().expect("it is ASCII")).collect();
    left.sort_unstable();
    fs::remove_dir_all(&parent).expect("the test owns the folder");
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    assert_eq!(left, kept);
}
