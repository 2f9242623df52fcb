//! A TCP proxy between two parties that spoils their connections: it delays, slows down, stalls,
//! swallows, resets, half-closes, splits and corrupts, each direction on its own. Its random
//! numbers come from a seed, so that what went wrong once goes wrong again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Bytes passed on at a time.
const PIECE: usize = 16 << 10;

/// What happens to a direction once, at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing more passes, and the sender is not read any more.
    Stall,
    /// What follows is read and thrown away.
    Swallow,
    /// Both connections are reset (RST).
    Reset,
    /// The receiver sees the end; the other direction goes on.
    HalfClose,
    /// The byte is XORed with this.
    Corrupt(u8),
}

/// How a direction of a connection is spoiled.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Each piece comes this much later.
    pub delay: Duration,
    /// And up to this much more, drawn anew for each.
    pub jitter: Duration,
    /// Bytes a second; none for all there are.
    pub rate: Option<u64>,
    /// Every byte is a segment of its own.
    pub split: bool,
    /// What happens, and after how many bytes; in this order.
    pub faults: Vec<(u64, Fault)>,
}

impl Way {
    /// Spoiled once, after this many bytes.
    pub fn at(byte: u64, fault: Fault) -> Self {
        Self { faults: vec![(byte, fault)], ..Self::default() }
    }
}

/// How a connection is spoiled.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// From the one who connected.
    pub there: Way,
    /// Back to it.
    pub back: Way,
}

/// A running proxy. Lives on the runtime it was started on.
#[derive(Clone)]
pub struct FaultProxy {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FaultProxy {
    /// A proxy before `to`. `plan` is told the number of each connection, from 0, and draws from
    /// numbers that come of `seed` and that number.
    pub async fn start(
        to: SocketAddr,
        seed: u64,
        plan: impl Fn(usize, &mut Rng) -> Plan + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = counted.fetch_add(1, SeqCst);
                let mut rng =
                    Rng::with_seed(seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let plan = plan(number, &mut rng);
                tokio::spawn(connection(near, to, plan, rng));
            }
        });
        Self { address, connections }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

async fn connection(mut near: TcpStream, to: SocketAddr, plan: Plan, mut rng: Rng) {
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    for stream in [&near, &far] {
        // Fails only on a connection that is gone already.
        let _ = stream.set_nodelay(true);
    }
    // Borrowed halves do not say goodbye when they are dropped: a reset comes without.
    let (near, far) = (near.split(), far.split());
    let reset = Notify::new();
    let there = Direction { way: plan.there, rng: rng.fork(), passed: 0, reset: &reset };
    let back = Direction { way: plan.back, rng, passed: 0, reset: &reset };
    let ended = async {
        tokio::join!(there.pump(near.0, far.1), back.pump(far.0, near.1));
    };
    tokio::select! {
        () = ended => {}
        () = reset.notified() => {}
    }
}

/// A direction of a connection, under way.
struct Direction<'r> {
    way: Way,
    rng: Rng,
    passed: u64,
    reset: &'r Notify,
}

