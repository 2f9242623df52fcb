//! Endpoints that speak HTTP/2 and mean no good.

use std::time::Duration;

use testkit::attack::frames::{Block, Frame, code, flag, kind, setting};

use super::house::{Client, Does, House, ends, nth, refusal, two};

/// So many requests of one client that are at work at one endpoint, on one connection.
async fn at_work(house: &House, method: &str, requests: u32) -> (Client, Client) {
    at_work_with(house, method, requests, &[]).await
}

async fn at_work_with(
    house: &House,
    method: &str,
    requests: u32,
    settings: &[(u16, u32)],
) -> (Client, Client) {
    let mut client = house.client_with(settings).await;
    let ends = method == "GET";
    client.send(&Frame::head(1, ends, &two(method))).await;
    let mut endpoint = house.endpoint_called(&[]).await;
    assert_eq!(endpoint.next_of(&[kind::HEADERS]).await.expect("a request").stream, 1);
    for request in 1..requests {
        client.send(&Frame::head(nth(request), ends, &two(method))).await;
        let head = endpoint.next_of(&[kind::HEADERS]).await.expect("a request");
        assert_eq!(head.stream, nth(request));
    }
    (client, endpoint)
}

/// Answers a request with 200 and a word.
async fn answer(endpoint: &mut Client, stream: u32) {
    endpoint.send(&Frame::head(stream, false, &Block::response(200))).await;
    endpoint.send(&Frame::data(stream, true, b"fine")).await;
}

/// What is wrong with one answer is that request's matter alone: 502 before the client has its
/// head, a broken stream after it; the other request on the connection does not notice.
///
/// Seen to fail: the checks are the h2 crate's but for the number of interim responses; without
/// `INTERIM_MAX` that case is named.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B26_a_what_spoils_one_answer() {
    let ok = || Block::response(200);
    let head = |block: &Block| Frame::head(1, true, block).bytes();
    let open = Frame::head(1, false, &ok()).bytes();
    let with = |name: &str, value: &str| head(&ok().field(name, value));
    let cases = [
        ("no status", head(&Block::new().field("a", "b"))),
        ("a field of the connection", with("transfer-encoding", "chunked")),
        ("two lengths", head(&ok().field("content-length", "1").field("content-length", "2"))),
        ("a length and no body", with("content-length", "5")),
        ("a window too large", Frame::window_update(1, 0x7fff_ffff).bytes()),
        (
            "too many interim responses",
            Frame::head(1, false, &Block::response(103)).bytes().repeat(50),
        ),
        ("a head of 100 KiB", head(&ok().remembered("a", [b'x'; 4000]).repeated(62, 25))),
        ("a reset", Frame::reset(1, code::INTERNAL_ERROR).bytes()),
    ];
    let mut wrong = Vec::new();
    for (name, bytes) in cases {
        let house = House::new(Does::Answer);
        let (mut client, mut endpoint) = at_work(&house, "POST", 2).await;
        endpoint.send_bytes(&bytes).await;
        let told = tokio::time::timeout(Duration::from_secs(30), refusal(&mut client, 1)).await;
        answer(&mut endpoint, 3).await;
        let other = tokio::time::timeout(Duration::from_secs(30), client.response(3)).await;
        if told.as_ref().map_or(0, |told| told.0) != 502 || other != Ok((200, b"fine".to_vec())) {
            wrong.push(format!("{name}: {told:?}, {other:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, rest) in [
        ("trailers that do not end", Frame::head(1, false, &Block::new().field("a", "b")).bytes()),
        ("a second head", Frame::head(1, true, &ok()).bytes()),
        ("more data than it may", Frame::data(1, false, &[0; 16_384]).bytes().repeat(4)),
        ("a reset", Frame::reset(1, code::CANCEL).bytes()),
    ] {
        let house = House::new(Does::Answer);
        let (mut client, mut endpoint) = at_work(&house, "POST", 2).await;
        endpoint
            .send_bytes(&[&open[..], &Frame::data(1, false, b"part").bytes(), &rest].concat())
            .await;
        let reset = client.next_of(&[kind::RST_STREAM, kind::GOAWAY]).await.expect("it breaks off");
        assert_eq!((reset.kind, reset.stream), (kind::RST_STREAM, 1), "{name}");
        answer(&mut endpoint, 3).await;
        assert_eq!(client.response(3).await, (200, b"fine".to_vec()), "{name}");
    }
}

/// What is wrong with the connection ends it. Requests that may be repeated are, elsewhere; the
/// client's own connection goes on.
///
/// Seen to fail: with what ended the connection taken for a malformed answer of each request, as
/// it was, the innocent one is refused.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B26_b_what_spoils_a_connection() {
    let promise = Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 1, [0, 0, 0, 2, 0x82]);
    let cases = [
        ("a promise", promise.bytes()),
        ("a status that is none", Frame::head(3, true, &Block::response(2)).bytes()),
        ("an answer to nobody", Frame::head(99, true, &Block::response(200)).bytes()),
        ("a window too large", Frame::window_update(0, 0x7fff_ffff).bytes()),
        ("a block that is none", Frame::new(kind::HEADERS, 5, 3, [0x80]).bytes()),
        ("a head of 400 KiB", {
            let bomb = Block::response(200).remembered("a", [b'x'; 4000]).repeated(62, 100);
            Frame::head(3, true, &bomb).bytes()
        }),
        ("a head that never ends", {
            let open = Frame::new(kind::HEADERS, 0, 3, Block::response(200).bytes()).bytes();
            [open, Frame::continuation(3, false, b"").bytes().repeat(50)].concat()
        }),
        ("pings without end", Frame::ping(1).bytes().repeat(20_000)),
        ("a frame of 16 MiB", Frame::new(kind::DATA, 0, 3, []).claiming((1 << 24) - 1)),
    ];
    let mut wrong = Vec::new();
    for (name, bytes) in cases {
        let house = House::new(Does::Answer);
        let (mut client, mut endpoint) = at_work(&house, "GET", 2).await;
        let writes = tokio::task::spawn_local(async move {
            endpoint.send_bytes(&bytes).await;
            while endpoint.next().await.is_some() {}
        });
        house.endpoint_answers();
        house.pass(Duration::from_secs(1)).await;
        let told = tokio::time::timeout(Duration::from_secs(30), client.response(1)).await;
        if told != Ok((200, b"again".to_vec())) {
            wrong.push(format!("{name}: {told:?}"));
        }
        house.still_answers(&mut client, 5).await;
        writes.abort();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// GOAWAY with ten requests at work: those it covers are finished, the others were never begun and
/// are sent once more, whatever they are.
///
/// Seen to fail: with `Refused` told as `Reset` in `head::fault`, those with bodies are refused.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B27_goaway_with_requests_at_work() {
    for method in ["GET", "POST"] {
        let house = House::new(Does::Answer);
        let (mut client, mut endpoint) = at_work(&house, method, 10).await;
        endpoint.send(&Frame::goaway(nth(2), code::NO_ERROR)).await;
        let again = house.endpoint_answers();
        house.pass(Duration::from_secs(1)).await;
        for request in 0..3 {
            answer(&mut endpoint, nth(request)).await;
        }
        let mut answered = 0;
        while answered < 10 {
            let frame = client.next().await.expect("answers");
            // A client that is answered before it has sent all is told that the rest is not wanted.
            let broken = frame.kind == kind::RST_STREAM && frame.error() != code::NO_ERROR;
            assert!(!broken && frame.kind != kind::GOAWAY, "{method}: {frame:?}");
            if frame.kind == kind::HEADERS {
                assert_eq!(frame.status(), Some(200), "{method}");
            }
            answered += u32::from(ends(&frame));
        }
        assert_eq!(again.get(), 7, "{method}: those it did not take, once");
    }
}

/// An endpoint that goes without a word: requests that it may have begun are not repeated.
///
/// Seen to fail: with `Refused` told by `head::fault` for whatever breaks, they are, without end.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B27_b_an_endpoint_that_just_goes() {
    let house = House::new(Does::Answer);
    let (mut client, endpoint) = at_work(&house, "POST", 3).await;
    drop(endpoint);
    for request in 0..3 {
        let (status, refused) = refusal(&mut client, nth(request)).await;
        assert_eq!((status, &*refused), (502, "upstream_reset"), "it may have been at work");
    }
    house.still_answers(&mut client, nth(3)).await;
}

