//! Against scripted endpoints.

use std::cell::RefCell;

use bytes::Bytes;
use policy::message::{Headers, Scheme, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// Where connections come back to.
#[derive(Default)]
struct Pool(RefCell<Vec<Connection>>);

impl Home for Pool {
    fn back(&self, connection: Connection) {
        self.0.borrow_mut().push(connection);
    }
}

fn connection(home: &Rc<Pool>, capacity: usize) -> (Connection, DuplexStream) {
    let (near, far) = tokio::io::duplex(capacity);
    let home: Rc<dyn Home> = home.clone();
    (Connection::new(Io::Memory(near), Some(home), Permit::free(), Instant::default()), far)
}

/// Sends a request of this method and body to an endpoint that answers with `answer` and then
/// closes, whatever it is sent. Tells what came of it: status, body; `kept` if the connection came
/// home.
async fn told(method: Method, upgrade: bool, answer: &[u8], capacity: usize) -> String {
    let pool = Rc::new(Pool::default());
    let (connection, far) = connection(&pool, capacity);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let mut headers = Headers::new();
    if upgrade {
        // The handshake of RFC 6455 §1.3.
        headers.append("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    let out = Outgoing {
        method,
        scheme: Scheme::Http,
        authority: "a",
        target: "/",
        headers: &headers,
        upgrade: upgrade.then_some("websocket"),
    };
    let call = async {
        let mut response = Response::default();
        let interim = Interim::default();
        let sent = connection.send(&out, Body::Empty, &interim, &mut response).await;
        let mut body = Vec::new();
        let status = match sent {
            Ok(Sent::Response) => response.status.code().to_string(),
            Ok(Sent::Upgraded(upgraded)) => {
                return format!("upgraded {}", String::from_utf8_lossy(&upgraded.read));
            }
            Err(error) => return format!("{:?}: {}", error.kind, error.note),
        };
        let mut end = "";
        while let Some(frame) = response.body.frame().await {
            match frame {
                Ok(Frame::Data(data)) => body.extend_from_slice(&data),
                Ok(Frame::Trailers(trailers)) => body.push(b'0' + trailers.len() as u8),
                Err(_) => end = " broken",
            }
        }
        let kept = if pool.0.borrow().is_empty() { "" } else { " kept" };
        format!("{status} {}{end}{kept}", String::from_utf8_lossy(&body))
    };
    let answer = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            far_read.read_buf(&mut request).await.unwrap();
        }
        // The client may hang up in the middle.
        let _ = far_write.write_all(answer).await;
        let _ = far_write.shutdown().await;
        let mut rest = Vec::new();
        let _ = far_read.read_to_end(&mut rest).await;
    };
    tokio::select! {
        told = call => told,
        () = async { answer.await; std::future::pending().await } => unreachable!("it waits"),
    }
}

#[tokio::test]
async fn responses_are_read_strictly_however_they_are_cut() {
    let table: &[(&str, &str)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi kept"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200  kept"),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "200 hi kept"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204  kept"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "304  kept"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "200 hi kept",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
            "200 hi1 kept",
        ),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "200 hi"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", "200 hi kept"),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 until the end"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "200 hi broken"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "200 hi broken"),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "200  kept",
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200  kept"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Malformed: Content-Length beside Transfer-Encoding",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            "Malformed: there are two Content-Length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
            "Malformed: Content-Length is not a number",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "Malformed: Transfer-Encoding is not exactly `chunked`",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Malformed: HTTP/1.0 has no Transfer-Encoding",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "Malformed: it switches protocols unasked"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "Malformed: a line is ended by LF alone"),
        (
            "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
            "Malformed: a field name is not a token followed by a colon",
        ),
        ("HTTP/1.1 099 No\r\n\r\n", "Malformed: the status is not between 100 and 599"),
        ("HTTP/1.1 999 No\r\n\r\n", "Malformed: the status is not between 100 and 599"),
        ("HTTP/2.0 200 OK\r\n\r\n", "Malformed: the version is malformed"),
        ("hello\r\n\r\n", "Malformed: the version is malformed"),
        ("", "Reset: the endpoint closed the connection without an answer"),
        ("HTTP/1.1 200 OK\r\nCont", "Reset: the endpoint closed the connection within the head"),
    ];
    for (answer, expected) in table {
        for capacity in (4..answer.len().max(5)).chain([4096]) {
            let told = told(Method::Get, false, answer.as_bytes(), capacity).await;
            assert_eq!(told, *expected, "in pieces of {capacity}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn bytes_after_a_response_cost_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiX",
        "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nX",
    ] {
        let told = told(Method::Get, false, answer.as_bytes(), 4096).await;
        assert!(!told.contains("kept"), "{told}: {answer:?}");
    }
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    assert_eq!(told(Method::Head, false, answer, 4096).await, "200  kept");
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(told(Method::Head, false, answer, 4096).await, "200  kept");
}

#[tokio::test]
async fn an_upgrade_that_was_asked_for_gives_the_connection_away() {
    let answer = |accept: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\nfirst frame"
        )
    };
    let good = answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let came = told(Method::Get, true, good.as_bytes(), 4096).await;
    assert_eq!(came, "upgraded first frame");
    let other = answer("AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let came = told(Method::Get, true, other.as_bytes(), 4096).await;
    assert_eq!(came, "Malformed: Sec-WebSocket-Accept answers another handshake");
}

