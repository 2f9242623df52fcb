//! Watching files: says that something may have changed, soon after it did, once for many changes
//! at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Quiet time after a change before it is told: editors and mounts change several files in a row.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches the folders of files, so that files that are replaced, and mounts whose links are turned
/// (as Kubernetes does), are seen too. Other files there may change as they like: what counts is
/// whether a watched file is another one than was read.
pub struct Files {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<()>,
    /// The files, each as it was before it was read last; none where that is not known.
    read: BTreeMap<PathBuf, Option<Stamp>>,
}

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// It is not there, or not to be seen.
    Missing,
    /// Device and inode, size, last changes in seconds and nanoseconds.
    There { node: (u64, u64), size: u64, written: (i64, i64), changed: (i64, i64) },
}

impl Stamp {
    /// The file's now, behind links.
    fn of(path: &Path) -> Self {
        fs::metadata(path).map_or(Self::Missing, |found| Self::There {
            node: (found.dev(), found.ino()),
            size: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl Files {
    /// A watcher of nothing yet. Where the system can't watch, says so once and never tells of a
    /// change.
    pub fn new() -> Self {
        let (tell, changes) = mpsc::channel(1);
        let seen = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // A full channel holds the news already.
                let _ = tell.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(seen)
            .inspect_err(|error| {
                tracing::warn!(%error, "files can't be watched: reload by SIGHUP or POST /reload");
            })
            .ok();
        Self { watcher, folders: BTreeSet::new(), changes, read: BTreeMap::new() }
    }

    /// The files that are watched are about to be read.
    pub fn mark(&mut self) {
        for (file, stamp) in &mut self.read {
            *stamp = Some(Stamp::of(file));
        }
    }

    /// Watches these files from now on, and no others.
    pub fn set(&mut self, files: &[PathBuf]) {
        self.read.retain(|file, _| files.contains(file));
        self.know(files);
        self.watch(files.iter().flat_map(|file| folders(file)).collect());
    }

    /// Watches these files too.
    pub fn add(&mut self, files: &[PathBuf]) {
        self.know(files);
        let more = files.iter().flat_map(|file| folders(file));
        self.watch(self.folders.iter().cloned().chain(more).collect());
    }

    /// What was read before it was known here may have changed since.
    fn know(&mut self, files: &[PathBuf]) {
        for file in files {
            self.read.entry(file.clone()).or_insert(None);
        }
    }

    fn watch(&mut self, wanted: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        let mut watched = BTreeSet::new();
        for folder in wanted {
            if self.folders.contains(&folder) {
                watched.insert(folder);
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(folder);
                }
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "a folder can't be watched");
                }
            }
        }
        self.folders = watched;
    }

    /// Waits until a file is another one than was read, and until no more changes follow.
    pub async fn changed(&mut self) {
        loop {
            if self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            while tokio::time::timeout(SETTLE, self.changes.recv())
                .await
                .is_ok_and(|more| more.is_some())
            {}
            if self.differ() {
                return;
            }
        }
    }

    fn differ(&self) -> bool {
        self.read.iter().any(|(file, read)| *read != Some(Stamp::of(file)))
    }
}

/// The folders in which a change may change `file`: its own, and its target's where it is a link.
fn folders(file: &Path) -> Vec<PathBuf> {
    let own = if file.is_dir() { Some(file.to_owned()) } else { parent(file) };
    let target = file.canonicalize().ok().as_deref().and_then(parent);
    own.into_iter().chain(target).collect()
}

fn parent(file: &Path) -> Option<PathBuf> {
    file.parent().map(|parent| {
        if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_what_makes_a_watched_file_another_than_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.yaml"), "a").unwrap();
        fs::write(at("neighbour.log"), "").unwrap();
        let mut files = Files::new();
        files.set(&[at("a.yaml"), at("missing.pem")]);
        assert!(files.differ(), "it may have changed between reading and watching");
        files.mark();
        files.set(&[at("a.yaml"), at("missing.pem")]);
        fs::write(at("neighbour.log"), "a line").unwrap();
        assert!(!files.differ(), "a neighbour changed");
        fs::write(at("missing.pem"), "there now").unwrap();
        assert!(files.differ(), "a file that was missing is there");
        files.mark();
        fs::write(at("next"), "a").unwrap();
        fs::rename(at("next"), at("a.yaml")).unwrap();
        assert!(files.differ(), "a file was replaced");
        files.mark();
        files.set(&[at("missing.pem")]);
        fs::write(at("a.yaml"), "b").unwrap();
        assert!(!files.differ(), "a file that is watched no more");
    }
}