/// A client that takes nothing of one answer does not hold up another on the same connection to the
/// endpoint.
///
/// Seen to fail: with a connection's window of one stream's (`clamp(STREAM_WINDOW, STREAM_WINDOW)`)
/// the second waits for ever.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B28_one_stream_that_stalls() {
    const LENGTH: usize = 1 << 20;
    let house = House::new(Does::Answer);
    let closed = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let (mut client, mut endpoint) = at_work_with(&house, "GET", 2, &closed).await;
    client.send(&Frame::window_update(0, 1 << 28)).await;
    client.send(&Frame::window_update(3, 1 << 28)).await;
    for stream in [1, 3] {
        endpoint.send(&Frame::head(stream, false, &Block::response(200))).await;
    }
    for _ in 0..2 {
        endpoint.send(&Frame::data(1, false, &[b'x'; 16_384])).await;
    }
    let sends = tokio::task::spawn_local(async move {
        let (mut window, mut left) = (32 << 10, LENGTH);
        while left > 0 {
            while window >= 16_384 && left > 0 {
                left -= 16_384;
                window -= 16_384;
                endpoint.send(&Frame::data(3, left == 0, &[b'y'; 16_384])).await;
            }
            let Some(frame) = endpoint.next().await else { return };
            if frame.kind == kind::WINDOW_UPDATE && frame.stream == 3 {
                window += u32::from_be_bytes(frame.payload[..4].try_into().unwrap()) as usize;
            }
        }
        while endpoint.next().await.is_some() {}
    });
    let mut received = 0;
    while received < LENGTH {
        let frame = client.next_of(&[kind::DATA, kind::RST_STREAM]).await.expect("data comes");
        assert_eq!((frame.kind, frame.stream), (kind::DATA, 3));
        received += frame.payload.len();
    }
    sends.abort();
}
