//! Any bytes as the frames of an HTTP/2 client, to the whole data plane in memory. What it answers
//! are well-formed frames in an order that a client can follow, not without a bound; it ends the
//! connection when the client has; nothing in it panics; and the next client is served.

use std::cell::Cell;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use config::Memory;
use dataplane::testing::Plane;
use policy::Carry;
use snapshot::{Inputs, compile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, LocalRuntime};

use super::documents::read;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Settings, and a GET for `http://a.test/` on stream 1.
const PLAIN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x84\x41\x06a.test";

const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:80' } ]
apis: [ { name: fixed, routes: [ { respond: { body: 'hello' } } ] } ]
";

/// When the data plane's time starts: 2026-01-02 03:04:05 UTC.
const WALL: Duration = Duration::from_secs(1_767_323_045);

/// Bytes of an input; longer ones teach nothing more.
const INPUT_MAX: usize = 16 << 10;

thread_local! {
    static BED: Bed = Bed::new();
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// What follows the preface.
pub fn run(input: &[u8]) {
    watch_panics();
    let input = &input[..input.len().min(INPUT_MAX)];
    let (answer, next) = BED.with(|bed| {
        bed.runtime.block_on(async {
            let answer = bed.tell(&[PREFACE, input].concat()).await;
            (answer, bed.tell(&[PREFACE, PLAIN].concat()).await)
        })
    });
    // A task's panic is caught by the runtime, and here.
    assert!(!PANICKED.take(), "a task panicked");
    check(&answer, input.len());
    let streams = check(&next, PLAIN.len());
    let served = streams.get(&1) == Some(&Answer::Ended) && next.windows(5).any(|w| w == b"hello");
    assert!(served, "the next client is not served: {}", next.escape_ascii());
}

fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            hook(info);
        }));
    });
}

/// A data plane in memory, and the time it goes by.
struct Bed {
    runtime: LocalRuntime,
    plane: Plane,
}

impl Bed {
    fn new() -> Self {
        let written = read("fuzz.yaml", DOCUMENT).expect("it can be read");
        let inputs = Inputs {
            registry: &policies::REGISTRY,
            remotes: &snapshot::Nowhere,
            carry: &Carry::default(),
            around: &Memory::default(),
            authorities: &Vec::new,
            ledger: None,
            wall: WALL,
            revision: 1,
        };
        let snapshot = Arc::new(compile(&written, &inputs).expect("it compiles"));
        let mut builder = Builder::new_current_thread();
        let local = builder.enable_all().start_paused(true).build_local(Default::default());
        let runtime = local.expect("a runtime starts");
        let plane = runtime.block_on(async { Plane::new(snapshot, WALL).expect("it runs") });
        Self { runtime, plane }
    }

    /// What comes back for `bytes`, by the time the gateway has ended the connection.
    async fn tell(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut read, mut write) = tokio::io::split(self.plane.connect("web", 64 << 10));
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let told = async {
            let send = async {
                // The gateway may have ended the connection before it read all.
                let _ = write.write_all(first).await;
                self.plane.settle().await;
                let _ = write.write_all(rest).await;
                // Answers that can come have come: the end of a connection ends its streams.
                self.plane.settle().await;
                let _ = write.shutdown().await;
            };
            let receive = async {
                let mut answer = Vec::new();
                let _ = read.read_to_end(&mut answer).await;
                answer
            };
            tokio::join!(send, receive).1
        };
        let mut told = pin!(told);
        for _ in 0..20 {
            tokio::select! {
                biased;
                answer = &mut told => return answer,
                () = self.plane.pass(Duration::from_secs(30)) => {}
            }
        }
        panic!("the connection does not end");
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How far the answer on a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Begun,
    Ended,
}

/// Panics where `answer` is not what a client can follow; how far it is on each stream.
fn check(answer: &[u8], asked: usize) -> HashMap<u32, Answer> {
    assert!(answer.len() <= (8 << 10) + 100 * asked, "{} bytes for {asked}", answer.len());
    let mut streams: HashMap<u32, Answer> = HashMap::new();
    let mut open_block = None;
    let mut rest = answer;
    let mut first = true;
    while let Some((head, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        assert!(!first || kind == SETTINGS, "it starts with settings");
        first = false;
        if let Some(open) = open_block {
            assert!(kind == CONTINUATION && stream == open, "a block of fields that is broken off");
        }
        let ended = streams.get(&stream) == Some(&Answer::Ended);
        match kind {
            DATA => {
                assert!(streams.get(&stream) == Some(&Answer::Begun), "data without a head");
            }
            HEADERS => {
                assert!(stream % 2 == 1, "an answer on a stream no client opens");
                assert!(!ended, "an answer after its end");
            }
            CONTINUATION => assert!(open_block == Some(stream), "more of no block"),
            PUSH_PROMISE => panic!("nobody asked for a push"),
            _ => {}
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            open_block = (flags & END_HEADERS == 0).then_some(stream);
        }
        if matches!(kind, DATA | HEADERS) {
            let end = flags & END_STREAM != 0;
            streams.insert(stream, if end { Answer::Ended } else { Answer::Begun });
        }
        rest = after.get(length..).expect("a frame as long as it says");
    }
    assert!(rest.is_empty(), "bytes that are no frame");
    assert!(open_block.is_none(), "a block of fields without its end");
    streams
}
