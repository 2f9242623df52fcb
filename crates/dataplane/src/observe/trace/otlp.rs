//! Spans as OTLP sends them: `ExportTraceServiceRequest` of opentelemetry-proto 1, binary.

use super::protobuf::Message;
use super::span::{Span, Value};

/// The schema the attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.27.0";

/// `STATUS_CODE_ERROR`.
const FAILED: u64 = 2;

/// A batch of spans, encoded.
pub(super) fn request(service: &str, spans: &[Box<Span>]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            attribute(resource, 1, "service.name", &service.into());
            attribute(resource, 1, "service.version", &crate::VERSION.into());
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.bytes(1, "gateward").bytes(2, crate::VERSION);
            });
            for one in spans {
                scope_spans.message(2, |message| span(message, one));
            }
            scope_spans.bytes(3, SCHEMA);
        });
        resource_spans.bytes(3, SCHEMA);
    });
    request.finish()
}

fn span(message: &mut Message, span: &Span) {
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    message.bytes(1, span.trace.0.to_be_bytes()).bytes(2, span.id.0.to_be_bytes());
    message.bytes(3, span.state.as_bytes());
    if span.parent.0 != 0 {
        message.bytes(4, span.parent.0.to_be_bytes());
    }
    message.bytes(5, &span.name).number(6, span.kind as u64);
    message.fixed64(7, nanos(span.start)).fixed64(8, nanos(span.end));
    for (key, value) in &span.attributes {
        attribute(message, 9, key, value);
    }
    if span.failed {
        message.message(15, |status| {
            status.number(3, FAILED);
        });
    }
    // Sampled.
    message.fixed32(16, 1);
}

fn attribute(message: &mut Message, field: u32, key: &str, value: &Value) {
    message.message(field, |pair| {
        pair.bytes(1, key).message(2, |any| {
            match value {
                Value::Text(text) => any.bytes(1, text.as_bytes()),
                Value::Number(number) => any.set(3, *number),
            };
        });
    });
}
