//! Fields that tell of the certificate a caller showed (RFC 9440).

use policy::Exchange;

/// The certificate a caller showed (RFC 9440 §2.2).
pub(super) const CERTIFICATE: &str = "client-cert";

/// Its chain, which the gateway does not pass on (RFC 9440 §2.3).
const CHAIN: &str = "client-cert-chain";

/// Sees to the fields that tell of the caller's certificate (RFC 9440): those the client sent go,
/// unless it is a proxy whose word is `trusted`; the certificate it showed is put there where the
/// listener says to `tell` of it.
pub(crate) fn certificate(x: &mut Exchange, trusted: bool, tell: bool) {
    let shown = x.connection.tls.as_ref().and_then(|tls| tls.client.as_ref()).filter(|_| tell);
    if !trusted || shown.is_some() {
        x.request.headers.remove_where(|_, name| {
            name.eq_ignore_ascii_case(CERTIFICATE.as_bytes())
                || name.eq_ignore_ascii_case(CHAIN.as_bytes())
        });
    }
    if let Some(shown) = shown {
        x.request.headers.append(CERTIFICATE, &shown.field);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::message::Known;
    use policy::{ClientCertificate, Connection, Tls};

    use super::*;

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
            for name in ["Client-Cert", "client-cert", "Client-Cert-Chain"] {
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
