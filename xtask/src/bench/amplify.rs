//! What the worst that a client can send costs, against a plain request.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::attackers::{HTTP2, frame};
use super::bed::Bed;
use super::hostile;
use super::idle::client;
use super::machine::cpu_ns;
use super::report::Report;
use super::sink;
use crate::Result;

/// How often each is sent in a round.
const TIMES: u32 = 1000;

/// Where to, and what TLS trusts.
struct Target {
    plain: SocketAddr,
    tls: SocketAddr,
    config: Arc<ClientConfig>,
}

/// One kind of request, sent so many times; how many it came to.
type Send = fn(&Target, u32) -> io::Result<u32>;

/// The first is what the others are measured by.
const KINDS: [(&str, Send); 12] = [
    ("plain request", |target, times| asked(target, times, &request("GET /", "", ""))),
    ("99 long fields", |target, times| {
        let field = |n: usize| format!("x-{n}-{}: {}\r\n", "a".repeat(100), "b".repeat(200));
        asked(target, times, &request("GET /", &(0..97).map(field).collect::<String>(), ""))
    }),
    ("head too large", |target, times| {
        let large = format!("x: {}\r\n", "a".repeat(40 << 10));
        each_anew(target, times, &request("GET /", &large, ""))
    }),
    ("ambiguous head", |target, times| {
        let both = "content-length: 4\r\ntransfer-encoding: chunked\r\n";
        each_anew(target, times, &request("POST /", both, "0\r\n\r\n"))
    }),
    ("200 chunks of a byte", |target, times| {
        let body = format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(200));
        asked(target, times, &request("POST /", "transfer-encoding: chunked\r\n", &body))
    }),
    ("path refused", |target, times| {
        let path = format!("GET /{}%2e%2e%2f%2e%2e%2fetc", "a/%2e%2e/b;c=%41//".repeat(200));
        each_anew(target, times, &request(&path, "", ""))
    }),
    ("1000 query parameters", |target, times| {
        let path = format!("GET /?{}", "a=%41&".repeat(999));
        asked(target, times, &request(&path, "", ""))
    }),
    ("TLS handshake", handshakes),
    ("HTTP/2 request taken back", |target, times| {
        streams(target, times, &|id| [frame(1, 5, id, HTTP2.1), cancel(id)].concat())
    }),
    ("HTTP/2 head of 90 cookies", |target, times| {
        streams(target, times, &|id| {
            let crumbs = b"\x0f\x11\x05a=bcd".repeat(90);
            [frame(1, 5, id, &[HTTP2.1, &crumbs].concat()), cancel(id)].concat()
        })
    }),
    ("HTTP/2 head in 60 frames", |target, times| {
        streams(target, times, &|id| {
            let mut head = frame(1, 1, id, HTTP2.1);
            (0..60).for_each(|_| head.extend(frame(9, 0, id, b"\x0f\x11\x01a")));
            head.extend(frame(9, 4, id, b"\x0f\x11\x01a"));
            [head, cancel(id)].concat()
        })
    }),
    ("HTTP/2 ping", |target, times| streams(target, times, &|_| frame(6, 0, 0, b"12345678"))),
];

/// A stream is taken back.
fn cancel(id: u32) -> Vec<u8> {
    frame(3, 0, id, &[0, 0, 0, 8])
}

pub fn run(bed: &Bed, report: &mut Report) -> Result {
    let origin = bed.origin()?;
    let sink = sink::start(&bed.cores.others)?;
    let (running, tls) = hostile::start(bed, origin.address, sink)?;
    let target = Target { plain: running.address, tls, config: client(bed, b"http/1.1")? };
    for (_, send) in KINDS {
        send(&target, 10).map_err(|error| error.to_string())?;
    }
    for _ in 0..bed.options.rounds {
        let mut plain = 0.0;
        for (name, send) in KINDS {
            let before = cpu_ns(running.server.pid());
            let sent = send(&target, TIMES).map_err(|error| format!("{name}: {error}"))?;
            let each = (cpu_ns(running.server.pid()) - before) as f64 / 1e3 / f64::from(sent);
            if name == KINDS[0].0 {
                plain = each;
            }
            report.add(name, "CPU µs", each);
            report.add(name, "× plain", each / plain);
        }
    }
    Ok(())
}

fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: bench.local\r\n{fields}\r\n{body}")
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends it over one connection, an answer at a time.
fn asked(target: &Target, times: u32, request: &str) -> io::Result<u32> {
    let mut stream = connect(target.plain)?;
    for _ in 0..times {
        stream.write_all(request.as_bytes())?;
        answer(&mut stream)?;
    }
    Ok(times)
}

/// Sends it over a connection of its own each time, which the gateway closes.
fn each_anew(target: &Target, times: u32, request: &str) -> io::Result<u32> {
    for _ in 0..times {
        let mut stream = connect(target.plain)?;
        // It may be closed before all is sent.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }
    Ok(times)
}

fn handshakes(target: &Target, times: u32) -> io::Result<u32> {
    for _ in 0..times {
        let stream = connect(target.tls)?;
        let session = ClientConnection::new(target.config.clone(), target.tls.ip().into());
        let mut stream = StreamOwned::new(session.map_err(io::Error::other)?, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
    }
    Ok(times)
}

/// What `of` makes of each stream's number, over as many connections as it takes.
fn streams(target: &Target, times: u32, of: &dyn Fn(u32) -> Vec<u8>) -> io::Result<u32> {
    let (preface, _) = HTTP2;
    let mut sent = 0;
    while sent < times {
        let mut stream = connect(target.plain)?;
        stream.write_all(preface)?;
        for number in 0..100 {
            if stream.write_all(&of(number * 2 + 1)).is_err() {
                break;
            }
            sent += 1;
        }
        // The gateway may have ended it by now: that is the point.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    Ok(sent)
}

/// Reads an answer that says its length.
fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        if read == 0 {
            return Err(io::Error::other(format!("not an answer: {text}")));
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if length.is_some_and(|length: usize| body.len() >= length) {
            return Ok(());
        }
    }
}
