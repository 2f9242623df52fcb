//! Handshakes with what documents compile to, in memory.

use std::sync::Arc;

use config::{Memory, Written};
use gateward_snapshot::{self as snapshot, Inputs, Snapshot, diff};
use policy::Carry;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
};

use crate::support::{NOW, schema};
use crate::world::{PKI, Pair, world};

fn read(text: &str, around: &Memory) -> Written {
    config::read_text("gateward.yaml", text, &schema(), around)
        .unwrap_or_else(|report| panic!("{report}"))
}

fn compile(text: &str, around: &Memory, carry: &Carry) -> Snapshot {
    let inputs = Inputs {
        registry: &policies::REGISTRY,
        remotes: &gateward_snapshot::Nowhere,
        carry,
        around,
        authorities: &|| certificates(&PKI.ca),
        ledger: None,
        wall: NOW,
        revision: 1,
    };
    let written = read(text, around);
    snapshot::compile(&written, &inputs)
        .unwrap_or_else(|problems| panic!("{}", written.report(&problems)))
}

/// A document whose one listener has this `tls`.
fn listener(tls: &str) -> String {
    format!("version: 1\nlisteners: [ {{ name: web, bind: '127.0.0.1:8443', tls: {tls} }} ]\n")
}

/// A document whose one upstream has this `tls`.
fn upstream(rest: &str) -> String {
    format!(
        "version: 1\nlisteners: [ {{ name: web, bind: '127.0.0.1:8080' }} ]\n\
         upstreams: [ {{ name: up, endpoints: [ 'https://api.example.com' ], {rest} }} ]\n"
    )
}

fn server_config(snapshot: &Snapshot) -> Arc<ServerConfig> {
    snapshot.listeners[0].tls.as_ref().expect("TLS").config.clone()
}

fn client_config(snapshot: &Snapshot) -> Arc<ClientConfig> {
    snapshot.upstreams[0].tls.as_ref().expect("TLS").config.clone()
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

/// A caller that trusts the test's authority, and shows a certificate if it has one.
fn caller(
    own: Option<&Pair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&PKI.ca));
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(certificates(&own.cert), key).unwrap()
        }
    }
}

/// What came of a handshake.
struct Hands {
    client: ClientConnection,
    server: ServerConnection,
}

/// Shakes hands; the error is the first that either end has.
fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Hands, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    // A fixed number of rounds: after them nothing is left to say, tickets included.
    for _ in 0..6 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Hands { client, server })
}

const TWO: &str =
    "certificates: [ { cert: api.pem, key: api.key }, { cert: other.pem, key: other.key } ]";
const ONE: &str = "certificates: [ { cert: api.pem, key: api.key } ]";

#[test]
fn the_certificate_follows_the_name_that_is_asked_for() {
    for (reject, name, shown) in [
        (false, "api.example.com", Some(&PKI.server)),
        (false, "API.example.com", Some(&PKI.server)),
        (false, "other.example.com", Some(&PKI.other)),
        (false, "x.wild.example.com", Some(&PKI.server)),
        (false, "unknown.example.com", Some(&PKI.server)),
        (false, "127.0.0.1", Some(&PKI.server)),
        (true, "other.example.com", Some(&PKI.other)),
        (true, "unknown.example.com", None),
        (true, "y.x.wild.example.com", None),
        (true, "wild.example.com", None),
        // No name is sent for an address.
        (true, "127.0.0.1", None),
    ] {
        let text = listener(&format!("{{ {TWO}, reject_unknown_sni: {reject} }}"));
        let server = server_config(&compile(&text, &world(), &Carry::default()));
        // It is not the client's word that is tested.
        let client = upstream("tls: { verify: false }");
        let client = client_config(&compile(&client, &world(), &Carry::default()));
        let hands = shake(&client, &server, name).ok();
        let got = hands.map(|hands| hands.client.peer_certificates().unwrap()[0].clone());
        assert_eq!(got, shown.map(|pair| certificates(&pair.cert)[0].clone()), "{name} {reject}");
    }
}

