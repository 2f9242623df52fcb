use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Iter, iter};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use policy::{Answer, Call, Remote, Unanswered};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use snapshot::{Remotes as _, UpstreamTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Remotes;
use super::driver::Driver;
use super::way::Way;

/// TLS that trusts `ca` alone, in the name of `named` if there is one.
fn trusting(ca: Option<CertificateDer<'static>>, named: Option<&str>) -> UpstreamTls {
    let mut roots = rustls::RootCertStore::empty();
    ca.into_iter().for_each(|ca| roots.add(ca).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    UpstreamTls {
        config: Arc::new(config),
        server_name: named.map(|name| ServerName::try_from(name.to_owned()).unwrap()),
        identity: format!("{named:?}"),
        files: Vec::new(),
    }
}

fn plain() -> Arc<dyn Remote> {
    Remotes::default().to(trusting(None, None))
}

/// Calls per connection at least, where connections are kept. A call that comes as the last one
/// ends may not find its connection put back yet, and make one more.
const CALLS_EACH: usize = 2;

/// A listener, and the URL of what it listens at.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// Answers with what was asked, as text.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut said = format!("{:?} {} {}\n", head.version, head.method, head.uri.path());
    for (name, value) in &head.headers {
        said.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    said.push_str(std::str::from_utf8(&body).unwrap());
    Ok(Response::builder().header("x-seen", "yes").body(Full::from(said)).unwrap())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, http2: bool) {
    let (io, service) = (TokioIo::new(stream), service_fn(echo));
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    };
}

/// An echo over plain HTTP, with the number of connections it took.
async fn echoing(http2: bool) -> (String, Arc<AtomicUsize>) {
    let (listener, url) = listener().await;
    let count = Arc::<AtomicUsize>::default();
    let counting = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counting.fetch_add(1, SeqCst);
            tokio::spawn(serve(stream, http2));
        }
    });
    (url, count)
}

/// An echo over TLS for `idp.test`, that offers these protocols.
async fn echoing_tls(alpn: &[&[u8]]) -> (String, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["idp.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                serve(stream, http2).await;
            });
        }
    });
    (url.replace("http:", "https:"), made.cert.der().clone())
}

/// A server that says `said` to the first bytes it reads, and then closes, or not.
async fn saying(said: Vec<u8>, closes: bool) -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&said).await;
            if !closes {
                held.push(stream);
            }
        }
    });
    url
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn is_unreachable(outcome: &Result<Answer, Unanswered>) -> bool {
    matches!(outcome, Err(Unanswered::Unreachable(_)))
}

#[tokio::test]
async fn the_thread_starts_with_the_first_call() {
    let driver = Arc::new(Driver::default());
    let way = Way::new(trusting(None, None), driver.clone());
    assert!(!driver.is_running());
    let (url, _) = echoing(false).await;
    way.call(Call::get(url)).await.unwrap();
    assert!(driver.is_running());
}

#[tokio::test]
async fn a_call_is_sent_as_it_is_made_and_connections_are_kept() {
    let (url, connections) = echoing(false).await;
    let way = plain();
    let call = Call::post(format!("{url}a?b"), "text/plain", "what").header("x-one", "1");
    for _ in 0..20 {
        let answer = way.call(call.clone()).await.unwrap();
        assert_eq!((answer.status, answer.header("x-seen")), (200, Some(&b"yes"[..])));
        let said = text(&answer);
        assert!(said.starts_with("HTTP/1.1 POST /a\n") && said.ends_with("\nwhat"), "{said}");
        for line in ["x-one: 1", "content-length: 4", "host: 127.0.0.1:", "user-agent: gateward/"] {
            assert!(said.contains(line), "{line} in {said}");
        }
    }
    let made = connections.load(SeqCst);
    assert!(made <= 20 / CALLS_EACH, "{made} connections for 20 calls");
}

