//! What many applications have in common is kept once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use policy::Grant;
use rustc_hash::FxBuildHasher;

type Set<T> = HashSet<Arc<T>, FxBuildHasher>;

/// Values that were seen, each once.
#[derive(Default)]
pub(super) struct Common {
    texts: Set<str>,
    groups: Set<[Box<str>]>,
    labels: Set<BTreeMap<String, String>>,
    grants: HashMap<Vec<String>, Arc<Grant>, FxBuildHasher>,
}

impl Common {
    /// A name that others may have, too.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        match self.texts.get(text) {
            Some(known) => known.clone(),
            None => keep(&mut self.texts, text.into()),
        }
    }

    /// Groups, in the order of their names.
    pub fn groups(&mut self, written: &[String]) -> Arc<[Box<str>]> {
        let mut groups: Vec<Box<str>> = written.iter().map(|group| group.as_str().into()).collect();
        groups.sort_unstable();
        groups.dedup();
        match self.groups.get(groups.as_slice()) {
            Some(known) => known.clone(),
            None => keep(&mut self.groups, groups.into()),
        }
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
