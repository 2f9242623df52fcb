//! Who may ask. The admin listener trusts whoever reaches it, so it must know that no web page does
//! through the browser of somebody who may.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header};
use snapshot::Bind;

/// Where a request reached the admin listener.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Only this machine reaches it.
    local: bool,
    /// The peer is this machine.
    from_here: bool,
    /// A Unix socket, which no browser reaches.
    unix: bool,
}

impl Place {
    pub fn of(bind: &Bind) -> Self {
        let (local, unix) = match bind {
            Bind::Tcp(address) => (address.ip().to_canonical().is_loopback(), false),
            Bind::Unix(_) => (true, true),
        };
        Self { local, from_here: local, unix }
    }

    /// The same, for a connection from this address.
    pub fn seen_from(&self, peer: IpAddr) -> Self {
        Self { from_here: peer.to_canonical().is_loopback(), ..self.clone() }
    }

    /// Whether a request may be answered; if not, why.
    ///
    /// A name an attacker owns can lead a browser to loopback (DNS rebinding): there, `Host` must
    /// be an address or `localhost`. Where the listener is open to others, names are how they call
    /// it.
    pub fn check(&self, headers: &HeaderMap, changes: bool) -> Result<(), &'static str> {
        if self.unix {
            return Ok(());
        }
        let host =
            headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if (self.local || changes) && !is_own(host) {
            return Err("the Host must be an address or localhost");
        }
        if !changes {
            return Ok(());
        }
        if !self.from_here {
            return Err("changes are taken from this machine only: loopback or a Unix socket");
        }
        if from_a_page(headers, host) {
            return Err("changes are not taken from web pages");
        }
        Ok(())
    }
}

/// Whether a host is an IP address or `localhost`, with or without a port.
fn is_own(host: &str) -> bool {
    let Ok(uri) = host.parse::<Uri>() else { return false };
    let host = uri.authority().map_or("", |authority| authority.host());
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Whether a browser says that a page of another origin asks.
fn from_a_page(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let strange_site = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    let origin = headers.get(header::ORIGIN).map(|origin| origin.as_bytes());
    let strange_origin = origin.is_some_and(|origin| {
        let own = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        own != Some(host.as_bytes())
    });
    strange_site || strange_origin
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    fn tcp(bind: &str, peer: &str) -> Place {
        Place::of(&Bind::Tcp(bind.parse().unwrap())).seen_from(peer.parse().unwrap())
    }

    #[test]
    fn a_name_that_leads_to_loopback_is_refused() {
        let loopback = tcp("127.0.0.1:8090", "127.0.0.1");
        let open = tcp("0.0.0.0:8090", "10.0.0.9");
        for (host, at_loopback) in [
            ("127.0.0.1:8090", true),
            ("127.0.0.1", true),
            ("[::1]:8090", true),
            ("LocalHost:8090", true),
            ("evil.test:8090", false),
            ("localhost.evil.test", false),
            ("127.0.0.1.evil.test:8090", false),
            ("127.0.0.1:8090@evil.test", false),
            ("", false),
            ("a b", false),
        ] {
            let sent = headers(&[("host", host)]);
            assert_eq!(loopback.check(&sent, false).is_ok(), at_loopback, "{host:?}");
            assert!(open.check(&sent, false).is_ok(), "{host:?}");
        }
        assert!(loopback.check(&headers(&[]), false).is_err(), "no Host");
    }

    #[test]
    fn changes_are_taken_from_this_machine_and_not_from_web_pages() {
        let here = ("127.0.0.1:8090", "127.0.0.1");
        let host = ("host", "127.0.0.1:8090");
        type Fields<'f> = &'f [(&'static str, &'static str)];
        let table: [((&str, &str), Fields<'_>, bool); 12] = [
            (here, &[host], true),
            (("0.0.0.0:8090", "127.0.0.1"), &[host], true),
            (("[::]:8090", "::ffff:127.0.0.1"), &[host], true),
            (("0.0.0.0:8090", "10.0.0.9"), &[host], false),
            (("0.0.0.0:8090", "127.0.0.1"), &[("host", "gateway.internal:8090")], false),
            (here, &[host, ("origin", "http://127.0.0.1:8090")], true),
            (here, &[host, ("origin", "http://127.0.0.1:3000")], false),
            (here, &[host, ("origin", "https://evil.test")], false),
            (here, &[host, ("origin", "null")], false),
            (here, &[host, ("sec-fetch-site", "cross-site")], false),
            (here, &[host, ("sec-fetch-site", "same-site")], false),
            (here, &[host, ("sec-fetch-site", "none")], true),
        ];
        for ((bind, peer), fields, taken) in table {
            let checked = tcp(bind, peer).check(&headers(fields), true);
            assert_eq!(checked.is_ok(), taken, "{bind} {peer} {fields:?}: {checked:?}");
        }
        let unix = Place::of(&Bind::Unix("/run/gateward/admin.sock".into()));
        assert!(unix.check(&headers(&[]), true).is_ok());
    }
}
