//! The raw byte relay: accepts, connects to a fixed upstream, copies bytes both ways, on epoll,
//! in one thread, without looking at them. No proxy that reads what passes can cost less, so the
//! benchmarks measure every proxy against it.
//!
//! `gateward-bench-relay LISTEN UPSTREAM`, both as `address:port`.

mod epoll;
mod pair;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;

use epoll::{Epoll, Events};
use pair::{Pair, Side};

/// What one read takes at most.
const BUFFER: usize = 64 << 10;

/// The listener's mark among the marks of connections.
const LISTENER: u64 = u64::MAX;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match args.as_slice() {
        [listen, upstream] => listen.parse().ok().zip(upstream.parse().ok()),
        _ => None,
    };
    let Some((listen, upstream)) = parsed else {
        eprintln!("usage: gateward-bench-relay LISTEN UPSTREAM, both as address:port");
        return ExitCode::from(2);
    };
    match run(listen, upstream) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateward-bench-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(listen: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(listener.as_fd(), LISTENER, true, false)?;
    let mut relay =
        Relay { epoll, upstream, pairs: Vec::new(), free: Vec::new(), buffer: vec![0; BUFFER] };
    let mut events = Events::with_capacity(1024);
    loop {
        relay.epoll.wait(&mut events)?;
        // What was closed is given to new connections only after the events of its time are
        // through.
        let mut closed = Vec::new();
        for (mark, readable, writable) in events.iter() {
            if mark == LISTENER {
                relay.accept(&listener)?;
                continue;
            }
            let (index, side) = (mark as usize / 2, Side::of(mark));
            let Some(pair) = relay.pairs.get_mut(index).and_then(Option::as_mut) else { continue };
            let alive =
                pair.turn(&relay.epoll, mark & !1, side, readable, writable, &mut relay.buffer);
            if !alive.unwrap_or(false) {
                relay.pairs[index] = None;
                closed.push(index);
            }
        }
        relay.free.append(&mut closed);
    }
}

struct Relay {
    epoll: Epoll,
    upstream: SocketAddr,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            match listener.accept() {
                // A client whose upstream can't be reached is closed.
                Ok((client, _)) => drop(self.open(client)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Connecting waits: on loopback, where benchmarks run, it is done at once.
    fn open(&mut self, client: TcpStream) -> io::Result<()> {
        let upstream = TcpStream::connect(self.upstream)?;
        for stream in [&client, &upstream] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        let index = self.free.pop().unwrap_or(self.pairs.len());
        let mark = index as u64 * 2;
        self.epoll.add(client.as_fd(), mark | Side::Client as u64, true, false)?;
        self.epoll.add(upstream.as_fd(), mark | Side::Upstream as u64, true, false)?;
        if index == self.pairs.len() {
            self.pairs.push(None);
        }
        self.pairs[index] = Some(Pair::new(client, upstream));
        Ok(())
    }
}
