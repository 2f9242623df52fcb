//! One core in memory between a peer that speaks frames and an origin that counts.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use gateward_dataplane::testing::Plane;
use policy::Carry;
use snapshot::Bind;
use testkit::attack::frames::{Block, Frame, Peer, flag, kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{WALL, compiled};

/// Where the origin stands.
const ORIGIN: &str = "10.0.0.1:80";

/// Where an endpoint stands that speaks HTTP/2.
const ENDPOINT: &str = "10.0.0.2:80";

/// An API in front of the origin, one in front of the endpoint, one that answers here. What stands
/// after it are the listener's bounds.
pub fn document(limits: &str) -> String {
    format!(
        "
version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:80', limits: {{ {limits} }} }} ]
upstreams:
  - {{ name: up, endpoints: [ 'http://{ORIGIN}' ], timeouts: {{ total: 0s, first_byte: 900s, idle: 900s }}, breaker: {{ connections: 5000, running: 5000, pending: 5000 }} }}
  - {{ name: two, endpoints: [ 'http://{ENDPOINT}' ], protocol: http2, timeouts: {{ total: 0s, first_byte: 60s }} }}
apis:
  - {{ name: up, hosts: [ a.test ], upstream: up }}
  - {{ name: two, hosts: [ two.test ], upstream: two }}
  - {{ name: here, hosts: [ here.test ], routes: [ {{ respond: {{ body: 'here' }} }} ] }}
"
    )
}

/// What the origin does about a request once it has read all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers `ok`.
    Answer,
    /// Nothing, and reads no body.
    Hold,
    /// Answers with so many bytes.
    Send(usize),
}

/// An origin over HTTP/1.1, and what it saw.
#[derive(Default)]
pub struct Origin {
    /// Everything it was sent, one text a request: its head, then its body as it came.
    pub requests: RefCell<Vec<String>>,
    /// Requests it is busy with.
    pub running: Cell<usize>,
    /// Most of them at once.
    pub most: Cell<usize>,
    /// Connections made to it.
    pub connections: Cell<usize>,
    /// Bytes of answers it could get rid of.
    pub written: Cell<usize>,
    does: Cell<Option<Does>>,
}

/// A core, the origin, and who connects to the endpoint.
pub struct House {
    plane: Plane,
    /// The origin.
    pub origin: Rc<Origin>,
    arrivals: RefCell<Option<UnboundedReceiver<DuplexStream>>>,
}

impl Deref for House {
    type Target = Plane;

    fn deref(&self) -> &Plane {
        &self.plane
    }
}

/// A client that speaks frames.
pub type Client = Peer<DuplexStream>;

impl House {
    /// One with the default bounds.
    pub fn new(does: Does) -> Self {
        Self::with("", does)
    }

    /// One with these bounds.
    pub fn with(limits: &str, does: Does) -> Self {
        Self::by(&document(limits), does)
    }

    /// One whose listener speaks one version only.
    pub fn speaking(protocol: &str) -> Self {
        let listener = format!("bind: '127.0.0.1:80', protocols: [ {protocol} ],");
        Self::by(&document("").replace("bind: '127.0.0.1:80',", &listener), Does::Answer)
    }

    fn by(document: &str, does: Does) -> Self {
        let snapshot = compiled(document, &Carry::default(), &config::Memory::default());
        let plane = Plane::new(Arc::new(snapshot), WALL).expect("it runs");
        let origin = Rc::new(Origin::default());
        origin.does.set(Some(does));
        let serves = origin.clone();
        plane.endpoint(at(ORIGIN), move || {
            let (near, far) = tokio::io::duplex(PIPE);
            serves.connections.set(serves.connections.get() + 1);
            tokio::task::spawn_local(serve(serves.clone(), far));
            Some(near)
        });
        let (arrive, arrivals) = unbounded_channel();
        plane.endpoint(at(ENDPOINT), move || {
            let (near, far) = tokio::io::duplex(1 << 20);
            arrive.send(far).ok().map(|()| near)
        });
        Self { plane, origin, arrivals: RefCell::new(Some(arrivals)) }
    }

    /// A client whose connection holds a mebibyte each way.
    pub async fn client(&self) -> Client {
        self.client_with(&[]).await
    }

    /// The same, with these settings.
    pub async fn client_with(&self, settings: &[(u16, u32)]) -> Client {
        Peer::client_with(self.plane.connect("web", 1 << 20), settings).await
    }

    /// The next connection to the endpoint, its preface taken.
    pub async fn endpoint_called(&self, settings: &[(u16, u32)]) -> Client {
        let mut arrivals = self.arrivals.take().expect("nobody else waits");
        let stream = arrivals.recv().await.expect("the core lives");
        self.arrivals.replace(Some(arrivals));
        Peer::server(stream, settings).await
    }

    /// From now on every request to the endpoint is answered with 200; counts them.
    pub fn endpoint_answers(&self) -> Rc<Cell<usize>> {
        let mut arrivals = self.arrivals.take().expect("nobody else waits");
        let answered = Rc::new(Cell::new(0));
        let count = answered.clone();
        tokio::task::spawn_local(async move {
            while let Some(stream) = arrivals.recv().await {
                let count = count.clone();
                tokio::task::spawn_local(async move {
                    let mut endpoint = Peer::server(stream, &[]).await;
                    while let Some(frame) = endpoint.next().await {
                        if frame.kind == kind::HEADERS {
                            count.set(count.get() + 1);
                            let head = Frame::head(frame.stream, false, &Block::response(200));
                            endpoint.send(&head).await;
                            endpoint.send(&Frame::data(frame.stream, true, b"again")).await;
                        }
                    }
                });
            }
        });
        answered
    }

