//! Traces from a request's header to a collector's hands.

use std::convert::Infallible;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use policy::codes;
use policy::message::Status;
use tokio::net::TcpListener;

use super::decoded::{all, attributes, number, one, text};
use super::export::{Failure, deliver};
use super::*;
use crate::observe::testing::{DOCUMENT, NOW, compile, core, exchange, observer};
use crate::observe::{Observer, Try, finish, start, tried};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn document(otlp: &str, sample: f64) -> String {
    format!("{DOCUMENT}telemetry: {{ traces: {{ otlp: '{otlp}', sample: {sample} }} }}\n")
}

fn begun(sample: Option<f64>, fields: &[(&str, &str)]) -> Exchange {
    let observer = observer();
    let text = sample.map_or(DOCUMENT.to_owned(), |s| document("http://127.0.0.1:9/v1/traces", s));
    let (_, running) = core(&observer, &compile(&text));
    let mut x = exchange(Some(0), 200);
    for (name, value) in fields {
        x.request.headers.append(name, value);
    }
    start(&running, &mut x, false);
    x
}

#[test]
fn a_callers_decision_is_kept_and_otherwise_a_share_is_traced() {
    let unsampled = PARENT.replace("-01", "-00");
    for (sample, parent, sampled) in [
        (0.0, Some(PARENT), true),
        (1.0, Some(&*unsampled), false),
        (0.0, None, false),
        (1.0, None, true),
        (1.0, Some("garbage"), true),
    ] {
        let fields: Vec<_> = parent.into_iter().map(|value| ("traceparent", value)).collect();
        let x = begun(Some(sample), &fields);
        assert_eq!(x.trace.sampled, sampled, "{sample} {parent:?}");
        assert_ne!(x.trace.span, SpanId::default());
        let kept = parent.is_some_and(|parent| parent != "garbage");
        assert_eq!(x.trace.trace == TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), kept);
        assert_eq!(x.trace.parent != SpanId::default(), kept);
    }
}

#[test]
fn the_share_is_of_trace_ids() {
    assert_eq!((threshold(0.0), threshold(-1.0)), (0, 0));
    assert_eq!((threshold(1.0), threshold(7.0)), (1 << 63, 1 << 63));
    assert_eq!(threshold(0.25), 1 << 61);
}

#[test]
fn without_tracing_what_the_caller_sent_passes_and_is_known() {
    let x = begun(None, &[("traceparent", PARENT), ("tracestate", "a=1")]);
    assert!(!x.trace.sampled && x.trace.trace != TraceId::default());
    assert_eq!(x.trace.span, SpanId::default(), "nothing of ours is put in its place");
    assert_eq!(x.request.headers.get(Known::TraceParent), Some(PARENT.as_bytes()));
    assert_eq!(x.request.headers.get(Known::TraceState), Some(&b"a=1"[..]));
}

#[test]
fn a_state_goes_on_with_a_valid_parent_only() {
    for (fields, kept) in [
        (&[("traceparent", PARENT), ("tracestate", "a=1")][..], true),
        (&[("traceparent", PARENT), ("tracestate", "A!")], false),
        (&[("traceparent", "00-0"), ("tracestate", "a=1")], false),
        (&[("tracestate", "a=1")], false),
    ] {
        let x = begun(Some(1.0), fields);
        assert_eq!(x.request.headers.has(Known::TraceState), kept, "{fields:?}");
    }
}

#[test]
fn each_try_tells_the_endpoint_its_own_span() {
    let x = begun(Some(1.0), &[("traceparent", PARENT)]);
    let spans = [0, 1].map(|endpoint| {
        let one = Try::new(&x, 0, endpoint, x.started);
        assert_eq!(one.traceparent(&x), context::format(x.trace.trace, one.span, true));
        one.span
    });
    assert!(spans[0] != spans[1] && !spans.contains(&x.trace.span));
    let x = begun(Some(0.0), &[]);
    assert_eq!(Try::new(&x, 0, 0, x.started).span, x.trace.span, "not sampled: our own");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let metrics = Arc::new(Metrics::new(1));
    let (queue, _received) = channel(2);
    let tracing = Tracing { threshold: 0, queue, metrics: metrics.clone() };
    let span = span::of_exchange(&exchange(Some(0), 200), None);
    (0..5).for_each(|_| tracing.record(span.clone()));
    assert_eq!(metrics.spans_dropped.get(), 3);
}

