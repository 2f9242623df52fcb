//! One core in memory: the test is the clients, the endpoints and the clock.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gateward_dataplane::testing::Plane;
use policy::Carry;
use snapshot::Bind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::answers::{self, Answer};
use crate::support::compiled;

/// When the tests' time starts: 2026-01-02 03:04:05 UTC.
const WALL: Duration = Duration::from_secs(1_767_323_045);

/// Where the one endpoint stands.
pub const ENDPOINT: &str = "10.0.0.1:80";

/// A listener, and an API whose upstream is the one endpoint.
pub const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:80' } ]
upstreams:
  - { name: up, endpoints: [ 'http://10.0.0.1:80' ], timeouts: { total: 0s, first_byte: 300s } }
apis:
  - { name: up, hosts: [ a.test ], upstream: up }
  - { name: fixed, path: /fixed, routes: [ { respond: { body: 'hello' } } ] }
";

/// A core, and what reaches the endpoint.
pub struct Bench {
    plane: Rc<Plane>,
    carry: Carry,
    arrivals: UnboundedReceiver<DuplexStream>,
}

impl Deref for Bench {
    type Target = Plane;

    fn deref(&self) -> &Plane {
        &self.plane
    }
}

impl Bench {
    /// A core that runs by `document`; connections to the endpoint hold `capacity` bytes each way.
    pub fn new(document: &str, capacity: usize) -> Self {
        let carry = Carry::default();
        let snapshot = Arc::new(compiled(document, &carry, &config::Memory::default()));
        let plane = Rc::new(Plane::new(snapshot, WALL).expect("it runs"));
        let (arrive, arrivals) = unbounded_channel();
        let at = Bind::Tcp(ENDPOINT.parse().expect("an address"));
        plane.endpoint(at, move || {
            let (near, far) = tokio::io::duplex(capacity);
            arrive.send(far).ok().map(|()| near)
        });
        Self { plane, carry, arrivals }
    }

    /// Runs by another document from now on.
    pub fn run_by(&self, document: &str) {
        let snapshot = compiled(document, &self.carry, &config::Memory::default());
        self.plane.swap(Arc::new(snapshot)).expect("it swaps");
    }

    /// A client's connection.
    pub fn client(&self) -> Client {
        self.client_of(64 << 10)
    }

    /// A client's connection that holds this many bytes each way.
    pub fn client_of(&self, capacity: usize) -> Client {
        Client { stream: self.plane.connect("web", capacity), read: Vec::new() }
    }

    /// Whether no connection to the endpoint waits.
    pub fn nobody_arrived(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// The next connection to the endpoint.
    pub async fn arrival(&mut self) -> Upstream {
        let stream = self.arrivals.recv().await.expect("the core lives");
        Upstream { stream, read: Vec::new() }
    }
}

/// A client.
pub struct Client {
    pub stream: DuplexStream,
    read: Vec<u8>,
}

impl Client {
    /// Sends these bytes, all of them.
    pub async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.expect("it is taken");
    }

    /// The next response.
    pub async fn answer(&mut self) -> Answer {
        loop {
            if let Some(answer) = answers::take(&mut self.read) {
                return answer;
            }
            assert_ne!(more(&mut self.stream, &mut self.read).await, 0, "the connection ended");
        }
    }

    /// What comes, up to and with `end`.
    pub async fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|part| part == end) {
                let part: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&part).into_owned();
            }
            assert_ne!(more(&mut self.stream, &mut self.read).await, 0, "the connection ended");
        }
    }

    /// Reads `most` bytes, or fewer if the connection ends before; tells how many.
    pub async fn count(&mut self, most: usize) -> usize {
        let mut count = self.read.len();
        while count < most {
            self.read.clear();
            match more(&mut self.stream, &mut self.read).await {
                0 => break,
                read => count += read,
            }
        }
        self.read.clear();
        count
    }

    /// What comes until the connection ends.
    pub async fn rest(mut self) -> String {
        while more(&mut self.stream, &mut self.read).await > 0 {}
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

/// The endpoint's end of a connection.
pub struct Upstream {
    pub stream: DuplexStream,
    pub read: Vec<u8>,
}

impl Upstream {
    /// The head of the next request.
    pub async fn request(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                return String::from_utf8_lossy(&self.read.drain(..end + 4).collect::<Vec<_>>())
                    .into_owned();
            }
            assert_ne!(more(&mut self.stream, &mut self.read).await, 0, "the connection ended");
        }
    }

    /// This many bytes more.
    pub async fn bytes(&mut self, count: usize) -> String {
        while self.read.len() < count {
            assert_ne!(more(&mut self.stream, &mut self.read).await, 0, "the connection ended");
        }
        String::from_utf8_lossy(&self.read.drain(..count).collect::<Vec<_>>()).into_owned()
    }

    /// Sends these bytes, all of them.
    pub async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.expect("it is taken");
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> usize {
    stream.read_buf(into).await.unwrap_or(0)
}
