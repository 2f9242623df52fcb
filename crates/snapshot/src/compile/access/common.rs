//! What many applications have in common is kept once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use policy::Grant;
use rustc_hash::FxBuildHasher;

/// Most names that are kept once: those of keys may be as many as the keys.
const TEXTS_MAX: usize = 1 << 14;

type Set<T> = HashSet<Arc<T>, FxBuildHasher>;

/// Values that were seen, each once.
#[derive(Default)]
pub(super) struct Common {
    texts: Set<str>,
    groups: HashMap<Vec<String>, Arc<Vec<Box<str>>>, FxBuildHasher>,
    labels: Set<BTreeMap<String, String>>,
    grants: HashMap<Vec<String>, Arc<Grant>, FxBuildHasher>,
}

impl Common {
    /// A name that others may have, too.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        match self.texts.get(text) {
            Some(known) => known.clone(),
            None if self.texts.len() < TEXTS_MAX => keep(&mut self.texts, text.into()),
            None => text.into(),
        }
    }

    /// Groups, as they are written.
    pub fn groups(&mut self, written: &[String]) -> Arc<Vec<Box<str>>> {
        if let Some(known) = self.groups.get(written) {
            return known.clone();
        }
        let groups =
            Arc::new(written.iter().map(|group| group.as_str().into()).collect::<Vec<_>>());
        self.groups.insert(written.to_owned(), groups.clone());
        groups
    }

    /// An application's labels, with those of its organization that it has none of the name of.
    pub fn labels(
        &mut self,
        own: &BTreeMap<String, String>,
        inherited: Option<&BTreeMap<String, String>>,
    ) -> Arc<BTreeMap<String, String>> {
        let mut labels = inherited.cloned().unwrap_or_default();
        labels.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        match self.labels.get(&labels) {
            Some(known) => known.clone(),
            None => keep(&mut self.labels, Arc::new(labels)),
        }
    }

    /// What a key with these scopes grants; none where it has none.
    pub fn grant(&mut self, scopes: &[String]) -> Option<Arc<Grant>> {
        if scopes.is_empty() {
            return None;
        }
        if let Some(known) = self.grants.get(scopes) {
            return Some(known.clone());
        }
        let kept = scopes.iter().map(|scope| scope.as_str().into()).collect();
        let grant = Arc::new(Grant { scopes: kept, ..Grant::default() });
        self.grants.insert(scopes.to_owned(), grant.clone());
        Some(grant)
    }
}

fn keep<T: ?Sized + Hash + Eq>(set: &mut Set<T>, new: Arc<T>) -> Arc<T> {
    set.insert(new.clone());
    new
}
