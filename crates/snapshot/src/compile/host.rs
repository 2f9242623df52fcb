//! Hosts that APIs answer on, in the form requests have them.

use std::net::{Ipv4Addr, Ipv6Addr};

use base::{Pointer, Problem};

use crate::router::Host;

/// Bytes of a host (RFC 1035 §2.3.4).
const HOST_MAX: usize = 253;

/// Parses a host or a wildcard.
pub(super) fn parse(text: &str, at: &Pointer) -> Result<Host, Problem> {
    let problem = |what: String, hint: &str| Err(Problem::new(at, what).hint(hint));
    let lower = text.to_ascii_lowercase();
    let host = lower.strip_suffix('.').unwrap_or(&lower);
    if host == "*" {
        return problem("`*` is no host".into(), "leave `hosts` out: the API answers on any then");
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Host::Exact(format!("[{address}]").into())),
            Err(_) => {
                problem(format!("`{text}` is no IPv6 address"), "write it as in `[2001:db8::1]`")
            }
        };
    }
    if host.contains(['/', ':', '@']) {
        let hint = "write the name alone, without scheme, port and path";
        return problem(format!("`{text}` is more than a host"), hint);
    }
    if !host.is_ascii() {
        let hint = "write it as DNS has it, in Punycode: `xn--…`";
        return problem(format!("`{text}` has characters that no host on the wire has"), hint);
    }
    if let Some(suffix) = host.strip_prefix("*.") {
        if is_name(suffix) {
            return Ok(Host::Wildcard(suffix.into()));
        }
    } else if is_name(host) {
        return Ok(Host::Exact(host.into()));
    }
    let what = format!("`{text}` is no host");
    problem(what, "write a name, as in `api.example.com`, or `*.` and a name")
}

/// Labels of letters, digits, `-` and `_`; what ends in a number is an IPv4 address.
pub(super) fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= HOST_MAX
        && host.split('.').all(label)
        && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}
