//! Who may call: applications, found by name and by what they prove themselves with.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use crate::{Application, Grant};

/// All applications. Immutable; part of a snapshot. Made to hold millions of keys: what is found is
/// found in one step however many there are, and no byte is spent twice.
#[derive(Debug, Default)]
pub struct Directory {
    /// Keyed anew in every process, so that nobody can make names or hashes that collide.
    hasher: RandomState,
    organizations: HashSet<Arc<str>>,
    plans: HashSet<Box<str>>,
    applications: Vec<Arc<Application>>,
    names: HashTable<u32>,
    keys: Vec<Key>,
    /// By the first half of a key's SHA-256.
    hashes: HashTable<u32>,
}

/// An application's key. The key itself is not known here, only its SHA-256.
#[derive(Debug)]
pub struct Key {
    sha256: [u8; 32],
    application: Arc<Application>,
    id: Arc<str>,
    grant: Option<Arc<Grant>>,
    /// Seconds since 1970 from which on it counts.
    from: u32,
    /// Seconds since 1970 at which it ends; 0 where it is disabled, `u32::MAX` where it is endless.
    until: u32,
}

/// Whether a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It does.
    Live,
    /// It was disabled.
    Disabled,
    /// It does not count yet.
    Early,
    /// It has ended.
    Expired,
}

impl Key {
    /// The key of this SHA-256, endless.
    pub fn new(sha256: [u8; 32], application: Arc<Application>, id: Arc<str>) -> Self {
        Self { sha256, application, id, grant: None, from: 0, until: u32::MAX }
    }

    /// With what it may be used for.
    #[must_use]
    pub fn granting(mut self, grant: Option<Arc<Grant>>) -> Self {
        self.grant = grant;
        self
    }

    /// That counts from and until then only, in seconds since 1970. An end after February 2106 is
    /// none, and nothing begins later.
    #[must_use]
    pub fn within(mut self, from: Option<u64>, until: Option<u64>) -> Self {
        let short = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
        self.from = from.map_or(0, short);
        // At 0, which is before there were gateways, it has ended just as it has at 1.
        self.until = until.map_or(u32::MAX, |until| short(until).max(1));
        self
    }

