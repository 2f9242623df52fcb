//! A policy that panics, or waits without end, fails the one request it had in its hands: it is
//! refused, and never goes on as if the policy had let it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use policy::{Exchange, Flow, Refusal, Step, codes};
use snapshot::ChainStep;

use crate::deadline::{Deadline, Timers};

/// Longest that a hook may wait. Policies bound their own calls to servers far below this; it is
/// there for one that forgot to.
const WAIT: Duration = Duration::from_secs(300);

/// Which way an exchange passes.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// To the upstream.
    Forth,
    /// And back.
    Back,
}

/// Sees the hook of `step` for this way through.
pub(super) async fn hook(
    timers: &Rc<Timers>,
    step: &ChainStep,
    way: Way,
    x: &mut Exchange,
) -> Flow {
    match caught(|| match way {
        Way::Forth => step.policy.on_request(x),
        Way::Back => step.policy.on_response(x),
    }) {
        Some(Step::Done(flow)) => flow,
        Some(Step::Wait(flow)) => waited(timers, step, flow).await,
        None => failed(step, "panicked"),
    }
}

/// What a hook that waits comes to.
async fn waited(
    timers: &Rc<Timers>,
    step: &ChainStep,
    mut flow: Pin<Box<dyn Future<Output = Flow> + '_>>,
) -> Flow {
    let mut deadline = Deadline::after(timers, WAIT);
    poll_fn(|cx| match caught(|| flow.as_mut().poll(cx)) {
        Some(Poll::Ready(flow)) => Poll::Ready(flow),
        Some(Poll::Pending) => deadline.poll(cx).map(|()| failed(step, "waited for too long")),
        None => Poll::Ready(failed(step, "panicked")),
    })
    .await
}

/// Tells `step` that it is over.
pub(crate) fn end(step: &ChainStep, x: &Exchange) {
    if caught(|| step.policy.on_end(x)).is_none() {
        tracing::error!(policy = &*step.id, id = %x.id, "a policy panicked when all was over");
    }
}

/// What `work` gives; nothing if it panics. What it had in its hands is the exchange, of which
/// nothing is used after that but what a refusal puts in its response's place.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn failed(step: &ChainStep, how: &str) -> Flow {
    let refusal = Refusal::new(&codes::POLICY_ERROR);
    Flow::Refuse(Box::new(refusal.note(format!("{} at {} {how}", step.id, step.at))))
}
