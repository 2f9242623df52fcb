//! TLS towards upstreams.

use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1::{TlsVersion, UpstreamProtocol, UpstreamTls as Written};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use super::certificate::{Pair, authorities, pair};
use super::server::alpn;
use super::verify::{AnyOf, Anyone, Nobody};
use super::{Files, PROVIDER, fingerprint, versions};
use crate::UpstreamTls;
use crate::compile::{Findings, Inputs};

/// Whom an upstream's certificate must come from.
enum Trust {
    /// These authorities; the file they come from.
    File(RootCertStore, Vec<u8>),
    /// The system's authorities.
    System,
    /// Nobody: it is not verified.
    Anyone,
}

/// What TLS is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Towards {
    /// An upstream, that is spoken to like this.
    Upstream(UpstreamProtocol),
    /// Servers beside the request's way, of which some may be called without TLS: where the system
    /// has no authorities, none of the others is trusted.
    Server,
}

impl Towards {
    const fn protocol(self) -> UpstreamProtocol {
        match self {
            Self::Upstream(protocol) => protocol,
            Self::Server => UpstreamProtocol::Auto,
        }
    }
}

/// Compiles TLS towards an upstream or other servers.
pub(crate) fn client(
    written: &Written,
    towards: Towards,
    at: &Pointer,
    files: &Files<'_>,
    inputs: &Inputs<'_>,
    findings: &mut Findings,
) -> Option<UpstreamTls> {
    let trust = trust(written, at, files, findings);
    let sent = written
        .server_name
        .as_ref()
        .map(|name| findings.take(server_name(name, &at.key("server_name"))));
    let at_names = at.key("names");
    let names = written.names.iter().enumerate();
    let names: Vec<Option<ServerName<'static>>> = names
        .map(|(number, name)| findings.take(server_name(name, &at_names.index(number))))
        .collect();
    let own = written
        .certificate
        .as_ref()
        .map(|certificate| pair(certificate, &at.key("certificate"), files, inputs.wall, findings));
    let trust = trust?;
    let names: Vec<_> = names.into_iter().collect::<Option<_>>()?;
    let own = own.map_or(Some(None), |own| own.map(Some))?;
    let server_name = sent.map_or(Some(None), |name| name.map(Some))?;

    let identity = identity(written, towards.protocol(), &trust, own.as_ref());
    let identity = match towards {
        Towards::Upstream(_) => identity,
        Towards::Server => format!("server {identity}"),
    };
    let key = format!("tls upstream {identity}");
    // The same configuration remembers the same sessions; it is made again only when something
    // about it changes.
    let config = match inputs.carry.find::<ClientConfig>(&key) {
        Some(config) => config,
        None => {
            let config = config(written, towards, at, trust, names, own, inputs, findings)?;
            inputs.carry.keep(&key, || config)
        }
    };
    let named = written.certificate.iter().flat_map(|one| [&one.cert, &one.key]);
    let paths = named.chain(&written.ca).map(|name| files.path(name));
    Some(UpstreamTls { config, server_name, identity, files: paths.collect() })
}

fn trust(
    written: &Written,
    at: &Pointer,
    files: &Files<'_>,
    findings: &mut Findings,
) -> Option<Trust> {
    if written.verify {
        let Some(ca) = &written.ca else { return Some(Trust::System) };
        let (roots, pem) = authorities(ca, &at.key("ca"), files, findings)?;
        return Some(Trust::File(roots, pem));
    }
    let at_verify = at.key("verify");
    if written.ca.is_some() || !written.names.is_empty() {
        let what = "`verify: false` leaves nothing for `ca` and `names` to do";
        let hint = "remove `verify: false`, or the others";
        findings.problem(Problem::new(&at_verify, what).hint(hint));
        return None;
    }
    let what =
        "this upstream's certificate is not verified: anybody in between can read and answer";
    findings.warning(Problem::new(&at_verify, what).hint("name its authority with `ca`"));
    Some(Trust::Anyone)
}

fn server_name(name: &str, at: &Pointer) -> Result<ServerName<'static>, Problem> {
    ServerName::try_from(name.to_ascii_lowercase()).map_err(|_| {
        Problem::new(at, format!("`{name}` is no name of a server"))
            .hint("write a host, as in `orders.internal`, or an address")
    })
}

/// A name for all that makes a connection what it is.
fn identity(
    written: &Written,
    protocol: UpstreamProtocol,
    trust: &Trust,
    own: Option<&Pair>,
) -> String {
    let version: &[u8] = if written.min_version == TlsVersion::V1_3 { b"1.3" } else { b"1.2" };
    let protocol: &[u8] = match protocol {
        UpstreamProtocol::Auto => b"auto",
        UpstreamProtocol::Http1 => b"http1",
        UpstreamProtocol::Http2 => b"http2",
    };
    let trust: &[&[u8]] = match trust {
        Trust::File(_, pem) => &[b"file", pem],
        Trust::System => &[b"system", b""],
        Trust::Anyone => &[b"anyone", b""],
    };
    let own = own.map_or("", |own| &own.fingerprint);
    let server_name = written.server_name.as_deref().unwrap_or_default();
    let fixed = [version, protocol, own.as_bytes(), server_name.as_bytes()];
    let names = written.names.iter().map(String::as_bytes);
    fingerprint(fixed.into_iter().chain(trust.iter().copied()).chain(names))
}

#[expect(clippy::too_many_arguments, reason = "each is one part of the configuration")]
fn config(
    written: &Written,
    towards: Towards,
    at: &Pointer,
    trust: Trust,
    names: Vec<ServerName<'static>>,
    own: Option<Pair>,
    inputs: &Inputs<'_>,
    findings: &mut Findings,
) -> Option<ClientConfig> {
    let protocol = towards.protocol();
    let verifier = verifier(trust, names, at, towards, inputs, findings)?;
    let builder = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(versions(written.min_version));
    let builder = findings
        .take(builder.map_err(|error| {
            Problem::new(at, format!("TLS can't be set up like this: {error}"))
        }))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols =
        alpn(protocol != UpstreamProtocol::Http1, protocol != UpstreamProtocol::Http2);
    Some(config)
}

fn verifier(
    trust: Trust,
    names: Vec<ServerName<'static>>,
    at: &Pointer,
    towards: Towards,
    inputs: &Inputs<'_>,
    findings: &mut Findings,
) -> Option<Arc<dyn ServerCertVerifier>> {
    let roots = match trust {
        Trust::Anyone => return Some(Arc::new(Anyone)),
        Trust::File(roots, _) => roots,
        Trust::System => {
            let mut roots = RootCertStore::empty();
            // Systems carry a few that nobody can use.
            roots.add_parsable_certificates((inputs.authorities)());
            roots
        }
    };
    if roots.is_empty() {
        if matches!(towards, Towards::Server) {
            return Some(Arc::new(Nobody));
        }
        let what = "the system has no certificate authorities to verify this upstream by";
        let hint = "install them (the package ca-certificates), or name a file with `ca`";
        findings.problem(Problem::new(at, what).hint(hint));
        return None;
    }
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone());
    let usual = usual.build().map_err(|error| {
        Problem::new(at, format!("this upstream can't be verified like this: {error}"))
    });
    let usual = findings.take(usual)?;
    Some(if names.is_empty() { usual } else { Arc::new(AnyOf { usual, names }) })
}
