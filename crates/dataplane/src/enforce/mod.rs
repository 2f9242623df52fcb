//! A route's policies, run forth and back; and what the gateway says when it says no.

mod body_limit;
pub(crate) mod guard;
pub(crate) mod identity;
pub(crate) mod names;
mod refuse;

use std::rc::Rc;

use policy::message::Response;
use policy::{Exchange, Flow, Refusal, codes};
use smallvec::SmallVec;
use snapshot::{Chain, ChainStep};

use crate::deadline::Timers;

pub(crate) use body_limit::body_limit;
use guard::Way;
pub(crate) use refuse::refuse;

/// A chain, and which of its policies ran.
pub(crate) struct Passage<'c> {
    chain: &'c Chain,
    /// A bit for each policy.
    ran: SmallVec<[u64; 2]>,
    timers: Rc<Timers>,
}

impl<'c> Passage<'c> {
    /// A chain of which nothing ran yet.
    pub fn new(chain: &'c Chain, timers: &Rc<Timers>) -> Self {
        Self { chain, ran: SmallVec::new(), timers: timers.clone() }
    }

    /// Runs the policies in order, those whose condition holds, until one answers or refuses. Gives
    /// that answer.
    pub async fn request(&mut self, x: &mut Exchange) -> Result<Option<Box<Response>>, Refusal> {
        for (number, step) in self.chain.steps.iter().enumerate() {
            if !applies(step, x)? {
                continue;
            }
            self.note(number);
            match guard::hook(&self.timers, step, Way::Forth, x).await {
                Flow::Continue => {}
                Flow::Reply(response) => return Ok(Some(response)),
                Flow::Refuse(refusal) => return Err(*refusal),
            }
        }
        Ok(None)
    }

    /// Runs the policies that ran before in reverse order, now on the response. True if the
    /// connection is to be closed after it.
    pub async fn response(&self, x: &mut Exchange) -> bool {
        if self.ran.is_empty() {
            return false;
        }
        x.answered = self.timers.now();
        let mut close = false;
        for step in self.ran().rev() {
            match guard::hook(&self.timers, step, Way::Back, x).await {
                Flow::Continue => {}
                Flow::Reply(response) => x.response = *response,
                Flow::Refuse(refusal) => close |= refuse(x, *refusal),
            }
        }
        close
    }

    /// The policies whose `on_request` ran.
    pub fn ran(&self) -> impl DoubleEndedIterator<Item = &'c ChainStep> {
        let steps = self.chain.steps.iter().enumerate();
        steps.filter(|(number, _)| self.did_run(*number)).map(|(_, step)| step)
    }

    fn did_run(&self, number: usize) -> bool {
        self.ran.get(number / 64).is_some_and(|bits| bits & (1 << (number % 64)) != 0)
    }

    fn note(&mut self, number: usize) {
        if self.ran.len() <= number / 64 {
            self.ran.resize(number / 64 + 1, 0);
        }
        if let Some(bits) = self.ran.get_mut(number / 64) {
            *bits |= 1 << (number % 64);
        }
    }
}

/// Whether a policy's condition holds. One that can't be evaluated denies.
fn applies(step: &ChainStep, x: &Exchange) -> Result<bool, Refusal> {
    if let Some(plan) = &step.plan
        && x.plan.as_ref().is_none_or(|own| *own.name != **plan)
    {
        return Ok(false);
    }
    let Some(when) = &step.when else { return Ok(true) };
    when.holds(x).map_err(|note| {
        Refusal::new(&codes::CONDITION_FAILED).note(format!("{} at {}: {note}", step.id, step.at))
    })
}