    /// A request that is new on this connection is still answered.
    pub async fn still_answers(&self, client: &mut Client, stream: u32) {
        client.send(&Frame::head(stream, true, &here())).await;
        assert_eq!(client.response(stream).await.0, 200);
    }

    /// A client on another connection is answered.
    pub async fn serves_others(&self) {
        let mut other = self.client().await;
        self.still_answers(&mut other, 1).await;
    }

    /// Nothing has reached the origin.
    pub fn origin_saw_nothing(&self) {
        assert!(self.origin.requests.borrow().is_empty(), "{:?}", self.origin.requests);
        assert_eq!(self.origin.connections.get(), 0);
    }

    /// The page of metrics.
    pub fn counted(&self, line: &str) -> bool {
        self.metrics().lines().any(|known| known.starts_with(line))
    }
}

/// Bytes that a connection to the origin holds.
pub const PIPE: usize = 4 << 10;

/// A request for the origin.
pub fn up(method: &str) -> Block {
    Block::request(method, "/", "a.test")
}

/// A request for the endpoint.
pub fn two(method: &str) -> Block {
    Block::request(method, "/", "two.test")
}

/// A request that is answered without an upstream.
pub fn here() -> Block {
    Block::request("GET", "/", "here.test")
}

/// The number of the nth request of a client, from 0.
pub fn nth(request: u32) -> u32 {
    request * 2 + 1
}

/// How a connection ended: the reason of its last GOAWAY. Frames before are passed over.
pub async fn goodbye(client: &mut Client) -> u32 {
    let mut reason = None;
    while let Some(frame) = client.next().await {
        if frame.kind == kind::GOAWAY {
            reason = Some(frame.error());
        }
    }
    reason.expect("it ended with GOAWAY")
}

/// What the gateway says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// An answer of this status.
    Status(u16),
    /// The stream was reset.
    Reset(u32),
    /// The connection ended.
    GoAway(u32),
    /// The connection ended without a word.
    Ended,
}

/// What the gateway says about `stream`, or about the connection.
pub async fn said(client: &mut Client, stream: u32) -> Said {
    while let Some(frame) = client.next_on(stream).await {
        return match frame.kind {
            kind::HEADERS => Said::Status(frame.status().expect("a status")),
            kind::RST_STREAM => Said::Reset(frame.error()),
            kind::GOAWAY => Said::GoAway(frame.error()),
            _ => continue,
        };
    }
    Said::Ended
}

/// Sends a client's request with this head, and tells what is said about it.
pub async fn ask(house: &House, block: &Block) -> Said {
    let mut client = house.client().await;
    client.send(&Frame::head(1, true, block)).await;
    said(&mut client, 1).await
}

/// The status of an answer and the code in its body.
pub async fn refusal(client: &mut Client, stream: u32) -> (u16, String) {
    let (status, body) = client.response(stream).await;
    let body = String::from_utf8_lossy(&body).into_owned();
    let code = body.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next());
    (status, code.unwrap_or(&body).to_owned())
}

fn at(address: &str) -> Bind {
    Bind::Tcp(address.parse().expect("an address"))
}

/// Counts a request as long as it runs.
struct Busy<'o>(&'o Origin);

impl<'o> Busy<'o> {
    fn with(origin: &'o Origin) -> Self {
        origin.running.set(origin.running.get() + 1);
        origin.most.set(origin.most.get().max(origin.running.get()));
        Self(origin)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
    }
}

/// Serves a connection to the origin until it ends.
async fn serve(origin: Rc<Origin>, mut stream: DuplexStream) {
    let mut read = Vec::new();
    loop {
        let Some(end) = position(&read, b"\r\n\r\n") else {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&read.drain(..end + 4).collect::<Vec<_>>()).into_owned();
        let _busy = Busy::with(&origin);
        let number = origin.requests.borrow().len();
        origin.requests.borrow_mut().push(head.clone());
        let does = origin.does.get().expect("it was told");
        if does == Does::Hold {
            if !head.starts_with("GET") {
                // The body stays where it is, and with it the news that nobody waits any more.
                std::future::pending::<()>().await;
            }
            while stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
            return;
        }
        loop {
            if let Some(length) = whole(&head, &read) {
                let body = read.drain(..length).collect::<Vec<_>>();
                let text = String::from_utf8_lossy(&body).into_owned();
                if let Some(request) = origin.requests.borrow_mut().get_mut(number) {
                    request.push_str(&text);
                }
                break;
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let length = if let Does::Send(length) = does { length } else { 2 };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let body = if let Does::Send(length) = does { vec![b'x'; length] } else { b"ok".to_vec() };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        for piece in body.chunks(1024) {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            origin.written.set(origin.written.get() + piece.len());
        }
    }
}

/// Bytes of a request's body, if all of it is here.
fn whole(head: &str, read: &[u8]) -> Option<usize> {
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        // Nobody here sends a second request behind a body, nor an empty line in one.
        return read.ends_with(b"\r\n\r\n").then_some(read.len());
    }
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let length = length.map_or(0, |length| length.trim().parse().expect("a length"));
    (read.len() >= length).then_some(length)
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Whether a frame ends its stream.
pub fn ends(frame: &Frame) -> bool {
    matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.has(flag::END_STREAM)
}
