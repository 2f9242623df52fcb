//! A request by either protocol, as raw as it can be written, and what comes of it.

use testkit::attack::raw::{self, Until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::contract::Bench;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Http1,
    Http2,
}

/// Both of them. HTTP/3 is not spoken yet.
pub const BOTH: [By; 2] = [By::Http1, By::Http2];

/// A request. Names of fields in lower case.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub target: &'a str,
    pub fields: &'a [(&'a str, &'a [u8])],
}

/// A GET of this target from the usual host.
pub const fn get(target: &str) -> Ask<'_> {
    Ask { method: "GET", host: "a.test", target, fields: &[] }
}

/// What comes of a request: `METHOD target` as the origin saw it, a refusal's code, or `reset`
/// where HTTP/2 ends the stream, since its library takes no such head.
pub async fn told(bench: &Bench, by: By, ask: Ask<'_>) -> String {
    let body = match by {
        By::Http1 => http1(bench, ask).await,
        By::Http2 => http2(bench, ask).await,
    };
    let Some(body) = body else { return "reset".into() };
    if let Some(seen) = body.strip_prefix("= ") {
        return seen.lines().next().unwrap_or_default().trim_end().to_owned();
    }
    let problem: Option<serde_json::Value> = serde_json::from_str(&body).ok();
    let code = problem.as_ref().and_then(|problem| problem.get("code")?.as_str());
    code.unwrap_or(&body).to_owned()
}

/// Checks what comes of a request by both protocols.
pub async fn comes_to(bench: &Bench, ask: Ask<'_>, wanted: &str) {
    for by in BOTH {
        let found = told(bench, by, ask).await;
        // The h2 crate refuses some heads before the gateway sees them.
        let refused = !wanted.contains(' ') && found == "reset" && by == By::Http2;
        assert!(found == wanted || refused, "{by:?} {ask:?}: {found}, not {wanted}");
        let sent = bench.oracle.take().len();
        assert_eq!(sent, usize::from(wanted.contains(' ')), "{by:?} {ask:?}: sent upstream");
    }
    assert!(bench.oracle.wrong().is_empty(), "{ask:?}: {:?}", bench.oracle.wrong());
}

async fn http1(bench: &Bench, ask: Ask<'_>) -> Option<String> {
    let mut bytes =
        format!("{} {} HTTP/1.1\r\nhost: {}\r\n", ask.method, ask.target, ask.host).into_bytes();
    for (name, value) in ask.fields {
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    let told = raw::exchange(bench.address, &bytes, Until::Answers(1)).await;
    told.answers.first().map(raw::Answer::text)
}

/// The body of the answer; none if the stream or the connection was ended without one.
async fn http2(bench: &Bench, ask: Ask<'_>) -> Option<String> {
    let mut stream = raw::connect(bench.address).await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, 4, 0, 0, &[]);
    let mut head = Vec::new();
    let pseudo = [
        (":method", ask.method.as_bytes()),
        (":scheme", b"http"),
        (":authority", ask.host.as_bytes()),
        (":path", ask.target.as_bytes()),
    ];
    for (name, value) in pseudo.iter().chain(ask.fields) {
        // A literal that is not remembered, its name written out (RFC 7541 §6.2.2).
        head.push(0);
        text(&mut head, name.as_bytes());
        text(&mut head, value);
    }
    // END_STREAM and END_HEADERS.
    frame(&mut bytes, 1, 0x5, 1, &head);
    stream.write_all(&bytes).await.expect("it is taken");
    let answer = async {
        let mut body = Vec::new();
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return None;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).await.expect("a whole frame");
            let (kind, flags) = (head[3], head[4]);
            let own = head[5..] == [0, 0, 0, 1];
            match kind {
                0 if own => {
                    body.extend_from_slice(&payload);
                    if flags & 1 == 1 {
                        return Some(String::from_utf8_lossy(&body).into_owned());
                    }
                }
                1 if own && flags & 1 == 1 => return Some(String::new()),
                3 if own => return None,
                4 if flags & 1 == 0 => {
                    let mut settings = Vec::new();
                    frame(&mut settings, 4, 1, 0, &[]);
                    stream.write_all(&settings).await.expect("it is taken");
                }
                7 => return None,
                _ => {}
            }
        }
    };
    tokio::time::timeout(raw::PATIENCE, answer).await.expect("an answer in time")
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A string, its length in 7 bits and more (RFC 7541 §5.1, §5.2).
fn text(out: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        out.push(length as u8);
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push((length % 128) as u8 | 0x80);
            length /= 128;
        }
        out.push(length as u8);
    }
    out.extend_from_slice(text);
}
