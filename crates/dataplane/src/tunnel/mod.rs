//! Bytes both ways: a request that has become a tunnel (`Upgrade`, extended CONNECT), or a
//! connection of a TCP listener.

mod half;
pub(crate) mod websocket;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::codec::{Duplex, Upgraded};
use half::Half;

/// Bytes read before a tunnel began, to go first.
#[derive(Default)]
pub(crate) struct Early {
    /// To the upstream.
    pub up: Bytes,
    /// To the client.
    pub down: Bytes,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both ends were done.
    Done,
    /// One of them broke.
    Broken,
    /// Nothing moved for too long.
    Idle,
}

/// Carries bytes both ways until both ends are done, one of them breaks, or nothing moves for
/// `idle`. The end of one direction is passed on and leaves the other open. `on_moved` is told of
/// the bytes that went up (to the upstream) and down, as they go.
pub(crate) async fn copy(
    mut client: impl Duplex,
    upstream: Upgraded,
    idle: Duration,
    on_moved: impl FnMut(u64, u64),
) {
    let Upgraded { io: mut upstream, read } = upstream;
    let early = Early { down: read, ..Early::default() };
    between(&mut client, &mut *upstream, early, idle, on_moved).await;
}

/// The same between two streams that are its caller's, who is told how it ended.
///
/// A tunnel that waits holds no buffer: bytes are read into one that the core's tunnels share, and
/// only what the other side does not take at once is kept, at most one such buffer each way.
pub(crate) async fn between(
    client: &mut (impl Duplex + ?Sized),
    upstream: &mut (impl Duplex + ?Sized),
    early: Early,
    idle: Duration,
    mut on_moved: impl FnMut(u64, u64),
) -> End {
    let mut up = Half::starting_with(early.up);
    let mut down = Half::starting_with(early.down);
    let mut moved = Instant::now();
    let mut alarm = pin!(sleep_until(moved + idle));
    poll_fn(|cx| {
        let before = (up.bytes, down.bytes);
        let there = up.poll(cx, client, upstream);
        let back = down.poll(cx, upstream, client);
        if (up.bytes, down.bytes) != before {
            on_moved(up.bytes - before.0, down.bytes - before.1);
            moved = Instant::now();
        }
        match (there, back) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(End::Broken),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Done),
            _ => {}
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if moved + idle <= Instant::now() {
                return Poll::Ready(End::Idle);
            }
            alarm.as_mut().reset(moved + idle);
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// A tunnel over small pipes: the client's end, the upstream's end, and the tunnel itself.
    fn tunnel(
        read: &'static str,
        idle: Duration,
    ) -> (DuplexStream, DuplexStream, impl Future<Output = (u64, u64)>) {
        let (client, near_client) = duplex(100);
        let (upstream, near_upstream) = duplex(100);
        let upgraded =
            Upgraded { io: Box::new(near_upstream), read: Bytes::from_static(read.as_bytes()) };
        let counted = async move {
            let (mut up, mut down) = (0, 0);
            let moved = |more_up, more_down| {
                up += more_up;
                down += more_down;
            };
            copy(near_client, upgraded, idle, moved).await;
            (up, down)
        };
        (client, upstream, counted)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn bytes_go_both_ways_and_are_counted() {
        let (mut client, mut upstream, tunnel) = tunnel("early ", LONG);
        let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let ends = async {
            let (mut client_read, mut client_write) = tokio::io::split(&mut client);
            let (mut upstream_read, mut upstream_write) = tokio::io::split(&mut upstream);
            let up = async {
                client_write.write_all(&sent).await.unwrap();
                client_write.shutdown().await.unwrap();
            };
            let down = async {
                upstream_write.write_all(b"hello").await.unwrap();
                upstream_write.shutdown().await.unwrap();
            };
            let (mut got, mut answer) = (Vec::new(), String::new());
            let reads = async {
                upstream_read.read_to_end(&mut got).await.unwrap();
                client_read.read_to_string(&mut answer).await.unwrap();
            };
            tokio::join!(up, down, reads);
            assert!(got == expected, "bytes changed on their way");
            assert_eq!(answer, "early hello");
        };
        let (counts, ()) = tokio::join!(tunnel, ends);
        assert_eq!(counts, (200_000, 11));
    }

    #[tokio::test]
    async fn one_direction_can_end_before_the_other() {
        let (mut client, mut upstream, tunnel) = tunnel("", LONG);
        let ends = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = String::new();
            upstream.read_to_string(&mut question).await.unwrap();
            upstream.write_all(b"answer").await.unwrap();
            drop(upstream);
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            (question, answer)
        };
        let (counts, (question, answer)) = tokio::join!(tunnel, ends);
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
        assert_eq!(counts, (8, 6));
    }

    #[tokio::test]
    async fn an_end_that_breaks_ends_the_tunnel() {
        let (mut client, upstream, tunnel) = tunnel("", LONG);
        drop(upstream);
        client.write_all(b"x").await.unwrap();
        assert_eq!(tunnel.await.1, 0);
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_where_nothing_moves_ends() {
        let (mut client, _upstream, tunnel) = tunnel("", Duration::from_secs(60));
        let start = Instant::now();
        let talk = async {
            tokio::time::sleep(Duration::from_secs(59)).await;
            client.write_all(b"still here").await.unwrap();
        };
        let (counts, ()) = tokio::join!(tunnel, talk);
        assert_eq!(counts, (10, 0));
        assert_eq!(start.elapsed().as_secs(), 119, "it counts from the last byte");
    }
}
