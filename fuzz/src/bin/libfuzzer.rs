//! One target under libFuzzer, the one that `GATEWARD_FUZZ_TARGET` names. Started by `cargo xtask
//! fuzz`, which builds it with the coverage that libFuzzer goes by.

#![no_main]

use std::sync::LazyLock;

use gateward_fuzz::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let wanted = std::env::var("GATEWARD_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == wanted);
    found.unwrap_or_else(|| panic!("GATEWARD_FUZZ_TARGET names no target: `{wanted}`"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