/// A collector that answers with each of these statuses in turn, then with 200; it keeps what it
/// accepted.
#[derive(Default)]
struct Fake {
    statuses: Vec<u16>,
    asked: AtomicUsize,
    taken: StdMutex<Vec<(String, Bytes)>>,
}

impl Fake {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        let status = self.statuses.get(nth).copied().unwrap_or(200);
        let media_type = request.headers()["content-type"].to_str().unwrap();
        let line = format!("{} {} {media_type}", request.method(), request.uri());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        if status == 200 {
            self.taken.lock().unwrap().push((line, body));
        }
        Response::builder().status(status).body(Full::default()).unwrap()
    }

    /// Serves it on loopback; the port.
    async fn start(self: &Arc<Self>, tls: Option<tokio_rustls::TlsAcceptor>) -> u16 {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let fake = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let fake = fake.clone();
                let service = service_fn(move |request| {
                    let fake = fake.clone();
                    async move { Ok::<_, Infallible>(fake.answer(request).await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                match &tls {
                    None => {
                        drop(tokio::spawn(http.serve_connection(TokioIo::new(stream), service)))
                    }
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { continue };
                        tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
                    }
                }
            }
        });
        port
    }
}

/// Passes an exchange of two tries, traced.
fn pass(observer: &Observer, otlp: &str) {
    let (core, running) = core(observer, &compile(&document(otlp, 1.0)));
    let mut x = exchange(Some(0), 503);
    x.request.headers.append("traceparent", PARENT);
    x.request.headers.append("tracestate", "a=1");
    start(&running, &mut x, false);
    x.upstream.name = Some("orders".into());
    for (attempt, endpoint, outcome) in [
        (1, "http://10.0.0.7:9001", Err(&codes::CONNECT_FAILED)),
        (2, "http://10.0.0.8:9001", Ok(Status::new(503).unwrap())),
    ] {
        x.upstream.attempts = attempt;
        x.upstream.endpoint = Some(endpoint.into());
        let one = Try::new(&x, 0, 0, core.clock.now());
        observer.clock.advance(Duration::from_millis(5));
        tried(&running, &x, &one, outcome, core.clock.now());
    }
    finish(&core, &running, &mut x, [].iter());
}

async fn flush(observer: &Arc<Observer>) -> bool {
    let observer = observer.clone();
    let flushed = move || observer.flush(Duration::from_secs(20));
    tokio::task::spawn_blocking(flushed).await.unwrap()
}

#[tokio::test]
async fn an_exchange_and_its_tries_reach_the_collector() {
    let fake = Arc::new(Fake::default());
    let port = fake.start(None).await;
    let observer = observer();
    pass(&observer, &format!("http://127.0.0.1:{port}/v1/traces"));
    assert!(flush(&observer).await);
    assert_eq!(
        (observer.metrics.spans_exported.get(), observer.metrics.spans_dropped.get()),
        (3, 0)
    );

    let taken = fake.taken.lock().unwrap().clone();
    let [(line, body)] = &taken[..] else { panic!("one batch: {taken:?}") };
    assert_eq!(line, "POST /v1/traces application/x-protobuf");
    let resource_spans = one(body, 1);
    let resource = attributes(&one(&resource_spans, 1), 1);
    assert_eq!(resource["service.name"], "gateward");
    assert_eq!(resource["service.version"], crate::VERSION);
    let spans = all(&one(&resource_spans, 2), 2);
    let [first, second, server] = &spans[..] else { panic!("three spans") };
    for span in &spans {
        assert_eq!(number(&one(span, 1)[8..]), 0x8448_eb21_1c80_319c, "the caller's trace");
        assert_eq!(text(&one(span, 3)), "a=1", "the caller's state");
    }
    let start = |span: &[u8]| u64::from_le_bytes(one(span, 7).try_into().unwrap());
    let end = |span: &[u8]| u64::from_le_bytes(one(span, 8).try_into().unwrap());
    let base = NOW.as_nanos() as u64;
    assert_eq!((start(first), end(first)), (base, base + 5_000_000));
    assert_eq!((start(second), end(second)), (base + 5_000_000, base + 10_000_000));
    assert_eq!((start(server), end(server)), (base, base + 10_000_000));

    assert_eq!(number(&one(server, 6)), 2, "server");
    assert_eq!(number(&one(server, 4)), 0xb7ad_6b71_6920_3331, "the caller's span");
    assert_eq!(text(&one(server, 5)), "GET /orders/{id}");
    assert_eq!(number(&one(&one(server, 15), 3)), 2, "an error");
    let known = attributes(server, 9);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("url.path", "/orders/42"),
        ("url.scheme", "http"),
        ("server.address", "api.example.com"),
        ("server.port", "80"),
        ("http.response.status_code", "503"),
        ("network.protocol.version", "1.1"),
        ("client.address", "192.0.2.1"),
        ("error.type", "503"),
        ("gateward.api", "orders"),
        ("gateward.upstream", "orders"),
        ("gateward.upstream_tries", "2"),
    ] {
        assert_eq!(known.get(key).map(String::as_str), Some(value), "{key} of {known:?}");
    }
    assert!(!format!("{known:?}").contains("hunter2"), "the query is left out");

    for (span, error, endpoint) in
        [(first, "connect_failed", "10.0.0.7"), (second, "503", "10.0.0.8")]
    {
        assert_eq!(number(&one(span, 6)), 3, "client");
        assert_eq!(one(span, 4), one(server, 2), "caused by the exchange");
        let known = attributes(span, 9);
        assert_eq!(known["error.type"], error);
        assert_eq!((&*known["server.address"], &*known["server.port"]), (endpoint, "9001"));
    }
    assert_eq!(attributes(second, 9)["http.request.resend_count"], "1");
}

