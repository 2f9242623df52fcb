//! Sends spans to a collector: in batches, on a thread of its own, with bounded patience.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::otlp;
use super::span::Span;
use crate::observe::metrics::Metrics;

/// Spans sent at once.
const BATCH: usize = 512;

/// Time a span waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Time the collector has to take a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits between tries of a batch; after the last one it is dropped. Meanwhile the queue fills, and
/// then drops.
const WAITS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// Time between two complaints.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// Bytes of a collector's answer that are read.
const ANSWER_MAX: usize = 64 << 10;

/// What comes by the queue.
pub(super) enum Message {
    /// A span to send.
    Span(Box<Span>),
    /// Send what came before, then answer.
    Flush(SyncSender<()>),
}

/// Where spans go.
pub(super) struct Collector {
    uri: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why a batch was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another try may succeed.
    ForNow(String),
    /// It will not.
    ForGood(String),
}

impl Collector {
    /// The collector at this URL; `https` is verified by the system's authorities.
    pub fn new(otlp: &str) -> Result<Self, String> {
        let bad = |what: &str| {
            format!(
                "telemetry.traces.otlp `{otlp}` {what}; write the collector's URL, as in http://127.0.0.1:4318/v1/traces"
            )
        };
        let uri: Uri = otlp.parse().map_err(|error| bad(&format!("is not a URL: {error}")))?;
        let host = uri.host().ok_or_else(|| bad("has no host"))?;
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let name = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(name)
                    .map_err(|_| bad("has a host no certificate can be for"))?;
                Some((TlsConnector::from(system_tls()?), name))
            }
            _ => return Err(bad("is neither http nor https")),
        };
        Ok(Self { uri, tls })
    }

    #[cfg(test)]
    pub fn trust(&mut self, config: Arc<rustls::ClientConfig>) {
        self.tls = self.tls.take().map(|(_, name)| (TlsConnector::from(config), name));
    }

    /// Sends a batch, by a connection of its own: one a second at most.
    async fn send(&self, batch: Bytes) -> Result<(), Failure> {
        let sent = timeout(PATIENCE, async {
            let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
            let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
            let stream = TcpStream::connect((host, port)).await.map_err(for_now)?;
            match &self.tls {
                None => self.post(stream, batch).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await.map_err(for_now)?;
                    self.post(stream, batch).await
                }
            }
        });
        sent.await.unwrap_or_else(|_| Err(Failure::ForNow("no answer in time".into())))
    }

    async fn post<S>(&self, stream: S, batch: Bytes) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(for_now)?;
        let exchange = async {
            let authority = self.uri.authority().map_or("", |authority| authority.as_str());
            let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
            let request = Request::post(path)
                .header(header::HOST, authority)
                .header(header::CONTENT_TYPE, "application/x-protobuf")
                .header(header::USER_AGENT, concat!("gateward/", env!("CARGO_PKG_VERSION")))
                .body(Full::new(batch))
                .map_err(|error| Failure::ForGood(error.to_string()))?;
            let (head, body) = sender.send_request(request).await.map_err(for_now)?.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            verdict(head.status, &body.map(|body| body.to_bytes()).unwrap_or_default())
        };
        // The connection is driven beside the exchange, and ends with it.
        tokio::select! {
            done = exchange => done,
            () = async { let _ = connection.await; std::future::pending().await } => {
                Err(Failure::ForNow("the connection ended".into()))
            }
        }
    }
}

fn for_now(error: impl std::fmt::Display) -> Failure {
    Failure::ForNow(error.to_string())
}

/// What an answer means (OTLP/HTTP: these four statuses, and only they, ask for another try).
fn verdict(status: StatusCode, body: &[u8]) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(body);
    let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
    let what = format!("the collector answered {status} {said}");
    match status.as_u16() {
        429 | 502 | 503 | 504 => Err(Failure::ForNow(what)),
        _ => Err(Failure::ForGood(what)),
    }
}

/// TLS by the system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
fn system_tls() -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(snapshot::system_authorities());
    if roots.is_empty() {
        return Err("the system has no certificate authorities to verify the collector of \
            telemetry.traces.otlp by; install them or set SSL_CERT_FILE"
            .into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Sends what comes by the queue until nobody can send to it any more.
pub(super) async fn run(
    mut queue: Receiver<Message>,
    collector: Collector,
    service: String,
    metrics: Arc<Metrics>,
) {
    let mut complained: Option<Instant> = None;
    loop {
        let (batch, asked, open) = gather(&mut queue).await;
        if !batch.is_empty() {
            let spans = batch.len() as u64;
            let request = otlp::request(&service, &batch).into();
            match deliver(&collector, request, &WAITS).await {
                Ok(()) => metrics.spans_exported.add(spans),
                Err(Failure::ForNow(why) | Failure::ForGood(why)) => {
                    metrics.spans_dropped.add(spans);
                    if complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
                        complained = Some(Instant::now());
                        let collector = collector.uri.to_string();
                        tracing::warn!(collector, spans, "spans were not exported: {why}");
                    }
                }
            }
        }
        if let Some(asked) = asked {
            // Whoever asked may have stopped waiting.
            let _ = asked.try_send(());
        }
        if !open {
            return;
        }
    }
}

/// The next batch, who asked for it to be sent, and whether more can come.
async fn gather(queue: &mut Receiver<Message>) -> (Vec<Box<Span>>, Option<SyncSender<()>>, bool) {
    let mut batch = Vec::new();
    let mut until: Option<Instant> = None;
    while batch.len() < BATCH {
        let next = match until {
            None => queue.recv().await,
            Some(until) => match timeout_at(until, queue.recv()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        match next {
            Some(Message::Span(span)) => {
                until.get_or_insert_with(|| Instant::now() + GATHER);
                batch.push(span);
            }
            Some(Message::Flush(asked)) => return (batch, Some(asked), true),
            None => return (batch, None, false),
        }
    }
    (batch, None, true)
}

/// Sends a batch, again after each of these waits.
pub(super) async fn deliver(
    collector: &Collector,
    batch: Bytes,
    waits: &[Duration],
) -> Result<(), Failure> {
    for wait in waits {
        match collector.send(batch.clone()).await {
            Err(Failure::ForNow(_)) => sleep(wait.mul_f64(0.5 + fastrand::f64())).await,
            done => return done,
        }
    }
    collector.send(batch).await
}
