//! From a request to an upstream and back, against upstreams that misbehave.

pub(crate) mod balance;
mod breaker;
mod connections;
mod credential;
mod health;
mod http2;
mod messages;
mod mirror;
mod retry;
mod shared;
mod timeouts;
mod tls;
mod upgrade;
mod upstream;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::Gateway;

/// A document with one API for everything and an upstream `u`, whose settings these are (YAML,
/// indented by four).
pub(crate) fn document(upstream: &str) -> String {
    format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams:
  - name: u
{upstream}
apis: [ {{ name: all, upstream: u }} ]
"
    )
}

/// The lines of an upstream with these endpoints, one a line, and settings.
pub(crate) fn endpoints(urls: &[String], settings: &str) -> String {
    let urls: Vec<String> = urls.iter().map(|url| format!("'{url}'")).collect();
    let mut lines = format!("    endpoints: [ {} ]\n", urls.join(", "));
    for line in settings.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines.push_str(&format!("    {line}\n"));
    }
    lines
}

/// A gateway in front of these endpoints.
pub(crate) fn gateway(urls: &[String], settings: &str) -> Gateway {
    Gateway::real(&document(&endpoints(urls, settings)))
}

/// An answer as a client reads it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// Fails unless it is a refusal of this status for this reason.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(&format!("\"code\":\"{code}\"")), "not {code}: {}", self.text);
    }

    /// Fails unless it is a 200 with this body.
    #[track_caller]
    pub(crate) fn is(&self, body: &str) {
        assert_eq!((self.status, self.body()), (200, body), "{}", self.text);
    }
}

/// Sends a request by a connection of its own.
pub(crate) async fn send(gateway: &Gateway, method: &str, body: &str) -> Answer {
    send_with(gateway, method, "/", "", body).await
}

/// Sends a request with further header lines, each ended by CRLF.
pub(crate) async fn send_with(
    gateway: &Gateway,
    method: &str,
    path: &str,
    lines: &str,
    body: &str,
) -> Answer {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n{lines}{length}\r\n{body}"
    );
    let text = talk(gateway, &[request.as_bytes()]).await;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_default(), text }
}

/// A connection to the gateway.
pub(crate) fn connect(gateway: &Gateway) -> DuplexStream {
    gateway.connect(64 << 10)
}

/// Sends these pieces, one write each, and gives all that comes back until the connection ends.
pub(crate) async fn talk(gateway: &Gateway, pieces: &[&[u8]]) -> String {
    let mut answer = Vec::new();
    let (mut read, mut write) = tokio::io::split(connect(gateway));
    let sends = async {
        for piece in pieces {
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let (_, all) = tokio::join!(sends, read.read_to_end(&mut answer));
    all.expect("the connection ends in order");
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn get(gateway: &Gateway) -> Answer {
    send(gateway, "GET", "").await
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn dead() -> String {
    format!("http://{}", testkit::port::refusing())
}
