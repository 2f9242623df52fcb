//! A data plane on one core, started from a document, and clients that speak bytes to it.

use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use config::{Memory, Schema, read_text};
use gateward_dataplane::{Handle, MemoryMeter, Options, Remotes, start};
use policy::Carry;
use snapshot::{Inputs, Snapshot, compile};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::answers;

/// 2026-01-02 03:04:05 UTC.
pub const WALL: Duration = Duration::from_secs(1_767_323_045);

/// A running data plane.
pub struct Gateway {
    /// The handle under test.
    pub handle: Arc<Handle>,
    carry: Carry,
    around: Memory,
}

impl Gateway {
    /// Starts one by this document (YAML). Its clock stands still.
    pub fn new(document: &str) -> Self {
        Self::start(document, Clock::fixed(WALL), Memory::default(), MemoryMeter::system())
    }

    /// Starts one by this document, with the clock it goes by, to be moved by hand.
    pub fn timed(document: &str) -> (Self, Clock) {
        let clock = Clock::fixed(WALL);
        let memory = MemoryMeter::system();
        (Self::start(document, clock.clone(), Memory::default(), memory), clock)
    }

    /// Starts one by this document that goes by real time, for timeouts and the like.
    pub fn real(document: &str) -> Self {
        Self::start(document, Clock::system(), Memory::default(), MemoryMeter::system())
    }

    /// Starts one that goes by real time, with these files around its document.
    pub fn real_with(document: &str, files: Memory) -> Self {
        Self::start(document, Clock::system(), files, MemoryMeter::system())
    }

    /// Starts one that goes by real time and uses as much memory as `meter` says.
    pub fn metered(document: &str, meter: MemoryMeter) -> Self {
        Self::start(document, Clock::system(), Memory::default(), meter)
    }

    fn start(document: &str, clock: Clock, around: Memory, memory: MemoryMeter) -> Self {
        let carry = Carry::default();
        let snapshot = Arc::new(compiled(document, &carry, &around));
        let options = Options { workers: 1, clock, memory };
        let handle = Arc::new(start(snapshot, options).expect("it starts"));
        Self { handle, carry, around }
    }

    /// Swaps its document for another.
    pub fn swap(&self, document: &str) {
        let snapshot = compiled(document, &self.carry, &self.around);
        self.handle.swap(Arc::new(snapshot)).expect("it swaps");
    }

    /// A connection to the listener `web` that holds this many bytes each way.
    pub fn connect(&self, capacity: usize) -> DuplexStream {
        self.handle.connect("web", capacity)
    }

    /// Sends `request` over a connection that takes `capacity` bytes at a time, and tells what
    /// comes back: so many responses, or fewer if the connection ends before. One that says it
    /// closes must do so.
    pub async fn tell(&self, request: &[u8], responses: usize, capacity: usize) -> String {
        let (mut read, mut write) = tokio::io::split(self.connect(capacity));
        let send = async {
            // The gateway may have closed before it read all.
            let _ = write.write_all(request).await;
            std::future::pending::<()>().await;
        };
        let receive = async {
            let mut bytes = Vec::new();
            let mut told = String::new();
            let mut left = responses;
            let mut closes = false;
            while left > 0 || closes {
                if read.read_buf(&mut bytes).await.expect("it is read") == 0 {
                    break;
                }
                while let Some(answer) = answers::take(&mut bytes) {
                    // Whether one is needed depends on how the body's bytes arrive.
                    if answer.status == 100 {
                        continue;
                    }
                    told.push_str(&answer.told());
                    closes = answer.closes();
                    left = left.saturating_sub(1);
                }
            }
            assert!(bytes.is_empty(), "left over: {}", String::from_utf8_lossy(&bytes));
            told
        };
        tokio::select! {
            () = send => unreachable!("it waits"),
            told = receive => told,
        }
    }
}

/// The document, compiled.
pub fn compiled(document: &str, carry: &Carry, around: &Memory) -> Snapshot {
    let schema = Schema::with_policies(policies::schemas());
    let written = read_text("test.yaml", document, &schema, around).expect("it can be read");
    let inputs = Inputs {
        registry: &policies::REGISTRY,
        remotes: &Remotes::default(),
        carry,
        around,
        authorities: &Vec::new,
        ledger: None,
        wall: WALL,
        revision: 1,
    };
    compile(&written, &inputs).expect("it compiles")
}
