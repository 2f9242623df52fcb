//! The request as it goes to the upstream: made once per exchange, sent once per try.
//!
//! What a client says of itself and of who stands before it is believed only if it comes from a
//! trusted proxy (the listener's `client_address.trusted`); from anyone else it is dropped,
//! whatever the field.

use std::net::IpAddr;
use std::time::Duration;

use base::SpanId;
use policy::message::{Headers, Known, Method, Scheme};
use policy::{Credential, Exchange, Refusal};
use snapshot::{Forward, HostRewrite, Snapshot, UnsafePath};

use super::endpoint::Endpoint;
use crate::codec::{Outgoing, grpc};
use crate::observe::{Try, trace};

/// The name the gateway goes by in `Via`.
const PSEUDONYM: &str = "gateward";

/// What stands for a peer that has no address, as on a Unix socket (RFC 7239 §6.2).
const UNKNOWN: &str = "unknown";

/// A request as it goes to the upstream. Its memory is used again for the next one.
#[derive(Clone, Default)]
pub(crate) struct Composed {
    method: Method,
    upgrade: Option<Box<str>>,
    headers: Headers,
    target: String,
    /// Bytes of the target before a credential was added to it.
    bare: usize,
    /// Empty where each endpoint is asked for by its own name.
    host: String,
    line: Vec<u8>,
    /// The peer of the request before and its address as text: many have the same.
    peer: Option<Option<IpAddr>>,
    peer_text: String,
}

impl Composed {
    /// Composes the request of `x`.
    ///
    /// # Errors
    /// The values of the route's parameters make another path of it than was meant.
    pub fn compose(
        &mut self,
        snapshot: &Snapshot,
        forward: &Forward,
        x: &Exchange,
    ) -> Result<(), UnsafePath> {
        let trusted = is_trusted(snapshot, x);
        self.method = x.request.method;
        self.upgrade.clone_from(&x.request.upgrade);
        self.target.clear();
        self.path(forward, x)?;
        self.bare = self.target.len();
        self.host.clear();
        match &forward.host {
            HostRewrite::Keep => self.host.push_str(x.request.target.authority.as_str()),
            HostRewrite::Fixed(host) => self.host.push_str(host),
            HostRewrite::Endpoint => {}
        }
        self.headers.copy_from(&x.request.headers);
        self.headers.remove_where(|known, _| is_replaced(known, trusted, x));
        self.forwarded(forward, x, trusted);
        self.via(x);
        self.headers.append_known(Known::XRequestId, x.id.text());
        self.trace(x);
        if x.request.is_grpc() {
            // gRPC servers take calls only from those that take trailers.
            self.headers.append_known(Known::Te, "trailers");
        }
        Ok(())
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.headers.capacity() + self.target.capacity() + self.host.capacity()
    }

    /// Tells the upstream how long the caller of a gRPC call still waits.
    pub fn set_time_left(&mut self, left: Duration) {
        self.headers.set_known(Known::GrpcTimeout, grpc::format_timeout(left));
    }

    /// Tells the endpoint of a traced request which try of it this is.
    pub fn set_try(&mut self, x: &Exchange, one: &Try) {
        if x.trace.sampled {
            self.headers.set_known(Known::TraceParent, one.traceparent(x));
        }
    }

    /// Puts the gateway's own credential onto the request as it goes to `endpoint`.
    ///
    /// # Errors
    /// It can't be put there.
    pub fn attach(
        &mut self,
        credential: &dyn Credential,
        endpoint: &Endpoint,
        wall: Duration,
    ) -> Result<(), Refusal> {
        self.target.truncate(self.bare);
        let authority = if self.host.is_empty() { &*endpoint.key.authority } else { &self.host };
        credential.attach(&mut policy::Outgoing {
            method: self.method,
            scheme: endpoint.key.scheme.of_requests(),
            authority,
            target: &mut self.target,
            headers: &mut self.headers,
            wall,
        })
    }

    /// The request for `endpoint`.
    pub fn outgoing<'s>(&'s self, endpoint: &'s Endpoint) -> Outgoing<'s> {
        let authority = if self.host.is_empty() { &*endpoint.key.authority } else { &self.host };
        Outgoing {
            method: self.method,
            scheme: endpoint.key.scheme.of_requests(),
            authority,
            target: &self.target,
            headers: &self.headers,
            upgrade: self.upgrade.as_deref(),
        }
    }

    fn path(&mut self, forward: &Forward, x: &Exchange) -> Result<(), UnsafePath> {
        let target = &x.request.target;
        let values = x.route.as_ref().map_or(&[][..], |route| &route.values);
        forward.path(&target.path, values, &mut self.target)?;
        if let Some(query) = &target.query {
            self.target.push('?');
            self.target.push_str(query);
        }
        Ok(())
    }

