//! Hashes that are the same in every instance and after every restart.

/// The hash of some bytes: FNV-1a, its bits then mixed, since FNV alone leaves neighbours close on
/// a ring. Not for keys that must resist collisions made on purpose: whoever makes them gains one
/// endpoint's company, as by sending one key.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// Mixes bits: each of the result depends on all of `value` (the finaliser of SplitMix64).
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