#[tokio::test]
async fn interim_responses_are_bounded() {
    let answer = "HTTP/1.1 102 Processing\r\n\r\n".repeat(11) + "HTTP/1.1 204 No Content\r\n\r\n";
    let told = told(Method::Get, false, answer.as_bytes(), 4096).await;
    assert_eq!(told, "Malformed: too many interim responses");
}

#[tokio::test]
async fn heads_are_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(HEAD.bytes));
    assert_eq!(
        told(Method::Get, false, long.as_bytes(), 4096).await,
        "Malformed: the head is too large"
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEAD.fields + 1));
    let told = told(Method::Get, false, many.as_bytes(), 4096).await;
    assert_eq!(told, "Malformed: there are too many fields");
}

/// A body in pieces that comes only when asked for.
struct Pieces(Vec<&'static [u8]>);

impl BodyStream for Pieces {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match self.0.remove(0) {
            b"broken" => Err(BodyError::Broken),
            piece => Ok(Frame::Data(Bytes::from_static(piece))),
        }))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// What the endpoint reads of a request with this body.
async fn written(method: Method, body: Body) -> (String, Option<SendError>) {
    let pool = Rc::new(Pool::default());
    let (connection, mut far) = connection(&pool, 4096);
    let mut headers = Headers::new();
    headers.append("X-One", "1");
    let out = Outgoing {
        method,
        scheme: Scheme::Http,
        authority: "a:81",
        target: "/b?c",
        headers: &headers,
        upgrade: None,
    };
    let mut response = Response::default();
    let interim = Interim::default();
    let (sent, read) = tokio::join!(connection.send(&out, body, &interim, &mut response), async {
        let mut bytes = vec![0; 4096];
        let mut read = 0;
        while !String::from_utf8_lossy(&bytes[..read]).contains("\r\n\r\n") {
            read += far.read(&mut bytes[read..]).await.unwrap();
        }
        // In memory, what was written together is read together.
        drop(far);
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    });
    (read, sent.err())
}

#[tokio::test]
async fn requests_are_written_in_one_piece() {
    let head = "host: a:81\r\nX-One: 1\r\n";
    let (get, _) = written(Method::Get, Body::Empty).await;
    assert_eq!(get, format!("GET /b?c HTTP/1.1\r\n{head}\r\n"));
    let (post, _) = written(Method::Post, Body::Empty).await;
    assert_eq!(post, format!("POST /b?c HTTP/1.1\r\n{head}content-length: 0\r\n\r\n"));
    let (put, _) = written(Method::Put, Body::from("hi")).await;
    assert_eq!(put, format!("PUT /b?c HTTP/1.1\r\n{head}content-length: 2\r\n\r\nhi"));
    let (chunked, _) = written(Method::Put, Body::Stream(Box::new(Pieces(vec![b"hello"])))).await;
    let start =
        format!("PUT /b?c HTTP/1.1\r\n{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert!(chunked.starts_with(&start), "{chunked}");
}

#[tokio::test]
async fn whether_anything_was_sent_is_known_exactly() {
    let (near, far) = tokio::io::duplex(4096);
    drop(far);
    let connection = Connection::new(Io::Memory(near), None, Permit::free(), Instant::default());
    let headers = Headers::new();
    let out = Outgoing {
        method: Method::Get,
        scheme: Scheme::Http,
        authority: "a",
        target: "/",
        headers: &headers,
        upgrade: None,
    };
    let mut response = Response::default();
    let sent = connection.send(&out, Body::Empty, &Interim::default(), &mut response).await;
    let error = sent.err().unwrap();
    assert_eq!((error.kind, error.sent), (SendFault::Reset, false), "{}", error.note);
    let (_, error) = written(Method::Get, Body::Empty).await;
    let error = error.unwrap();
    assert_eq!((error.kind, error.sent), (SendFault::Reset, true), "{}", error.note);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_clients_fault() {
    let pieces = Body::Stream(Box::new(Pieces(vec![b"hello", b"broken"])));
    let (_, error) = written(Method::Put, pieces).await;
    assert_eq!(error.unwrap().kind, SendFault::Body(BodyError::Broken));
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_or_spoke_out_of_turn_is_not_open() {
    let pool = Rc::new(Pool::default());
    let (mut open, far) = connection(&pool, 64);
    assert!(open.is_open());
    drop(far);
    assert!(!open.is_open(), "closed");
    let (mut open, mut far) = connection(&pool, 64);
    far.write_all(b"H").await.unwrap();
    assert!(!open.is_open(), "bytes that nobody asked for");
}

#[test]
fn a_response_says_by_which_version_it_came() {
    let mut response = Response::default();
    let head = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n";
    head::response(head, HEAD, false, &mut response).unwrap();
    assert_eq!(response.version, Version::Http10);
}
