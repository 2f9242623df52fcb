//! Hosts of requests. The canonical form is its own canonical form, holds what a name or an address
//! may, and says the same in a target of absolute form.

use std::net::{Ipv4Addr, Ipv6Addr};

use dataplane::testing::parsers::canonical;
use policy::message::{Authority, Method, Scheme};

/// The value of `Host`.
pub fn run(input: &[u8]) {
    for scheme in [Scheme::Http, Scheme::Https] {
        let taken = canonical(Method::Get, b"/", input, scheme);
        let absolute = [scheme.text().as_bytes(), b"://", input, b"/x"].concat();
        let in_target = canonical(Method::Get, &absolute, input, scheme);
        let Ok(request) = taken else {
            assert!(in_target.is_err(), "what is no host is one in a target");
            continue;
        };
        let authority = &request.target.authority;
        check(authority, scheme);
        let again = canonical(Method::Get, b"/", authority.as_str().as_bytes(), scheme);
        assert_eq!(&again.expect("what is canonical is taken").target.authority, authority);
        let in_target = in_target.expect("what is a host is one in a target").target;
        assert_eq!((&in_target.authority, &*in_target.path), (authority, "/x"));
    }
}

fn check(authority: &Authority, scheme: Scheme) {
    let (host, text) = (authority.host(), authority.as_str());
    assert_eq!(host, host.to_ascii_lowercase(), "upper case");
    match authority.port() {
        None => assert_eq!(host, text),
        Some(port) => {
            assert!(port != 0 && port != scheme.port(), "{text}: a port that is not written");
            assert_eq!(text, format!("{host}:{port}"));
        }
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().expect("an IPv6 address");
        assert_eq!(inner, address.to_string(), "an address has one spelling");
        return;
    }
    assert!((1..=253).contains(&host.len()), "{host}: no length of a name");
    let is_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    for label in host.split('.') {
        assert!((1..=63).contains(&label.len()) && label.bytes().all(is_label), "{host}: no name");
    }
    // What ends in a number is an address to those who resolve it.
    if host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        let address: Ipv4Addr = host.parse().expect("an IPv4 address");
        assert_eq!(host, address.to_string(), "an address has one spelling");
    }
}
