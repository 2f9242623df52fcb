//! A way to servers with one trust: connections kept, calls bounded.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use policy::{Answer, Call, Remote, Unanswered};
use snapshot::UpstreamTls;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connector::Connector;
use super::driver::{Driver, Outcome};

/// Calls of one server at once, so connections to it too; others wait as long as they may.
const CALLS: usize = 128;

/// Connections to one server that are kept with nothing to do.
const IDLE: usize = 16;

/// Time they are kept; less than what servers have, who may close one as a call comes.
const IDLE_TIME: Duration = Duration::from_secs(4);

/// Bytes of an answer's head.
const HEAD_BYTES: usize = 64 << 10;

/// Servers whose places are remembered while none is taken.
const SERVERS: usize = 64;

/// A way to servers.
pub(super) struct Way {
    pub identity: String,
    driver: Arc<Driver>,
    clients: Arc<Clients>,
}

struct Clients {
    usual: Client<Connector, Full<Bytes>>,
    /// For gRPC.
    http2: Client<Connector, Full<Bytes>>,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Way {
    pub fn new(tls: UpstreamTls, driver: Arc<Driver>) -> Self {
        let client = |http2: bool| {
            let connector = Connector::new(tls.config.clone(), tls.server_name.clone(), http2);
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIME)
                .pool_max_idle_per_host(IDLE)
                .http1_max_buf_size(HEAD_BYTES)
                .http2_max_header_list_size(HEAD_BYTES as u32)
                .http2_only(http2)
                .build(connector)
        };
        let (usual, http2) = (client(false), client(true));
        let clients = Clients { usual, http2, places: Mutex::default() };
        Self { identity: tls.identity, driver, clients: Arc::new(clients) }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}

impl Remote for Way {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        let (within, clients) = (call.within, self.clients.clone());
        let running = self.driver.run(async move {
            timeout(within, clients.call(call)).await.unwrap_or(Err(Unanswered::Late))
        });
        match running {
            Ok(running) => Box::pin(running),
            Err(why) => Box::pin(std::future::ready(Err(why))),
        }
    }
}

impl Clients {
    async fn call(&self, call: Call) -> Outcome {
        let uri = uri(&call.url).map_err(Unanswered::Url)?;
        let headers = fields(&call).map_err(Unanswered::Url)?;
        let method = Method::from_bytes(call.method.as_bytes());
        let method = method.map_err(|error| Unanswered::Url(error.to_string()))?;
        let _place = self.place(&uri).await;
        let request = || {
            let mut request = Request::new(Full::new(call.body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            request
        };
        let client = if call.grpc { &self.http2 } else { &self.usual };
        let mut answered = client.request(request()).await;
        // A kept connection may end as the call comes.
        if call.again && answered.as_ref().is_err_and(|error| !error.is_connect()) {
            answered = client.request(request()).await;
        }
        receive(answered.map_err(|error| unreachable(&error))?, call.most).await
    }

    /// Waits for a place at the server.
    async fn place(&self, uri: &Uri) -> Option<OwnedSemaphorePermit> {
        let server = format!(
            "{}://{}",
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |authority| authority.as_str())
        );
        let places = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            if places.len() > SERVERS {
                places.retain(|_, places| Arc::strong_count(places) > 1);
            }
            let made = || Arc::new(Semaphore::new(CALLS));
            places.entry(server).or_insert_with(made).clone()
        };
        places.acquire_owned().await.ok()
    }
}

/// The URL, where it can be called.
fn uri(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("it is none: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it is neither http nor https".into());
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err("it has a user in it; credentials belong elsewhere".into())
        }
        Some(authority) if !authority.host().is_empty() => Ok(uri),
        _ => Err("it has no host".into()),
    }
}

/// The header fields of a call.
fn fields(call: &Call) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::with_capacity(call.headers.len() + 2);
    for (name, value) in &call.headers {
        let bad = || format!("the header field `{}` can't be sent", name.escape_debug());
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if known == HOST || known == CONTENT_LENGTH {
            return Err(bad());
        }
        fields.append(known, HeaderValue::from_bytes(value).map_err(|_| bad())?);
    }
    let agent = HeaderValue::from_static(concat!("gateward/", env!("CARGO_PKG_VERSION")));
    fields.entry(USER_AGENT).or_insert(agent);
    if call.grpc {
        fields.insert(TE, HeaderValue::from_static("trailers"));
        fields.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/grpc"));
    }
    Ok(fields)
}

/// The answer to its last byte, unless that is further than `most`.
async fn receive(response: Response<Incoming>, most: usize) -> Outcome {
    let (head, mut body) = response.into_parts();
    if body.size_hint().lower() > most as u64 {
        return Err(Unanswered::TooLong);
    }
    let mut headers = Vec::with_capacity(head.headers.len());
    add(&mut headers, &head.headers);
    let mut received = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreachable(&error))?;
        match frame.into_data() {
            Ok(data) if received.len() + data.len() > most => return Err(Unanswered::TooLong),
            Ok(data) => received.extend_from_slice(&data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    add(&mut headers, &trailers);
                }
            }
        }
    }
    Ok(Answer { status: head.status.as_u16(), headers, body: received.freeze() })
}

fn add(headers: &mut Vec<(String, Vec<u8>)>, fields: &HeaderMap) {
    let fields = fields.iter();
    headers.extend(fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())));
}

/// Why, by all that is known.
fn unreachable(error: &dyn Error) -> Unanswered {
    let mut what = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !what.contains(&more) {
            what = format!("{what}: {more}");
        }
        cause = error.source();
    }
    Unanswered::Unreachable(what.chars().filter(|c| !c.is_control()).take(300).collect())
}
