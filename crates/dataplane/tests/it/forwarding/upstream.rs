//! An upstream that does what a test says, over real sockets: it reads requests and answers, breaks
//! off, or says nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What an upstream does about a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers with these bytes.
    Say(String),
    /// Answers, then closes the connection without having said so.
    SayAndClose(String),
    /// Closes the connection without an answer.
    Close,
    /// Resets the connection without an answer.
    Reset,
    /// Says this and then nothing more, until the gateway leaves.
    Stall(String),
    /// Waits until the test lets it answer.
    Hold(Arc<Notify>, String),
}

/// A response of this status with this body.
pub fn answer(status: u16, body: &str) -> Act {
    answer_with(status, "", body)
}

/// A response with further header lines, each ended by CRLF.
pub fn answer_with(status: u16, lines: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!("HTTP/1.1 {status} X\r\n{lines}content-length: {length}\r\n\r\n{body}"))
}

/// What an upstream does, by the number of the request and the request.
type Acts = dyn Fn(usize, &str) -> Act + Send + Sync;

/// A running upstream.
pub struct Upstream {
    /// Its port on 127.0.0.1.
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    left: AtomicUsize,
    change: Notify,
}

impl Upstream {
    /// Starts one. `act` is told how many requests came before, and the request.
    pub async fn start(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Seen::default());
        let act: Arc<Acts> = Arc::new(act);
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.change.notify_waiters();
                let (seen, act) = (shared.clone(), act.clone());
                tokio::spawn(async move {
                    serve(stream, &seen, &*act).await;
                    seen.left.fetch_add(1, Ordering::SeqCst);
                    seen.change.notify_waiters();
                });
            }
        });
        Self { port, seen }
    }

    /// One that answers every request with 200 and its own name.
    pub async fn named(name: &'static str) -> Self {
        Self::start(move |_, _| answer(200, name)).await
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests it read, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// Connections made to it.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Waits until `enough` is true of it, which changes with every connection and every request.
    pub async fn until(&self, enough: impl Fn(&Self) -> bool) {
        let waits = async {
            loop {
                let change = self.seen.change.notified();
                if enough(self) {
                    return;
                }
                change.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it comes to that");
    }

    /// Waits until it has read so many requests.
    pub async fn read(&self, requests: usize) {
        self.until(|upstream| upstream.requests().len() >= requests).await;
    }

    /// Connections that have ended.
    pub fn left(&self) -> usize {
        self.seen.left.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, seen: &Seen, act: &Acts) {
    let mut read = Vec::new();
    while let Some(request) = request(&mut stream, &mut read).await {
        let number = {
            let mut requests = seen.requests.lock().expect("no panic");
            requests.push(request.clone());
            requests.len() - 1
        };
        seen.change.notify_waiters();
        match act(number, &request) {
            Act::Say(bytes) => {
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::SayAndClose(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Act::Close => return,
            Act::Reset => {
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return;
            }
            Act::Stall(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
                return;
            }
            Act::Hold(until, bytes) => {
                until.notified().await;
                let _ = stream.write_all(bytes.as_bytes()).await;
            }
        }
    }
}

/// Reads a request with a `Content-Length` or chunked body, or none.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(length) = length(read) {
            let request = read.drain(..length).collect();
            return Some(String::from_utf8(request).expect("text"));
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// The length of the request at the start of what was read, if all of it is there.
fn length(read: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(read).to_ascii_lowercase();
    let head = text.find("\r\n\r\n")? + 4;
    let field = |name: &str| {
        let line = text[..head].lines().find(|line| line.starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    if field("transfer-encoding:").is_some() {
        return Some(head + text[head..].find("0\r\n\r\n")? + 5);
    }
    let body: usize = field("content-length:").map_or(0, |length| length.parse().expect("number"));
    (text.len() >= head + body).then_some(head + body)
}
