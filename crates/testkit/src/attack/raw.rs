//! A client that sends raw bytes, split wherever it is told.
//!
//! [`tell`] plays one connection: it writes pieces and reads what comes back meanwhile, so that
//! neither end waits for the other. Any stream will do: TCP, or one in memory that holds so few
//! bytes that the reader gets them split where the test wants.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a peer may hold up a test: a bound on hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An answer as a client reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not: all answers that were waited for came.
    Open,
    /// The peer closed its end.
    Closed,
    /// The peer reset it.
    Reset,
}

/// What a connection came to.
#[derive(Clone, Debug)]
pub struct Told {
    /// The answers, interim ones left out.
    pub answers: Vec<Answer>,
    /// How it ended.
    pub end: End,
    /// What came after the last whole answer.
    pub left: Vec<u8>,
}

/// When a client stops reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After so many answers; one that says it closes must do so.
    Answers(usize),
    /// When the connection ends.
    End,
    /// When the connection ends; the client ends its own direction once nothing came for so long.
    /// Only for what holds whatever the client does.
    Silence(Duration),
}

impl Answer {
    /// The field's first value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of the field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether the connection ends with it.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The refusal's code, where it is a problem document.
    pub fn code(&self) -> Option<String> {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(problem.get("code")?.as_str()?.to_owned())
    }
}

/// Connects, sends each piece at once.
///
/// # Panics
/// Nobody listens there.
pub async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    stream.set_nodelay(true).expect("a live socket");
    stream
}

/// Writes `pieces` and reads answers meanwhile. `to_head` says of each answer whether it is one to
/// HEAD, which has no body; those beyond are not.
///
/// # Panics
/// What is waited for does not come.
pub async fn tell(
    stream: impl AsyncRead + AsyncWrite,
    pieces: &[&[u8]],
    to_head: &[bool],
    until: Until,
) -> Told {
    let (mut read, mut write) = tokio::io::split(stream);
    let send = async {
        for piece in pieces {
            // The peer may have closed before it took all: what it says is what counts.
            if write.write_all(piece).await.and(write.flush().await).is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        write
    };
    let receive = receive(&mut read, to_head, until);
    tokio::pin!(receive);
    let told = async {
        let mut write = tokio::select! {
            told = &mut receive => return told,
            write = send => write,
        };
        let Until::Silence(silence) = until else { return receive.await };
        if let Ok(told) = timeout(silence, &mut receive).await {
            return told;
        }
        let _ = write.shutdown().await;
        receive.await
    };
    match timeout(PATIENCE, told).await {
        Ok(told) => told,
        Err(_) => panic!("no answer in time to {}", pieces.concat().escape_ascii()),
    }
}

/// [`tell`] over a TCP connection of its own.
pub async fn exchange(address: SocketAddr, bytes: &[u8], until: Until) -> Told {
    tell(connect(address).await, &[bytes], &[], until).await
}

/// Each byte of `bytes` as a piece.
pub fn one_by_one(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.chunks(1).collect()
}

async fn receive(read: &mut (impl AsyncRead + Unpin), to_head: &[bool], until: Until) -> Told {
    let mut told = Told { answers: Vec::new(), end: End::Open, left: Vec::new() };
    loop {
        let enough = match until {
            Until::Answers(count) => told.answers.len() >= count,
            Until::End | Until::Silence(_) => false,
        };
        if enough && !told.answers.last().is_some_and(Answer::closes) {
            return told;
        }
        let mut piece = [0; 4096];
        told.end = match read.read(&mut piece).await {
            Ok(0) => End::Closed,
            Ok(length) => {
                told.left.extend_from_slice(piece.get(..length).unwrap_or_default());
                End::Open
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => End::Closed,
            Err(error) => panic!("a connection that can't be read: {error}"),
        };
        let ended = told.end != End::Open;
        loop {
            let head = to_head.get(told.answers.len()).copied().unwrap_or_default();
            let Some((answer, length)) = take(&told.left, head, ended) else { break };
            told.left.drain(..length);
            if answer.status >= 200 || answer.status == 101 {
                told.answers.push(answer);
            }
        }
        if ended {
            return told;
        }
    }
}

/// The answer that `bytes` start with and its length, once it is all there.
fn take(bytes: &[u8], to_head: bool, ended: bool) -> Option<(Answer, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, fields, body: Vec::new() };
    let rest = bytes.get(end..)?;
    if to_head || status < 200 || status == 204 || status == 304 {
        return Some((answer, end));
    }
    if answer.field("transfer-encoding") == Some("chunked") {
        let (body, length) = chunks(rest)?;
        answer.body = body;
        return Some((answer, end + length));
    }
    let length = match answer.field("content-length") {
        Some(length) => length.parse().ok()?,
        None if ended => rest.len(),
        None => return None,
    };
    answer.body = rest.get(..length)?.to_vec();
    Some((answer, end + length))
}

/// The body that `bytes` start with, out of its chunks, and how long it is with them.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?;
        let end = line.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(line.get(..end)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        at += end + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
    loop {
        let line = bytes.get(at..)?;
        let end = line.windows(2).position(|two| two == b"\r\n")?;
        at += end + 2;
        if end == 0 {
            return Some((body, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n\
        HTTP/1.1 404 -\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";

    #[tokio::test]
    async fn answers_are_read_however_they_come() {
        for capacity in 1..TWO.len() {
            let (near, mut far) = tokio::io::duplex(capacity);
            let send = async {
                far.write_all(TWO).await.expect("it is read");
                drop(far);
            };
            let (told, ()) = tokio::join!(tell(near, &[], &[], Until::Answers(2)), send);
            let told: Vec<_> = told.answers.iter().map(|one| (one.status, one.text())).collect();
            assert_eq!(told, [(200, "ok".to_owned()), (404, "no".to_owned())]);
        }
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_answer() {
        let (near, mut far) = tokio::io::duplex(1000);
        far.write_all(&TWO[..TWO.len() - 1]).await.expect("it fits");
        drop(far);
        let told = tell(near, &[], &[], Until::End).await;
        assert_eq!((told.answers.len(), told.end), (1, End::Closed));
        assert!(told.left.ends_with(b"\r\n\r\nn"), "{}", told.left.escape_ascii());
    }
}