#[test]
fn callers_certificates_are_not_asked_for_asked_for_or_needed() {
    for (mode, own, passes, seen) in [
        ("none", Some(&PKI.client), true, false),
        ("request", None, true, false),
        ("request", Some(&PKI.client), true, true),
        ("request", Some(&*STRANGER), false, false),
        ("require", None, false, false),
        ("require", Some(&PKI.client), true, true),
        ("require", Some(&*STRANGER), false, false),
    ] {
        let tls = format!("{{ {ONE}, client_certificates: {{ mode: {mode}, ca: ca.pem }} }}");
        let server = server_config(&compile(&listener(&tls), &world(), &Carry::default()));
        let client = Arc::new(caller(own, rustls::ALL_VERSIONS));
        let hands = shake(&client, &server, "api.example.com");
        assert_eq!(hands.is_ok(), passes, "{mode}");
        let shown = hands.is_ok_and(|hands| hands.server.peer_certificates().is_some());
        assert_eq!(shown, seen, "{mode}");
    }
}

/// A certificate of nobody's authority.
static STRANGER: std::sync::LazyLock<Pair> = std::sync::LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    Pair { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
});

#[test]
fn versions_and_protocols_are_those_of_the_document() {
    let old = Arc::new(caller(None, &[&rustls::version::TLS12]));
    for (least, passes) in [("1.2", true), ("1.3", false)] {
        let tls = format!("{{ {ONE}, min_version: '{least}' }}");
        let server = server_config(&compile(&listener(&tls), &world(), &Carry::default()));
        assert_eq!(shake(&old, &server, "api.example.com").is_ok(), passes, "{least}");
    }
    for (listener_speaks, upstream_speaks, agreed) in [
        ("[http1, http2]", "auto", Some(&b"h2"[..])),
        ("[http1, http2]", "http1", Some(b"http/1.1")),
        ("[http1]", "auto", Some(b"http/1.1")),
        ("[http2]", "http1", None),
    ] {
        let text = listener(&format!("{{ {ONE} }}, protocols: {listener_speaks}"));
        let server = server_config(&compile(&text, &world(), &Carry::default()));
        let text = upstream(&format!("protocol: {upstream_speaks}"));
        let client = client_config(&compile(&text, &world(), &Carry::default()));
        let hands = shake(&client, &server, "api.example.com").ok();
        let got = hands.and_then(|hands| hands.server.alpn_protocol().map(<[u8]>::to_vec));
        assert_eq!(got.as_deref(), agreed, "{listener_speaks} {upstream_speaks}");
    }
}

#[test]
fn an_upstream_is_verified_as_the_document_says() {
    let server =
        server_config(&compile(&listener(&format!("{{ {ONE} }}")), &world(), &Carry::default()));
    for (tls, name, passes) in [
        // The test hands its authority in as the system's.
        ("{}", "api.example.com", true),
        ("{}", "other.example.com", false),
        ("{ ca: ca.pem }", "api.example.com", true),
        ("{ ca: other.pem }", "api.example.com", false),
        ("{ ca: ca.pem, names: [ api.example.com ] }", "internal", true),
        ("{ ca: ca.pem, names: [ other.example.com, api.example.com ] }", "internal", true),
        ("{ ca: ca.pem, names: [ other.example.com ] }", "api.example.com", false),
        ("{ verify: false }", "whatever", true),
    ] {
        let text = upstream(&format!("tls: {tls}"));
        let client = client_config(&compile(&text, &world(), &Carry::default()));
        assert_eq!(shake(&client, &server, name).is_ok(), passes, "{tls} for {name}");
    }
    let tls = format!("{{ {ONE}, client_certificates: {{ mode: require, ca: ca.pem }} }}");
    let server = server_config(&compile(&listener(&tls), &world(), &Carry::default()));
    for (tls, passes) in [
        ("{ ca: ca.pem }", false),
        ("{ ca: ca.pem, certificate: { cert: client.pem, key: client.key } }", true),
    ] {
        let text = upstream(&format!("tls: {tls}"));
        let client = client_config(&compile(&text, &world(), &Carry::default()));
        assert_eq!(shake(&client, &server, "api.example.com").is_ok(), passes, "{tls}");
    }
}

