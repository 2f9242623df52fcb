use std::task::Waker;
use std::time::Duration;

use base::Clock;
use proptest::prelude::*;

use super::*;
use crate::harness::Hands;

const MILLI: Duration = Duration::from_millis(1);

/// A body that counts how often it was asked.
struct Pieces {
    left: Vec<usize>,
    asked: Rc<std::cell::Cell<usize>>,
}

impl BodyStream for Pieces {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.asked.set(self.asked.get() + 1);
        Poll::Ready(self.left.pop().map(|bytes| Ok(Frame::Data(vec![b'a'; bytes].into()))))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.left.iter().sum::<usize>() as u64)
    }
}

struct Bench {
    clock: Clock,
    table: Arc<Keyed<Buckets>>,
    timers: Rc<dyn Timers>,
    flow: Flow,
}

impl Bench {
    fn new(rate: u64, burst: u64) -> Self {
        let clock = Clock::fixed(Duration::ZERO);
        let timers = Rc::new(Hands(clock.clone()));
        let flow = Flow::new(rate, burst).unwrap();
        Self { clock, table: Arc::default(), timers, flow }
    }

    fn body(&self, key: u64, body: Body) -> Body {
        let table = self.table.clone();
        let meter = Meter { table, key, keys: 1000, way: Way::Down, flow: self.flow };
        Paced::pace(body, meter, &self.timers)
    }

    fn full(&self, key: u64, bytes: usize) -> Body {
        self.body(key, vec![b'a'; bytes].into())
    }

    /// Bytes that come now.
    fn read(body: &mut Body) -> usize {
        let (mut bytes, mut cx) = (0, Context::from_waker(Waker::noop()));
        while let Poll::Ready(Some(frame)) = body.poll_frame(&mut cx) {
            match frame {
                Ok(Frame::Data(data)) => bytes += data.len(),
                other => panic!("{other:?}"),
            }
        }
        bytes
    }

    /// Milliseconds until so many bytes have come.
    fn takes(&self, body: &mut Body, bytes: usize) -> usize {
        let mut read = Self::read(body);
        let mut millis = 0;
        while read < bytes {
            self.clock.advance(MILLI);
            millis += 1;
            read += Self::read(body);
        }
        assert_eq!(read, bytes);
        millis
    }
}

#[test]
fn bytes_take_as_long_as_the_rate_says() {
    let bench = Bench::new(100_000, 0);
    assert_eq!(bench.takes(&mut bench.full(1, 1_000_000), 1_000_000), 10_000);
    let bench = Bench::new(100_000, 50_000);
    assert_eq!(bench.takes(&mut bench.full(1, 1_000_000), 1_000_000), 9_500, "less the burst");
    let bench = Bench::new(100 << 20, 10 << 20);
    assert_eq!(bench.takes(&mut bench.full(1, 200 << 20), 200 << 20), 1_900);
}

#[test]
fn exchanges_of_a_key_share_it_and_other_keys_do_not() {
    let bench = Bench::new(100_000, 0);
    let mut bodies = [bench.full(1, 500_000), bench.full(1, 500_000), bench.full(2, 500_000)];
    let mut read = [0; 3];
    for _ in 0..5_000 {
        for (body, read) in bodies.iter_mut().zip(&mut read) {
            *read += Bench::read(body);
        }
        bench.clock.advance(MILLI);
    }
    for (body, read) in bodies.iter_mut().zip(&mut read) {
        *read += Bench::read(body);
    }
    assert_eq!(read, [250_000, 250_000, 500_000]);
}

#[test]
fn who_leaves_gives_back_what_did_not_go() {
    let bench = Bench::new(100_000, 0);
    let mut leavers: Vec<Body> = (0..100).map(|_| bench.full(1, 500_000)).collect();
    for body in &mut leavers {
        assert_eq!(Bench::read(body), 0);
    }
    drop(leavers);
    assert_eq!(bench.takes(&mut bench.full(1, 100_000), 100_000), 1_000);
}

#[test]
fn no_more_is_held_than_a_piece_and_the_length_stays_known() {
    let bench = Bench::new(100_000, 0);
    let asked = Rc::new(std::cell::Cell::new(0));
    let pieces = Pieces { left: vec![20_000, 20_000], asked: asked.clone() };
    let mut body = bench.body(1, Body::Stream(Box::new(pieces)));
    assert_eq!(body.remaining(), Some(40_000));
    let mut read = Bench::read(&mut body);
    while read < 20_000 {
        assert_eq!(asked.get(), 1);
        bench.clock.advance(MILLI);
        read += Bench::read(&mut body);
        assert_eq!(body.remaining(), Some(40_000 - read as u64));
    }
    assert_eq!(asked.get(), 2);
    assert!(matches!(bench.body(1, Body::Empty), Body::Empty));
}

proptest! {
    /// Whoever reads when, a key gets at no moment more than the burst and what the rate gave.
    #[test]
    fn no_key_gets_more_than_is_due(
        (rate, burst) in (2_000_u64..2_000_000, 0_u64..200_000),
        moves in prop::collection::vec((0_usize..4, 0_u64..50, prop::bool::weighted(0.1)), 1..300),
    ) {
        let bench = Bench::new(rate, burst);
        let all = Bytes::from(vec![b'a'; 4 << 20]);
        let body = || bench.body(1, Body::Full(all.clone()));
        let mut bodies: Vec<Body> = (0..4).map(|_| body()).collect();
        let (mut read, mut millis) = (0, 0);
        for (number, pass, leaves) in moves {
            if leaves {
                bodies[number] = body();
            }
            read += Bench::read(&mut bodies[number]) as u64;
            prop_assert!(read * 1000 <= burst * 1000 + rate * millis, "{} in {} ms", read, millis);
            bench.clock.advance(MILLI * pass as u32);
            millis += pass;
        }
    }
}
