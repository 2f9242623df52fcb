//! Limits how many requests may come in a window of time.
//!
//! Each key has a token bucket: `limit` tokens come back in a `window`, evenly, and a request takes
//! one. The bucket holds `burst` tokens, as many as `limit` unless said. What finds no token is
//! refused with 429 and takes nothing from later requests.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - rate: { limit: 100, window: 1m, by: application }
//!       - id: by-client
//!         rate:
//!           by: client
//!           windows:
//!             - { limit: 10, window: 1s, burst: 20 }
//!             - { limit: 5000, window: 1h }
//! ```
//!
//! Several `windows` hold together: a request takes a token of each, or of none.
//!
//! `by` says whose bucket it is:
//!
//! - `client` (unless said): the client's address; of IPv6 the first 64 bits, which is what one
//!   site has;
//! - `application`: the caller's application;
//! - `{ header: name }`: a header field's value;
//! - `route`, `api`: one bucket for each;
//! - `none`: one for all.
//!
//! Requests without such a key (nobody is authenticated, the header is not there) share one bucket;
//! with `missing: refuse` they are refused, with `missing: skip` not limited.
//!
//! Responses carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)
//! with what is left and the seconds until there is more, refusals also `Retry-After`. The name in
//! them is the policy's `id`. Callers that know the older fields get those with `headers: legacy`
//! or `both`; where several policies limit a request, the first one's `headers` count for all.
//!
//! Buckets are this instance's own and outlive reloads. Up to 131,072 keys of a policy are held;
//! beyond that the fullest buckets make place.

mod bucket;
mod report;
mod settings;
mod table;

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, RateReport, Refusal, Stage,
    Step,
};
use serde_json::Value;

use crate::limit::by::{By, Key, Missing};
use crate::structured;
use bucket::Shape;
use report::Text;
use settings::{Profile, Settings, Window};
use table::Table;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "rate",
    phase: Phase::Limit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&LIMITED, &KEYLESS],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static LIMITED: Code = Code {
    name: "rate_limited",
    status: 429,
    grpc: 8,
    title: "Too many requests",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Wait as long as Retry-After says; the RateLimit fields of every response show what is left.",
};

static KEYLESS: Code = Code {
    name: "rate_key_missing",
    status: 403,
    grpc: 7,
    title: "The request does not say what it is limited by",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send the header field that the limit is counted by, or authenticate.",
};

/// Counts requests.
#[derive(Debug)]
struct Rate {
    by: By,
    missing: Missing,
    profile: Profile,
    /// A report for each window, with what never changes filled in.
    windows: Vec<RateReport>,
    shapes: Vec<Shape>,
    /// `RateLimit-Policy`, for responses that have nothing else to say there.
    policies: Text,
    table: Arc<Table>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let by = settings.by.compile(&at.key("by"));
    let windows = settings.windows(at);
    let (by, windows) = match (by, windows) {
        (Ok(by), Ok(windows)) => (by, windows),
        (by, windows) => {
            return Err([by.err(), windows.err()].into_iter().flatten().flatten().collect());
        }
    };
    let alone = windows.len() == 1;
    let report = |(Window { limit, window, .. }, _): &(Window, Shape)| {
        let name = if alone { cx.id.to_owned() } else { format!("{}-{window}", cx.id) };
        RateReport {
            policy: structured::string(&name).into(),
            limit: *limit,
            window: window.get().as_secs() + u64::from(window.get().subsec_nanos() > 0),
            remaining: 0,
            reset: 0,
        }
    };
    let reports: Vec<RateReport> = windows.iter().map(report).collect();
    // Buckets outlive changes of limits: what is kept of them are moments, whatever the limit.
    let kept = format!("rate {} {by} {}", cx.id, windows.len());
    let many = !matches!(by, By::None);
    Ok(Arc::new(Rate {
        missing: settings.missing,
        profile: settings.headers,
        policies: report::policies(&reports),
        windows: reports,
        shapes: windows.iter().map(|(_, shape)| *shape).collect(),
        table: cx.carry.keep(&kept, || Table::new(many)),
        by,
    }))
}

impl Policy for Rate {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let key = match self.by.key(exchange) {
            Key::Missing => match self.missing {
                Missing::Skip => return Step::next(),
                Missing::Refuse => return Step::refuse(Refusal::new(&KEYLESS)),
                Missing::Share => Key::Missing,
            },
            key => key,
        };
        let now = exchange.started.as_nanos();
        let outcome = self.table.take(key, &self.shapes, now);
        for (window, level) in self.windows.iter().zip(outcome.levels) {
            exchange.rates.push(RateReport {
                remaining: level.remaining,
                reset: seconds(level.next),
                ..window.clone()
            });
        }
        let Some(wait) = outcome.wait else { return Step::next() };
        let mut after = Vec::new();
        crate::digits::write(&mut after, seconds(wait).max(1));
        let after = String::from_utf8(after).unwrap_or_default();
        Step::refuse(Refusal::new(&LIMITED).header("Retry-After", after))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        // One of several policies writes for all: the one that came first, which is last here.
        let first = exchange.rates.first().map(|report| &report.policy);
        let own = self.windows.first().map(|report| &report.policy);
        if let (Some(first), Some(own)) = (first, own)
            && Arc::ptr_eq(first, own)
        {
            let alone = exchange.rates.len() == self.windows.len();
            let policies = alone.then_some(&*self.policies);
            let headers = &mut exchange.response.headers;
            if matches!(self.profile, Profile::Ietf | Profile::Both) {
                report::write(headers, &exchange.rates, policies);
            }
            if matches!(self.profile, Profile::Legacy | Profile::Both) {
                report::write_legacy(headers, &exchange.rates);
            }
        }
        Step::next()
    }
}

/// Nanoseconds as seconds, rounded up.
fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}