    fn forwarded(&mut self, forward: &Forward, x: &Exchange, trusted: bool) {
        let peer = x.connection.peer.map(|_| x.connection.peer_ip());
        if self.peer.replace(peer) != Some(peer) {
            self.peer_text = peer.map_or_else(|| UNKNOWN.to_owned(), |peer| peer.to_string());
        }
        let Self { headers, line, peer_text, .. } = self;
        let sent = &x.request.headers;
        let authority = x.request.target.authority.as_str();
        let scheme = x.request.target.scheme;
        line.clear();
        join(sent, Known::XForwardedFor, trusted, line);
        line.extend_from_slice(peer_text.as_bytes());
        headers.append_known(Known::XForwardedFor, &*line);
        line.clear();
        join(sent, Known::Forwarded, trusted, line);
        element(line, peer_text, authority, scheme);
        headers.append_known(Known::Forwarded, &*line);
        let kept = |known: Known| trusted && sent.has(known);
        if !kept(Known::XForwardedProto) {
            headers.append_known(Known::XForwardedProto, scheme.text());
        }
        if !kept(Known::XForwardedHost) && !authority.is_empty() {
            headers.append_known(Known::XForwardedHost, authority);
        }
        if !kept(Known::XForwardedPort) {
            let port = x.request.target.authority.port().unwrap_or(scheme.port());
            headers.append_known(Known::XForwardedPort, itoa::Buffer::new().format(port));
        }
        let stripped = x.request.target.path.get(..forward.strip).unwrap_or_default();
        if !stripped.is_empty() {
            line.clear();
            let before = sent.get(Known::XForwardedPrefix).filter(|_| trusted);
            line.extend_from_slice(before.unwrap_or_default());
            line.extend_from_slice(stripped.as_bytes());
            headers.set_known(Known::XForwardedPrefix, &*line);
        }
    }

    fn via(&mut self, x: &Exchange) {
        let Self { headers, line, .. } = self;
        line.clear();
        join(&x.request.headers, Known::Via, true, line);
        line.extend_from_slice(x.request.version.text().as_bytes());
        line.push(b' ');
        line.extend_from_slice(PSEUDONYM.as_bytes());
        headers.append_known(Known::Via, &*line);
    }

    fn trace(&mut self, x: &Exchange) {
        if x.trace.span != SpanId(0) {
            let own = trace::context::format(x.trace.trace, x.trace.span, x.trace.sampled);
            self.headers.append_known(Known::TraceParent, own);
        }
    }
}

/// Whether the peer is a proxy whose word is taken.
fn is_trusted(snapshot: &Snapshot, x: &Exchange) -> bool {
    let name = &x.connection.listener;
    let Some(listener) = snapshot.listeners.iter().find(|listener| listener.name == *name) else {
        return false;
    };
    let peer = x.connection.peer_ip();
    let trusted = listener.client_address.as_ref().map(|client| client.trusted.as_slice());
    trusted.is_some_and(|networks| networks.iter().any(|network| network.contains(&peer)))
}

/// Whether a field the client sent does not go on as it is.
fn is_replaced(known: Known, trusted: bool, x: &Exchange) -> bool {
    match known {
        // About the connection. The codec took them out; a policy may have put them back in.
        Known::Connection
        | Known::ContentLength
        | Known::Expect
        | Known::Host
        | Known::Http2Settings
        | Known::KeepAlive
        | Known::ProxyAuthorization
        | Known::ProxyConnection
        | Known::Te
        | Known::TransferEncoding
        | Known::Upgrade => true,
        // Written anew, with what was there before where that is trusted.
        Known::Forwarded | Known::Via | Known::XForwardedFor | Known::XRequestId => true,
        Known::TraceParent => x.trace.span != SpanId(0),
        // Says nothing without the trace it belongs to.
        Known::TraceState => x.trace.span != SpanId(0) && x.trace.parent == SpanId(0),
        Known::XForwardedHost
        | Known::XForwardedPort
        | Known::XForwardedPrefix
        | Known::XForwardedProto
        | Known::XRealIp => !trusted,
        _ => false,
    }
}

/// Writes all values of `known`, each with a comma after it.
fn join(sent: &Headers, known: Known, trusted: bool, line: &mut Vec<u8>) {
    for value in sent.all(known).filter(|value| trusted && !value.is_empty()) {
        line.extend_from_slice(value);
        line.extend_from_slice(b", ");
    }
}

/// Writes an element of `Forwarded` (RFC 7239 §4).
fn element(line: &mut Vec<u8>, peer: &str, authority: &str, scheme: Scheme) {
    let mut write =
        |parts: &[&str]| parts.iter().for_each(|part| line.extend_from_slice(part.as_bytes()));
    match peer.contains(':') {
        true => write(&["for=\"[", peer, "]\""]),
        false => write(&["for=", peer]),
    }
    if !authority.is_empty() {
        let quote = if authority.contains([':', '[']) { "\"" } else { "" };
        write(&[";host=", quote, authority, quote]);
    }
    write(&[";proto=", scheme.text()]);
}
