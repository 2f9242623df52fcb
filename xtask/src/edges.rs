//! Which crate of the workspace may depend on which. A new edge is the rarest kind of change: it
//! needs a line here and an ADR that says why.

/// What one crate may depend on.
pub struct Edges {
    /// The package.
    pub package: &'static str,
    /// Packages its code may use.
    pub uses: &'static [&'static str],
    /// Packages only its tests may use.
    pub tests_use: &'static [&'static str],
}

const BASE: &str = "gateward-base";
const CONFIG: &str = "gateward-config";
const POLICY: &str = "gateward-policy";
const CONTRACT: &str = "gateward-contract";
const POLICIES: &str = "gateward-policies";
const SNAPSHOT: &str = "gateward-snapshot";
const DATAPLANE: &str = "gateward-dataplane";
const STORE: &str = "gateward-store";
const TESTKIT: &str = "gateward-testkit";

/// Every crate, in reading order. Never: policy or policies to dataplane, dataplane to policies
/// (but in its tests), anything but gateward to store, anything to gateward, testkit outside tests.
pub const EDGES: &[Edges] = &[
    Edges { package: BASE, uses: &[], tests_use: &[] },
    Edges { package: CONFIG, uses: &[BASE], tests_use: &[] },
    Edges { package: POLICY, uses: &[BASE, CONFIG], tests_use: &[] },
    Edges { package: CONTRACT, uses: &[BASE, CONFIG, POLICY], tests_use: &[TESTKIT] },
    Edges { package: POLICIES, uses: &[BASE, CONFIG, POLICY, CONTRACT], tests_use: &[TESTKIT] },
    Edges { package: SNAPSHOT, uses: &[BASE, CONFIG, POLICY, CONTRACT], tests_use: &[POLICIES] },
    Edges {
        package: DATAPLANE,
        uses: &[BASE, CONFIG, POLICY, SNAPSHOT],
        tests_use: &[POLICIES, TESTKIT],
    },
    Edges { package: STORE, uses: &[POLICY], tests_use: &[] },
    Edges {
        package: "gateward",
        uses: &[BASE, CONFIG, POLICY, CONTRACT, POLICIES, SNAPSHOT, DATAPLANE, STORE],
        tests_use: &[TESTKIT],
    },
    Edges { package: TESTKIT, uses: &[BASE, CONFIG, POLICY, SNAPSHOT, DATAPLANE], tests_use: &[] },
    Edges {
        package: "gateward-fuzz",
        uses: &[BASE, CONFIG, POLICY, CONTRACT, POLICIES, SNAPSHOT, DATAPLANE],
        tests_use: &[],
    },
    Edges { package: "gateward-bench-relay", uses: &[], tests_use: &[] },
    Edges { package: "xtask", uses: &[BASE, CONFIG, POLICY, POLICIES, SNAPSHOT], tests_use: &[] },
];
