//! What gRPC over HTTP/2 adds to HTTP: statuses in place of HTTP's, deadlines, and its health check
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::time::Duration;

use policy::message::{Body, Headers, Known, Response, Status};

/// Makes `response` a refusal of a gRPC call: HTTP status 200 with the gRPC status in its only
/// fields and no body ("trailers only"). `status` is the gRPC code, `message` any text. Fields set
/// before stay.
pub(crate) fn refuse(response: &mut Response, status: u8, message: &str) {
    response.status = Status::OK;
    response.body = Body::Empty;
    response.headers.remove(Known::ContentLength);
    response.headers.set_known(Known::ContentType, "application/grpc");
    response.headers.set_known(Known::GrpcStatus, itoa::Buffer::new().format(status));
    response.headers.set_known(Known::GrpcMessage, encode_message(message));
}

/// The gRPC status of a response, where its head has one ("trailers only"). Else it comes in the
/// trailers.
pub(crate) fn status(headers: &Headers) -> Option<u32> {
    std::str::from_utf8(headers.get(Known::GrpcStatus)?).ok()?.parse().ok()
}

/// `grpc-message` of a text: bytes outside space to tilde, and `%`, are percent-encoded.
pub(crate) fn encode_message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(
                        char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase(),
                    );
                }
            }
        }
    }
    out
}

/// The most digits a `grpc-timeout` has.
const DIGITS: usize = 8;

/// Units of `grpc-timeout`, from the finest to the coarsest, and their nanoseconds.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Reads `grpc-timeout`: one to eight digits and a unit. None where it is anything else.
pub(crate) fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let (_, nanos) = UNITS.iter().find(|(name, _)| name == unit)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let nanos = count * nanos;
    Some(Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32))
}

/// Writes `grpc-timeout` in the finest unit that has room, rounded down so that a deadline never
/// grows on its way; capped at 99,999,999 hours.
pub(crate) fn format_timeout(timeout: Duration) -> String {
    let limit = 10u128.pow(DIGITS as u32);
    for (unit, nanos) in UNITS {
        let count = timeout.as_nanos() / nanos;
        if count < limit {
            return format!("{count}{}", char::from(unit));
        }
    }
    "99999999H".to_owned()
}

/// The time the caller of a gRPC call has left `elapsed` after it came: none where it set no
/// deadline, zero where the deadline passed. A malformed `grpc-timeout` is none; gRPC calls with
/// one are refused before.
pub(crate) fn time_left(request: &Headers, elapsed: Duration) -> Option<Duration> {
    let timeout = parse_timeout(request.get(Known::GrpcTimeout)?)?;
    Some(timeout.saturating_sub(elapsed))
}

/// The request of `grpc.health.v1.Health/Check`.
pub(crate) const HEALTH_CHECK_PATH: &str = "/grpc.health.v1.Health/Check";

/// The longest name of a service a health check asks for, in bytes.
const SERVICE_MAX: usize = 1024;

/// What a service says of its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceHealth {
    /// It serves.
    Serving,
    /// It does not, or does not know.
    NotServing,
}

/// The body of a health check for `service`; empty for the server as a whole. Longer names than
/// 1024 bytes are cut.
pub(crate) fn health_request(service: &str) -> Vec<u8> {
    let mut end = service.len().min(SERVICE_MAX);
    while !service.is_char_boundary(end) {
        end -= 1;
    }
    let service = service.get(..end).unwrap_or_default().as_bytes();
    let mut message = Vec::with_capacity(service.len() + 4);
    if !service.is_empty() {
        message.push(0x0a); // field 1, a string
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service);
    }
    let mut out = vec![0]; // not compressed
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(&message);
    out
}

