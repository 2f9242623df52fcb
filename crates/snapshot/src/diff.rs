//! What changed from one snapshot to the next, for the log of a reload.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Snapshot;

/// What changed from one snapshot to the next. Displays as one line; empty where nothing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Listeners, by name.
    pub listeners: Changed,
    /// APIs, by name and version.
    pub apis: Changed,
    /// Upstreams, by name.
    pub upstreams: Changed,
    /// Whether policies for every API changed.
    pub policies: bool,
    /// Whether applications and their keys changed.
    pub applications: bool,
}

/// What changed of one kind, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// What is new.
    pub added: Vec<String>,
    /// What is gone.
    pub removed: Vec<String>,
    /// What is there as before, but not the same.
    pub changed: Vec<String>,
}

/// What changed from `old` to `new`.
pub fn diff(old: &Snapshot, new: &Snapshot) -> Changes {
    let listeners = |snapshot: &Snapshot| {
        snapshot.listeners.iter().map(|one| (one.name.to_string(), one.fingerprint)).collect()
    };
    let upstreams = |snapshot: &Snapshot| {
        snapshot.upstreams.iter().map(|one| (one.name.to_string(), one.fingerprint)).collect()
    };
    let apis = |snapshot: &Snapshot| {
        let apis = snapshot.routes.iter().map(|route| &route.api);
        apis.map(|api| (api.to_string(), api.fingerprint)).collect()
    };
    Changes {
        listeners: compare(&listeners(old), &listeners(new)),
        apis: compare(&apis(old), &apis(new)),
        upstreams: compare(&upstreams(old), &upstreams(new)),
        policies: old.fingerprints.policies != new.fingerprints.policies,
        applications: old.fingerprints.applications != new.fingerprints.applications,
    }
}

fn compare(old: &HashMap<String, u64>, new: &HashMap<String, u64>) -> Changed {
    let sorted = |names: &mut dyn Iterator<Item = &String>| {
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        names
    };
    let changed = |name: &&String| {
        old.get(*name).is_some_and(|before| new.get(*name).is_some_and(|after| before != after))
    };
    Changed {
        added: sorted(&mut new.keys().filter(|name| !old.contains_key(*name))),
        removed: sorted(&mut old.keys().filter(|name| !new.contains_key(*name))),
        changed: sorted(&mut new.keys().filter(changed)),
    }
}

/// A number for what was written, and for what `more` there is to it. Equal within one process for
/// what is equal; never to be kept.
pub(crate) fn fingerprint(written: &impl serde::Serialize, more: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    // What came out of a document can be written into one.
    serde_json::to_string(written).unwrap_or_default().hash(&mut hasher);
    more.hash(&mut hasher);
    hasher.finish()
}

impl Changes {
    /// Whether nothing changed that is looked at here.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (what, of) in
            [("listeners", &self.listeners), ("APIs", &self.apis), ("upstreams", &self.upstreams)]
        {
            for (how, names) in
                [("added", &of.added), ("removed", &of.removed), ("changed", &of.changed)]
            {
                if !names.is_empty() {
                    parts.push(format!("{what} {how}: {}", few(names)));
                }
            }
        }
        let whole = [("policies", self.policies), ("applications", self.applications)];
        let whole = whole.iter().filter(|(_, changed)| *changed);
        parts.extend(whole.map(|(what, _)| format!("{what} changed")));
        f.write_str(&parts.join("; "))
    }
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
