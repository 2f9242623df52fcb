//! Clients that hold what they can and give nothing, of every kind there is, from one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::machine::pin;

/// Time between two steps of each.
const EVERY: Duration = Duration::from_millis(50);

/// What one does.
#[derive(Clone, Copy)]
enum Kind {
    /// A head, a byte at a time.
    SlowHead,
    /// A body, a byte at a time.
    SlowBody,
    /// A long answer, read in drops.
    SlowRead,
    /// TLS, and not a word.
    SilentTls,
    /// TLS, and half a hello.
    HalfHello,
    /// HTTP/2: a hundred requests, and no window for their answers.
    StalledWindow,
    /// HTTP/2: requests taken back as soon as they are sent.
    Resets,
    /// Requests sent ahead, their answers not read.
    Ahead,
    /// Heads too large, one after another.
    LargeHeads,
    /// Nothing after one answer.
    Idle,
}

const KINDS: [Kind; 10] = [
    Kind::SlowHead,
    Kind::SlowBody,
    Kind::SlowRead,
    Kind::SilentTls,
    Kind::HalfHello,
    Kind::StalledWindow,
    Kind::Resets,
    Kind::Ahead,
    Kind::LargeHeads,
    Kind::Idle,
];

/// RFC 9113 §3.4: the preface and our settings, with a window of nothing for every stream.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00";

/// `GET http://bench.local/` in HPACK's static table.
const FIELDS: &[u8] = b"\x82\x84\x86\x41\x0bbench.local";

/// Attackers at work until this is dropped.
pub struct Attack {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Attack {
    /// So many of all kinds, against a listener without and one with TLS, from these cores.
    pub fn start(count: usize, plain: SocketAddr, tls: SocketAddr, cores: &[usize]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, cores) = (stop.clone(), cores.to_vec());
        let thread = thread::spawn(move || {
            pin(&cores)?;
            let mut all: Vec<Attacker> = (0..count)
                .map(|n| Attacker { kind: KINDS[n % KINDS.len()], stream: None, next: 1 })
                .collect();
            while !stopped.load(Ordering::Relaxed) {
                for attacker in &mut all {
                    attacker.step(plain, tls);
                }
                thread::sleep(EVERY);
            }
            Ok(())
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            println!("bench: the attackers ended: {error}");
        }
    }
}

/// One of them. Whoever is thrown out comes again.
struct Attacker {
    kind: Kind,
    stream: Option<TcpStream>,
    /// The next HTTP/2 stream.
    next: u32,
}

impl Attacker {
    fn step(&mut self, plain: SocketAddr, tls: SocketAddr) {
        let stays = match self.stream.take() {
            Some(stream) => self.go_on(stream),
            None => self.begin(plain, tls),
        };
        // Refused or thrown out.
        self.stream = stays.ok();
    }

    fn begin(&mut self, plain: SocketAddr, tls: SocketAddr) -> io::Result<TcpStream> {
        self.next = 1;
        let is_tls = matches!(self.kind, Kind::SilentTls | Kind::HalfHello);
        let mut stream = TcpStream::connect(if is_tls { tls } else { plain })?;
        stream.set_nonblocking(true)?;
        let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: bench.local\r\n").into_bytes();
        let opening = match self.kind {
            Kind::SlowHead => head("GET /"),
            Kind::SlowBody => [&head("POST /")[..], b"content-length: 100000\r\n\r\n"].concat(),
            Kind::SlowRead => [&head("GET /big/100000000")[..], b"\r\n"].concat(),
            Kind::SilentTls => Vec::new(),
            Kind::HalfHello => vec![0x16, 3, 1, 2, 0, 1],
            Kind::StalledWindow | Kind::Resets => PREFACE.to_vec(),
            Kind::Ahead | Kind::LargeHeads | Kind::Idle => [&head("GET /")[..], b"\r\n"].concat(),
        };
        stream.write_all(&opening)?;
        if matches!(self.kind, Kind::StalledWindow) {
            for _ in 0..100 {
                stream.write_all(&frame(1, 5, self.take_stream(), FIELDS))?;
            }
        }
        Ok(stream)
    }

    fn go_on(&mut self, mut stream: TcpStream) -> io::Result<TcpStream> {
        let mut buffer = [0; 16 << 10];
        match self.kind {
            Kind::SlowHead | Kind::SlowBody => waits(stream.write(b"a"))?,
            Kind::SlowRead => return waits(stream.read(&mut buffer[..64])).map(|()| stream),
            Kind::Resets => {
                for _ in 0..20 {
                    let id = self.take_stream();
                    stream.write_all(&frame(1, 5, id, FIELDS))?;
                    // CANCEL.
                    stream.write_all(&frame(3, 0, id, &[0, 0, 0, 8]))?;
                }
            }
            Kind::Ahead => {
                let request = b"GET / HTTP/1.1\r\nhost: bench.local\r\n\r\n".repeat(20);
                return waits(stream.write(&request)).map(|()| stream);
            }
            Kind::LargeHeads => {
                let field = format!("x-{}: {}\r\n", "a".repeat(100), "b".repeat(250));
                let request =
                    format!("GET / HTTP/1.1\r\nhost: bench.local\r\n{}\r\n", field.repeat(101));
                waits(stream.write(request.as_bytes()))?;
            }
            Kind::SilentTls | Kind::HalfHello | Kind::StalledWindow | Kind::Idle => {}
        }
        match stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            read => waits(read).map(|()| stream),
        }
    }

    fn take_stream(&mut self) -> u32 {
        let id = self.next;
        self.next += 2;
        id
    }
}

/// Having to wait is no failure.
fn waits(done: io::Result<usize>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// A frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// What HTTP/2 needs to begin and to ask once: preface, settings, the fields of a request.
pub const HTTP2: (&[u8], &[u8]) = (PREFACE, FIELDS);