#[tokio::test]
async fn a_reload_goes_on_with_the_connections_of_the_same_trust() {
    let remotes = Remotes::default();
    let before = remotes.to(trusting(None, None));
    let after = remotes.to(trusting(None, None));
    assert!(Arc::ptr_eq(&before, &after));
    assert!(!Arc::ptr_eq(&before, &remotes.to(trusting(None, Some("a.test")))));
}

#[tokio::test]
async fn calls_come_from_every_core() {
    let (url, connections) = echoing(false).await;
    let way = plain();
    let cores = (0..4).map(|_| {
        let (way, url) = (way.clone(), url.clone());
        std::thread::spawn(move || {
            let core = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for _ in 0..20 {
                assert_eq!(core.block_on(way.call(Call::get(url.clone()))).unwrap().status, 200);
            }
        })
    });
    let cores: Vec<_> = cores.collect();
    tokio::task::spawn_blocking(move || cores.into_iter().for_each(|core| core.join().unwrap()))
        .await
        .unwrap();
    let made = connections.load(SeqCst);
    assert!(made <= 80 / CALLS_EACH, "{made} connections for 80 calls of 4 at once");
}

#[tokio::test]
async fn tls_is_verified_and_alpn_decides() {
    for (alpn, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"),
        (&[b"http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let (url, ca) = echoing_tls(alpn).await;
        let way = |ca, named| Remotes::default().to(trusting(ca, named));
        let answer = way(Some(ca.clone()), Some("idp.test")).call(Call::get(&url)).await.unwrap();
        assert!(text(&answer).starts_with(version), "{}", text(&answer));
        let another = way(Some(ca), None).call(Call::get(&url)).await;
        assert!(is_unreachable(&another), "the certificate is for another name: {another:?}");
        let unknown = way(None, Some("idp.test")).call(Call::get(&url)).await;
        assert!(is_unreachable(&unknown), "its authority is unknown: {unknown:?}");
    }
}

type Frames = StreamBody<Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>>;

/// Answers like gRPC: with trailers.
async fn with_trailers(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [Ok(Frame::data(Bytes::from("message"))), Ok(Frame::trailers(trailers))];
    Ok(Response::new(StreamBody::new(iter(frames))))
}

#[tokio::test]
async fn grpc_is_http2_without_being_asked_and_trailers_come_last() {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(stream), service_fn(with_trailers)).await;
    });
    let mut call = Call::get(url);
    (call.method, call.grpc) = ("POST", true);
    let answer = plain().call(call).await.unwrap();
    assert_eq!(text(&answer), "message");
    assert_eq!(answer.headers.last().unwrap(), &("grpc-status".into(), b"0".to_vec()));
}

#[tokio::test]
async fn grpc_goes_to_no_server_without_http2() {
    let (url, ca) = echoing_tls(&[b"http/1.1"]).await;
    let way = Remotes::default().to(trusting(Some(ca), Some("idp.test")));
    let mut call = Call::get(url);
    call.grpc = true;
    let outcome = way.call(call).await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_late_and_the_connection_ends() {
    let (listener, url) = listener().await;
    let called = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let slow = tokio::spawn(async move {
        // Tests beside this one may still look for who had the port before.
        let mut stream = loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).await.unwrap_or_default();
            if String::from_utf8_lossy(&asked[..count]).contains(&called) {
                break stream;
            }
        };
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
        stream.write_all(head).await.unwrap();
        // A byte now and then keeps nobody waiting longer.
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let outcome = plain().call(Call::get(url).within(Duration::from_millis(300))).await;
    assert_eq!(outcome.unwrap_err(), Unanswered::Late);
    slow.await.unwrap();
    let url = saying(Vec::new(), false).await;
    let outcome = plain().call(Call::get(url).within(Duration::from_millis(100))).await;
    assert_eq!(outcome.unwrap_err(), Unanswered::Late);
}

/// F03, the part of bounds.
#[tokio::test]
async fn an_answer_longer_than_asked_for_is_none() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n".to_vec();
    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    (0..200).for_each(|_| {
        endless.extend_from_slice(b"4000\r\n");
        endless.extend_from_slice(&[b'a'; 0x4000]);
        endless.extend_from_slice(b"\r\n");
    });
    for said in [announced, endless] {
        let url = saying(said, false).await;
        assert_eq!(plain().call(Call::get(url)).await.unwrap_err(), Unanswered::TooLong);
    }
    let exact = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc".to_vec();
    for (most, fits) in [(3, true), (2, false)] {
        let call = Call { most, ..Call::get(saying(exact.clone(), false).await) };
        assert_eq!(plain().call(call).await.is_ok(), fits);
    }
}

