//! An origin for large bodies: gives as many bytes as it is asked for, takes as many as it is sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::machine::pin;
use crate::Result;

/// Starts it in threads of this process, on these cores; they end with it.
pub fn start(cores: &[usize]) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let cores = cores.to_vec();
    thread::spawn(move || {
        // Threads started from here stay on the same cores.
        pin(&cores)?;
        for stream in listener.incoming() {
            let stream = stream?;
            thread::spawn(move || serve(&stream));
        }
        Ok::<_, io::Error>(())
    });
    Ok(address)
}

/// Requests of one connection: `GET /N` is answered with N bytes; a body is taken and counted in
/// the answer.
fn serve(stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut writer = stream;
    while let Some(Head { wanted, length, last }) = head(&mut reader)? {
        let taken = io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        if length > 0 {
            let said = taken.to_string();
            write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len())?;
        } else {
            give(writer, wanted)?;
        }
        if last {
            break;
        }
    }
    Ok(())
}

fn give(mut writer: &TcpStream, wanted: u64) -> io::Result<()> {
    write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {wanted}\r\n\r\n")?;
    let zeros = vec![0; 256 << 10];
    let mut left = wanted;
    while left > 0 {
        let piece = left.min(zeros.len() as u64);
        writer.write_all(&zeros[..piece as usize])?;
        left -= piece;
    }
    Ok(())
}

/// What matters of a request's head.
struct Head {
    /// The number that is its path.
    wanted: u64,
    /// Its body's length.
    length: u64,
    /// The connection ends with it.
    last: bool,
}

/// Reads a head; none at the end.
fn head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut head = Head { wanted: 0, length: 0, last: false };
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some(head));
        }
        if first {
            let path = line.split(' ').nth(1).and_then(|path| path.strip_prefix('/'));
            head.wanted = path.and_then(|path| path.parse().ok()).unwrap_or(0);
            first = false;
        } else if let Some(length) = line.strip_prefix("content-length:") {
            head.length = length.trim().parse().map_err(io::Error::other)?;
        } else if line.strip_prefix("connection:").is_some_and(|value| value.trim() == "close") {
            head.last = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_and_taken_on_one_connection() {
        let mut stream = TcpStream::connect(start(&[0]).unwrap()).unwrap();
        stream.write_all(b"GET /5 HTTP/1.1\r\n\r\n").unwrap();
        stream.write_all(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(
            said,
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0\
             HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n3"
        );
    }
}
