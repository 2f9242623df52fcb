//! Endpoints that refuse, break off, fall silent, or send more than anyone reads.

use std::future::poll_fn;
use std::time::Duration;

use base::Clock;
use h2::Reason;
use http::Response as Head;
use tokio::task::spawn_local;

use super::upstream::{connect, endpoint, endpoint_at, get, ok, post, received};
use super::*;
use crate::codec::SendFault;

#[test]
fn what_an_endpoint_did_not_process_can_be_sent_again() {
    on_a_core(async {
        let connection = endpoint(
            |_| {},
            |(_, mut respond)| async move { respond.send_reset(Reason::REFUSED_STREAM) },
        )
        .await;
        let error = get(&connection).await.unwrap_err();
        assert_eq!((error.kind, error.sent), (SendFault::Refused, false));
        assert!(connection.is_open());
    });
}

#[test]
fn a_broken_stream_is_a_reset_and_may_have_been_processed() {
    on_a_core(async {
        let connection = endpoint(
            |_| {},
            |(_, mut respond)| async move { respond.send_reset(Reason::INTERNAL_ERROR) },
        )
        .await;
        let error = get(&connection).await.unwrap_err();
        assert_eq!((error.kind, error.sent), (SendFault::Reset, true));
    });
}

#[test]
fn goaway_leaves_what_was_taken_and_hands_back_what_was_not() {
    on_a_core(async {
        let (near, far) = tokio::io::duplex(1 << 16);
        let connection = connect(near, Clock::system()).await;
        let served = spawn_local(async move {
            let mut connection = h2::server::handshake(far).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            connection.graceful_shutdown();
            // The final GOAWAY goes out after a ping came back.
            let closed = poll_fn(|cx| connection.poll_closed(cx));
            let answer = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let mut send = respond.send_response(ok(), false).unwrap();
                send.send_data(Bytes::from("late"), true).unwrap();
                drop((respond, send));
            };
            let _ = tokio::join!(closed, answer);
        });
        let first = get(&connection);
        let second = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(!connection.is_open());
            get(&connection).await
        };
        let (first, second) = tokio::join!(first, second);
        assert!(matches!(first.unwrap().body, Body::Full(bytes) if bytes == "late"));
        let error = second.unwrap_err();
        assert_eq!((error.kind, error.sent), (SendFault::Refused, false));
        served.await.unwrap();
    });
}

#[test]
fn a_response_nobody_wants_any_more_is_cancelled() {
    on_a_core(async {
        let (told, reset) = tokio::sync::oneshot::channel();
        let told = RefCell::new(Some(told));
        let connection = endpoint(
            |_| {},
            move |(_, mut respond)| {
                let told = told.borrow_mut().take().unwrap();
                async move {
                    let mut send = respond.send_response(ok(), false).unwrap();
                    send.send_data("start".into(), false).unwrap();
                    let _ = told.send(poll_fn(|cx| send.poll_reset(cx)).await.unwrap());
                }
            },
        )
        .await;
        let script = Script::default();
        let response = post(&connection, script.body()).await.unwrap();
        drop(response);
        assert_eq!(reset.await.unwrap(), Reason::CANCEL);
        assert!(script.is_dropped(), "the request's body is not wanted either");
        assert_eq!(connection.free_streams(), 10);
    });
}

#[test]
fn a_body_that_breaks_off_never_looks_whole_to_the_endpoint() {
    on_a_core(async {
        let (told, end) = tokio::sync::oneshot::channel();
        let told = RefCell::new(Some(told));
        let connection = endpoint(
            |_| {},
            move |(request, _respond)| {
                let told = told.borrow_mut().take().unwrap();
                async move {
                    let error = received(&mut request.into_body()).await.unwrap_err();
                    let _ = told.send(error.reason());
                }
            },
        )
        .await;
        let script = Script::default();
        script.data(b"half of it");
        script.push(Some(Err(BodyError::TooLarge)));
        let error = post(&connection, script.body()).await.unwrap_err();
        assert_eq!(error.kind, SendFault::Body(BodyError::TooLarge));
        assert_eq!(end.await.unwrap(), Some(Reason::CANCEL));
    });
}

#[test]
fn a_body_of_another_length_than_announced_is_broken() {
    on_a_core(async {
        let connection = endpoint(
            |_| {},
            |(_, mut respond)| async move {
                let head = Head::builder().header("content-length", "10").body(()).unwrap();
                let mut send = respond.send_response(head, false).unwrap();
                send.send_data("short".into(), false).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                send.send_data(Bytes::new(), true).unwrap();
            },
        )
        .await;
        let mut response = get(&connection).await.unwrap();
        assert_eq!(response.body.remaining(), Some(10));
        assert_eq!(read(&mut response.body).await.2, Err(BodyError::Broken));
    });
}

#[test]
fn an_endpoint_that_falls_silent_within_a_body_is_given_up() {
    on_a_core(async {
        let clock = Clock::fixed(Duration::ZERO);
        let connection = endpoint_at(
            clock.clone(),
            |_| {},
            |(_, mut respond)| async move {
                let mut send = respond.send_response(ok(), false).unwrap();
                send.send_data("start".into(), false).unwrap();
                std::future::pending::<()>().await;
            },
        )
        .await;
        let mut response = get(&connection).await.unwrap();
        assert!(matches!(response.body.frame().await, Some(Ok(Frame::Data(_)))));
        let silence = async {
            tokio::time::sleep(Duration::from_secs(61)).await;
            clock.advance(Duration::from_secs(61));
        };
        let (next, ()) = tokio::join!(response.body.frame(), silence);
        assert!(matches!(next, Some(Err(BodyError::Timeout))), "{next:?}");
    });
}

#[test]
fn responses_nobody_reads_hold_up_themselves_alone() {
    on_a_core(async {
        let taken = Rc::new(std::cell::Cell::new(0));
        let count = taken.clone();
        let connection = endpoint(
            |builder| {
                builder.max_send_buffer_size(1 << 10);
            },
            move |(request, mut respond)| {
                let count = count.clone();
                async move {
                    if request.method() == "GET" {
                        respond.send_response(ok(), true).unwrap();
                        return;
                    }
                    let mut send = respond.send_response(ok(), false).unwrap();
                    loop {
                        send.reserve_capacity(1 << 10);
                        let Some(Ok(room)) = poll_fn(|cx| send.poll_capacity(cx)).await else {
                            return;
                        };
                        send.send_data(vec![0; room].into(), false).unwrap();
                        count.set(count.get() + room);
                    }
                }
            },
        )
        .await;
        let mut unread = Vec::new();
        for _ in 0..9 {
            unread.push(post(&connection, Body::Empty).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let window = 32 << 10;
        assert!(
            taken.get() > 5 * window,
            "{} bytes were taken: flow control is per stream",
            taken.get()
        );
        assert!(taken.get() <= 9 * (window + (1 << 10)), "{} bytes were taken", taken.get());
        assert_eq!(get(&connection).await.unwrap().status.code(), 200);
    });
}
