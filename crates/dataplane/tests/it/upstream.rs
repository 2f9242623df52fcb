//! An upstream that says what it saw: hyper, so that another implementation reads what the gateway
//! wrote.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Answers every request with what it is: method, target, body; the fields follow, one a line.
pub async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(seen));
            tokio::spawn(async move {
                // A gateway that gives up a connection is no fault here.
                let _ = serving.await;
            });
        }
    });
    address
}

async fn seen(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => "<broken>".to_owned(),
    };
    let mut said = format!("= {} {} {body}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        said.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    Ok(Response::new(Full::from(said)))
}
