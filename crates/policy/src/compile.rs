//! What a policy is given when it is made.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Directory, LogDestination, LogTarget};

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

impl fmt::Debug for Carry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carry")
    }
}

/// What is at hand while a policy is compiled. Compiling is pure: no file, no socket, no clock.
#[derive(Debug)]
pub struct Compile<'a> {
    /// Applications and their credentials.
    pub directory: &'a Arc<Directory>,
    /// State that outlives this snapshot.
    pub carry: &'a Carry,
    /// What this use of the policy is called: its `id`, else made from its place. Stable across
    /// reloads that do not move it; unique within the document.
    pub id: &'a str,
    /// Header names that say who the caller is; they are removed from every request that comes in.
    pub identity_headers: &'a mut Vec<String>,
    /// Log targets opened so far.
    pub log_targets: &'a mut Vec<Arc<LogTarget>>,
}

impl Compile<'_> {
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
