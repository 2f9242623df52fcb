//! Watching files: says that something may have changed, soon after it did, once for many changes
//! at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Quiet time after a change before it is told: editors and mounts change several files in a row.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches the folders of files, so that files that are replaced, and mounts whose links are turned
/// (as Kubernetes does), are seen too.
pub struct Files {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<()>,
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
        Self { watcher, folders: BTreeSet::new(), changes }
    }

    /// Watches these files from now on, and no others.
    pub fn set(&mut self, files: &[PathBuf]) {
        self.watch(files.iter().flat_map(|file| folders(file)).collect());
    }

    /// Watches these files too.
    pub fn add(&mut self, files: &[PathBuf]) {
        let more = files.iter().flat_map(|file| folders(file));
        self.watch(self.folders.iter().cloned().chain(more).collect());
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

    /// Waits for a change, and until no more follow.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while tokio::time::timeout(SETTLE, self.changes.recv())
            .await
            .is_ok_and(|more| more.is_some())
        {}
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
