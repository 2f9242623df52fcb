//! Fields that not everybody may send. What the gateway says of a caller and of the way a request
//! took, callers can't say themselves: neither under the field's own name nor under one that
//! servers take for the same, neither in the head nor behind the body. It is settled here, once,
//! before anything else looks.

use config::v1::OddFieldNames;
use policy::message::{Headers, Known, Name};
use policy::{Refusal, codes};
use smallvec::SmallVec;
use snapshot::{Listener, Snapshot};

/// What the gateway's own fields start with.
const OWN: &[u8] = b"x-gateward-";

/// Who told a request's fields, and what that allows.
pub(crate) struct Fields<'s> {
    /// Names of fields that say who the caller is: written by policies alone.
    pub identity: &'s [Name],
    /// Whether the peer is a proxy whose word is taken.
    pub trusted: bool,
    /// What becomes of names with a `_` or `.`.
    pub odd: OddFieldNames,
}

/// Removes from a request's head what a stranger who comes by `listener` may not say: for tools
/// that tell what would happen to a request.
///
/// # Errors
/// A name can be taken for one that the gateway reads or writes.
pub fn admit_fields(
    snapshot: &Snapshot,
    listener: &Listener,
    headers: &mut Headers,
) -> Result<(), Refusal> {
    let odd = listener.odd_field_names;
    Fields { identity: &snapshot.identity_headers, trusted: false, odd }.admit(headers).map(drop)
}

/// What becomes of a field.
enum Verdict {
    Stays,
    Goes,
    /// It goes because of how its name is written.
    Odd,
    Refused,
}