#[tokio::test]
async fn a_batch_is_sent_again_where_that_may_help_and_dropped_where_not() {
    for (statuses, asked, taken) in [
        (vec![], 1, true),
        (vec![503, 429], 3, true),
        (vec![503, 502, 504], 3, false),
        (vec![400], 1, false),
        (vec![500], 1, false),
    ] {
        let fake = Arc::new(Fake { statuses: statuses.clone(), ..Fake::default() });
        let port = fake.start(None).await;
        let collector = Collector::new(&format!("http://127.0.0.1:{port}/")).unwrap();
        let sent = deliver(&collector, Bytes::from_static(b"x"), &[Duration::ZERO; 2]).await;
        assert_eq!(sent.is_ok(), taken, "{statuses:?}: {sent:?}");
        assert_eq!(fake.asked.load(Ordering::Relaxed), asked, "{statuses:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_counted_as_lost() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let collector = Collector::new(&format!("http://127.0.0.1:{port}/")).unwrap();
    let sent = deliver(&collector, Bytes::new(), &[]).await;
    assert!(matches!(sent, Err(Failure::ForNow(_))), "{sent:?}");
}

#[tokio::test]
async fn a_collector_behind_tls_must_be_who_it_says() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = key.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let secret = rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], secret.into())
        .unwrap();
    let fake = Arc::new(Fake::default());
    let port = fake.start(Some(Arc::new(server).into())).await;
    let mut collector = Collector::new(&format!("https://localhost:{port}/v1/traces")).unwrap();
    let sent = deliver(&collector, Bytes::from_static(b"x"), &[]).await;
    assert!(matches!(sent, Err(Failure::ForNow(_))), "an unknown authority: {sent:?}");
    assert!(fake.taken.lock().unwrap().is_empty());

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    collector.trust(Arc::new(client));
    assert_eq!(deliver(&collector, Bytes::from_static(b"x"), &[]).await, Ok(()));
    assert_eq!(fake.taken.lock().unwrap().len(), 1);
}

#[test]
fn a_url_that_is_none_of_a_collector_is_refused_with_a_hint() {
    for bad in ["", "localhost:4318", "ftp://a/v1/traces", "/v1/traces", "http://", "ht tp://a"] {
        let Err(problem) = Collector::new(bad) else { panic!("{bad:?} was taken") };
        assert!(problem.contains("http://127.0.0.1:4318/v1/traces"), "{problem}");
    }
}

#[test]
fn an_exporter_stays_while_collector_and_service_do() {
    let observer = observer();
    let traces = |port: u16, service: &str| snapshot::Traces {
        otlp: format!("http://127.0.0.1:{port}/v1/traces"),
        sample: 1.0,
        service: service.into(),
    };
    let follow = |of| observer.traces.follow(&of, &observer.metrics).unwrap().queue;
    let first = follow(traces(9, "a"));
    assert!(first.same_channel(&follow(traces(9, "a"))));
    assert!(!first.same_channel(&follow(traces(9, "b"))));
    assert!(!first.same_channel(&follow(traces(10, "a"))));
}
