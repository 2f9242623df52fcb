//! Limits how many bytes a second bodies may have.
//!
//! `request` is for what callers send, `response` for what they get; one of them is enough. Bodies
//! are paced as they stream: no more of them is held than a piece, and who sends is asked for the
//! next when that is gone, so that a slow pace is a slow connection to both sides.
//!
//! ```yaml
//! apis:
//!   - name: files
//!     path: /files
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - bandwidth: { request: 1MiB, response: 5MiB, by: application }
//!       - id: all-files
//!         bandwidth: { response: 100MiB, burst: 10MiB, by: none }
//! ```
//!
//! `by` says whose bytes are counted together, and `missing` what becomes of requests without such
//! a key; both are those of [rate](rate.md). The exchanges of a key share its bytes evenly. `burst`
//! bytes may go at once, each way, where nothing went before; a tenth of a second's unless said.
//!
//! Nothing is refused for its size or its pace. Time passes, though: `timeouts.total` counts it,
//! and it has to be long enough for the longest body at this pace. Heads, trailers and what goes
//! through a WebSocket are not counted. To bound bytes in a day or a month, use [quota](quota.md).
//!
//! What was used is this instance's own and outlives reloads. `keys` are told apart (131,072 unless
//! said); with more of them at a time, newcomers share what one key has.

mod flow;
mod paced;

use std::sync::Arc;

use base::{ByteSize, Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step, codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::limit::by::{By, Missing, Written};
use crate::limit::keyed::{KEYS_MAX, Keyed};
use flow::{Buckets, Flow, Way};
use paced::{Meter, Paced};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "bandwidth",
    phase: Phase::Limit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&KEYLESS, &codes::CONDITION_FAILED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static KEYLESS: Code = Code {
    name: "bandwidth_key_missing",
    status: 403,
    grpc: 7,
    title: "The request does not say what it is limited by",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send the header field that the limit is counted by, or authenticate.",
};

/// Least bytes a second: slower bodies would end at time-outs.
const RATE_MIN: u64 = 1 << 10;

/// How many bytes a second bodies may have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bandwidth")]
struct Settings {
    /// Bytes a second of requests' bodies; as many as come unless said.
    #[serde(default)]
    request: Option<ByteSize>,
    /// Bytes a second of responses' bodies; as many as come unless said.
    #[serde(default)]
    response: Option<ByteSize>,
    /// Bytes that may go at once, each way; a tenth of a second's unless said.
    #[serde(default)]
    burst: Option<ByteSize>,
    /// Whose bytes are counted together.
    #[serde(default)]
    by: Written,
    /// What becomes of requests without the key that `by` names.
    #[serde(default)]
    missing: Missing,
    /// Keys that are told apart, at most; of more, some share a limit.
    #[serde(default = "keys")]
    #[schemars(range(min = 1, max = KEYS_MAX))]
    keys: usize,
}

fn keys() -> usize {
    131_072
}

/// Paces bodies.
#[derive(Debug)]
struct Bandwidth {
    by: By,
    missing: Missing,
    keys: usize,
    request: Option<Flow>,
    response: Option<Flow>,
    table: Arc<Keyed<Buckets>>,
}

/// Whose response it will be, for when it comes: by then a policy may have changed what says so.
#[derive(Debug)]
struct Noted {
    /// Which policy noted it: its address, which nothing else has while an exchange runs.
    by: usize,
    key: u64,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = settings.problems(at);
    let by = settings.by.compile(&at.key("by")).map_err(|bad| problems.extend(bad)).ok();
    let Some(by) = by.filter(|_| problems.is_empty()) else { return Err(problems) };
    let burst = |rate: ByteSize| settings.burst.map_or(rate.0 / 10, |burst| burst.0);
    let flow = |rate: ByteSize| Flow::new(rate.0, burst(rate));
    Ok(Arc::new(Bandwidth {
        missing: settings.missing,
        keys: settings.keys,
        request: settings.request.and_then(flow),
        response: settings.response.and_then(flow),
        table: cx.carry.keep(&format!("bandwidth {} {by}", cx.id), Keyed::default),
        by,
    }))
}

impl Settings {
    fn problems(&self, at: &Pointer) -> Problems {
        let mut problems = Problems::new();
        if self.request.is_none() && self.response.is_none() {
            let problem = Problem::new(at, "neither `request` nor `response` is limited");
            problems.push(problem.hint("write one or both, as in `response: 5MiB`"));
        }
        for (key, rate) in [("request", self.request), ("response", self.response)] {
            if rate.is_some_and(|rate| rate.0 < RATE_MIN) {
                let problem = Problem::new(&at.key(key), "so few bytes a second end at time-outs");
                problems.push(problem.hint("write 1KiB or more, or leave it out"));
            }
        }
        if !(1..=KEYS_MAX).contains(&self.keys) {
            let problem = Problem::new(&at.key("keys"), "so many keys can't be told apart");
            problems.push(problem.hint("write 1 to 16777216, or leave it out"));
        }
        problems
    }
}

impl Bandwidth {
    fn meter(&self, way: Way, flow: Flow, key: u64) -> Meter {
        Meter { table: self.table.clone(), key, keys: self.keys, way, flow }
    }

    fn begin(&self, exchange: &mut Exchange) -> Result<(), Refusal> {
        let key = self.by.key(exchange, self.missing, &KEYLESS)?.map(|key| self.table.hash(key));
        let Some(key) = key else { return Ok(()) };
        let Some(timers) = exchange.timers.clone() else {
            return Err(Refusal::new(&codes::POLICY_ERROR).note("there is no clock"));
        };
        if let Some(flow) = self.request {
            let body = exchange.request.body.take();
            exchange.request.body = Paced::pace(body, self.meter(Way::Up, flow, key), &timers);
        }
        if self.response.is_some() {
            exchange.memos.push(Box::new(Noted { by: self.address(), key }));
        }
        Ok(())
    }

    /// What tells it from the other policies there are.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Policy for Bandwidth {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.begin(exchange) {
            Ok(()) => Step::next(),
            Err(refusal) => Step::refuse(refusal),
        }
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let mut noted = exchange.memos.iter().filter_map(|memo| memo.downcast_ref::<Noted>());
        let noted = noted.find(|noted| noted.by == self.address()).map(|noted| noted.key);
        if let (Some(flow), Some(key), Some(timers)) = (self.response, noted, &exchange.timers) {
            let body = exchange.response.body.take();
            exchange.response.body = Paced::pace(body, self.meter(Way::Down, flow, key), timers);
        }
        Step::next()
    }
}
