//! The response fields that tell callers how they stand
//! (draft-ietf-httpapi-ratelimit-headers-10). The names of limits are structured-field strings
//! already, quotes and all.

use policy::RateReport;
use policy::message::{Headers, Known};
use smallvec::SmallVec;

use crate::digits::Out;
use crate::structured::write_integer;

/// A field's value while it is written; larger ones are rare.
pub(super) type Text = SmallVec<[u8; 192]>;

/// Writes `RateLimit-Policy` and `RateLimit`, in place of what an upstream may have sent. `known`
/// is the former where it is made already.
pub(super) fn write(headers: &mut Headers, rates: &[RateReport], known: Option<&[u8]>) {
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
pub(super) fn write_legacy(headers: &mut Headers, rates: &[RateReport]) {
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
pub(super) fn policies(rates: &[RateReport]) -> Text {
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
