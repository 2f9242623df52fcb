//! An origin that logs every byte it gets and reads it strictly, as an independent judge of what
//! was sent: its reader shares no code with the gateway's and forgives nothing, since whoever
//! writes to it is held to RFC 9112.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as the origin read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of the connection it came by, from 0.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The target, as written.
    pub target: String,
    /// The fields in order, names as written.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Its bytes.
    pub raw: Vec<u8>,
}

impl Seen {
    /// All values of a field, as text.
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The only value of a field.
    pub fn field(&self, name: &str) -> Option<String> {
        match self.all(name) {
            mut values if values.len() == 1 => values.pop(),
            _ => None,
        }
    }
}

/// What an origin got on one connection.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Every byte.
    pub bytes: Vec<u8>,
    /// Bytes of those that are of whole requests.
    pub understood: usize,
    /// What is wrong with the others, where something is. Bytes of a request that is not all there
    /// are not wrong.
    pub wrong: Option<String>,
}

/// What the origin does about a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub bytes: Vec<u8>,
    /// Whether it says it byte by byte.
    pub one_by_one: bool,
    /// Whether it then closes the connection.
    pub close: bool,
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}

type Answer = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// An origin at a port of 127.0.0.1. Lives on the runtime it was started on.
#[derive(Clone)]
pub struct Oracle {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    answer: Arc<Answer>,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    connections: Vec<Connection>,
}

impl Oracle {
    /// One that answers with what it was asked, as [`echo`] tells it.
    pub async fn start() -> Self {
        Self::answering(|seen| echo(seen).into()).await
    }