impl Direction<'_> {
    async fn pump(self, from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
        self.pass(from, &mut to).await;
        // The end of one direction is passed on as such.
        let _ = to.shutdown().await;
    }

    async fn pass(mut self, mut from: ReadHalf<'_>, to: &mut WriteHalf<'_>) {
        let mut piece = vec![0; PIECE];
        let mut faults = std::mem::take(&mut self.way.faults).into_iter().peekable();
        loop {
            while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= self.passed) {
                match fault {
                    Fault::Corrupt(mask) => {
                        let Some(byte) = read(&mut from, &mut piece[..1]).await else { return };
                        debug_assert_eq!(byte, 1, "a byte was asked for");
                        piece[0] ^= mask;
                        if self.write(to, &piece[..1]).await.is_none() {
                            return;
                        }
                    }
                    fault => return self.spoil(fault, from, to).await,
                }
            }
            let until = faults.peek().map_or(u64::MAX, |(at, _)| *at - self.passed);
            let most = usize::try_from(until).unwrap_or(PIECE).min(PIECE);
            let Some(count) = read(&mut from, &mut piece[..most]).await else { return };
            if self.write(to, &piece[..count]).await.is_none() {
                return;
            }
        }
    }

    /// Passes bytes on, as slowly as is to be; none if the receiver is gone.
    async fn write(&mut self, to: &mut WriteHalf<'_>, bytes: &[u8]) -> Option<()> {
        let jitter = self.way.jitter.mul_f64(self.rng.f64());
        pause(self.way.delay + jitter).await;
        if let Some(rate) = self.way.rate {
            pause(Duration::from_secs_f64(bytes.len() as f64 / rate.max(1) as f64)).await;
        }
        self.passed += bytes.len() as u64;
        if !self.way.split {
            return to.write_all(bytes).await.ok();
        }
        for byte in bytes {
            to.write_all(&[*byte]).await.ok()?;
            tokio::task::yield_now().await;
        }
        Some(())
    }

    async fn spoil(self, fault: Fault, mut from: ReadHalf<'_>, to: &mut WriteHalf<'_>) {
        match fault {
            Fault::Stall => std::future::pending().await,
            Fault::Swallow => while read(&mut from, &mut [0; PIECE]).await.is_some() {},
            Fault::Reset => {
                let _ = from.as_ref().set_zero_linger();
                let _ = to.as_ref().set_zero_linger();
                self.reset.notify_one();
                std::future::pending().await
            }
            Fault::HalfClose => {
                let _ = to.shutdown().await;
                // What still comes is taken, so that the sender is not told.
                while read(&mut from, &mut [0; PIECE]).await.is_some() {}
            }
            Fault::Corrupt(_) => {}
        }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// Reads some bytes; none at the end.
async fn read(from: &mut ReadHalf<'_>, into: &mut [u8]) -> Option<usize> {
    from.read(into).await.ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server that says `said` and then closes is heard to say through a proxy.
    async fn heard(said: &'static [u8], back: Way, seed: u64) -> std::io::Result<Vec<u8>> {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let to = server.local_addr()?;
        let back = move |_: usize, _: &mut Rng| Plan { back: back.clone(), ..Plan::default() };
        let proxy = FaultProxy::start(to, seed, back).await;
        let mut client = TcpStream::connect(proxy.address).await?;
        let (mut stream, _) = server.accept().await?;
        // Fails where the connection is reset already.
        let _ = stream.write_all(said).await;
        drop(stream);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await?;
        Ok(heard)
    }

    #[tokio::test]
    async fn bytes_pass_are_cut_and_corrupted_where_they_should_be() {
        let split = Way { split: true, ..Way::default() };
        let slow = Way { delay: Duration::from_millis(1), rate: Some(1_000), ..Way::default() };
        for (way, expected) in [
            (Way::default(), &b"0123456789"[..]),
            (split, b"0123456789"),
            (slow, b"0123456789"),
            (Way::at(4, Fault::HalfClose), b"0123"),
            (Way::at(4, Fault::Swallow), b"0123"),
            (Way::at(4, Fault::Corrupt(1)), b"0123556789"),
            (Way::at(0, Fault::HalfClose), b""),
        ] {
            assert_eq!(heard(b"0123456789", way.clone(), 7).await.unwrap(), expected, "{way:?}");
        }
    }

    #[tokio::test]
    async fn a_reset_is_one() {
        let error = heard(b"0123456789", Way::at(0, Fault::Reset), 7).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn what_is_drawn_comes_of_the_seed() {
        let drawn = |seed| async move {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
            let plan = move |_: usize, rng: &mut Rng| {
                tell.send(rng.u64(..)).unwrap();
                Plan::default()
            };
            let proxy = FaultProxy::start(server.local_addr().unwrap(), seed, plan).await;
            let mut numbers = Vec::new();
            for _ in 0..3 {
                let _client = TcpStream::connect(proxy.address).await.unwrap();
                numbers.push(told.recv().await.unwrap());
            }
            assert_eq!(proxy.connections(), 3);
            numbers
        };
        let one = drawn(1).await;
        assert_eq!(one, drawn(1).await);
        assert_ne!(one, drawn(2).await);
        assert_ne!(one[0], one[1], "each connection has its own");
    }
}
