//! What a policy is given when it is made.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use config::v1::UpstreamTls;
use serde_json::Value;

use crate::{
    Chore, Directory, Ledger, LogDestination, LogTarget, Policy, PolicyKind, Registry, Remote,
};

/// State that outlives a snapshot, by stable key: counters, buckets, log targets, caches.
#[derive(Default)]
pub struct Carry {
    kept: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl Carry {
    /// What is kept under `key`, made by `make` if there is none of this type.
    pub fn keep<T: Any + Send + Sync>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(key).cloned().and_then(|any| any.downcast::<T>().ok()) {
            return found;
        }
        let made = Arc::new(make());
        kept.insert(key.to_owned(), made.clone());
        made
    }

    /// What is kept under `key`, if it is of this type.
    pub fn find<T: Any + Send + Sync>(&self, key: &str) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).cloned().and_then(|any| any.downcast::<T>().ok())
    }

    /// Forgets what nobody but the carry holds. Called after a swap.
    pub fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, any| Arc::strong_count(any) > 1);
    }
}

impl fmt::Debug for Compile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compile({})", self.id)
    }
}

impl fmt::Debug for Carry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carry")
    }
}

/// What compiling reaches of the world: files that the document names, and ways to servers. Nothing
/// is called while a policy is compiled.
pub trait World {
    /// The bytes of the file that the document calls `name`; `what` it is is said where it can't be
    /// read. The document is taken again when the file changes.
    ///
    /// # Errors
    /// It can't be read, or has more than `most` bytes.
    fn read(&self, name: &str, what: &str, most: u64, at: &Pointer) -> Result<Vec<u8>, Problem>;

    /// A way to servers, verified as `tls` says; by the system's authorities where it says nothing.
    /// `at` is where `tls` stands.
    ///
    /// # Errors
    /// Everything that is wrong with `tls`.
    fn remote(&self, tls: &UpstreamTls, at: &Pointer) -> Result<Arc<dyn Remote>, Problems>;

    /// Where counts are kept that outlive the process; none where nothing does.
    fn ledger(&self) -> Option<Arc<dyn Ledger>>;

    /// Now, since 1970: what has expired by then can be warned of. No decision is taken by it.
    fn wall(&self) -> Duration;
}

/// What is at hand while a policy is compiled. Compiling opens no socket and starts nothing.
pub struct Compile<'a> {
    /// Applications and their credentials.
    pub directory: &'a Arc<Directory>,
    /// The policies there are, for those that are made of others.
    pub registry: &'a Registry,
    /// Files and servers.
    pub world: &'a dyn World,
    /// State that outlives this snapshot.
    pub carry: &'a Carry,
    /// What this use of the policy is called: its `id`, else made from its place. Stable across
    /// reloads that do not move it; unique within the document.
    pub id: &'a str,
    /// Header names that say who the caller is; they are removed from every request that comes in.
    pub identity_headers: &'a mut Vec<String>,
    /// Log targets opened so far.
    pub log_targets: &'a mut Vec<Arc<LogTarget>>,
    /// What goes on beside the requests.
    pub chores: &'a mut Vec<Arc<dyn Chore>>,
}

impl Compile<'_> {
    /// A policy inside this one: of `kind`, with the settings that stand at `at`. `part` tells it
    /// from its neighbours.
    ///
    /// # Errors
    /// Everything that is wrong with its settings.
    pub fn nested(
        &mut self,
        kind: &PolicyKind,
        settings: &Value,
        at: &Pointer,
        part: &str,
    ) -> Result<Arc<dyn Policy>, Problems> {
        let id = format!("{}/{part}", self.id);
        let mut inner = Compile {
            directory: self.directory,
            registry: self.registry,
            world: self.world,
            carry: self.carry,
            id: &id,
            identity_headers: self.identity_headers,
            log_targets: self.log_targets,
            chores: self.chores,
        };
        (kind.compile)(settings, at, &mut inner)
    }

    /// The log target for `destination`; the same one for all who name it.
    pub fn log_target(&mut self, destination: LogDestination) -> Arc<LogTarget> {
        let key = format!("log target {destination}");
        let target = self.carry.keep(&key, || LogTarget::new(destination));
        if !self.log_targets.iter().any(|known| Arc::ptr_eq(known, &target)) {
            self.log_targets.push(target.clone());
        }
        target
    }
}