    /// One that answers as `answer` says.
    ///
    /// # Panics
    /// The system gives no port.
    pub async fn answering(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::default();
        let oracle = Self { address, state, answer: Arc::new(Box::new(answer)) };
        let serving = oracle.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut state = serving.lock();
                    state.connections.push(Connection::default());
                    state.connections.len() - 1
                };
                tokio::spawn(serving.clone().serve(stream, number));
            }
        });
        oracle
    }

    /// The requests it saw, in the order in which they were whole.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// The requests it saw since this was asked last.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
    }

    /// Its connections.
    pub fn connections(&self) -> Vec<Connection> {
        self.lock().connections.clone()
    }

    /// Bytes it got, all connections together.
    pub fn bytes(&self) -> usize {
        self.lock().connections.iter().map(|one| one.bytes.len()).sum()
    }

    /// What is wrong with what it got.
    pub fn wrong(&self) -> Vec<String> {
        let state = self.lock();
        let wrong = state.connections.iter().filter_map(|one| {
            let rest = one.bytes.get(one.understood..).unwrap_or_default();
            Some(format!("{}: {}", one.wrong.as_ref()?, rest.escape_ascii()))
        });
        wrong.collect()
    }

    /// What is wrong with what it got since this was asked last, in short.
    pub fn forget_wrong(&self) -> Vec<String> {
        let mut state = self.lock();
        state.connections.iter_mut().filter_map(|one| one.wrong.take()).collect()
    }

    async fn serve(self, mut stream: TcpStream, number: usize) {
        let mut held = Vec::new();
        let mut piece = vec![0; 16 << 10];
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            let piece = piece.get(..length).unwrap_or_default();
            held.extend_from_slice(piece);
            self.note(number, |connection| connection.bytes.extend_from_slice(piece));
            loop {
                match read(&held) {
                    Read::More => break,
                    Read::Wrong(why) => {
                        self.note(number, |connection| connection.wrong = Some(why));
                        return;
                    }
                    Read::Request(mut seen, length) => {
                        seen.connection = number;
                        held.drain(..length);
                        self.note(number, |connection| connection.understood += length);
                        let reply = (self.answer)(&seen);
                        self.lock().seen.push(seen);
                        if say(&mut stream, &reply).await.is_err() || reply.close {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.lock().connections.get_mut(number) {
            change(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn say(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    if !reply.one_by_one {
        return stream.write_all(&reply.bytes).await;
    }
    stream.set_nodelay(true)?;
    for byte in &reply.bytes {
        stream.write_all(&[*byte]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// `= METHOD target body`, then the fields, one a line.
pub fn echo(seen: &Seen) -> Vec<u8> {
    let mut said = format!("= {} {} ", seen.method, seen.target).into_bytes();
    said.extend_from_slice(&seen.body);
    said.push(b'\n');
    for (name, value) in &seen.fields {
        said.extend_from_slice(format!("{}: ", name.to_ascii_lowercase()).as_bytes());
        said.extend_from_slice(value);
        said.push(b'\n');
    }
    answer_to(seen, "200 OK", "", &said)
}

/// An answer with these field lines and this body; to HEAD without it.
pub fn answer_to(seen: &Seen, status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{lines}\r\n");
    if seen.method != "HEAD" {
        answer.push_str(&String::from_utf8_lossy(body));
    }
    answer.into_bytes()
}

/// What reading came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// A request, and its length.
    Request(Seen, usize),
    /// It is not all there.
    More,
    /// It is none: why.
    Wrong(String),
}

/// Why there is no request.
enum Stop {
    More,
    Wrong(String),
}

/// Reads the request that `bytes` start with.
pub fn read(bytes: &[u8]) -> Read {
    let mut reader = Reader { bytes, at: 0 };
    match reader.request() {
        Ok(mut seen) => {
            seen.raw = bytes.get(..reader.at).unwrap_or_default().to_vec();
            Read::Request(seen, reader.at)
        }
        Err(Stop::More) => Read::More,
        Err(Stop::Wrong(why)) => Read::Wrong(why),
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Wrong(why.into()))
}

impl<'b> Reader<'b> {
    fn request(&mut self) -> Result<Seen, Stop> {
        let mut seen = Seen::default();
        let line = self.line()?;
        let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [method, target, b"HTTP/1.1"] = parts[..] else { return wrong("a request line") };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return wrong("a method that is no token");
        }
        if !target.iter().all(u8::is_ascii_graphic) || !matches!(target.first(), Some(b'/' | b'*'))
        {
            return wrong("a target that is no path");
        }
        seen.method = String::from_utf8_lossy(method).into_owned();
        seen.target = String::from_utf8_lossy(target).into_owned();
        seen.fields = self.fields()?;
        if seen.all("host").len() != 1 {
            return wrong("not one Host");
        }
        let (lengths, codings) = (seen.all("content-length"), seen.all("transfer-encoding"));
        match (&lengths[..], &codings[..]) {
            ([], []) => {}
            ([length], []) => {
                let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
                let Some(length) = length.parse().ok().filter(|_| digits) else {
                    return wrong("a length that is no number");
                };
                seen.body = self.exactly(length)?.to_vec();
            }
            ([], [coding]) if coding == "chunked" => {
                self.chunks(&mut seen.body)?;
                seen.trailers = self.fields()?;
            }
            _ => return wrong("a framing that can be read in two ways"),
        }
        Ok(seen)
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<(), Stop> {
        loop {
            let line = self.line()?;
            let hex = (1..=16).contains(&line.len()) && line.iter().all(u8::is_ascii_hexdigit);
            let size = std::str::from_utf8(line).ok().filter(|_| hex);
            let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
                return wrong("a chunk size that is no number");
            };
            if size == 0 {
                return Ok(());
            }
            body.extend_from_slice(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return wrong("a chunk longer than its size");
            }
        }
    }

    /// Field lines up to the empty one.
    fn fields(&mut self) -> Result<Vec<(String, Vec<u8>)>, Stop> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                return wrong("a field without a colon");
            };
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
                return wrong("a field name that is no token");
            }
            if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
                return wrong("a control character in a field");
            }
            fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        }
    }

    /// A line, ended by CR LF; neither of them may stand elsewhere.
    fn line(&mut self) -> Result<&'b [u8], Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            return Err(Stop::More);
        };
        match rest.get(end..end + 2) {
            None if rest.get(end) == Some(&b'\r') => Err(Stop::More),
            Some(b"\r\n") => {
                self.at += end + 2;
                Ok(rest.get(..end).unwrap_or_default())
            }
            _ => wrong("a line that CR LF does not end"),
        }
    }

    fn exactly(&mut self, length: usize) -> Result<&'b [u8], Stop> {
        let end = self.at.saturating_add(length);
        let Some(piece) = self.bytes.get(self.at..end) else { return Err(Stop::More) };
        self.at = end;
        Ok(piece)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_to_its_end_and_no_further() {
        let bytes = b"POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n\
            2\r\nhi\r\n0\r\nx: y\r\n\r\nGET";
        for length in 0..bytes.len() - 3 {
            assert_eq!(read(&bytes[..length]), Read::More, "{length}");
        }
        let Read::Request(seen, length) = read(bytes) else { panic!("it is one") };
        assert_eq!((length, seen.body.as_slice()), (bytes.len() - 3, &b"hi"[..]));
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/a"));
        assert_eq!(seen.trailers, [("x".to_owned(), b"y".to_vec())]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_wrong() {
        let host = "host: h\r\n";
        for text in [
            format!("GET /a HTTP/1.1\n{host}\r\n"),
            format!("GET /a HTTP/1.0\r\n{host}\r\n"),
            format!("GET  /a HTTP/1.1\r\n{host}\r\n"),
            format!("GET a HTTP/1.1\r\n{host}\r\n"),
            "GET /a HTTP/1.1\r\n\r\n".to_owned(),
            format!("GET /a HTTP/1.1\r\n{host}{host}\r\n"),
            format!("GET /a HTTP/1.1\r\n{host}x : y\r\n\r\n"),
            format!("GET /a HTTP/1.1\r\n{host}x: a\rb\r\n\r\n"),
            format!("GET /a HTTP/1.1\r\n{host}content-length: +1\r\n\r\na"),
            format!("GET /a HTTP/1.1\r\n{host}content-length: 1\r\ncontent-length: 1\r\n\r\na"),
            format!("GET /a HTTP/1.1\r\n{host}transfer-encoding: x\r\n\r\na"),
            format!(
                "GET /a HTTP/1.1\r\n{host}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"
            ),
            format!("GET /a HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\n0x1\r\n"),
            format!("GET /a HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n"),
        ] {
            assert!(matches!(read(text.as_bytes()), Read::Wrong(_)), "{text}");
        }
    }
}
