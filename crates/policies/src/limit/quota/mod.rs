//! Limits how much may be used in a long while: calls or bytes in an hour, a month, the last 30
//! days. What was used outlives restarts.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - quota: { limit: 100000, window: month, zone: Europe/Berlin, warn_at: 80, grace: 5 }
//!       - id: volume
//!         quota: { limit: 10GiB, window: 30d, count: bytes, mode: report }
//! ```
//!
//! `window` is a piece of the calendar (`hour`, `day`, `week`, `month`, `year`; weeks begin on
//! Monday, months with the day that `starts` says, or with their last where they have fewer), as
//! clocks in `zone` show it; at its end all is given anew. Or it is a length, as in `30d`, and
//! rolls: what was used in the window before counts by the part of it that is less than a window
//! ago, as if it had been used evenly.
//!
//! `by` says whose quota it is, the caller's application unless said, and `missing` what becomes of
//! requests without such a key; `cost`, `bucket` and `headers` are those of [rate](rate.md). To
//! give some callers another quota, put a `when:` beside each; all that apply hold.
//!
//! **Calls** are counted when they come, and refused ones are not. With `count: bytes` (also
//! `request_bytes`, `response_bytes`) what bodies had is counted when a call is over: it passes
//! where anything is left, and can take more than that.
//!
//! **At the limit.** What is over it is refused with 429 until the window ends, which `Retry-After`
//! says. `grace` lets so many percent more pass, and `mode: report` all; the access log's `note`
//! then says so. The log warns once for each key and window when `warn_at` percent are used, and
//! when the limit is.
//!
//! **What is kept.** Counts are in memory and on disk, in `counts.sqlite` of the state directory
//! (`--state`), to which they are added four times a second: a process that is killed loses at most
//! that much, which is in the callers' favour. The processes of an upgrade add to the same counts.
//! Without a state directory, or with a disk that fails, quotas go on in memory, and the log says
//! so once. A clock that is set back begins no window again. Changes of `limit` keep what was used;
//! changes of the window, `by` or `count`, and another `id`, begin anew.
//!
//! Of callers' header fields and of what expressions give, only hashes are kept. `keys` are told
//! apart, 131,072 unless said; further ones share one count until the window ends.

mod account;
mod period;
mod settings;

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, RateReport, Refusal, Stage,
    Step, codes,
};
use serde_json::Value;

use self::account::{Account, Ask, Standing};
use self::period::{Calendar, Period};
use self::settings::{Settings, What};
use crate::limit::by::{By, Missing};
use crate::limit::charge::{Charge, Cost};
use crate::limit::report::{Reports, retry_after};
use crate::mode::Mode;
use crate::structured;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "quota",
    phase: Phase::Limit,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&EXCEEDED, &KEYLESS, &codes::CONDITION_FAILED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static EXCEEDED: Code = Code {
    name: "quota_exceeded",
    status: 429,
    grpc: 8,
    title: "The quota is used up",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Wait as long as Retry-After says, or ask whoever runs the API for a larger quota.",
};

static KEYLESS: Code = Code {
    name: "quota_key_missing",
    status: 403,
    grpc: 7,
    title: "The request does not say whose quota it uses",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Authenticate, or send the header field that the quota is counted by.",
};

/// Counts what is used.
#[derive(Debug)]
struct Quota {
    id: Box<str>,
    limit: u64,
    /// With what is let through for grace.
    most: u64,
    /// Where the log warns, in order: the limit is the last.
    marks: Vec<u64>,
    rolling: bool,
    what: What,
    charge: Charge,
    mode: Mode,
    by: By,
    missing: Missing,
    reports: Reports,
    account: Arc<Account>,
}

