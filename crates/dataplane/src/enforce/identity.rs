//! Fields that say who the caller is are the gateway's to write: copies that come from callers go,
//! before anything else looks.

use policy::Exchange;
use policy::message::{Headers, Name};

/// What the gateway's own fields start with.
const OWN: &[u8] = b"x-gateward-";

/// The certificate a caller showed (RFC 9440 §2.2).
const CERTIFICATE: &str = "client-cert";

/// Its chain, which the gateway does not pass on (RFC 9440 §2.3).
const CHAIN: &str = "client-cert-chain";

/// Removes from `headers` the fields of these names and those of the gateway itself, also under
/// names that servers take for the same: with `_` or `.` for `-`.
pub(crate) fn strip(headers: &mut Headers, names: &[Name]) {
    headers.remove_spellings(names);
    headers
        .remove_where(|_, name| name.get(..OWN.len()).is_some_and(|start| is_spelling(start, OWN)));
}

/// Sees to the fields that tell of the caller's certificate (RFC 9440): those the client sent go,
/// unless it is a proxy whose word is `trusted`; the certificate it showed is put there where the
/// listener says to `tell` of it.
pub(crate) fn certificate(x: &mut Exchange, trusted: bool, tell: bool) {
    let shown = x.connection.tls.as_ref().and_then(|tls| tls.client.as_ref()).filter(|_| tell);
    if !trusted || shown.is_some() {
        x.request.headers.remove_where(|_, name| {
            is_spelling(name, CERTIFICATE.as_bytes()) || is_spelling(name, CHAIN.as_bytes())
        });
    }
    if let Some(shown) = shown {
        x.request.headers.append(CERTIFICATE, &shown.field);
    }
}

/// Whether `name` is what servers may take for `own`, which is in lower case.
fn is_spelling(name: &[u8], own: &[u8]) -> bool {
    let same = |(found, own): (&u8, &u8)| match own {
        b'-' => matches!(found, b'-' | b'_' | b'.'),
        own => found.eq_ignore_ascii_case(own),
    };
    name.len() == own.len() && name.iter().zip(own).all(same)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::message::Known;
    use policy::{ClientCertificate, Connection, Tls};

    use super::*;

    #[test]
    fn copies_of_identity_fields_are_removed_under_any_spelling() {
        let names = [Name::new("X-Caller").unwrap()];
        let table = [
            ("x-caller", false),
            ("X_Caller", false),
            ("x.caller", false),
            ("X-Gateward-Anything", false),
            ("x_gateward.anything", false),
            ("x-callers", true),
            ("x-gateward", true),
            ("authorization", true),
        ];
        for (name, stays) in table {
            let mut headers = Headers::new();
            headers.append(name, "forged");
            strip(&mut headers, &names);
            assert_eq!(!headers.is_empty(), stays, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_told_of_by_the_gateway_or_a_trusted_proxy_alone() {
        for (shown, trusted, tell, left) in [
            (false, false, true, vec![]),
            (false, true, true, vec!["forged", "forged", "forged"]),
            (true, false, false, vec![]),
            (true, false, true, vec![":REVS:"]),
            (true, true, true, vec![":REVS:"]),
        ] {
            let client = ClientCertificate {
                subject: "CN=shop".into(),
                names: Vec::new(),
                sha256: [0; 32],
                der: b"DER".to_vec(),
                field: ":REVS:".into(),
            };
            let tls = Tls {
                version: "1.3",
                cipher: "x".into(),
                server_name: None,
                client: shown.then(|| Arc::new(client)),
            };
            let connection =
                Connection { listener: "web".into(), peer: None, local: None, tls: Some(tls) };
            let mut x = Exchange::new(Arc::new(connection), 0);
            for name in ["Client-Cert", "client_cert", "Client-Cert-Chain"] {
                x.request.headers.append(name, "forged");
            }
            x.request.headers.append_known(Known::Accept, "stays");
            certificate(&mut x, trusted, tell);
            let all = x.request.headers.iter().filter(|(known, ..)| *known != Known::Accept);
            let values: Vec<_> = all.map(|(.., value)| value.escape_ascii().to_string()).collect();
            assert_eq!(values, left, "shown {shown}, trusted {trusted}, tell {tell}");
            assert!(x.request.headers.has(Known::Accept));
        }
    }
}