/// Reads the body of a health check's response; none where it is not one.
pub(crate) fn health_response(body: &[u8]) -> Option<ServiceHealth> {
    let (head, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(head.get(1..)?.try_into().ok()?);
    if head.first() != Some(&0) || message.len() != length as usize {
        return None;
    }
    let mut rest = message;
    let mut status = 0;
    while !rest.is_empty() {
        let tag = take_varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = take_varint(&mut rest)?,
            (_, 0) => drop(take_varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(if status == 1 { ServiceHealth::Serving } else { ServiceHealth::NotServing })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What every gRPC client does with `grpc-message`.
    fn decode_message(text: &str) -> Vec<u8> {
        let mut bytes = text.bytes();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
            } else {
                out.push(byte);
            }
        }
        out
    }

    #[test]
    fn a_refusal_is_a_grpc_status_and_nothing_else() {
        let mut response = Response::new(Status::new(429).unwrap());
        response.headers.append("retry-after", "3");
        response.headers.append("content-type", "text/plain");
        response.headers.append("content-length", "5");
        response.body = Body::from("hello");
        refuse(&mut response, 8, "100% of it\n");
        let fields: Vec<_> =
            response.headers.iter().map(|(_, name, value)| (name, value)).collect();
        assert_eq!(response.status, Status::OK);
        assert!(response.body.is_empty());
        assert_eq!(
            fields,
            [
                (&b"retry-after"[..], &b"3"[..]),
                (b"content-type", b"application/grpc"),
                (b"grpc-status", b"8"),
                (b"grpc-message", b"100%25 of it%0A"),
            ]
        );
        assert_eq!(status(&response.headers), Some(8));
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_has_them() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("100m", Some(Duration::from_millis(100))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("0n", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000n", None),
            ("1s", None),
            ("S", None),
            ("1", None),
            ("", None),
            ("-1S", None),
            ("1.5S", None),
            (" 1S", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_deadline_shrinks_by_the_time_spent_here() {
        let mut request = Headers::new();
        assert_eq!(time_left(&request, Duration::ZERO), None);
        request.append("grpc-timeout", "1S");
        let left = time_left(&request, Duration::from_millis(1)).unwrap();
        assert_eq!(format_timeout(left), "999000u");
        assert_eq!(time_left(&request, Duration::from_secs(2)), Some(Duration::ZERO));
        request.set_known(Known::GrpcTimeout, "soon");
        assert_eq!(time_left(&request, Duration::ZERO), None);
    }

    #[test]
    fn health_checks_are_the_bytes_of_the_protocol() {
        assert_eq!(health_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(health_request("shop"), b"\0\0\0\0\x06\x0a\x04shop");
        let long = "ü".repeat(600);
        assert_eq!(health_request(&long).len(), 5 + 3 + 1024);
        for (body, expected) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], Some(ServiceHealth::Serving)),
            (b"\0\0\0\0\x02\x08\x02", Some(ServiceHealth::NotServing)),
            (b"\0\0\0\0\0", Some(ServiceHealth::NotServing)),
            (b"\0\0\0\0\x06\x12\x02hi\x08\x01", Some(ServiceHealth::Serving)),
            (b"\x01\0\0\0\x02\x08\x01", None),
            (b"\0\0\0\0\x03\x08\x01", None),
            (b"\0\0\0\0\x02\x12\x7f", None),
            (b"\0\0", None),
            (b"", None),
        ] {
            assert_eq!(health_response(body), expected, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_arrives_as_it_was(text in "\\PC*|[\\x00-\\x7f]*") {
            let encoded = encode_message(&text);
            prop_assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(decode_message(&encoded), text.as_bytes());
        }

        #[test]
        fn a_timeout_never_grows_and_loses_little(nanos in 0u64..) {
            let timeout = Duration::from_nanos(nanos);
            let text = format_timeout(timeout);
            let read = parse_timeout(text.as_bytes());
            let read = read.expect("what is written can be read");
            prop_assert!(read <= timeout);
            prop_assert!(timeout - read <= timeout / 100_000, "{text} for {timeout:?}");
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (parse_timeout(&bytes), health_response(&bytes));
        }
    }
}
