//! Certificates of a made-up authority, and lists of those it takes back.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use serde_json::json;

use super::*;
use crate::harness::{self, Bench, refusal};

/// In 2026.
const NOW: Duration = Duration::from_secs(1_790_000_000);

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate as rustls hands it on.
fn client(
    authority: &Authority,
    common: &str,
    names: &[SanType],
    serial: u64,
) -> ClientCertificate {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.to_vec();
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    let issuer: &Issuer<'_, KeyPair> = authority;
    let made = params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
    let der = made.der().to_vec();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    let sha256 = hash.as_ref().first_chunk().copied().unwrap();
    ClientCertificate {
        subject: format!("CN={common}"),
        names: Vec::new(),
        sha256,
        der,
        field: String::new(),
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// A list of these serials, replaced in 2027.
fn list(authority: &Authority, serials: impl Iterator<Item = u64>) -> Vec<u8> {
    let revoked = serials.map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2027, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer: &Issuer<'_, KeyPair> = authority;
    params.signed_by(issuer).unwrap().der().to_vec()
}

/// What becomes of a caller with this certificate.
fn shows(policy: &dyn Policy, client: &ClientCertificate, now: Duration) -> &'static str {
    let mut exchange = harness::exchange();
    exchange.wall = now;
    let client = ClientCertificate {
        subject: client.subject.clone(),
        names: Vec::new(),
        sha256: client.sha256,
        der: client.der.clone(),
        field: String::new(),
    };
    let tls = policy::Tls {
        version: "1.3",
        cipher: "x".into(),
        server_name: None,
        client: Some(Arc::new(client)),
    };
    let connection =
        policy::Connection { listener: "web".into(), peer: None, local: None, tls: Some(tls) };
    exchange.connection = Arc::new(connection);
    refusal(policy.on_request(&mut exchange)).map_or("let in", |refusal| refusal.code.name)
}

/// Who a certificate is of is told by its names, whole ones, and never by its common name. Seen to
/// fail: with the common name taken for a name, the second was let in; with names read up to the
/// first NUL, the third was; without the look at its end, the first was let in in 2030.
#[test]
fn fa_E17_only_a_whole_name_of_a_valid_certificate_is_its_owners() {
    let mut bench = Bench::default();
    let settings = json!({ "callers": [
        { "san": "dns:Shop.example" }, { "san": "email:a@b.example" }, { "san": "ip:192.0.2.1" },
    ] });
    let policy = bench.compile(&KIND, &settings).unwrap();
    let ca = authority("ca");
    for (names, found) in [
        (vec![dns("shop.example")], "let in"),
        (vec![], "mtls_unknown"),
        (vec![dns("shop.example\0.evil.example")], "mtls_unknown"),
        (vec![dns("shop.example ")], "mtls_unknown"),
        (vec![dns("*.example")], "mtls_unknown"),
        (vec![dns("shop.example.evil.example")], "mtls_unknown"),
        (vec![SanType::URI("shop.example".try_into().unwrap())], "mtls_unknown"),
        (vec![SanType::Rfc822Name("shop.example".try_into().unwrap())], "mtls_unknown"),
        (vec![SanType::Rfc822Name("a@b.example".try_into().unwrap())], "let in"),
        (vec![SanType::IpAddress([192, 0, 2, 1].into())], "let in"),
        (vec![dns("192.0.2.1")], "mtls_unknown"),
        (vec![dns("other.example"), dns("SHOP.example")], "let in"),
    ] {
        let shown = client(&ca, "shop.example", &names, 1);
        assert_eq!(shows(&*policy, &shown, NOW), found, "{names:?}");
        assert_eq!(shows(&*policy, &shown, NOW), found, "again");
        let ended = Duration::from_secs(1_893_456_000);
        assert_eq!(shows(&*policy, &shown, ended), "mtls_ended", "in 2030: {names:?}");
    }
}

#[test]
fn callers_are_found_by_subject_and_fingerprint_too() {
    let ca = authority("ca");
    let (one, two) = (client(&ca, "one", &[], 1), client(&ca, "two", &[], 2));
    let hex: String = two.sha256.iter().map(|byte| format!("{byte:02X}:")).collect();
    let settings = json!({ "callers": [
        { "subject": "CN=one" }, { "sha256": hex.trim_end_matches(':') },
    ] });
    let mut bench = Bench::default();
    let policy = bench.compile(&KIND, &settings).unwrap();
    assert_eq!(shows(&*policy, &one, NOW), "let in");
    assert_eq!(shows(&*policy, &two, NOW), "let in");
    assert_eq!(shows(&*policy, &client(&ca, "two", &[], 2), NOW), "mtls_unknown", "another key");
    let anyone = bench.compile(&KIND, &json!({ "anyone": true })).unwrap();
    assert_eq!(shows(&*anyone, &client(&ca, "three", &[], 3), NOW), "let in");
}

/// A certificate that was revoked is refused, and so is one of which no current list tells. Seen to
/// fail: with the list's serial numbers left unlooked at, the revoked one was let in; with an
/// issuer without a current list taken for one that revoked none, the strange one was.
#[test]
fn fa_E17_revoked_certificates_and_those_that_can_not_be_told_are_refused() {
    let (ca, other) = (authority("ca"), authority("other"));
    let mut bench = Bench::default();
    bench.world.files.insert("a.crl".into(), list(&ca, [3, 7, 300].into_iter()));
    let policy = bench.compile(&KIND, &json!({ "anyone": true, "crl": ["a.crl"] })).unwrap();
    for (shown, found) in [
        (client(&ca, "good", &[], 1), "let in"),
        (client(&ca, "bad", &[], 7), "mtls_revoked"),
        (client(&ca, "bad", &[], 300), "mtls_revoked"),
        (client(&other, "strange", &[], 1), "mtls_revocation_unknown"),
    ] {
        assert_eq!(shows(&*policy, &shown, NOW), found, "{}", shown.subject);
    }
    let good = client(&ca, "good", &[], 1);
    assert_eq!(shows(&*policy, &good, NOW), "let in");
    let next_year = Duration::from_secs(1_798_761_600);
    assert_eq!(shows(&*policy, &good, next_year), "mtls_revocation_unknown", "kept too long");
}

/// A list that can't be read refuses the document, however it is broken; nothing panics. Seen to
/// fail: with a file of which the first part can be read taken for a list, the one with bytes
/// behind it was taken.
#[test]
fn fa_E19_lists_that_are_broken_or_too_long_refuse_the_document() {
    let ca = authority("ca");
    let good = list(&ca, 0..100);
    let mut bench = Bench::default();
    let settings = json!({ "anyone": true, "crl": ["a.crl"] });
    let mut compile = |bytes: Vec<u8>| {
        bench.world.files.insert("a.crl".into(), bytes);
        bench.compile(&KIND, &settings).map(drop)
    };
    assert!(compile(good.clone()).is_ok());
    for end in (0..good.len()).step_by(7) {
        assert!(compile(good[..end].to_vec()).is_err(), "{end} bytes of it");
    }
    assert!(compile([good.clone(), b"x".to_vec()].concat()).is_err());
    assert!(compile(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_vec()).is_err());
    assert!(
        compile(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec())
            .is_err()
    );
    assert!(compile(vec![0; 5 << 20]).is_err());
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 0xff;
        // Taken or not, it does not panic.
        let _ = compile(flipped);
    }
    let long = list(&ca, 0..220_000);
    assert!(long.len() > 4 << 20, "{}", long.len());
    assert!(compile(long).is_err(), "more than 4 MiB");
}