#[test]
fn sessions_resume_over_reloads_until_callers_are_verified_otherwise() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (carry, around) = (Carry::default(), world());
        let client = Arc::new(caller(Some(&PKI.client), &[version]));
        let kind = |text: &str, around: &Memory| {
            let server = server_config(&compile(text, around, &carry));
            shake(&client, &server, "api.example.com").unwrap().server.handshake_kind().unwrap()
        };
        let plain = listener(&format!("{{ {ONE} }}"));
        assert_eq!(kind(&plain, &around), HandshakeKind::Full);
        assert_eq!(kind(&plain, &around), HandshakeKind::Resumed);
        // Another certificate for the same name: who the callers are is as sure as before.
        let renewed = PKI.renewed();
        let renewed = around.clone().file("api.pem", &*renewed.cert).file("api.key", &*renewed.key);
        assert_eq!(kind(&plain, &renewed), HandshakeKind::Resumed);
        let asked =
            listener(&format!("{{ {ONE}, client_certificates: {{ mode: require, ca: ca.pem }} }}"));
        assert_eq!(kind(&asked, &around), HandshakeKind::Full, "a ticket got past the certificate");
        assert_eq!(kind(&asked, &around), HandshakeKind::Resumed);
    }
}

#[test]
fn towards_an_upstream_everything_stays_until_something_about_its_trust_changes() {
    let carry = Carry::default();
    let of = |tls: &str, around: &Memory| {
        let snapshot = compile(&upstream(&format!("tls: {tls}")), around, &carry);
        let tls = snapshot.upstreams[0].tls.as_ref().unwrap();
        (tls.identity.clone(), tls.config.clone())
    };
    let (identity, config) = of("{ ca: ca.pem }", &world());
    let (same, kept) = of("{ ca: ca.pem }", &world());
    assert_eq!(identity, same);
    assert!(Arc::ptr_eq(&config, &kept), "sessions are lost with the configuration");
    let other_file = world().file("ca.pem", PKI.other.cert.as_str());
    let mut seen = vec![identity];
    for (tls, around) in [
        ("{ ca: ca.pem }", &other_file),
        ("{}", &world()),
        ("{ verify: false }", &world()),
        ("{ ca: ca.pem, server_name: a }", &world()),
        ("{ ca: ca.pem, names: [ a ] }", &world()),
        ("{ ca: ca.pem, names: [ a, b ] }", &world()),
        ("{ ca: ca.pem, min_version: '1.3' }", &world()),
        ("{ ca: ca.pem, certificate: { cert: client.pem, key: client.key } }", &world()),
    ] {
        let (identity, _) = of(tls, around);
        assert!(!seen.contains(&identity), "{tls} shares connections with another");
        seen.push(identity);
    }
}

#[test]
fn a_renewed_certificate_is_shown_and_reported_and_an_expired_one_is_warned_of() {
    let (carry, around) = (Carry::default(), world());
    let text = listener(&format!("{{ {ONE} }}"));
    let before = compile(&text, &around, &carry);
    let again = compile(&text, &around, &carry);
    assert!(diff(&before, &again).is_empty());
    let tls = before.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].names, ["api.example.com", "*.wild.example.com", "127.0.0.1"]);
    assert_eq!(tls.certificates[0].not_after, 3_786_912_000, "2090-01-01");
    assert_eq!(tls.files.len(), 2);

    let renewed = PKI.renewed();
    let renewed_around =
        around.clone().file("api.pem", &*renewed.cert).file("api.key", &*renewed.key);
    let after = compile(&text, &renewed_around, &carry);
    assert_eq!(diff(&before, &after).listeners.changed, ["web"]);
    let client = Arc::new(caller(None, rustls::ALL_VERSIONS));
    let hands = shake(&client, &server_config(&after), "api.example.com").unwrap();
    assert_eq!(hands.client.peer_certificates().unwrap()[0], certificates(&renewed.cert)[0]);
    assert!(after.warnings.is_empty());

    let expired = listener("{ certificates: [ { cert: expired.pem, key: expired.key } ] }");
    let warnings = compile(&expired, &around, &carry).warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].what.contains("has expired"), "{warnings:?}");
    let unverified = compile(&upstream("tls: { verify: false }"), &around, &carry).warnings;
    assert!(unverified[0].what.contains("is not verified"), "{unverified:?}");
}
