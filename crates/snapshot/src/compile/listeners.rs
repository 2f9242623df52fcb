//! Listeners, the admin listener, and where traces go.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;

use super::relays::Relays;
use super::upstreams::Upstreams;
use super::{Findings, Inputs, bind, limits};
use crate::diff::fingerprint;
use crate::tls::{self, Files};
use crate::{Bind, ClientAddress, Listener, Protocols, ProxyProtocol, Traces};

/// Compiles the listeners. One that is wrong keeps its number.
pub(super) fn compile(
    document: &v1::Document,
    inputs: &Inputs<'_>,
    files: &Files<'_>,
    upstreams: &mut Upstreams<'_>,
    findings: &mut Findings,
) -> Vec<Arc<Listener>> {
    let list = Pointer::root().key("listeners");
    if document.listeners.is_empty() {
        findings.problem(
            Problem::new(&list, "the document has no listener: nothing would be accepted")
                .hint("write `listeners: [ { name: web, bind: \"0.0.0.0:8080\" } ]`"),
        );
    }
    let is_http =
        |listener: &v1::Listener| listener.tcp.is_none() && listener.tls_passthrough.is_none();
    if !document.apis.is_empty() && !document.listeners.iter().any(is_http) {
        let at = Pointer::root().key("apis");
        let what = "no listener speaks HTTP: no request reaches these APIs";
        findings.warning(Problem::key(&at, what).hint("add a listener without `tcp`"));
    }
    let mut binds = HashMap::new();
    let mut listeners = Vec::with_capacity(document.listeners.len());
    for (number, listener) in document.listeners.iter().enumerate() {
        let at = list.index(number);
        let bind = findings.take(bind::parse(&listener.bind, &at.key("bind")));
        if let Some(bind) = &bind {
            check_bind(bind, &at.key("bind"), &mut binds, findings);
        }
        let protocols = protocols(listener, &at, findings);
        let tls = listener.tls.as_ref().and_then(|tls| {
            let place = tls::Place { name: &listener.name, at: &at.key("tls") };
            tls::server(tls, &place, protocols, files, inputs, findings)
        });
        let relay = Relays { listener, at: &at, upstreams, findings }.compile();
        let fingerprint = fingerprint(listener, tls.as_ref().map(|tls| &tls.identity));
        listeners.push(Arc::new(Listener {
            name: listener.name.as_str().into(),
            number,
            bind: bind.unwrap_or(Bind::Unix("".into())),
            protocols,
            tls,
            relay,
            forward_certificate: listener
                .tls
                .as_ref()
                .and_then(|tls| tls.client_certificates.as_ref())
                .is_some_and(|wanted| wanted.forward),
            proxy_protocol: listener.proxy_protocol.as_ref().map(|proxy| {
                let at = at.key("proxy_protocol").key("trusted");
                check_networks(proxy.trusted.len(), &at, findings);
                ProxyProtocol { trusted: proxy.trusted.clone() }
            }),
            client_address: listener.client_address.as_ref().map(|client| {
                let at = at.key("client_address").key("trusted");
                check_networks(client.trusted.len(), &at, findings);
                ClientAddress { trusted: client.trusted.clone(), header: client.header }
            }),
            odd_field_names: listener.odd_field_names,
            limits: limits::listener(listener, &at, findings),
            fingerprint,
        }));
    }
    listeners
}

/// Refuses an address that another listener has.
fn check_bind(
    bind: &Bind,
    at: &Pointer,
    binds: &mut HashMap<Bind, Pointer>,
    findings: &mut Findings,
) {
    // Port 0 is a port of the system's choice, another one each time.
    if matches!(bind, Bind::Tcp(address) if address.port() == 0) {
        return;
    }
    if let Some(first) = binds.get(bind) {
        findings.problem(
            Problem::new(at, format!("two listeners have the address {bind}"))
                .hint("give one of them another port; one listener serves any number of hosts")
                .see(first, "the first one"),
        );
        return;
    }
    binds.insert(bind.clone(), at.clone());
}

fn protocols(listener: &v1::Listener, at: &Pointer, findings: &mut Findings) -> Protocols {
    if listener.protocols.is_empty() {
        findings.problem(
            Problem::new(&at.key("protocols"), "the listener speaks no protocol")
                .hint("name `http1`, `http2` or both, or leave `protocols` out"),
        );
    }
    let speaks = |protocol| listener.protocols.contains(&protocol);
    Protocols { http1: speaks(v1::Protocol::Http1), http2: speaks(v1::Protocol::Http2) }
}

/// An empty list trusts nobody, which is what leaving it out says; whoever writes one means
/// something else.
fn check_networks(count: usize, at: &Pointer, findings: &mut Findings) {
    if count == 0 {
        findings.problem(
            Problem::new(at, "no network is trusted")
                .hint("name the networks of the proxies in front, as in `10.0.0.0/8`"),
        );
    }
}

/// Refuses rules of a version that is not known here.
pub(super) fn paths(paths: v1::Paths, at: &Pointer, findings: &mut Findings) -> v1::Paths {
    if paths.version != 1 {
        let what = format!("there are no rules for paths of version {}", paths.version);
        findings.problem(Problem::new(&at.key("version"), what).hint("write `version: 1`"));
    }
    paths
}

/// Compiles the admin listener.
pub(super) fn admin(document: &v1::Document, findings: &mut Findings) -> Option<Bind> {
    let at = Pointer::root().key("admin").key("bind");
    let written = document.admin.as_ref()?;
    let bind = findings.take(bind::parse(&written.bind, &at))?;
    let listeners = document.listeners.iter().enumerate();
    let taken = listeners.map(|(number, listener)| (number, &listener.bind)).find(|(_, other)| {
        !written.bind.ends_with(":0") && bind::parse(other, &at).is_ok_and(|other| other == bind)
    });
    if let Some((number, _)) = taken {
        findings.problem(
            Problem::new(&at, format!("the admin listener has the address {bind} of a listener"))
                .hint("give it another port")
                .see(&Pointer::root().key("listeners").index(number).key("bind"), "this listener"),
        );
    }
    if matches!(&bind, Bind::Tcp(address) if !address.ip().is_loopback()) {
        findings.warning(
            Problem::new(&at, "the admin listener can be reached from other machines")
                .hint("it knows no callers: bind it to 127.0.0.1, or keep strangers away from it"),
        );
    }
    Some(bind)
}

/// Compiles where traces go.
pub(super) fn traces(document: &v1::Document, findings: &mut Findings) -> Option<Traces> {
    let traces = document.telemetry.as_ref()?.traces.as_ref()?;
    let at = Pointer::root().key("telemetry").key("traces");
    let base = traces.otlp.split_inclusive('/').take(3).collect::<String>();
    if super::endpoint::parse(&base, &at).is_err() || base.starts_with("srv+") {
        let what = format!("`{}` is no URL of a collector", traces.otlp);
        let hint = "write it with its path, as in `http://127.0.0.1:4318/v1/traces`";
        findings.problem(Problem::new(&at.key("otlp"), what).hint(hint));
    }
    Some(Traces {
        otlp: traces.otlp.clone(),
        sample: traces.sample,
        service: traces.service.clone(),
    })
}