/// Whose bytes an exchange's are. Waits in it until it is over.
#[derive(Debug)]
struct Metered {
    /// The policy that counts them.
    by: usize,
    key: Vec<u8>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = settings.problems(at);
    let by = settings.by.compile(&at.key("by")).map_err(|bad| problems.extend(bad)).ok();
    let calendar = settings.calendar(at).map_err(|bad| problems.extend(bad)).ok();
    let cost = settings
        .cost
        .as_ref()
        .map_or(Ok(Charge::Always(1)), |cost: &Cost| cost.compile(&at.key("cost")));
    let charge = cost.map_err(|bad| problems.push(bad)).ok();
    let (Some(by), Some((calendar, words)), Some(charge)) = (by, calendar, charge) else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let limit = settings.limit.0;
    let share = |percent: u8| {
        let part = u128::from(limit) * u128::from(percent) / 100;
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    let whose = settings.bucket.as_ref().map_or(cx.id.to_owned(), |name| format!("bucket {name}"));
    let name = format!("{whose}, {} by {by}, {words}", settings.count.word());
    let rolling = matches!(calendar, Calendar::Even { .. });
    let account = cx.carry.keep(&format!("quota {name}"), || {
        Account::new(name.clone(), calendar, cx.world.ledger(), cx.world.wall().as_secs())
    });
    account.bound(settings.keys);
    cx.chores.push(account.clone());
    let mut marks: Vec<u64> =
        settings.warn_at.map(|percent| share(percent).max(1)).into_iter().collect();
    marks.push(limit);
    Ok(Arc::new(Quota {
        id: cx.id.into(),
        limit,
        most: limit.saturating_add(share(settings.grace)),
        marks,
        rolling,
        what: settings.count,
        charge,
        mode: settings.mode,
        by,
        missing: settings.missing,
        reports: Reports::new(vec![report(cx.id, limit)], settings.headers),
        account,
    }))
}

/// What is told of the quota `id`.
fn report(id: &str, limit: u64) -> RateReport {
    let policy = structured::string(id).into();
    RateReport { policy, limit, window: 0, remaining: 0, reset: 0 }
}

impl Quota {
    /// Takes what the request costs, and says how its key stands.
    fn take(&self, exchange: &mut Exchange) -> Result<(), Refusal> {
        let Some(key) = self.by.key(exchange, self.missing, &KEYLESS)? else { return Ok(()) };
        let mut name = Vec::with_capacity(64);
        key.write(&mut name);
        let calls = self.what == What::Calls;
        let amount = if calls { self.charge.of(exchange)? } else { 0 };
        // Of bytes, it is not known how many there will be: at least one has to be left.
        let most = if calls { self.most } else { self.most.saturating_sub(1) };
        let now = exchange.wall.as_secs();
        let standing = self.account.take(
            &name,
            now,
            Ask {
                amount,
                most: (self.mode == Mode::Refuse).then_some(most),
                rolling: self.rolling,
                marks: &self.marks,
            },
        );
        self.tell(&name, standing);
        let period = self.account.period(now);
        exchange.rates.extend(self.reports.windows.first().map(|report| RateReport {
            window: period.end.saturating_sub(period.start),
            remaining: self.limit.saturating_sub(standing.used),
            reset: period.end.saturating_sub(now),
            ..report.clone()
        }));
        if !standing.taken {
            let wait = self.wait(standing, period, now, amount.max(1));
            let (field, after) = retry_after(wait.saturating_mul(1_000_000_000));
            return Err(Refusal::new(&EXCEEDED).header(field, after));
        }
        if standing.used > self.limit {
            let note = format!("{}: {} of {} are used", self.id, standing.used, self.limit);
            exchange.note.get_or_insert(note.into());
        }
        if !calls {
            exchange.memos.push(Box::new(Metered { by: self.address(), key: name }));
        }
        Ok(())
    }

    /// Says in the log, once for each window, that much or all is used.
    fn tell(&self, key: &[u8], standing: Standing) {
        if standing.passed == 0 {
            return;
        }
        let key = String::from_utf8_lossy(key);
        let key = if key.starts_with("application ") { &key } else { "a key" };
        if usize::from(standing.passed) == self.marks.len() {
            tracing::warn!(quota = &*self.id, limit = self.limit, "{key} has used up its quota");
        } else {
            let used = standing.used;
            tracing::warn!(quota = &*self.id, limit = self.limit, used, "{key} nears its quota");
        }
    }

    /// Seconds until `amount` fits: until the window ends, or, where it rolls, until enough of it
    /// is gone.
    fn wait(&self, standing: Standing, period: Period, now: u64, amount: u64) -> u64 {
        let left = period.end.saturating_sub(now);
        if !self.rolling {
            return left;
        }
        let length = u128::from(period.end.saturating_sub(period.start));
        let room = u128::from(self.most.saturating_sub(amount));
        let passed = length.saturating_sub(left.into());
        // What the window before still counts for is not this one's.
        let part = (u128::from(standing.before) * u128::from(left)).div_ceil(length.max(1));
        let own = u128::from(standing.used).saturating_sub(part);
        // Into the window's length, as far as what was used before leaves room for the rest.
        let fits = |before: u128, rest: u128| {
            Some(length.saturating_sub(
                room.checked_sub(rest)?.saturating_mul(length).checked_div(before)?,
            ))
        };
        let wait = match (fits(standing.before.into(), own), fits(own, 0)) {
            (Some(into), _) if into > passed => into - passed,
            (_, Some(into)) => u128::from(left) + into,
            (_, None) => u128::from(left) + length,
        };
        u64::try_from(wait).unwrap_or(u64::MAX)
    }

    /// What tells it from the other policies there are.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Policy for Quota {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.take(exchange) {
            Ok(()) => Step::next(),
            Err(refusal) => Step::refuse(refusal),
        }
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        self.reports.write(exchange);
        Step::next()
    }

    fn on_end(&self, exchange: &Exchange) {
        let mut metered = exchange.memos.iter().filter_map(|memo| memo.downcast_ref::<Metered>());
        let Some(metered) = metered.find(|metered| metered.by == self.address()) else { return };
        let amount = match self.what {
            What::Calls => return,
            What::Bytes => exchange.bytes_in.saturating_add(exchange.bytes_out),
            What::RequestBytes => exchange.bytes_in,
            What::ResponseBytes => exchange.bytes_out,
        };
        let ask = Ask { amount, most: None, rolling: self.rolling, marks: &self.marks };
        let standing = self.account.take(&metered.key, exchange.wall.as_secs(), ask);
        self.tell(&metered.key, standing);
    }
}

#[cfg(test)]
mod tests;
