//! The response fields that tell callers how they stand
//! (draft-ietf-httpapi-ratelimit-headers-10). The names of limits are structured-field strings
//! already, quotes and all.

use std::sync::Arc;

use policy::message::{Headers, Known};
use policy::{Exchange, RateReport};
use schemars::JsonSchema;
use serde::Deserialize;
use smallvec::SmallVec;

use crate::digits::Out;
use crate::structured::write_integer;

/// A field's value while it is written; larger ones are rare.
type Text = SmallVec<[u8; 192]>;

/// How answers tell what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateHeaders")]
pub(in crate::limit) enum Profile {
    /// `RateLimit-Policy` and `RateLimit`, every window of them.
    #[default]
    Ietf,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, in seconds, of the
    /// window that has the least left.
    Legacy,
    /// Both.
    Both,
    /// Not at all. Refusals still say `Retry-After`.
    None,
}

/// What a policy tells of its windows.
#[derive(Debug)]
pub(in crate::limit) struct Reports {
    profile: Profile,
    /// One for each, with what never changes filled in.
    pub(in crate::limit) windows: Vec<RateReport>,
    /// `RateLimit-Policy`, for responses that have nothing else to say there; none where windows
    /// differ in length.
    policies: Option<Text>,
}

impl Reports {
    /// What is told of these windows.
    pub(in crate::limit) fn new(windows: Vec<RateReport>, profile: Profile) -> Self {
        let known = windows.iter().all(|window| window.window > 0);
        Self { profile, policies: known.then(|| policies(&windows)), windows }
    }

    /// Writes what all policies that limit `exchange` have to say. One of them writes for all: the
    /// one that came first, which is last on the way back.
    pub(in crate::limit) fn write(&self, exchange: &mut Exchange) {
        let first = exchange.rates.first().map(|report| &report.policy);
        let own = self.windows.first().map(|report| &report.policy);
        let (Some(first), Some(own)) = (first, own) else { return };
        if !Arc::ptr_eq(first, own) {
            return;
        }
        let alone = exchange.rates.len() == self.windows.len();
        let known = self.policies.as_deref().filter(|_| alone);
        let headers = &mut exchange.response.headers;
        if matches!(self.profile, Profile::Ietf | Profile::Both) {
            write(headers, &exchange.rates, known);
        }
        if matches!(self.profile, Profile::Legacy | Profile::Both) {
            write_legacy(headers, &exchange.rates);
        }
    }
}

/// The field that says after how many nanoseconds to come again.
pub(in crate::limit) fn retry_after(wait: u64) -> (&'static str, String) {
    let mut after = Vec::new();
    crate::digits::write(&mut after, seconds(wait).max(1));
    ("Retry-After", String::from_utf8(after).unwrap_or_default())
}

/// Nanoseconds as seconds, rounded up.
pub(in crate::limit) fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// Writes `RateLimit-Policy` and `RateLimit`, in place of what an upstream may have sent. `known`
/// is the former where it is made already.
fn write(headers: &mut Headers, rates: &[RateReport], known: Option<&[u8]>) {
    match known {
        Some(known) => headers.set_known(Known::RateLimitPolicy, known),
        None => headers.set_known(Known::RateLimitPolicy, policies(rates)),
    };
    let levels = list(rates, |out, rate| {
        parameter(out, b";r=", rate.remaining);
        parameter(out, b";t=", rate.reset);
    });
    headers.set_known(Known::RateLimit, levels);
}

/// Writes the three fields that came before there was a draft, of the limit that has the least
/// left, in place of what an upstream may have sent.
fn write_legacy(headers: &mut Headers, rates: &[RateReport]) {
    headers.remove_where(|_, name| {
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
    });
    // The part of it that is left, without dividing.
    let less = |a: &&RateReport, b: &&RateReport| {
        let part = |one: &RateReport, other: &RateReport| {
            u128::from(one.remaining) * u128::from(other.limit)
        };
        part(a, b).cmp(&part(b, a))
    };
    let Some(tightest) = rates.iter().min_by(less) else { return };
    for (name, value) in [
        ("X-RateLimit-Limit", tightest.limit),
        ("X-RateLimit-Remaining", tightest.remaining),
        ("X-RateLimit-Reset", tightest.reset),
    ] {
        let mut text = Text::new();
        write_integer(&mut text, value);
        headers.append(name, text);
    }
}

/// The value of `RateLimit-Policy`.
fn policies(rates: &[RateReport]) -> Text {
    list(rates, |out, rate| {
        parameter(out, b";q=", rate.limit);
        parameter(out, b";w=", rate.window);
    })
}

fn list(rates: &[RateReport], mut parameters: impl FnMut(&mut Text, &RateReport)) -> Text {
    let mut out = Text::new();
    for rate in rates {
        if !out.is_empty() {
            out.put(b", ");
        }
        out.put(rate.policy.as_bytes());
        parameters(&mut out, rate);
    }
    out
}

fn parameter(out: &mut Text, name: &[u8], value: u64) {
    out.put(name);
    write_integer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_lists_of_items() {
        let rate = |policy: &str, remaining| RateReport {
            policy: policy.into(),
            limit: 100,
            window: 60,
            remaining,
            reset: 1,
        };
        let mut headers = Headers::new();
        headers.append("ratelimit", "from the upstream");
        write(&mut headers, &[rate("\"a\"", 50), rate("\"b\"", 0)], None);
        let text = |name| String::from_utf8_lossy(headers.get(name).unwrap()).into_owned();
        assert_eq!(text(Known::RateLimit), r#""a";r=50;t=1, "b";r=0;t=1"#);
        assert_eq!(text(Known::RateLimitPolicy), r#""a";q=100;w=60, "b";q=100;w=60"#);
        assert_eq!(headers.len(), 2);
    }
}