impl Fields<'_> {
    /// Removes from a request's head what its sender may not say. Gives how many went because of
    /// how their names are written.
    ///
    /// # Errors
    /// A name can be taken for one that the gateway reads or writes.
    pub fn admit(&self, headers: &mut Headers) -> Result<u64, Refusal> {
        let (mut odd, mut refused) = (0, false);
        headers.remove_where(|known, name| match self.judge(known, name) {
            Verdict::Stays => false,
            Verdict::Goes => true,
            Verdict::Odd => {
                odd += 1;
                true
            }
            Verdict::Refused => {
                refused = true;
                true
            }
        });
        match refused {
            false => Ok(odd),
            true => Err(Refusal::new(&codes::FIELD_AMBIGUOUS)
                .detail("the name of a field holds `_` or `.` and can be taken for another")),
        }
    }

    /// Removes from a request's trailers what its sender may not say: all of them, unless they are
    /// of a gRPC call. Gives how many went.
    pub fn admit_trailers(&self, trailers: &mut Headers, grpc: bool) -> u64 {
        let before = trailers.len();
        trailers.remove_where(|known, name| {
            !grpc || !matches!(self.judge(known, name), Verdict::Stays)
        });
        (before - trailers.len()) as u64
    }

    fn judge(&self, known: Known, name: &[u8]) -> Verdict {
        if self.is_identity(name) {
            return Verdict::Goes;
        }
        let proxys = if known == Known::Other {
            if name.iter().any(|byte| matches!(byte, b'_' | b'.')) {
                return self.judge_odd(name);
            }
            if starts_with(name, OWN) {
                return Verdict::Goes;
            }
            is_proxys(name)
        } else {
            known.tells_where_from()
        };
        if proxys && !self.trusted { Verdict::Goes } else { Verdict::Stays }
    }

    /// A name that servers may read with `-` in place of some of its bytes (as CGI, WSGI and others
    /// fold names).
    fn judge_odd(&self, name: &[u8]) -> Verdict {
        let folded: SmallVec<[u8; 64]> = name
            .iter()
            .map(|byte| if matches!(byte, b'_' | b'.') { b'-' } else { *byte })
            .collect();
        let stands_for_another = Known::of(&folded) != Known::Other
            || self.is_identity(&folded)
            || starts_with(&folded, OWN)
            || starts_with(&folded, super::identity::CERTIFICATE.as_bytes())
            || is_proxys(&folded);
        match self.odd {
            _ if stands_for_another => Verdict::Refused,
            OddFieldNames::Refuse => Verdict::Refused,
            OddFieldNames::Drop => Verdict::Odd,
            OddFieldNames::Keep => Verdict::Stays,
        }
    }

    fn is_identity(&self, name: &[u8]) -> bool {
        self.identity.iter().any(|own| own.as_str().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Fields by which proxies tell where a request came from, and those by which a request asks to be
/// taken for another one than was routed and authorised: other names that some server believes.
fn is_proxys(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 5] =
        [b"x-forwarded-", b"x-original-", b"x-rewrite-", b"x-accel-", b"x-envoy-"];
    const NAMES: [&[u8]; 9] = [
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-host",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-sendfile-type",
        b"true-client-ip",
        b"early-data",
    ];
    // Most names start with another letter.
    matches!(name.first(), Some(b'x' | b'X' | b't' | b'T' | b'e' | b'E'))
        && (STARTS.iter().any(|start| starts_with(name, start))
            || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// Removes from a response what tells a gateway what to do, or clients of a way around this one:
/// here it means nothing, and elsewhere it is not the upstream's to say.
pub(crate) fn strip_response(headers: &mut Headers) {
    headers.remove_where(|known, name| known == Known::Other && is_control(name));
}

fn is_control(name: &[u8]) -> bool {
    match name.first() {
        Some(b'x' | b'X') => {
            [b"x-accel-".as_slice(), b"x-envoy-", OWN].iter().any(|start| starts_with(name, start))
                || name.eq_ignore_ascii_case(b"x-sendfile")
                || name.eq_ignore_ascii_case(b"x-lighttpd-send-file")
        }
        Some(b'a' | b'A') => name.eq_ignore_ascii_case(b"alt-svc"),
        Some(b'e' | b'E') => name.eq_ignore_ascii_case(b"early-data"),
        _ => false,
    }
}

/// Whether a request asks for its connection to be authenticated, not itself (NTLM, and Negotiate
/// that may turn into it): on an upstream's connection whoever comes next would be its caller.
pub(crate) fn is_connection_bound(headers: &Headers) -> bool {
    headers.all(Known::Authorization).any(|value| {
        let scheme = value.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

fn starts_with(name: &[u8], start: &[u8]) -> bool {
    name.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a field of this name: `name` itself, nothing, or the refusal's code.
    fn left(name: &str, trusted: bool, odd: OddFieldNames) -> String {
        let identity = [Name::new("X-Caller").unwrap()];
        let mut headers = Headers::new();
        headers.append(name, "told");
        match (Fields { identity: &identity, trusted, odd }).admit(&mut headers) {
            Ok(count) if count > 0 => format!("odd {count}"),
            Ok(_) => headers.iter().map(|(_, name, _)| String::from_utf8_lossy(name)).collect(),
            Err(refusal) => refusal.code.name.to_owned(),
        }
    }

    #[test]
    fn what_only_the_gateway_says_goes() {
        for name in ["x-caller", "X-Caller", "X-Gateward-Anything", "x-gateward-"] {
            assert_eq!(left(name, true, OddFieldNames::Keep), "", "{name}");
        }
        for name in ["x-callers", "x-gateward", "authorization", "traceparent", "xforwarded-for"] {
            assert_eq!(left(name, false, OddFieldNames::Drop), name, "{name}");
        }
    }

    #[test]
    fn what_proxies_say_goes_unless_the_peer_is_one() {
        for name in [
            "forwarded",
            "x-forwarded-for",
            "X-Forwarded-Scheme",
            "x-real-ip",
            "X-Original-URL",
            "x-rewrite-url",
            "X-HTTP-Method-Override",
            "x-accel-mapping",
            "early-data",
        ] {
            assert_eq!(left(name, false, OddFieldNames::Drop), "", "{name}");
            assert_eq!(left(name, true, OddFieldNames::Drop), name, "{name}");
        }
    }

    #[test]
    fn a_name_that_stands_for_another_is_refused_whatever_is_set() {
        for name in [
            "X_Caller",
            "x.caller",
            "x-gateward.id",
            "X_Forwarded_For",
            "x-forwarded_client.cert",
            "content_length",
            "Transfer.Encoding",
            "client_cert",
            "Client_Cert.Chain",
            "x_real-ip",
            "x_original_url",
        ] {
            for odd in [OddFieldNames::Drop, OddFieldNames::Keep, OddFieldNames::Refuse] {
                assert_eq!(left(name, true, odd), "field_ambiguous", "{name}");
            }
        }
        for name in ["my_field", "a.b"] {
            assert_eq!(left(name, false, OddFieldNames::Drop), "odd 1", "{name}");
            assert_eq!(left(name, false, OddFieldNames::Keep), name);
            assert_eq!(left(name, false, OddFieldNames::Refuse), "field_ambiguous", "{name}");
        }
    }

    #[test]
    fn trailers_go_but_those_of_grpc_that_anybody_may_send() {
        let fields = Fields { identity: &[], trusted: false, odd: OddFieldNames::Drop };
        for (grpc, left) in [(false, 0), (true, 1)] {
            let mut trailers = Headers::new();
            for name in ["x-sum", "x_sum", "X-Forwarded-Proto", "x_forwarded_for"] {
                trailers.append(name, "1");
            }
            assert_eq!(fields.admit_trailers(&mut trailers, grpc), 4 - left);
            assert_eq!(trailers.len() as u64, left);
        }
    }

    #[test]
    fn orders_to_gateways_are_no_part_of_a_response() {
        let mut headers = Headers::new();
        for name in [
            "X-Accel-Redirect",
            "alt-svc",
            "Early-Data",
            "x-sendfile",
            "x-envoy-a",
            "x-gateward-b",
            "x-accelerate",
            "age",
        ] {
            headers.append(name, "1");
        }
        strip_response(&mut headers);
        let left: Vec<_> = headers.iter().map(|(_, name, _)| name.to_vec()).collect();
        assert_eq!(left, [&b"x-accelerate"[..], b"age"]);
    }

    #[test]
    fn schemes_that_authenticate_connections_are_found() {
        for (value, bound) in [
            ("NTLM TlRMTVNTUAAB", true),
            ("negotiate YII=", true),
            ("Negotiate", true),
            ("Bearer ntlm", false),
            ("Basic bnRsbQ==", false),
            ("ntlmx a", false),
            ("", false),
        ] {
            let mut headers = Headers::new();
            headers.append("Authorization", value);
            assert_eq!(is_connection_bound(&headers), bound, "{value}");
        }
    }
}