    /// That does not count.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.until = 0;
        self
    }

    /// Whose it is.
    pub fn application(&self) -> &Arc<Application> {
        &self.application
    }

    /// What it is called.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What it may be used for, where that was said.
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// Whether it counts at `now`, which is since 1970.
    pub fn state(&self, now: Duration) -> KeyState {
        match now.as_secs() {
            _ if self.until == 0 => KeyState::Disabled,
            now if now >= u64::from(self.until) && self.until != u32::MAX => KeyState::Expired,
            now if now < u64::from(self.from) => KeyState::Early,
            _ => KeyState::Live,
        }
    }
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many more applications, with a key each.
    pub fn reserve(&mut self, more: usize) {
        let Self { hasher, applications, names, keys, hashes, .. } = self;
        applications.reserve_exact(more);
        names.reserve(more, |number| name_hash(hasher, applications, *number));
        keys.reserve_exact(more);
        hashes.reserve(more, |number| key_hash(hasher, keys, *number));
    }

    /// Adds an organization that may have no application yet.
    pub fn add_organization(&mut self, name: Arc<str>) {
        self.organizations.insert(name);
    }

    /// Adds the name of a plan.
    pub fn add_plan(&mut self, name: &str) {
        self.plans.insert(name.into());
    }

    /// Adds an application. Gives its number; the number of the one that has its name already where
    /// there is one.
    ///
    /// # Errors
    /// Its name is taken.
    pub fn add(&mut self, application: Application) -> Result<usize, usize> {
        let hash = self.hasher.hash_one(&*application.name);
        let Self { hasher, organizations, applications, names, .. } = self;
        let named = |number: &u32| applications.get(*number as usize);
        let is_it =
            |number: &u32| named(number).is_some_and(|known| known.name == application.name);
        if let Some(taken) = names.find(hash, is_it) {
            return Err(*taken as usize);
        }
        let again = |number: &u32| name_hash(hasher, applications, *number);
        names.insert_unique(hash, applications.len() as u32, again);
        if let Some(organization) = &application.organization
            && !organizations.contains(organization)
        {
            organizations.insert(organization.clone());
        }
        applications.push(Arc::new(application));
        Ok(applications.len() - 1)
    }

    /// Adds a key. Gives its number.
    ///
    /// # Errors
    /// Another application or the same one has it already, as the key of this number.
    pub fn add_key(&mut self, key: Key) -> Result<usize, usize> {
        let hash = self.hasher.hash_one(first_half(&key.sha256));
        let Self { hasher, keys, hashes, .. } = self;
        let numbered = |number: &u32| keys.get(*number as usize).map(|known| &known.sha256);
        if let Some(taken) = hashes.find(hash, |number| numbered(number) == Some(&key.sha256)) {
            return Err(*taken as usize);
        }
        let again = |number: &u32| key_hash(hasher, keys, *number);
        hashes.insert_unique(hash, keys.len() as u32, again);
        keys.push(key);
        Ok(keys.len() - 1)
    }

    /// Gives back the memory that adding took beyond what is kept.
    pub fn finish(mut self) -> Self {
        self.applications.shrink_to_fit();
        self.keys.shrink_to_fit();
        self
    }

    /// The application of this name. Whoever lets it in asks [`Application::may_call`] first.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Application>> {
        let named = |number: &u32| self.applications.get(*number as usize);
        let is_it = |number: &u32| named(number).is_some_and(|known| *known.name == *name);
        self.names.find(self.hasher.hash_one(name), is_it).and_then(named)
    }

    /// The key with this SHA-256. The time this takes says nothing about a key: it is looked up by
    /// a hash that a caller can't steer, and compared in constant time. Whoever lets its owner in
    /// asks [`Key::state`] and [`Application::may_call`] first.
    pub fn by_key(&self, sha256: &[u8; 32]) -> Option<&Key> {
        let numbered = |number: &u32| self.keys.get(*number as usize);
        let is_it = |number: &u32| numbered(number).is_some_and(|key| same(&key.sha256, sha256));
        self.hashes.find(self.hasher.hash_one(first_half(sha256)), is_it).and_then(numbered)
    }

    /// Whether there is an organization of this name: one that was added, or an application's.
    pub fn has_organization(&self, name: &str) -> bool {
        self.organizations.contains(name)
    }

    /// Whether there is a plan of this name.
    pub fn has_plan(&self, name: &str) -> bool {
        self.plans.contains(name)
    }

    /// The names of all applications.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.applications.iter().map(|application| &*application.name)
    }

    /// The applications, by number.
    pub fn applications(&self) -> &[Arc<Application>] {
        &self.applications
    }

    /// Where in memory it stands: addresses, for whoever places it better.
    pub fn memory(&self) -> impl Iterator<Item = Range<usize>> {
        let applications = self.applications.iter();
        let applications = applications.map(|one| place(std::slice::from_ref(&**one)));
        let tables = [table(&self.names), table(&self.hashes), place(&self.keys)];
        tables.into_iter().chain(applications)
    }

    /// The keys, by number.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

/// The addresses of these.
fn place<T>(items: &[T]) -> Range<usize> {
    let range = items.as_ptr_range();
    range.start.addr()..range.end.addr()
}

/// The addresses of a table's numbers, and of the bytes behind them that are looked at first.
fn table(numbers: &HashTable<u32>) -> Range<usize> {
    let places = numbers.iter().map(|number| std::ptr::from_ref(number).addr());
    let (start, end) =
        places.fold((usize::MAX, 0), |(start, end), at| (start.min(at), end.max(at)));
    start..end + numbers.capacity().min(end)
}

fn name_hash(hasher: &RandomState, applications: &[Arc<Application>], number: u32) -> u64 {
    hasher.hash_one(applications.get(number as usize).map_or("", |known| &*known.name))
}

fn key_hash(hasher: &RandomState, keys: &[Key], number: u32) -> u64 {
    let known = keys.get(number as usize);
    hasher.hash_one(known.map(|key| first_half(&key.sha256)).unwrap_or_default())
}

fn first_half(sha256: &[u8; 32]) -> [u8; 16] {
    sha256.first_chunk().copied().unwrap_or_default()
}

/// Compares without stopping at the first difference. Takes whatever stands for bytes, so that a
/// test can count how many are looked at.
fn same<B: Copy + Into<u8>>(a: &[B; 32], b: &[B; 32]) -> bool {
    let differ = |a: &B, b: &B| -> u8 { (*a).into() ^ (*b).into() };
    let different = a.iter().zip(b).fold(0, |different, (a, b)| different | differ(a, b));
    std::hint::black_box(different) == 0
}

