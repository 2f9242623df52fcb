//! Bounds, of the instance and of its listeners.

use base::{Pointer, Problem};
use config::v1;

use super::{Findings, listeners};
use crate::{InstanceLimits, Limits};

/// Most bytes of a head a document may allow.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Least memory an instance can live on: with less it would refuse everything from the start.
const MEMORY_MIN: u64 = 64 << 20;

/// Compiles the bounds of the whole instance.
pub(super) fn instance(limits: &v1::InstanceLimits, findings: &mut Findings) -> InstanceLimits {
    let at = Pointer::root().key("limits");
    let counts = [
        ("connections", limits.connections.map_or(1, u64::from)),
        ("connections_per_address", limits.connections_per_address.into()),
        ("tls_handshakes", limits.tls_handshakes.into()),
        ("queue_time", limits.queue_time.get().as_millis() as u64),
    ];
    nothing_through(&counts, &at, findings);
    if limits.memory.is_some_and(|memory| memory.0 < MEMORY_MIN) {
        let problem = Problem::new(&at.key("memory"), "an instance needs 64MiB at least");
        findings.problem(problem.hint("leave it out for the default"));
    }
    InstanceLimits {
        connections: limits.connections.map(|count| count as usize),
        connections_per_address: limits.connections_per_address as usize,
        memory: limits.memory.map(|memory| memory.0),
        tls_handshakes: limits.tls_handshakes as usize,
        queue_time: limits.queue_time.get(),
    }
}

/// Compiles the bounds of a listener.
pub(super) fn listener(listener: &v1::Listener, at: &Pointer, findings: &mut Findings) -> Limits {
    let paths = listeners::paths(listener.paths, &at.key("paths"), findings);
    let (limits, at) = (&listener.limits, &at.key("limits"));
    let counts = [
        ("header_bytes", limits.header_bytes.0),
        ("header_count", limits.header_count.into()),
        ("header_timeout", limits.header_timeout.get().as_millis() as u64),
        ("body_idle_timeout", limits.body_idle_timeout.get().as_millis() as u64),
        ("keep_alive", limits.keep_alive.get().as_millis() as u64),
        ("tls_handshake_timeout", limits.tls_handshake_timeout.get().as_millis() as u64),
        ("connections", limits.connections.into()),
        ("requests_per_connection", limits.requests_per_connection.into()),
        ("http2_streams", limits.http2_streams.into()),
        ("http2_resets", limits.http2_resets.into()),
        ("http2_control_frames", limits.http2_control_frames.into()),
    ];
    nothing_through(&counts, at, findings);
    if limits.header_bytes.0 > HEADER_BYTES_MAX {
        let problem = Problem::new(&at.key("header_bytes"), "a head may have 1MiB at most");
        findings.problem(problem.hint("what is larger belongs into the body"));
    }
    Limits {
        header_bytes: limits.header_bytes.0.min(HEADER_BYTES_MAX) as usize,
        header_count: limits.header_count as usize,
        header_timeout: limits.header_timeout.get(),
        header_rate: limits.header_rate.0,
        body_idle_timeout: limits.body_idle_timeout.get(),
        body_rate: limits.body_rate.0,
        keep_alive: limits.keep_alive.get(),
        tls_handshake_timeout: limits.tls_handshake_timeout.get(),
        connections: limits.connections as usize,
        requests_per_connection: limits.requests_per_connection,
        http2_streams: limits.http2_streams,
        http2_resets: limits.http2_resets,
        http2_control_frames: limits.http2_control_frames,
        body_bytes: limits.body_bytes.0,
        paths,
    }
}

/// Refuses bounds that nothing could keep.
fn nothing_through(counts: &[(&'static str, u64)], at: &Pointer, findings: &mut Findings) {
    for (name, _) in counts.iter().filter(|(_, value)| *value == 0) {
        let problem = Problem::new(&at.key(*name), format!("`{name}: 0` lets nothing through"));
        findings.problem(problem.hint("leave it out for the default"));
    }
}
