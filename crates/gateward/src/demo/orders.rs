//! A small, real orders API: what stands behind the demo's gateway. Orders live in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The orders, by number.
#[derive(Default)]
struct Orders(Mutex<BTreeMap<u64, Value>>);

/// Longest order taken.
const ORDER_BYTES: usize = 64 << 10;

/// Orders kept at most.
const ORDERS_MAX: usize = 10_000;

/// Opens the API on any port of loopback and serves it until the runtime ends.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let orders = Arc::new(Orders::with_some());
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let orders = orders.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| answer(orders.clone(), request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    orders: Arc<Orders>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let number = path.strip_prefix("/orders/").and_then(|number| number.parse::<u64>().ok());
    Ok(match (request.method(), path.as_str(), number) {
        (&Method::GET, "/healthz", _) => reply(StatusCode::OK, &json!({ "status": "ok" })),
        (&Method::GET, "/orders", _) => reply(StatusCode::OK, &orders.all()),
        (&Method::POST, "/orders", _) => orders.take(request.into_body()).await,
        (&Method::GET, "/events", _) => events(),
        (&Method::GET, _, Some(number)) => match orders.find(number) {
            Some(order) => reply(StatusCode::OK, &order),
            None => reply(
                StatusCode::NOT_FOUND,
                &json!({ "error": format!("there is no order {number}") }),
            ),
        },
        _ => reply(StatusCode::NOT_FOUND, &json!({ "error": "no such thing" })),
    })
}

impl Orders {
    fn with_some() -> Self {
        let orders = Self::default();
        for (item, quantity) in [("coffee", 2), ("tea", 1), ("biscuits", 12)] {
            orders.add(json!({ "item": item, "quantity": quantity }));
        }
        orders
    }

    fn add(&self, mut order: Value) -> Option<Value> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= ORDERS_MAX {
            return None;
        }
        let number = orders.keys().next_back().map_or(1, |last| last + 1);
        order.as_object_mut()?.insert("id".into(), number.into());
        orders.insert(number, order.clone());
        Some(order)
    }

    fn all(&self) -> Value {
        let orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "orders": orders.values().collect::<Vec<_>>() })
    }

    fn find(&self, number: u64) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    async fn take(&self, body: Incoming) -> Response<Body> {
        let Ok(bytes) = Limited::new(body, ORDER_BYTES).collect().await else {
            return reply(
                StatusCode::PAYLOAD_TOO_LARGE,
                &json!({ "error": "an order has at most 64 KiB" }),
            );
        };
        let Ok(order @ Value::Object(_)) = serde_json::from_slice(&bytes.to_bytes()) else {
            return reply(
                StatusCode::BAD_REQUEST,
                &json!({ "error": "an order is a JSON object" }),
            );
        };
        match self.add(order) {
            Some(order) => reply(StatusCode::CREATED, &order),
            None => reply(StatusCode::INSUFFICIENT_STORAGE, &json!({ "error": "too many orders" })),
        }
    }
}

/// One event a second (server-sent events), until the reader leaves.
fn events() -> Response<Body> {
    let (send, mut receive) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        for number in 1_u64.. {
            let event = format!("id: {number}\nevent: tick\ndata: {{\"number\":{number}}}\n\n");
            if send.send(event.into()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let pieces = futures_util::stream::poll_fn(move |cx| {
        receive.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(pieces)));
    let kind = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn reply(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{body}\n"))).boxed_unsync());
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
