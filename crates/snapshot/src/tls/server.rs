//! TLS of listeners.

use std::path::PathBuf;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1::{ClientCertificateMode, ListenerTls as Written, TlsVersion};
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};

use super::certificate::{Pair, authorities, pair};
use super::resolver::Resolver;
use super::tickets::Tickets;
use super::{Files, PROVIDER, fingerprint, versions};
use crate::compile::{Findings, Inputs};
use crate::{ListenerTls, Protocols};

/// Which listener it is for.
pub(crate) struct Place<'a> {
    /// The listener's name.
    pub name: &'a str,
    /// Where its `tls` stands.
    pub at: &'a Pointer,
}

/// How callers are verified.
struct Callers {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Stands for it: sessions are resumed only where it is the same.
    fingerprint: String,
    file: Option<PathBuf>,
}

/// Compiles the TLS of a listener.
pub(crate) fn server(
    written: &Written,
    place: &Place<'_>,
    protocols: Protocols,
    files: &Files<'_>,
    inputs: &Inputs<'_>,
    findings: &mut Findings,
) -> Option<ListenerTls> {
    let list = place.at.key("certificates");
    if written.certificates.is_empty() {
        let problem = Problem::new(&list, format!("listener `{}` has no certificate", place.name));
        findings.problem(problem.hint("write `certificates: [ { cert: api.pem, key: api.key } ]`"));
    }
    let mut pairs = Vec::with_capacity(written.certificates.len());
    for (number, certificate) in written.certificates.iter().enumerate() {
        pairs.push(pair(certificate, &list.index(number), files, inputs.wall, findings));
    }
    let callers = callers(written, place.at, files, findings);
    let pairs: Vec<Pair> = pairs.into_iter().collect::<Option<_>>()?;
    let callers = callers?;
    let keys: Vec<_> = pairs.iter().map(|pair| (Arc::new(pair.key.clone()), pair)).collect();
    let resolver = Resolver::new(&keys, written.reject_unknown_sni);
    let builder = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(versions(written.min_version));
    let builder = findings.take(builder.map_err(|error| {
        Problem::new(place.at, format!("TLS can't be set up like this: {error}"))
    }))?;
    let mut config =
        builder.with_client_cert_verifier(callers.verifier).with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpn(protocols.http2, protocols.http1);
    let version = [u8::from(written.min_version == TlsVersion::V1_3)];
    let bound = [place.name.as_bytes(), callers.fingerprint.as_bytes(), &version];
    let key = format!("tls tickets {}", fingerprint(bound));
    config.ticketer = inputs.carry.keep(&key, Tickets::new);
    config.session_storage = Arc::new(NoServerSessionStorage {});

    let paths = written.certificates.iter().flat_map(|one| [&one.cert, &one.key]);
    let paths = paths.map(|name| files.path(name)).chain(callers.file);
    let fingerprints = pairs.iter().map(|pair| pair.fingerprint.as_bytes());
    Some(ListenerTls {
        config: Arc::new(config),
        files: paths.collect(),
        identity: fingerprint(fingerprints.chain([callers.fingerprint.as_bytes()])),
        certificates: pairs.into_iter().map(|pair| pair.facts).collect(),
    })
}

/// What is offered by ALPN (RFC 7301), the best first.
pub(super) fn alpn(http2: bool, http1: bool) -> Vec<Vec<u8>> {
    let both = [(http2, &b"h2"[..]), (http1, b"http/1.1")];
    both.iter().filter(|(speaks, _)| *speaks).map(|(_, name)| name.to_vec()).collect()
}

fn callers(
    written: &Written,
    at: &Pointer,
    files: &Files<'_>,
    findings: &mut Findings,
) -> Option<Callers> {
    let nobody =
        || Callers { verifier: Arc::new(NoClientAuth), fingerprint: "none".into(), file: None };
    let Some(wanted) = &written.client_certificates else { return Some(nobody()) };
    let at = at.key("client_certificates");
    let Some(ca) = &wanted.ca else {
        if wanted.mode == ClientCertificateMode::None {
            return Some(nobody());
        }
        let what = "callers' certificates are asked for, but no authority is named";
        let hint = "name the file of the authorities they come from: `ca: clients-ca.pem`";
        findings.problem(Problem::new(&at, what).hint(hint));
        return None;
    };
    // Read even if nobody is asked: what is named must be there.
    let (roots, pem) = authorities(ca, &at.key("ca"), files, findings)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone());
    let builder = match wanted.mode {
        ClientCertificateMode::None => return Some(nobody()),
        ClientCertificateMode::Request => builder.allow_unauthenticated(),
        ClientCertificateMode::Require => builder,
    };
    let verifier = findings.take(builder.build().map_err(|error| {
        Problem::new(&at.key("ca"), format!("callers can't be verified by `{ca}`: {error}"))
    }))?;
    let mode = if wanted.mode == ClientCertificateMode::Require { b"require" } else { b"request" };
    let fingerprint = fingerprint([&mode[..], &pem]);
    Some(Callers { verifier, fingerprint, file: Some(files.path(ca)) })
}
