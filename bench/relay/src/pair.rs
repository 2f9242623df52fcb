//! A client's connection and the upstream connection made for it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use crate::epoll::Epoll;

/// One end of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client = 0,
    Upstream = 1,
}

impl Side {
    /// The side a mark stands for.
    pub fn of(mark: u64) -> Self {
        if mark & 1 == 0 { Self::Client } else { Self::Upstream }
    }

    fn other(self) -> Self {
        if self == Self::Client { Self::Upstream } else { Self::Client }
    }
}

/// One end: its socket, and what was read from the other end and could not be written here yet.
struct End {
    stream: TcpStream,
    waiting: Vec<u8>,
    written: usize,
    /// The other end will say no more.
    ended: bool,
}

impl End {
    fn is_full(&self) -> bool {
        self.written < self.waiting.len()
    }
}

pub struct Pair {
    ends: [End; 2],
}

impl Pair {
    pub fn new(client: TcpStream, upstream: TcpStream) -> Self {
        let end = |stream| End { stream, waiting: Vec::new(), written: 0, ended: false };
        Self { ends: [end(client), end(upstream)] }
    }

    /// Does what can be done at one side now; false when nothing more can come either way.
    pub fn turn(
        &mut self,
        epoll: &Epoll,
        mark: u64,
        side: Side,
        readable: bool,
        writable: bool,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        if writable {
            self.write_on(epoll, mark, side)?;
        }
        if readable && !self.ends[side.other() as usize].is_full() {
            self.copy_from(epoll, mark, side, buffer)?;
        }
        Ok(!self.ends.iter().all(|end| end.ended))
    }

    /// One read, one write: the common way of a message.
    fn copy_from(
        &mut self,
        epoll: &Epoll,
        mark: u64,
        from: Side,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let read = match self.ends[from as usize].stream.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let to = &mut self.ends[from.other() as usize];
        if read == 0 {
            to.ended = true;
            to.stream.shutdown(Shutdown::Write)?;
            return self.watch(epoll, mark);
        }
        let written = match to.stream.write(&buffer[..read]) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if written == read {
            return Ok(());
        }
        to.waiting.extend_from_slice(&buffer[written..read]);
        self.watch(epoll, mark)
    }

    /// Goes on with what could not be written before.
    fn write_on(&mut self, epoll: &Epoll, mark: u64, side: Side) -> io::Result<()> {
        let end = &mut self.ends[side as usize];
        if !end.is_full() {
            return Ok(());
        }
        match end.stream.write(&end.waiting[end.written..]) {
            Ok(written) => end.written += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if end.is_full() {
            return Ok(());
        }
        end.waiting.clear();
        end.written = 0;
        self.watch(epoll, mark)
    }

    /// An end is read while the other takes what it says, and written while something waits.
    fn watch(&self, epoll: &Epoll, mark: u64) -> io::Result<()> {
        for side in [Side::Client, Side::Upstream] {
            let (end, other) = (&self.ends[side as usize], &self.ends[side.other() as usize]);
            let read = !other.is_full() && !other.ended;
            epoll.change(end.stream.as_fd(), mark | side as u64, read, end.is_full())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread;

    /// A relay in a thread of its own, and the listener behind it.
    fn relay() -> (TcpStream, TcpListener) {
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let to = upstream.local_addr().unwrap();
        thread::spawn(move || crate::run(listen, to));
        loop {
            if let Ok(stream) = TcpStream::connect(listen) {
                return (stream, upstream);
            }
            thread::yield_now();
        }
    }

    #[test]
    fn bytes_pass_both_ways_however_many_and_each_way_ends_by_itself() {
        let (mut client, upstream) = relay();
        let (mut server, _) = upstream.accept().unwrap();
        let sent: Vec<u8> = (0..8_u32 << 20).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let writer = thread::spawn(move || {
            client.write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            answer
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
        server.write_all(&received).unwrap();
        drop(server);
        assert!(writer.join().unwrap() == expected);
    }
}
