//! Places for connections: so many in all, so many for one peer.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Parts of the table, so that cores that accept at once seldom meet. A request comes here never.
const PARTS: usize = 64;

/// Who is counted as one peer: an IPv4 address, or the first 64 bits of an IPv6 one, of which
/// anyone has all the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => Self::V6((u128::from(address) >> 64) as u64),
        }
    }
}

/// Places for connections, over all listeners and cores. The table of peers has an entry for those
/// that have a connection, and no other: it is as bounded as they are.
#[derive(Debug)]
pub(crate) struct Places {
    most: AtomicUsize,
    most_per_peer: AtomicUsize,
    taken: AtomicUsize,
    hasher: RandomState,
    peers: [Mutex<HashMap<Peer, usize>>; PARTS],
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All are taken.
    Instance,
    /// The peer has as many as one may have.
    Peer,
}

/// A connection's place, given up by being dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    peer: Option<Peer>,
}

impl Places {
    /// Any number, until [`Self::hold_to`].
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            most: AtomicUsize::new(usize::MAX),
            most_per_peer: AtomicUsize::new(usize::MAX),
            taken: AtomicUsize::new(0),
            hasher: RandomState::new(),
            peers: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// From now on so many in all and so many for a peer.
    pub fn hold_to(&self, most: usize, most_per_peer: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.most_per_peer.store(most_per_peer, Ordering::Relaxed);
    }

    /// Places taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// A place; `peer` is whose it is, where that counts.
    pub fn take(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Place, NoPlace> {
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.most.load(Ordering::Relaxed) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return Err(NoPlace::Instance);
        }
        // From here on the place is given up when it is dropped.
        let mut place = Place { places: self.clone(), peer: None };
        let Some(peer) = peer.map(Peer::from) else { return Ok(place) };
        let mut part = self.part(peer).lock().unwrap_or_else(PoisonError::into_inner);
        let count = part.entry(peer).or_insert(0);
        if *count >= self.most_per_peer.load(Ordering::Relaxed) {
            return Err(NoPlace::Peer);
        }
        *count += 1;
        place.peer = Some(peer);
        Ok(place)
    }

    fn part(&self, peer: Peer) -> &Mutex<HashMap<Peer, usize>> {
        let at = self.hasher.hash_one(peer) as usize % PARTS;
        let [first, ..] = &self.peers;
        self.peers.get(at).unwrap_or(first)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(peer) = self.peer else { return };
        let mut part = self.places.part(peer).lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = part.entry(peer) {
            match entry.get() {
                0 | 1 => drop(entry.remove()),
                _ => *entry.get_mut() -= 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(places: &Places) -> usize {
        places.peers.iter().map(|part| part.lock().unwrap().len()).sum()
    }

    #[test]
    fn places_are_counted_in_all_and_by_peer_and_come_back() {
        let places = Places::new();
        places.hold_to(4, 2);
        let peer = |text: &str| Some(text.parse().unwrap());
        let take = |from: &str| places.take(peer(from));
        let held = [take("10.0.0.1"), take("::ffff:10.0.0.1"), take("2001:db8::1")];
        assert!(held.iter().all(Result::is_ok), "{held:?}");
        assert_eq!(take("10.0.0.1").unwrap_err(), NoPlace::Peer);
        let fourth = take("2001:db8::ffff:0:0:2").unwrap();
        assert_eq!(take("10.0.0.9").unwrap_err(), NoPlace::Instance);
        assert_eq!(places.take(None).unwrap_err(), NoPlace::Instance);
        assert_eq!((places.taken(), entries(&places)), (4, 2));
        drop(held);
        assert_eq!(places.taken(), 1);
        assert!(take("2001:db8::3").is_ok());
        drop(fourth);
        assert_eq!((places.taken(), entries(&places)), (0, 0), "nothing is left of them");
        let unnamed = places.take(None).unwrap();
        assert_eq!((places.taken(), entries(&places)), (1, 0));
        drop(unnamed);
    }

    #[test]
    fn who_is_refused_leaves_no_entry_behind() {
        let places = Places::new();
        places.hold_to(10, 1);
        let held = places.take(Some("10.0.0.1".parse().unwrap())).unwrap();
        for _ in 0..100 {
            assert!(places.take(Some("10.0.0.1".parse().unwrap())).is_err());
        }
        assert_eq!((places.taken(), entries(&places)), (1, 1));
        drop(held);
        assert_eq!((places.taken(), entries(&places)), (0, 0));
    }
}
