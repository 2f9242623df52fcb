//! Clients over real sockets, and how a test looks at the gateway from beside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateward_dataplane::admin::{self, Admin, Reload};
use gateward_dataplane::{Handle, Observer, UpstreamStatus};
use serde_json::Value;
use snapshot::{Bind, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::answers::{self, Answer};
use crate::support::Gateway;

/// How long anything may take until a test gives up: a bound on hanging, no measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A request for the fixed answer, and for what the upstream says.
pub const FIXED: &str = "GET /fixed HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A listener at any port with these limits, and an API that answers itself.
pub fn document(instance: &str, listener: &str) -> String {
    format!(
        "version: 1
limits: {{ {instance} }}
listeners: [ {{ name: web, bind: '127.0.0.1:0', limits: {{ {listener} }} }} ]
apis: [ {{ name: fixed, path: /fixed, routes: [ {{ respond: {{ body: 'hello' }} }} ] }} ]
"
    )
}

/// Where the listener stands.
pub fn address(gateway: &Gateway) -> SocketAddr {
    let asked = Bind::Tcp("127.0.0.1:0".parse().expect("an address"));
    match gateway.handle.address(&asked) {
        Some(Bind::Tcp(address)) => address,
        other => panic!("{other:?}"),
    }
}

/// A client's connection.
pub struct Client {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// A connection from 127.0.0.1.
    pub async fn new(gateway: &Gateway) -> Self {
        Self::from(gateway, "127.0.0.1").await
    }

    /// A connection from this address of the machine's own.
    pub async fn from(gateway: &Gateway, ip: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(ip.parse().expect("an address"), 0)).expect("it is free");
        let stream = socket.connect(address(gateway)).await.expect("it is reached");
        Self { stream, read: Vec::new() }
    }

    /// Whether a connection from this address is closed without a word.
    pub async fn is_turned_away(gateway: &Gateway, ip: &str) -> bool {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(ip.parse().expect("an address"), 0)).expect("it is free");
        // It may be reset before the client knows that it was there.
        let Ok(stream) = socket.connect(address(gateway)).await else { return true };
        let mut client = Self { stream, read: Vec::new() };
        client.send(&FIXED.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
        client.rest().await.is_empty()
    }

    /// Sends these bytes, as far as they are taken.
    pub async fn send(&mut self, bytes: &str) {
        let _ = self.stream.write_all(bytes.as_bytes()).await;
    }

    /// The next answer; none if the connection ends before.
    pub async fn answer(&mut self) -> Option<Answer> {
        let answer = async {
            loop {
                if let Some(answer) = answers::take(&mut self.read) {
                    return Some(answer);
                }
                if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer or the end")
    }

    /// Asks for the fixed answer: whether it came.
    pub async fn is_served(&mut self) -> bool {
        self.send(FIXED).await;
        self.answer().await.is_some_and(|answer| answer.status == 200)
    }

    /// All that comes until the connection ends, in whatever way.
    pub async fn rest(mut self) -> String {
        let all = async { while matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {} };
        tokio::time::timeout(PATIENCE, all).await.expect("it ends");
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

/// Waits until `holds`.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}

/// The admin listener of a gateway under test.
pub struct Beside {
    admin: Admin,
}

struct Shown(Arc<Handle>);

impl admin::Instance for Shown {
    fn observer(&self) -> &Observer {
        self.0.observer()
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        Some(self.0.snapshot())
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn upstreams(&self) -> Vec<UpstreamStatus> {
        self.0.upstreams()
    }

    fn reload(&self) -> Reload {
        Box::pin(async { Err(Value::Null) })
    }
}

impl Beside {
    /// Opens it.
    pub fn new(gateway: &Gateway) -> Self {
        let bind = Bind::Tcp("127.0.0.1:0".parse().expect("an address"));
        let shown = Arc::new(Shown(gateway.handle.clone()));
        Self {
            admin: admin::serve(&bind, shown, &gateward_dataplane::NoKeeper).expect("it listens"),
        }
    }

    /// A page.
    pub async fn page(&self, path: &str) -> String {
        let Bind::Tcp(address) = self.admin.bind() else { panic!("it is on TCP") };
        let mut stream = TcpStream::connect(*address).await.expect("it is reached");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut page = String::new();
        let read = stream.read_to_string(&mut page);
        tokio::time::timeout(PATIENCE, read).await.expect("a page").expect("it is text");
        page.split_once("\r\n\r\n").expect("a head").1.to_owned()
    }

    /// A part of `/status`, by JSON pointer.
    pub async fn status(&self, pointer: &str) -> Value {
        let page: Value = serde_json::from_str(&self.page("/status").await).expect("JSON");
        page.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {page}")).clone()
    }

    /// A metric's value, by its name and labels as the page has them.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = self.page("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().expect("a number")
    }
}
