//! What a keep-alive connection that does nothing costs in memory.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::bed::{Bed, Subject};
use super::machine::memory_kib;
use super::process::answers;
use super::report::Report;
use crate::Result;

/// A connection that has had one answer.
enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// What is measured: its name, the configurations it needs, the protocol offered by ALPN.
const KINDS: [(&str, &str, Option<&[u8]>); 3] = [
    ("H1 KiB", "plain", None),
    ("H1+TLS KiB", "tls", Some(b"http/1.1")),
    ("H2+TLS KiB", "tls", Some(b"h2")),
];

pub fn run(bed: &Bed, report: &mut Report) -> Result {
    let room = u32::try_from(bed.files / 2).unwrap_or(u32::MAX).saturating_sub(300);
    let count = bed.options.connections.min(room);
    let origin = bed.origin()?;
    let subjects = [Subject::Gateward, Subject::Nginx, Subject::Haproxy];
    for (metric, kind, protocol) in KINDS {
        for subject in bed.subjects(&subjects) {
            let running = bed.start(subject, kind, origin.address)?;
            let tls = protocol.map(|protocol| client(bed, protocol)).transpose()?;
            let pid = running.server.pid();
            // The first ones fill what is made once, and are not counted.
            let first = open(running.address, tls.as_ref(), 100)?;
            let before = settled(pid);
            let connections = open(running.address, tls.as_ref(), count)?;
            let grown = settled(pid).saturating_sub(before);
            let alive = if tls.is_none() { answers(running.address) } else { true };
            let each = grown as f64 / f64::from(count);
            println!("bench:   {subject}: {count} connections: {each:.2} KiB each, {metric}");
            report.add(&subject.to_string(), metric, each);
            report.add(&subject.to_string(), "failed", f64::from(!alive));
            drop((first, connections));
        }
    }
    Ok(())
}

/// A TLS client that trusts the run's certificate and no other.
pub fn client(bed: &Bed, protocol: &[u8]) -> Result<Arc<ClientConfig>> {
    let pem = fs::read(bed.folder.join("cert.pem")).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
    roots.add(certificate).map_err(|error| error.to_string())?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

fn open(
    address: SocketAddr,
    tls: Option<&Arc<ClientConfig>>,
    count: u32,
) -> Result<Vec<Connection>> {
    let one = || -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let Some(config) = tls else {
            let mut connection = Connection::Plain(stream);
            http1(&mut connection)?;
            return Ok(connection);
        };
        let name = address.ip().into();
        let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut connection = Connection::Tls(Box::new(StreamOwned::new(session, stream)));
        if config.alpn_protocols == [b"h2"] {
            http2(&mut connection)?;
        } else {
            http1(&mut connection)?;
        }
        Ok(connection)
    };
    (0..count)
        .map(|n| one().map_err(|error| format!("connection {n} of {count}: {error}")))
        .collect()
}

/// One request and its answer, which must say its length.
fn http1(connection: &mut Connection) -> io::Result<()> {
    connection.write_all(b"GET / HTTP/1.1\r\nhost: bench.example\r\n\r\n")?;
    connection.flush()?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = connection.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        if read == 0 || answer.len() > 1 << 16 {
            return Err(io::Error::other(format!("not an answer: {text}")));
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        match length {
            Some(length) if body.len() < length => {}
            Some(_) if head.starts_with("HTTP/1.1 200") => return Ok(()),
            _ => return Err(io::Error::other(format!("not the answer: {head}"))),
        }
    }
}

/// RFC 9113 §3.4: the preface, our settings; then `GET /` on stream 1, in HPACK's static table.
const HTTP2_REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x10\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x0bbench.local";

/// RFC 9113 §6.5: we have seen your settings.
const HTTP2_SETTINGS_ACK: &[u8] = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00";

const END_STREAM: u8 = 1;

/// One request and its answer: everything until the stream's end.
fn http2(connection: &mut Connection) -> io::Result<()> {
    connection.write_all(HTTP2_REQUEST)?;
    connection.flush()?;
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        connection.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes(stream);
        match kind {
            4 if flags == 0 => {
                connection.write_all(HTTP2_SETTINGS_ACK)?;
                connection.flush()?;
            }
            3 | 7 => return Err(io::Error::other("the stream or connection was ended")),
            0 | 1 if stream == 1 && flags & END_STREAM != 0 => return Ok(()),
            _ => {}
        }
    }
}

/// Memory once it no longer changes.
fn settled(pid: u32) -> u64 {
    let mut before = memory_kib(pid);
    for _ in 0..20 {
        sleep(Duration::from_millis(250));
        let now = memory_kib(pid);
        if now == before {
            break;
        }
        before = now;
    }
    before
}
