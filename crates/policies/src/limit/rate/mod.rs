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
//!       - id: reports
//!         rate:
//!           limit: 1000
//!           window: 1h
//!           algorithm: fixed_window
//!           aligned: true
//!           by: { cel: '[caller.organization, route.name]' }
//!           cost: 'request.method == "GET" ? 1 : 5'
//! ```
//!
//! Several `windows` hold together: a request takes a token of each, or of none.
//!
//! `by` says whose bucket it is:
//!
//! - `client` (unless said): the client's address; of IPv6 the first 64 bits, which is what one
//!   site has;
//! - `{ network: { ipv4: 24, ipv6: 48 } }`: so many bits of the client's address;
//! - `application`: the caller's application;
//! - `{ header: name }`: a header field's value;
//! - `{ cel: expression }`: what an expression gives, as those of `when` are written: a text, a
//!   number, or a list of them. One that can't be evaluated refuses the request;
//! - `route`, `api`: one bucket for each;
//! - `none`: one for all.
//!
//! Requests without such a key (nobody is authenticated, the header is not there, the expression
//! gives null) share one bucket; with `missing: refuse` they are refused, with `missing: skip` not
//! limited.
//!
//! **How it counts** (`algorithm`). A `token_bucket` evens out what comes. A `fixed_window` begins
//! with a key's first request, or, if `aligned`, with the clock (UTC; an hour at its full hour),
//! and forgets all when it ends: around that moment twice the limit can come at once. A
//! `sliding_window` has no such moment: what came in the window before still counts by the part of
//! it that is less than a window ago, as if it had come evenly.
//!
//! **What a request costs** is 1, or what `cost` says: a number or an expression. Where it is known
//! only later, `settle` is an expression that is evaluated when there is a response, of which it
//! can ask for `response.status` and `response.headers`:
//!
//! ```yaml
//! apis:
//!   - name: search
//!     path: /search
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - rate:
//!           limit: 10000
//!           window: 1m
//!           settle: 'response.status >= 500 ? 0 : int(response.headers["x-cost"])'
//! ```
//!
//! What was taken too much is given back; what is missing is taken, and where there is not that
//! much the key is in debt and waits. If the expression can't be evaluated, what was taken stays.
//!
//! Requests that are refused cost nothing. With `count_rejected: true` they count like others: who
//! goes on as before hears 429 until they have paused.
//!
//! **Several limits.** All that apply to a request hold: those of the document, of the API, of the
//! route and of the caller's plan, in this order. The one with the least left decides, and none
//! replaces another. To
//! give some callers other limits, put a `when:` beside each. Each policy counts for itself, under
//! its `id`, wherever its requests come from. Policies with the same `bucket: name`, `by` and kinds
//! of windows count together, in different APIs or on different routes; give them the same windows.
//!
//! Responses carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)
//! with what is left and the seconds until there is more, refusals also `Retry-After`. The name in
//! them is the policy's `id`. Callers that know the older fields get those with `headers: legacy`
//! or `both`; where several policies limit a request, the first one's `headers` count for all.
//!
//! Buckets are this instance's own and outlive reloads. `keys` are told apart (131,072 unless said,
//! 80 bytes each). Of more that are in use, those with the most left make place, and whoever comes
//! then begins with as little as they had: a flood of keys frees nobody, and stops newcomers only
//! where it uses up what comes back to that many keys.

mod bucket;
#[cfg(test)]
mod faults;
mod fixed;
mod limiter;
mod settings;
mod sliding;
mod table;

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::condition::Expression;
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, RateReport, Refusal, Stage,
    Step, codes,
};
use serde_json::Value;

use crate::limit::by::{By, Missing};
use crate::limit::charge::{self, Charge};
use crate::limit::report::{Reports, retry_after, seconds};
use crate::structured;
use limiter::{Limiter, Moment};
use settings::{Settings, Window};
use table::{Hashed, Limits, Table};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "rate",
    phase: Phase::Limit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&LIMITED, &KEYLESS, &codes::CONDITION_FAILED],
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

/// What was taken of a key for a request. Waits in the exchange for the response.
#[derive(Debug)]
struct Taken {
    /// Who took it: a policy's address, which nothing else has while an exchange runs.
    by: usize,
    key: Hashed,
    then: Moment,
    cost: u64,
}

