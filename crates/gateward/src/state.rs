//! The state directory: what a gateway keeps on disk from one process to the next.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

/// The directory of the gateway that runs by the document at `config`: the one that was named, or
/// systemd's, or one of its own among the user's. None if it can't be made: then nothing is kept,
/// and the log says so.
pub fn directory(named: &Option<PathBuf>, config: &Path) -> Option<PathBuf> {
    let given = named.clone().or_else(|| var("STATE_DIRECTORY"));
    let directory = match given {
        Some(given) => given,
        None => usual()?.join(own_name(config)),
    };
    match DirBuilder::new().recursive(true).mode(0o700).create(&directory) {
        Ok(()) => Some(directory),
        Err(error) => {
            tracing::warn!("nothing is kept across restarts: {}: {error}", directory.display());
            None
        }
    }
}

/// Where a user's programs keep their state.
fn usual() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/gateward".into());
    }
    let home = || var("HOME").map(|home| home.join(".local/state"));
    var("XDG_STATE_HOME").or_else(home).map(|state| state.join("gateward"))
}

/// A name that no other document has.
fn own_name(config: &Path) -> String {
    let path = fs::canonicalize(config).or_else(|_| std::path::absolute(config));
    let path = path.unwrap_or_else(|_| config.to_owned());
    let hash = digest(&SHA256, path.as_os_str().as_encoded_bytes());
    let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    format!("{}-{hash}", stem.unwrap_or_default())
}

fn var(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_directory_is_made_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let named = dir.path().join("a/b");
        let made = directory(&Some(named.clone()), Path::new("gateward.yaml")).unwrap();
        assert_eq!(made, named);
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(directory(&Some(dir.path().join("file/x")), Path::new("x")), None);
    }

    #[test]
    fn two_documents_have_two_names() {
        assert_ne!(
            own_name(Path::new("/a/gateward.yaml")),
            own_name(Path::new("/b/gateward.yaml"))
        );
        assert!(own_name(Path::new("/a/gateward.yaml")).starts_with("gateward-"));
    }
}
