//! Timeouts and retries, and that they fit each other.

use base::{Pointer, Problem, Span};
use config::v1;

use super::Findings;
use crate::{Retry, Timeouts};

/// Compiles an upstream's timeouts.
pub(super) fn timeouts(written: &v1::Timeouts, at: &Pointer, findings: &mut Findings) -> Timeouts {
    check_not_zero("connect", written.connect, at, findings);
    check_not_zero("first_byte", written.first_byte, at, findings);
    check_not_zero("idle", written.idle, at, findings);
    Timeouts {
        connect: written.connect.get(),
        first_byte: written.first_byte.get(),
        idle: written.idle.get(),
        total: total(written.total),
    }
}

/// Checks timeouts that an API or a route sets.
pub(super) fn check_overrides(written: &v1::RouteTimeouts, at: &Pointer, findings: &mut Findings) {
    for (name, span) in [("first_byte", written.first_byte), ("idle", written.idle)] {
        span.into_iter().for_each(|span| check_not_zero(name, span, at, findings));
    }
}

/// An upstream's timeouts with those of an API and a route in their place; the later wins.
pub(super) fn overridden<'w>(
    timeouts: Timeouts,
    by: impl Iterator<Item = &'w v1::RouteTimeouts>,
) -> Timeouts {
    by.fold(timeouts, |timeouts, by| Timeouts {
        connect: timeouts.connect,
        first_byte: by.first_byte.map_or(timeouts.first_byte, Span::get),
        idle: by.idle.map_or(timeouts.idle, Span::get),
        total: by.total.map_or(timeouts.total, total),
    })
}

fn total(span: Span) -> Option<std::time::Duration> {
    Some(span.get()).filter(|total| !total.is_zero())
}

/// Refuses a time that leaves none for what it bounds.
pub(super) fn check_not_zero(name: &str, span: Span, at: &Pointer, findings: &mut Findings) {
    if span.get().is_zero() {
        findings.problem(
            Problem::new(&at.key(name), format!("`{name}: {span}` leaves no time at all"))
                .hint("write how long to wait, or leave it out for the default"),
        );
    }
}

/// Compiles retries.
pub(super) fn retry(written: &v1::Retry, at: &Pointer, findings: &mut Findings) -> Retry {
    if written.backoff > written.backoff_max {
        let what = format!(
            "the first wait between tries ({}) is longer than the longest ({})",
            written.backoff, written.backoff_max
        );
        let problem = Problem::new(&at.key("backoff"), what);
        findings.problem(problem.hint("raise `backoff_max`, or lower `backoff`"));
    }
    if let Some(per_try) = written.per_try_timeout {
        check_not_zero("per_try_timeout", per_try, at, findings);
    }
    Retry {
        attempts: written.attempts,
        causes: written.causes.clone(),
        per_try: written.per_try_timeout.map(Span::get),
        backoff: written.backoff.get(),
        backoff_max: written.backoff_max.get(),
        body: usize::try_from(written.body.0).unwrap_or(usize::MAX),
        budget_percent: written.budget_percent,
        budget_floor: written.budget_floor,
    }
}

/// What is wrong where a try may take as long as all of them together.
pub(super) fn misfit(retry: &Retry, timeouts: &Timeouts, at: &Pointer) -> Option<Problem> {
    let (per_try, total) = (retry.per_try?, timeouts.total?);
    (per_try >= total).then(|| {
        let (per_try, total) = (Span(per_try), Span(total));
        let what = format!("one try may take {per_try}, but all of them together {total}");
        Problem::new(at, what).hint("make the time of a try shorter than `timeouts: { total: … }`")
    })
}
