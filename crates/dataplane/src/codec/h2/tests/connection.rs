//! Connections of clients: how they end, and what they are held to.

use std::future::poll_fn;
use std::time::Duration;

use base::Clock;
use h2::Reason;

use super::client::{client, echo, post, wait};
use super::frames::{self, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM};
use super::stub::{pass, serve, serve_rest};
use super::*;
use crate::codec::{Client, Interim};
use crate::observe::metrics::http2::End;

/// Work that its stream's end does not end counts on: more never runs than streams may be open.
///
/// Seen to fail: with open streams counted instead of work in `Place::take`, all 40 run.
#[test]
#[allow(non_snake_case, reason = "tests carry the numbers of their cases")]
fn fa_B02_c_work_that_outlives_its_stream() {
    on_a_core(async {
        let running = Rc::new(std::cell::Cell::new(0));
        let count = running.clone();
        let (_stub, mut io, _task) = serve(Clock::system(), async move |_, _, _| {
            count.set(count.get() + 1);
            std::future::pending::<()>().await;
        });
        frames::start(&mut io).await;
        let head = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
        for number in 0..40 {
            let stream = number * 2 + 1;
            frames::Frame::head(stream, END_STREAM, &head).write(&mut io).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            frames::Frame::new(RST_STREAM, 0, stream, &8u32.to_be_bytes()).write(&mut io).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(running.get(), 10, "as many as streams may be open");
        let refused = frames::next(&mut io, &[RST_STREAM]).await.unwrap();
        assert_eq!(refused.error(), u32::from(Reason::REFUSED_STREAM));
    });
}

#[test]
fn a_connection_that_is_to_end_finishes_what_it_has() {
    on_a_core(async {
        let script = Script::default();
        let source = script.clone();
        let (stub, io, task) = serve(Clock::system(), async move |x, client, _| {
            x.response.body = source.body();
            client.answer(x, false).await;
        });
        let (sender, driver) = client(io, |_| {}).await;
        let mut sender = sender.ready().await.unwrap();
        let (response, _) = sender.send_request(post(), true).unwrap();
        script.data(b"before ");
        let mut body = response.await.unwrap().into_body();
        stub.close();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(poll_fn(|cx| sender.poll_ready(cx)).await.is_err(), "GOAWAY has come");
        script.data(b"after");
        script.push(None);
        let mut got = Vec::new();
        while let Some(piece) = body.data().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(got, b"before after");
        drop((sender, body));
        driver.await.unwrap().unwrap();
        task.await.unwrap();
    });
}

#[test]
fn an_idle_connection_gets_goaway_and_ends_even_if_the_client_does_not_listen() {
    on_a_core(async {
        let clock = Clock::fixed(Duration::ZERO);
        let (_stub, mut io, task) =
            serve(clock.clone(), async |x, client, _| client.answer(x, false).await);
        frames::start(&mut io).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        pass(&clock, Duration::from_secs(59)).await;
        assert!(!task.is_finished());
        pass(&clock, Duration::from_secs(2)).await;
        let bye = frames::next(&mut io, &[GOAWAY]).await.unwrap();
        assert_eq!(bye.error(), 0);
        pass(&clock, Duration::from_secs(6)).await;
        assert!(task.is_finished());
    });
}

#[test]
fn requests_taken_back_again_and_again_end_the_connection() {
    on_a_core(async {
        let (stub, mut io, task) =
            serve(Clock::system(), async |x, client, _| wait(client, x).await);
        frames::start(&mut io).await;
        let head = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
        for number in 0..150 {
            let stream = number * 2 + 1;
            frames::Frame::head(stream, END_STREAM, &head).write(&mut io).await;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            frames::Frame::new(RST_STREAM, 0, stream, &8u32.to_be_bytes()).write(&mut io).await;
            tokio::task::yield_now().await;
        }
        // First it is asked to come by another connection.
        let bye = frames::next(&mut io, &[GOAWAY]).await.unwrap();
        assert_eq!(bye.error(), u32::from(Reason::NO_ERROR));
        let bye = frames::next(&mut io, &[GOAWAY]).await.unwrap();
        assert_eq!(bye.error(), u32::from(Reason::ENHANCE_YOUR_CALM));
        task.await.unwrap();
        assert_eq!(stub.ended.get(), Some(End::Calm));
        let begun = stub.ends.borrow().len();
        assert!((39..=51).contains(&begun), "{begun}");
    });
}

#[test]
fn what_was_read_to_find_out_the_protocol_is_not_lost() {
    on_a_core(async {
        let (_stub, mut io, _task) =
            serve_rest(Clock::system(), b"PRI * HTTP", async |x, client, _| {
                client.answer(x, false).await
            });
        tokio::io::AsyncWriteExt::write_all(&mut io, &frames::PREFACE[10..]).await.unwrap();
        frames::Frame::new(frames::SETTINGS, 0, 0, b"").write(&mut io).await;
        let head = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
        frames::Frame::head(1, END_STREAM, &head).write(&mut io).await;
        let answer = frames::next(&mut io, &[HEADERS, GOAWAY]).await.unwrap();
        assert_eq!(answer.kind, HEADERS);
    });
}

#[test]
fn a_body_nobody_reads_is_not_taken_from_the_client() {
    on_a_core(async {
        let (_stub, io, _task) = serve(Clock::system(), async |_, client, _| {
            client.accompany(&Interim::default()).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let (_response, mut send) = sender.send_request(post(), false).unwrap();
        send.send_data(many(1 << 20).into(), true).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (_other, mut other) = sender.send_request(post(), false).unwrap();
        other.reserve_capacity(1 << 20);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(other.capacity(), 64 << 10, "the connection has room, the stream a window");
    });
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    fn frame() -> impl Strategy<Value = (u8, u8, u32, Vec<u8>)> {
        let kind = prop_oneof![4 => Just(HEADERS), 2 => Just(DATA), 3 => 0u8..12];
        (kind, any::<u8>(), 0u32..6, prop::collection::vec(any::<u8>(), 0..60))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn are_served_or_refused_without_a_panic(
            list in prop::collection::vec(frame(), 1..12),
        ) {
            let ended = on_a_core(async {
                let (_stub, mut io, task) =
                    serve(Clock::system(), async |x, client, _| echo(x, client).await);
                frames::start(&mut io).await;
                for (kind, flags, stream, payload) in list {
                    frames::Frame::new(kind, flags, stream, &payload).write(&mut io).await;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                drop(io);
                task.await
            });
            prop_assert!(ended.is_ok(), "{ended:?}");
        }
    }
}
