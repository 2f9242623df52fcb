//! The listening sockets the supervisor keeps.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;

use super::message::Place;

/// Listening sockets, by where they stand.
#[derive(Debug, Default)]
pub struct Kept {
    sockets: BTreeMap<Place, Vec<OwnedFd>>,
}

impl Kept {
    /// Keeps these, in place of what was kept there or beside it.
    pub fn keep(&mut self, place: Place, sockets: Vec<OwnedFd>, replace: bool) {
        let kept = self.sockets.entry(place).or_default();
        if replace {
            kept.clear();
        }
        kept.extend(sockets);
    }

    /// Keeps nothing there any more.
    pub fn release(&mut self, place: &Place) {
        self.sockets.remove(place);
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&Place, &[OwnedFd])> {
        self.sockets.iter().map(|(place, sockets)| (place, &**sockets))
    }

    /// Closes all; the files of Unix sockets are removed.
    pub fn close(&mut self) {
        for place in std::mem::take(&mut self.sockets).into_keys() {
            if let Some(path) = place.bind.strip_prefix("unix:")
                && let Err(error) = fs::remove_file(path)
            {
                tracing::debug!(%error, path, "the socket's file stays");
            }
        }
    }
}
