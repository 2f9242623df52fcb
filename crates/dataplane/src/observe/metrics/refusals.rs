//! Refusals by code. Codes are statics: one is found by its address, and none is made while
//! running.

use std::sync::OnceLock;

use policy::{Code, codes};

use super::series::{Count, PerCore};

/// Codes that can be told apart; what comes beyond is counted as `other`. There are far fewer.
const SLOTS: usize = 256;

/// The codes a try of an upstream fails with; others are counted as `other`.
pub(crate) static UPSTREAM_CODES: [&Code; 11] = [
    &codes::NO_HEALTHY_ENDPOINT,
    &codes::NAME_NOT_RESOLVED,
    &codes::UPSTREAM_OVERLOADED,
    &codes::CONNECT_FAILED,
    &codes::CONNECT_TIMEOUT,
    &codes::UPSTREAM_TLS_FAILED,
    &codes::UPSTREAM_RESET,
    &codes::UPSTREAM_MALFORMED,
    &codes::FIRST_BYTE_TIMEOUT,
    &codes::TOTAL_TIMEOUT,
    &codes::UPSTREAM_IDLE_TIMEOUT,
];

/// The place of a code in [`UPSTREAM_CODES`], or the one after them.
pub(crate) fn upstream_code(code: &'static Code) -> usize {
    let at = UPSTREAM_CODES.iter().position(|known| std::ptr::eq(*known, code));
    at.unwrap_or(UPSTREAM_CODES.len())
}

/// Refusals, counted by code.
pub(crate) struct Refusals {
    codes: Box<[OnceLock<&'static Code>]>,
    counts: PerCore<Counts>,
}

struct Counts([Count; SLOTS + 1]);

impl Default for Counts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Count::default()))
    }
}

impl Refusals {
    /// None yet, for this many cores.
    pub fn new(cores: usize) -> Self {
        Self { codes: (0..SLOTS).map(|_| OnceLock::new()).collect(), counts: PerCore::new(cores) }
    }

    /// Counts one.
    pub fn add(&self, core: usize, code: &'static Code) {
        let slot = self.slot(code);
        if let Some(count) = self.counts.of(core).and_then(|counts| counts.0.get(slot)) {
            count.add(1);
        }
    }

    /// Where a code is counted: at its address's place, or at the next that is free.
    fn slot(&self, code: &'static Code) -> usize {
        let start = (std::ptr::from_ref(code).addr() / align_of::<Code>()).wrapping_mul(31);
        for step in 0..SLOTS {
            let at = start.wrapping_add(step) % SLOTS;
            let Some(slot) = self.codes.get(at) else { break };
            if std::ptr::eq(*slot.get_or_init(|| code), code) {
                return at;
            }
        }
        SLOTS
    }

    /// How many there were of each code, by name.
    pub fn counted(&self) -> Vec<(&'static str, u64)> {
        let mut counted: Vec<(&'static str, u64)> = Vec::new();
        let named = self.codes.iter().enumerate().filter_map(|(at, code)| Some((at, code.get()?)));
        for (at, name) in named.map(|(at, code)| (at, code.name)).chain([(SLOTS, "other")]) {
            let count = self.counts.sum(|counts| counts.0.get(at).map_or(0, Count::get));
            match counted.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => counted.push((name, count)),
            }
        }
        counted.retain(|(_, count)| *count > 0);
        counted.sort_unstable();
        counted
    }
}

#[cfg(test)]
mod tests {
    use policy::Fault;

    use super::*;

    #[test]
    fn refusals_are_counted_by_code_over_all_cores() {
        let refusals = Refusals::new(2);
        for (core, code) in codes::ALL.iter().enumerate().chain([(0, &&codes::DRAINING)]) {
            refusals.add(core, code);
        }
        let counted = refusals.counted();
        assert_eq!(counted.len(), codes::ALL.len());
        for (name, count) in counted {
            assert_eq!(count, if name == codes::DRAINING.name { 2 } else { 1 }, "{name}");
        }
    }

    #[test]
    fn more_codes_than_there_is_room_for_are_counted_together() {
        let refusals = Refusals::new(1);
        for _ in 0..SLOTS + 7 {
            let code = Box::leak(Box::new(Code {
                name: "made_up",
                status: 400,
                grpc: 3,
                title: "",
                proxy_error: "",
                fault: Fault::Caller,
                cure: "",
            }));
            refusals.add(0, code);
        }
        assert_eq!(refusals.counted(), [("made_up", SLOTS as u64), ("other", 7)]);
    }

    #[test]
    fn every_upstream_code_has_a_place() {
        assert_eq!(upstream_code(&codes::NO_HEALTHY_ENDPOINT), 0);
        assert_eq!(upstream_code(&codes::UPSTREAM_IDLE_TIMEOUT), UPSTREAM_CODES.len() - 1);
        assert_eq!(upstream_code(&codes::CALLER_GONE), UPSTREAM_CODES.len());
    }
}
