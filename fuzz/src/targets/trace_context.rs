//! `traceparent` and `tracestate`. What is taken is what an upstream is sent; a state reads the
//! same in one field and in several.
//!
//! An input's first line is a `traceparent`, the others are `tracestate` fields.

use dataplane::testing::parsers::{is_trace_state, trace_parent, write_trace_parent};
use policy::message::Headers;

/// The fields.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|b| *b == b'\n');
    parent(lines.next().unwrap_or_default());
    let fields: Vec<&[u8]> = lines.collect();
    let whole = fields.join(&b","[..]);
    let is_state = is_trace_state(&fields);
    assert_eq!(is_trace_state(&[&whole]), is_state, "how it is spread");
    if is_state {
        let members = whole.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        let members: Vec<&[u8]> = members.filter(|member| !member.is_empty()).collect();
        assert!(members.len() <= 32, "more members than there may be");
        assert!(members.iter().all(|member| member.len() <= 256 + 1 + 256), "a member too long");
        assert!(members.iter().all(|member| member.is_ascii()), "a member that is no text");
    }
}

fn parent(value: &[u8]) {
    let mut headers = Headers::new();
    if !headers.append("traceparent", value) {
        return;
    }
    let Some(parent) = trace_parent(&headers) else { return };
    assert!(parent.trace.0 != 0 && parent.span.0 != 0, "ids that are none");
    let sent = write_trace_parent(parent.trace, parent.span, parent.sampled);
    assert_eq!(sent[3..52], value[3..52], "another trace");
    let mut again = Headers::new();
    assert!(again.append("traceparent", &sent));
    assert_eq!(trace_parent(&again), Some(parent));
    again.append("traceparent", value);
    assert_eq!(trace_parent(&again), None, "two are none");
}
