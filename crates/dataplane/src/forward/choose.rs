//! Nobody can be picked yet: names are being looked up for the first time, or there is nobody.

use std::rc::Rc;

use base::Instant;
use policy::{Refusal, codes};

use super::upstream::{Lane, Upstream};
use crate::core::Core;
use crate::deadline::Deadline;

/// Waits until `by` for names that are being looked up for the first time, and picks then.
pub(super) async fn later(
    core: &Core,
    upstream: &Upstream,
    hash: Option<u64>,
    failed: &[u64],
    by: Instant,
) -> Result<Rc<Lane>, Refusal> {
    let mut deadline = Deadline::new(&core.timers);
    deadline.set(by);
    let state = &upstream.shared().state;
    while state.members().waiting {
        let looked_up = state.looked_up.notified();
        if !state.members().waiting || deadline.within(looked_up).await.is_err() {
            break;
        }
    }
    upstream.look_again();
    let picked = upstream.pick(hash, failed, core.timers.now());
    picked.ok_or_else(|| nobody(upstream))
}

fn nobody(upstream: &Upstream) -> Refusal {
    let members = upstream.shared().state.members();
    let name = &upstream.config().name;
    if members.list.is_empty() && (members.waiting || members.problem.is_some()) {
        let problem = members.problem.as_deref().unwrap_or("no answer yet");
        let note = format!("{name}: {problem}");
        return Refusal::new(&codes::NAME_NOT_RESOLVED).note(note);
    }
    let note = format!("{name}: none of {} endpoints is usable", members.list.len());
    Refusal::new(&codes::NO_HEALTHY_ENDPOINT).note(note)
}
