//! Who may call: applications, found by what they prove themselves with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::Application;

/// All applications. Immutable; part of a snapshot.
#[derive(Debug, Default)]
pub struct Directory {
    /// By the first half of a key's SHA-256.
    keys: HashMap<[u8; 16], Stored>,
    /// By name.
    applications: HashMap<Box<str>, Arc<Application>>,
}

#[derive(Debug)]
struct Stored {
    rest: [u8; 16],
    application: Arc<Application>,
    id: Arc<str>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an application. False if another one has its name.
    pub fn add_application(&mut self, application: &Arc<Application>) -> bool {
        match self.applications.entry(application.name.as_str().into()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(application.clone());
                true
            }
        }
    }

    /// The application of this name.
    pub fn application(&self, name: &str) -> Option<&Arc<Application>> {
        self.applications.get(name)
    }

    /// The names of all applications, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.applications.keys().map(|name| &**name)
    }

    /// Adds a key by its SHA-256. False if another application or the same one has it already.
    pub fn add_key(
        &mut self,
        sha256: [u8; 32],
        application: &Arc<Application>,
        id: Arc<str>,
    ) -> bool {
        let (first, rest) = halves(&sha256);
        match self.keys.entry(first) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Stored { rest, application: application.clone(), id });
                true
            }
        }
    }

    /// Who has the key with this SHA-256. The time this takes says nothing about a key: it is
    /// looked up by half of a hash that a caller can't steer, and the other half is compared in
    /// constant time.
    pub fn by_key(&self, sha256: &[u8; 32]) -> Option<(&Arc<Application>, &Arc<str>)> {
        let (first, rest) = halves(sha256);
        let stored = self.keys.get(&first)?;
        same(&stored.rest, &rest).then_some((&stored.application, &stored.id))
    }

    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }
}

fn halves(sha256: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    let first = sha256.first_chunk().copied().unwrap_or_default();
    let rest = sha256.last_chunk().copied().unwrap_or_default();
    (first, rest)
}

/// Compares without stopping at the first difference.
fn same(a: &[u8; 16], b: &[u8; 16]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b));
    std::hint::black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_found_by_its_name() {
        let mut directory = Directory::new();
        let application = Arc::new(Application { name: "shop".into(), ..Application::default() });
        assert!(directory.add_application(&application));
        assert!(!directory.add_application(&application));
        assert!(directory.application("shop").is_some_and(|it| Arc::ptr_eq(it, &application)));
        assert!(directory.application("Shop").is_none());
    }

    #[test]
    fn a_key_is_found_by_all_of_its_hash_and_taken_once() {
        let mut directory = Directory::new();
        let application = Arc::new(Application { name: "shop".into(), ..Application::default() });
        let mut key = [7; 32];
        assert!(directory.add_key(key, &application, "1".into()));
        assert!(!directory.add_key(key, &application, "2".into()));
        assert_eq!(directory.by_key(&key).map(|(_, id)| &**id), Some("1"));
        key[31] = 8;
        assert!(directory.by_key(&key).is_none(), "its last byte differs");
        key = [7; 32];
        key[0] = 8;
        assert!(directory.by_key(&key).is_none(), "its first byte differs");
    }
}
