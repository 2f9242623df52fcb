//! TLS handshakes take turns: a core works on a few, then on what else is ready, then on the next
//! few. A flood of handshakes, each a millisecond of arithmetic, so stands in a queue of its own
//! and not before everyone's requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::task::{spawn_local, yield_now};

/// Lets a few steps of handshakes pass in each of a core's turns.
#[derive(Default)]
pub(crate) struct Gate {
    /// Steps taken in this turn.
    passed: Cell<usize>,
    /// Who waits, in the order they came.
    waiting: RefCell<VecDeque<Rc<Slot>>>,
    /// Whether there is somebody to begin the next turn.
    kept: Cell<bool>,
}

/// One who waits.
#[derive(Default)]
struct Slot {
    called: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A handshake's place at the gate.
#[derive(Default)]
pub(crate) struct Ticket(Option<Rc<Slot>>);

impl Gate {
    /// Ready when the handshake may take a step: `most` do in a turn.
    pub fn poll_pass(
        self: &Rc<Self>,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        most: usize,
    ) -> Poll<()> {
        if let Some(slot) = &ticket.0 {
            if !slot.called.get() {
                slot.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            ticket.0 = None;
        } else if self.passed.get() >= most || !self.waiting.borrow().is_empty() {
            let slot = Rc::new(Slot::default());
            slot.waker.replace(Some(cx.waker().clone()));
            self.waiting.borrow_mut().push_back(slot.clone());
            ticket.0 = Some(slot);
            return Poll::Pending;
        } else {
            self.passed.set(self.passed.get() + 1);
        }
        if !self.kept.replace(true) {
            spawn_local(keep(self.clone(), most));
        }
        Poll::Ready(())
    }

    /// Calls those whose turn it is; how many.
    fn call(&self, most: usize) -> usize {
        let mut called = 0;
        while called < most {
            let Some(slot) = self.waiting.borrow_mut().pop_front() else { break };
            // Whoever waited there has left.
            if Rc::strong_count(&slot) == 1 {
                continue;
            }
            slot.called.set(true);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
            called += 1;
        }
        called
    }
}

/// Begins turn after turn until nobody waits any more.
async fn keep(gate: Rc<Gate>, most: usize) {
    loop {
        yield_now().await;
        let called = gate.call(most);
        gate.passed.set(called);
        if called == 0 {
            gate.kept.set(false);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "cases are called by their number")]

    use std::future::poll_fn;

    use super::*;

    /// A handshake of three steps that notes each.
    async fn shake(gate: Rc<Gate>, name: u32, steps: Rc<RefCell<Vec<u32>>>) {
        for _ in 0..3 {
            let mut ticket = Ticket::default();
            poll_fn(|cx| gate.poll_pass(cx, &mut ticket, 2)).await;
            steps.borrow_mut().push(name);
            yield_now().await;
        }
    }

    /// Handshakes take turns with all else: a few steps in each, in the order they came.
    ///
    /// Seen to fail: with a gate that lets everyone pass.
    #[tokio::test(flavor = "local")]
    async fn fa_G05_d_handshakes_take_turns() {
        let gate = Rc::new(Gate::default());
        let steps = Rc::new(RefCell::new(Vec::new()));
        let shaking: Vec<_> =
            (0..20).map(|name| spawn_local(shake(gate.clone(), name, steps.clone()))).collect();
        let mut before = 0;
        let mut turns = 0;
        while before < 60 {
            yield_now().await;
            let now = steps.borrow().len();
            assert!(now - before <= 4, "{} steps in a turn", now - before);
            (before, turns) = (now, turns + 1);
            assert!(turns < 1000, "they get through");
        }
        for shaking in shaking {
            shaking.await.unwrap();
        }
        let first: Vec<u32> = steps.borrow().iter().take(20).copied().collect();
        assert_eq!(first, (0..20).collect::<Vec<_>>(), "who came first goes first");
    }

    #[tokio::test(flavor = "local")]
    async fn who_leaves_holds_nobody_up() {
        let gate = Rc::new(Gate::default());
        let steps = Rc::new(RefCell::new(Vec::new()));
        let mut tickets: Vec<Ticket> = (0..10).map(|_| Ticket::default()).collect();
        let cx = Context::from_waker(Waker::noop());
        let passed: Vec<bool> =
            tickets.iter_mut().map(|ticket| gate.poll_pass(&cx, ticket, 2).is_ready()).collect();
        assert_eq!(passed.iter().filter(|passed| **passed).count(), 2);
        drop(tickets);
        tokio::time::timeout(
            std::time::Duration::from_secs(20),
            spawn_local(shake(gate.clone(), 7, steps.clone())),
        )
        .await
        .expect("it gets through")
        .unwrap();
        assert_eq!(steps.borrow().len(), 3);
    }
}
