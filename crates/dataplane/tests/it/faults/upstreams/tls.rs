//! TLS towards upstreams that do it badly: refused, with the reason, before a byte of a request.

use config::Memory;
use testkit::attack::evil::{Evil, Identity, TlsFault, answer};

use super::{PLAIN, status, written};
use crate::forwarding::{get, send};
use crate::support::Gateway;

async fn before(fault: TlsFault, authority: &str) -> (Gateway, Evil) {
    let evil = Evil::tls(fault, |_| answer(200, "", "over TLS")).await;
    let url = format!("https://localhost:{}", evil.address.port());
    let settings =
        format!("{PLAIN}\ntimeouts: {{ connect: 20s, total: 60s }}\ntls: {{ ca: ca.pem }}");
    let files = Memory::default().file("ca.pem", authority.to_owned());
    (Gateway::real_with(&written(&[url], &settings), files), evil)
}

/// A certificate that ended, has not begun, is for another name or is vouched for by nobody is
/// refused, the note says which it was, and nothing of the request is sent.
/// Seen to fail: with `tls.verify` off in the compiled settings all four answer 200.
#[tokio::test]
async fn fa_I03_a_certificates() {
    let (fault, authority) = TlsFault::speaking(Identity::Good("localhost"));
    let (gateway, _evil) = before(fault, &authority).await;
    get(&gateway).await.is("over TLS");
    for (identity, reason) in [
        (Identity::Expired("localhost"), "expired"),
        (Identity::Early("localhost"), "not valid yet"),
        (Identity::Good("other.example"), "not valid for name"),
        (Identity::SelfSigned("localhost"), "UnknownIssuer"),
    ] {
        let (fault, authority) = TlsFault::speaking(identity);
        let (gateway, evil) = before(fault, &authority).await;
        send(&gateway, "POST", "secret").await.refuses(502, "upstream_tls_failed");
        let said = status(&gateway).endpoints[0].last_failure.clone().unwrap_or_default();
        assert!(said.contains(reason), "{identity:?}: {said}");
        assert_eq!(evil.requests(), 0, "{identity:?}");
    }
}

/// Old versions, plain text before the handshake, and a server that leaves within it are refused,
/// and what was injected is no answer. Seen to fail: it is rustls that reads the handshake; with
/// TLS 1.0 put into `server_hello`'s place by a real TLS 1.2 hello, or with the endpoint's URL
/// `http`, the refusal is another or none.
#[tokio::test]
async fn fa_I03_b_handshakes() {
    let (_, authority) = TlsFault::speaking(Identity::Good("localhost"));
    for (name, fault, reason) in [
        ("TLS 1.0", TlsFault::Old(1), "tls12or13"),
        ("TLS 1.1", TlsFault::Old(2), "tls12or13"),
        ("plain text", TlsFault::PlainText, "corrupt message"),
        ("leaves", TlsFault::Closes, "eof"),
    ] {
        let (gateway, evil) = before(fault, &authority).await;
        let answer = send(&gateway, "POST", "secret").await;
        answer.refuses(502, "upstream_tls_failed");
        assert!(!answer.text.contains("injected"), "{name}");
        let said = status(&gateway).endpoints[0].last_failure.clone().unwrap_or_default();
        assert!(said.to_ascii_lowercase().contains(reason), "{name}: {said}");
        drop(gateway);
        evil.until(|evil| evil.left() == evil.connections()).await;
        assert_eq!((evil.requests(), evil.bytes_in()), (0, 0), "{name}");
    }
}

/// A server that stops within the handshake costs `timeouts.connect`.
/// Seen to fail: with the deadline in `acquire.rs::open` set to the total alone it is
/// `total_timeout`.
#[tokio::test]
async fn fa_I03_c_stalls_in_the_handshake() {
    for fault in [TlsFault::Silent, TlsFault::StallsWithin] {
        let evil = Evil::tls(fault, |_| answer(200, "", "")).await;
        let url = format!("https://localhost:{}", evil.address.port());
        let settings = format!(
            "{PLAIN}\ntimeouts: {{ connect: 300ms, total: 20s }}\ntls: {{ verify: false }}"
        );
        let gateway = Gateway::real(&written(&[url], &settings));
        get(&gateway).await.refuses(504, "connect_timeout");
        assert_eq!(evil.requests(), 0);
    }
}
