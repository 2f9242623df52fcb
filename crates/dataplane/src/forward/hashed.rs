//! What consistent hashing is of, in a request. Where the named thing is missing, the client's
//! address.

use std::net::IpAddr;

use policy::Exchange;
use policy::message::{Headers, Known};
use snapshot::Balance;

use super::balance::hash;

/// The hash of what `balance` says; none where it does not hash.
pub(super) fn hash_of(balance: &Balance, x: &Exchange) -> Option<u64> {
    let value = match balance {
        Balance::By(_) => return None,
        Balance::HashHeader(name) => x.request.headers.get(name),
        Balance::HashCookie(name) => cookie(&x.request.headers, name),
        Balance::HashClientAddress => None,
    };
    Some(match value {
        Some(value) if !value.is_empty() => hash(value),
        _ => of_address(x.client),
    })
}

/// The hash of a client's address.
pub(super) fn of_address(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(client) => hash(&client.octets()),
        IpAddr::V6(client) => hash(&client.octets()),
    }
}

/// The value of the cookie `name` (RFC 6265 §5.4).
fn cookie<'h>(headers: &'h Headers, name: &str) -> Option<&'h [u8]> {
    headers.all(Known::Cookie).flat_map(|line| line.split(|byte| *byte == b';')).find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use config::v1::BalanceBy;
    use policy::Connection;
    use policy::message::Name;

    use super::*;

    fn exchange(client: &str, fields: &[(&str, &str)]) -> Exchange {
        let connection = Connection { listener: "web".into(), peer: None, local: None, tls: None };
        let mut x = Exchange::new(Arc::new(connection), 0);
        x.client = client.parse().unwrap();
        for (name, value) in fields {
            x.request.headers.append(name, value);
        }
        x
    }

    #[test]
    fn the_named_thing_is_hashed_and_the_address_where_it_is_missing() {
        let header = Balance::HashHeader(Name::new("x-tenant").unwrap());
        let cookie = Balance::HashCookie("sid".into());
        let address = Balance::HashClientAddress;
        for (balance, fields, expected) in [
            (&header, &[("X-Tenant", "acme")][..], &b"acme"[..]),
            (&header, &[("x-tenant", "")], &[10, 0, 0, 1]),
            (&header, &[], &[10, 0, 0, 1]),
            (&cookie, &[("cookie", "a=b; sid=42;c=d")], b"42"),
            (&cookie, &[("cookie", "a=b"), ("cookie", "sid=43")], b"43"),
            (&cookie, &[("cookie", "xsid=44; side=45")], &[10, 0, 0, 1]),
            (&address, &[("x-tenant", "acme")], &[10, 0, 0, 1]),
        ] {
            let x = exchange("10.0.0.1", fields);
            assert_eq!(hash_of(balance, &x), Some(hash(expected)), "{balance:?} {fields:?}");
        }
        let x = exchange("10.0.0.1", &[]);
        assert_eq!(hash_of(&Balance::By(BalanceBy::RoundRobin), &x), None);
    }
}