#[tokio::test]
async fn broken_answers_are_none() {
    let mut long = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    long.resize(1 << 20, b'a');
    for said in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &long,
    ] {
        let url = saying(said.to_vec(), true).await;
        let outcome = plain().call(Call::get(url)).await;
        assert!(is_unreachable(&outcome), "{outcome:?}");
    }
    let (listener, url) = listener().await;
    drop(listener);
    assert!(is_unreachable(&plain().call(Call::get(url)).await), "nobody listens");
}

/// F03, the part of redirects.
#[tokio::test]
async fn a_redirect_is_an_answer_like_another() {
    let (elsewhere, connections) = echoing(false).await;
    let said = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let answer = plain().call(Call::get(saying(said.into(), false).await)).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(connections.load(SeqCst), 0);
}

/// F03, the part of schemes and users.
#[tokio::test]
async fn what_is_no_plain_http_url_is_not_called() {
    let (url, connections) = echoing(false).await;
    let host = url.trim_start_matches("http://");
    for url in [
        &format!("gopher://{host}"),
        &format!("http://user:secret@{host}"),
        "file:///etc/passwd",
        "http:///path",
        "/path",
        "",
        "http://a b/",
        "ftp://127.0.0.1/",
    ] {
        let outcome = plain().call(Call::get(url)).await;
        assert!(matches!(&outcome, Err(Unanswered::Url(_))), "{url}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains("secret"));
    }
    for (name, value) in [("x", "a\r\nb: c"), ("x y", "a"), ("host", "a"), ("content-length", "9")]
    {
        let outcome = plain().call(Call::get(&url).header(name, value)).await;
        assert!(matches!(&outcome, Err(Unanswered::Url(_))), "{name}: {outcome:?}");
    }
    assert_eq!(connections.load(SeqCst), 0);
}

/// A server that closes each connection when a second request comes by it.
async fn closing() -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let said = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(said).await;
                let _ = stream.read(&mut [0; 4096]).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_question_is_asked_again_where_a_kept_connection_broke_and_an_order_is_not() {
    let (url, way) = (closing().await, plain());
    for _ in 0..6 {
        assert_eq!(way.call(Call::post(&url, "a/b", "a").again()).await.unwrap().status, 200);
    }
    let (url, way) = (closing().await, plain());
    way.call(Call::post(&url, "a/b", "a")).await.unwrap();
    let second = way.call(Call::post(&url, "a/b", "a")).await;
    assert!(is_unreachable(&second), "{second:?}");
}

#[tokio::test]
async fn connections_to_a_server_are_bounded_and_end_with_their_calls() {
    let (listener, url) = listener().await;
    let (driver, tls) = (Arc::new(Driver::default()), trusting(None, None));
    let (all, way) = (driver.free(), Arc::new(Way::new(tls, driver.clone())));
    let calls: Vec<_> = (0..200)
        .map(|_| tokio::spawn(way.call(Call::get(&url).within(Duration::from_secs(60)))))
        .collect();
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..128 {
        open.push(listener.accept().await.unwrap().0);
    }
    let more = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(more.is_err(), "one more than 128");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    for mut stream in open {
        // What is left of the request, and then its end.
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    }
    while driver.free() < all {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn too_many_calls_are_turned_away() {
    let (listener, url) = listener().await;
    let way = plain();
    let calls: Vec<_> = (0..4096).map(|_| way.call(Call::get(&url))).collect();
    let outcome = way.call(Call::get(&url)).await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
    drop((calls, listener));
}
