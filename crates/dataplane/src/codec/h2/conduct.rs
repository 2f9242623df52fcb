//! How a peer behaves on its connection: what it does at our cost is counted and weighed.
//!
//! The h2 crate bounds what one frame, one head and one queue can be. What it lets pass are frames
//! that are right one by one and wrong by their number.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use base::Instant;
use snapshot::Limits;

use super::guard::Head;
use crate::deadline::Timers;
use crate::observe::metrics::http2::{self, Reset};

/// Time over which misconduct adds up.
const WINDOW: Duration = Duration::from_secs(10);

/// The score that ends a connection when it is exceeded.
const FULL: u32 = 1 << 20;

/// Share of a stream reset for the client's fault that a stream refused for want of room weighs:
/// who asks for too many at once may not know the limit yet.
const REFUSED_SHARE: u32 = 4;

/// Bytes of a frame's payload that weigh as much as one frame more, where the payload is of no use.
const USELESS: u32 = 64;

/// Frames about the connection that go with a request or a piece of a response.
const CREDIT: u32 = 4;

/// Frames about the connection that may be saved up.
const CREDIT_MAX: u32 = 256;

/// Frames about the connection that an endpoint may send in that time beyond those that go with
/// requests and answers.
const CONTROL_FRAMES_OF_ENDPOINT: u32 = 10_000;

/// Bytes of heads taken in before the requests they make are looked at.
const TURN: u32 = 16 << 10;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

/// What is thought of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Nothing is wrong.
    Fine,
    /// It is asked to come by another connection, and begins anew there.
    Suspect,
    /// The connection ends at once.
    Abusive,
}

/// A peer's conduct, a client's or an endpoint's. What passes on the connection is told by its
/// guard.
pub(super) struct Conduct {
    timers: Rc<Timers>,
    /// What a stream weighs that the client took back or that was reset for its fault.
    reset_weight: u32,
    /// What a frame about the connection weighs.
    control_weight: u32,
    /// When the current window began.
    since: Cell<Instant>,
    score: Cell<u32>,
    credit: Cell<u32>,
    /// Bytes of heads taken in this turn.
    heads: Cell<u32>,
    /// The error code of the last GOAWAY that was sent.
    goaway: Cell<u32>,
    resets: [Cell<u32>; http2::RESETS.len()],
    has_resets: Cell<bool>,
}

impl Conduct {
    /// Of a client nothing is known of yet.
    pub fn new(timers: &Rc<Timers>, limits: &Limits) -> Rc<Self> {
        Rc::new(Self {
            reset_weight: FULL / limits.http2_resets.clamp(1, FULL),
            control_weight: FULL / limits.http2_control_frames.clamp(1, FULL),
            ..Self::unknown(timers)
        })
    }

    /// Of an endpoint: it is held to what cannot come of what it was asked.
    pub fn of_endpoint(timers: &Rc<Timers>) -> Rc<Self> {
        Rc::new(Self {
            reset_weight: 0,
            control_weight: FULL / CONTROL_FRAMES_OF_ENDPOINT,
            ..Self::unknown(timers)
        })
    }

    fn unknown(timers: &Rc<Timers>) -> Self {
        Self {
            timers: timers.clone(),
            reset_weight: 0,
            control_weight: 0,
            since: Cell::new(timers.now()),
            score: Cell::new(0),
            credit: Cell::new(0),
            heads: Cell::new(0),
            goaway: Cell::new(0),
            resets: Default::default(),
            has_resets: Cell::new(false),
        }
    }

    /// What is thought of the peer by now.
    pub fn verdict(&self) -> Verdict {
        match self.score.get() {
            score if score > FULL => Verdict::Abusive,
            score if score > FULL / 4 * 3 => Verdict::Suspect,
            _ => Verdict::Fine,
        }
    }

    /// The requests read so far are being looked at: more may come.
    pub fn next_turn(&self) {
        self.heads.set(0);
    }

    /// Whether reading has to wait until the requests read so far were looked at, or for good.
    pub fn is_enough(&self) -> bool {
        self.heads.get() >= TURN || self.score.get() > FULL
    }

    /// The client took a request back before its answer.
    pub fn took_back(&self) {
        self.count(Reset::TakenBack);
        self.charge(self.reset_weight);
    }

    /// The error code of the last GOAWAY that was sent; 0 if there was none.
    pub fn goaway(&self) -> u32 {
        self.goaway.get()
    }

    /// Streams that were reset since this was last asked, by kind.
    pub fn take_resets(&self, mut each: impl FnMut(Reset, u32)) {
        if self.has_resets.replace(false) {
            for (kind, count) in http2::RESETS.iter().zip(&self.resets) {
                each(*kind, count.take());
            }
        }
    }

    /// The head of a frame of the peer has come.
    pub fn received(&self, head: Head) {
        match head.kind {
            DATA => {}
            HEADERS | CONTINUATION => {
                self.heads.set(self.heads.get().saturating_add(head.length));
                if head.kind == HEADERS {
                    self.earn();
                }
            }
            // Answers to our own frames, which are few.
            SETTINGS | PING if head.flags & ACK != 0 => {}
            _ => self.pay(1 + head.length / USELESS),
        }
    }

    /// The head of a frame goes to the peer.
    pub fn sent(&self, head: Head) {
        match head.kind {
            DATA | HEADERS => self.earn(),
            _ => {}
        }
    }

    /// A stream is cut short by us, for this reason.
    pub fn reset(&self, kind: Reset) {
        self.count(kind);
        match kind {
            Reset::Refused => self.charge(self.reset_weight / REFUSED_SHARE),
            kind if kind.is_clients_fault() => self.charge(self.reset_weight),
            _ => {}
        }
    }

    /// We end the connection, for this reason.
    pub fn said_goaway(&self, code: u32) {
        self.goaway.set(code);
    }

    fn count(&self, kind: Reset) {
        if let Some(count) = self.resets.get(kind as usize) {
            count.set(count.get() + 1);
            self.has_resets.set(true);
        }
    }

    fn earn(&self) {
        self.credit.set((self.credit.get() + CREDIT).min(CREDIT_MAX));
    }

    /// Frames about the connection: those that go with requests are free.
    fn pay(&self, frames: u32) {
        let left = self.credit.get().checked_sub(frames);
        self.credit.set(left.unwrap_or(0));
        if left.is_none() {
            self.charge(self.control_weight.saturating_mul(frames));
        }
    }

    fn charge(&self, weight: u32) {
        let now = self.timers.now();
        if now.since(self.since.get()) >= WINDOW {
            self.since.set(now);
            self.score.set(0);
        }
        self.score.set(self.score.get().saturating_add(weight));
    }
}