#[cfg(test)]
#[allow(non_snake_case, reason = "tests carry their number in the list of faults")]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local!(static LOOKED_AT: Cell<usize> = const { Cell::new(0) });

    /// A byte that counts how often it is looked at.
    #[derive(Clone, Copy)]
    struct Counted(u8);

    impl From<Counted> for u8 {
        fn from(byte: Counted) -> Self {
            LOOKED_AT.set(LOOKED_AT.get() + 1);
            byte.0
        }
    }

    /// A key is found by its hash, all bytes of which are looked at wherever the first that differs
    /// stands. Seen to fail: with a comparison that ends at the first difference, 2 bytes were
    /// looked at in place of 64; with one of the first half alone, 32.
    #[test]
    fn fa_E15_a_key_is_compared_to_its_end_wherever_it_differs() {
        let mut directory = Directory::new();
        let known = [0x5a; 32];
        assert_eq!(directory.add_key(key(known)), Ok(0));
        let directory = directory.finish();
        for at in (0..32).map(Some).chain([None]) {
            for bit in 0..8 {
                let mut shown = known;
                if let Some(at) = at {
                    shown[at] ^= 1 << bit;
                }
                assert_eq!(directory.by_key(&shown).is_some(), at.is_none(), "{at:?}, {bit}");
                LOOKED_AT.set(0);
                assert_eq!(same(&known.map(Counted), &shown.map(Counted)), at.is_none());
                assert_eq!(LOOKED_AT.get(), 64, "{at:?}, {bit}");
            }
        }
    }

    fn named(name: &str) -> Application {
        Application { name: name.into(), ..Application::default() }
    }

    fn key(sha256: [u8; 32]) -> Key {
        Key::new(sha256, Arc::new(named("shop")), "1".into())
    }

    #[test]
    fn a_key_is_found_by_all_of_its_hash_and_taken_once() {
        let mut directory = Directory::new();
        let mut sha256 = [7; 32];
        assert_eq!(directory.add_key(key(sha256)), Ok(0));
        assert_eq!(directory.add_key(key([9; 32])), Ok(1));
        assert_eq!(directory.add_key(key(sha256)), Err(0));
        let directory = directory.finish();
        assert_eq!(directory.by_key(&sha256).map(|key| &**key.id()), Some("1"));
        sha256[31] = 8;
        assert!(directory.by_key(&sha256).is_none(), "its last byte differs");
        sha256 = [7; 32];
        sha256[0] = 8;
        assert!(directory.by_key(&sha256).is_none(), "its first byte differs");
    }

    #[test]
    fn an_application_is_found_by_its_name_and_taken_once() {
        let mut directory = Directory::new();
        for number in 0..1000 {
            assert_eq!(directory.add(named(&format!("a{number}"))), Ok(number));
        }
        assert_eq!(directory.add(named("a7")), Err(7));
        assert_eq!(directory.by_name("a999").map(|found| &*found.name), Some("a999"));
        assert!(directory.by_name("a1000").is_none() && directory.by_name("").is_none());
    }

    #[test]
    fn a_key_counts_from_its_first_second_until_before_its_last() {
        let state = |key: &Key, seconds| key.state(Duration::from_secs(seconds));
        let timed = key([1; 32]).within(Some(100), Some(200));
        for (second, expected) in [
            (99, KeyState::Early),
            (100, KeyState::Live),
            (199, KeyState::Live),
            (200, KeyState::Expired),
        ] {
            assert_eq!(state(&timed, second), expected, "{second}");
        }
        let endless = key([1; 32]);
        assert_eq!(endless.state(Duration::MAX - Duration::from_secs(1)), KeyState::Live);
        assert_eq!(state(&key([1; 32]).within(None, Some(0)), 0), KeyState::Live);
        assert_eq!(state(&key([1; 32]).within(None, Some(0)), 1), KeyState::Expired);
        let far = key([1; 32]).within(Some(1 << 40), Some(1 << 50));
        assert_eq!([state(&far, 1 << 31), state(&far, 1 << 45)], [KeyState::Early, KeyState::Live]);
        assert_eq!(state(&timed.disabled(), 150), KeyState::Disabled);
    }

    /// 1,000,000 keys of as many applications are to cost at most 256 bytes each.
    #[test]
    fn nothing_in_a_key_or_an_application_is_wider_than_it_must_be() {
        assert_eq!(size_of::<Key>(), 72);
        // With the two counts of its `Arc`.
        assert!(size_of::<Application>() + 2 * size_of::<usize>() <= 80);
    }
}