/// Counts requests.
#[derive(Debug)]
struct Rate {
    by: By,
    missing: Missing,
    reports: Reports,
    limits: Limits,
    charge: Charge,
    settle: Option<Expression>,
    table: Arc<Table>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = settings.problems(at);
    let by = settings.by.compile(&at.key("by")).map_err(|bad| problems.extend(bad)).ok();
    let windows = settings.windows(at).map_err(|bad| problems.extend(bad)).ok();
    let charge = settings.cost.compile(&at.key("cost")).map_err(|bad| problems.push(bad)).ok();
    let settle = settings.settle.as_deref().map(|text| charge::settle(text, &at.key("settle")));
    let settle = settle.transpose().map_err(|bad| problems.push(bad)).ok();
    let (Some(by), Some(windows), Some(charge), Some(settle)) = (by, windows, charge, settle)
    else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let reports = reports(cx.id, &windows);
    let limiters: Vec<Limiter> = windows.iter().map(|(_, limiter)| *limiter).collect();
    // Counts outlive changes of limits; what is kept means the same whatever the numbers.
    let words: Vec<_> = limiters.iter().map(Limiter::word).collect();
    let whose = settings.bucket.as_ref().map_or(cx.id.to_owned(), |name| format!("bucket {name}"));
    let kept = format!("rate {whose} {by} {}", words.join(" "));
    let many = !matches!(by, By::None);
    Ok(Arc::new(Rate {
        missing: settings.missing,
        reports: Reports::new(reports, settings.headers),
        limits: Limits::new(limiters, settings.keys, settings.count_rejected),
        charge,
        settle,
        table: cx.carry.keep(&kept, || Table::new(many)),
        by,
    }))
}

/// What is told of each window, for the policy `id`.
fn reports(id: &str, windows: &[(Window, Limiter)]) -> Vec<RateReport> {
    let report = |(Window { limit, window, .. }, _): &(Window, Limiter)| {
        let name = if windows.len() == 1 { id.to_owned() } else { format!("{id}-{window}") };
        RateReport {
            policy: structured::string(&name).into(),
            limit: *limit,
            window: window.get().as_secs() + u64::from(window.get().subsec_nanos() > 0),
            remaining: 0,
            reset: 0,
        }
    };
    windows.iter().map(report).collect()
}

impl Rate {
    /// Takes what the request costs.
    fn take(&self, exchange: &mut Exchange) -> Result<(), Refusal> {
        let Some(key) = self.by.key(exchange, self.missing, &KEYLESS)? else { return Ok(()) };
        let key = self.table.hash(key);
        let cost = self.charge.of(exchange)?;
        let wall = u64::try_from(exchange.wall.as_nanos()).unwrap_or(u64::MAX);
        let now = Moment { steady: exchange.started.as_nanos(), wall };
        let outcome = self.table.take(key, &self.limits, now, cost);
        for (window, level) in self.reports.windows.iter().zip(outcome.levels) {
            exchange.rates.push(RateReport {
                remaining: level.remaining,
                reset: seconds(level.next),
                ..window.clone()
            });
        }
        if let Some(wait) = outcome.wait {
            let (name, after) = retry_after(wait);
            return Err(Refusal::new(&LIMITED).header(name, after));
        }
        if self.settle.is_some() {
            exchange.memos.push(Box::new(Taken { by: self.address(), key, then: now, cost }));
        }
        Ok(())
    }

    /// Corrects what was taken, now that there is a response.
    fn settle(&self, exchange: &mut Exchange) {
        let Some(expression) = &self.settle else { return };
        let mut taken = exchange.memos.iter().filter_map(|memo| memo.downcast_ref::<Taken>());
        let Some(taken) = taken.find(|taken| taken.by == self.address()) else { return };
        match charge::due(expression, exchange) {
            Ok(due) => {
                let now = taken.then.later(exchange.answered.as_nanos());
                self.table.settle(taken.key, &self.limits, (taken.then, now), (taken.cost, due));
            }
            Err(why) => {
                let note = format!("what it cost is not known: {why}");
                exchange.note.get_or_insert(note.into());
            }
        }
    }

    /// What tells it from the other policies there are.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Policy for Rate {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.take(exchange) {
            Ok(()) => Step::next(),
            Err(refusal) => Step::refuse(refusal),
        }
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        self.settle(exchange);
        self.reports.write(exchange);
        Step::next()
    }
}
