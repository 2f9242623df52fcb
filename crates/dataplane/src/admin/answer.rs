//! The pages, by path and method.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use serde::Serialize;
use serde_json::{Value, json};

use super::guard::Place;
use super::{Instance, status};
use crate::observe::metrics::Format;

type Page = Response<Full<Bytes>>;

/// The answer to a request. A request's body is not read: no page has a use for one.
pub(super) async fn answer(
    request: Request<Incoming>,
    place: &Place,
    instance: &dyn Instance,
) -> Page {
    let head = request.method() == Method::HEAD;
    let method = if head { &Method::GET } else { request.method() };
    let path = request.uri().path();
    let Some(allowed) = allowed(path) else {
        let mut page = problem(StatusCode::NOT_FOUND, "not_found", "There is no such page");
        page.extend("pages", json!(PAGES));
        return page.response();
    };
    if method != allowed {
        let page = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Not this way");
        let mut page = page.response();
        let value = if allowed == Method::GET { "GET, HEAD" } else { "POST" };
        page.headers_mut().insert(header::ALLOW, HeaderValue::from_static(value));
        return page;
    }
    if let Err(why) = place.check(request.headers(), allowed == Method::POST) {
        let mut page = problem(StatusCode::FORBIDDEN, "not_allowed", "This is not allowed");
        page.extend("detail", json!(why));
        return page.response();
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => match instance.ready() {
            Ok(()) => text(StatusCode::OK, "ready\n".into()),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        },
        "/metrics" => metrics(instance, Format::wanted(accept.unwrap_or_default())),
        "/status" => as_json(StatusCode::OK, "application/json", &status::of(instance)),
        "/config" => match instance.snapshot() {
            Some(snapshot) => as_json(StatusCode::OK, "application/json", &snapshot.masked),
            None => problem(StatusCode::SERVICE_UNAVAILABLE, "starting", "No document runs yet")
                .response(),
        },
        _ => reload(instance).await,
    }
}

/// Every page, and what it is asked by.
const PAGES: [(&str, &str); 6] = [
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    ("/metrics", "GET"),
    ("/status", "GET"),
    ("/config", "GET"),
    ("/reload", "POST"),
];

fn allowed(path: &str) -> Option<Method> {
    let (_, method) = PAGES.iter().find(|(known, _)| *known == path)?;
    Some(if *method == "GET" { Method::GET } else { Method::POST })
}

fn metrics(instance: &dyn Instance, format: Format) -> Page {
    let page = status::metrics(instance, format);
    with_type(StatusCode::OK, format.media_type(), page.into())
}

async fn reload(instance: &dyn Instance) -> Page {
    match instance.reload().await {
        Ok(revision) => {
            as_json(StatusCode::OK, "application/json", &json!({ "revision": revision }))
        }
        Err(problems) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let title = "The document is refused; what ran goes on running";
            let mut page = problem(status, "document_refused", title);
            page.extend("problems", problems);
            page.response()
        }
    }
}

/// A problem document (RFC 9457) in the making.
struct Problem {
    status: StatusCode,
    members: serde_json::Map<String, Value>,
}

fn problem(status: StatusCode, code: &str, title: &str) -> Problem {
    let mut members = serde_json::Map::new();
    members.insert("type".into(), json!("about:blank"));
    members.insert("title".into(), json!(title));
    members.insert("status".into(), json!(status.as_u16()));
    members.insert("code".into(), json!(code));
    Problem { status, members }
}

impl Problem {
    fn extend(&mut self, name: &str, value: Value) {
        self.members.insert(name.into(), value);
    }

    fn response(self) -> Page {
        as_json(self.status, "application/problem+json", &self.members)
    }
}

fn as_json(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Page {
    let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
    body.push(b'\n');
    with_type(status, media_type, body)
}

fn text(status: StatusCode, body: String) -> Page {
    with_type(status, "text/plain; charset=utf-8", body.into())
}

fn with_type(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Page {
    let mut page = Response::new(Full::new(Bytes::from(body)));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    page
}
