//! An upstream as one core sees it: who may be picked, and this core's lanes to them.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base::{Clock, Instant};
use config::v1::BalanceBy;
use fastrand::Rng;
use policy::{Refusal, codes};
use snapshot::Balance;

use super::balance::{Balancer, Candidate};
use super::breaker::Pass;
use super::bulkhead::{Load, Place};
use super::compose::Composed;
use super::endpoint::Endpoint;
use super::ewma::Ewma;
use super::fleet::SharedUpstream;
use super::outlier::Verdict;
use super::pool::Pool;
use super::status::candidate;

/// An upstream, on one core, by one snapshot.
pub(crate) struct Upstream {
    shared: Arc<SharedUpstream>,
    clock: Clock,
    view: RefCell<View>,
    lanes: RefCell<HashMap<u64, Rc<Lane>>>,
    rng: RefCell<Rng>,
    spare: RefCell<Vec<Composed>>,
}

/// A request's place among those that run towards an upstream.
pub(crate) type Running = Place<Upstream>;

/// Composed requests whose memory is kept for the next ones.
const SPARE_MAX: usize = 64;

/// Bytes above which its memory is not kept.
const KEEP_MAX: usize = 16 << 10;

/// One core's way to one endpoint: the connections it keeps, and how fast answers came.
pub(crate) struct Lane {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The connections.
    pub pool: Rc<Pool>,
    /// How fast answers came.
    pub latency: Cell<Ewma>,
    /// What makes a connection trusted; another one makes another lane.
    identity: Box<str>,
}

/// What picking goes by, until something changes.
struct View {
    epoch: u64,
    until: Instant,
    lanes: Vec<Rc<Lane>>,
    balancer: Balancer,
}

impl AsRef<Load> for Upstream {
    fn as_ref(&self) -> &Load {
        &self.shared.state.load
    }
}

/// This core's upstreams for a new snapshot: connections of those that stay are kept from `before`.
pub(crate) fn upstreams(
    shared: &[Arc<SharedUpstream>],
    before: &[Rc<Upstream>],
    clock: &Clock,
) -> Vec<Rc<Upstream>> {
    let known = |shared: &SharedUpstream| {
        before.iter().find(|known| Arc::ptr_eq(&known.shared.state, &shared.state))
    };
    let upstream = |shared: &Arc<SharedUpstream>| {
        let lanes = known(shared).map(|known| known.lanes.borrow().clone()).unwrap_or_default();
        Rc::new(Upstream::new(shared.clone(), lanes, clock.clone()))
    };
    shared.iter().map(upstream).collect()
}

impl Upstream {
    fn new(shared: Arc<SharedUpstream>, mut lanes: HashMap<u64, Rc<Lane>>, clock: Clock) -> Self {
        let identity = identity(&shared);
        lanes.retain(|_, lane| *lane.identity == *identity);
        for lane in lanes.values() {
            lane.pool.bound(shared.config.pool);
        }
        let mut rng = Rng::new();
        let view = View {
            epoch: u64::MAX,
            until: Instant::default(),
            lanes: Vec::new(),
            balancer: Balancer::new(&shared.config.balance, &[], 0, None, &mut rng),
        };
        let (view, lanes, rng) = (RefCell::new(view), RefCell::new(lanes), RefCell::new(rng));
        Self { shared, clock, view, lanes, rng, spare: RefCell::default() }
    }

    /// As the snapshot has it.
    pub fn config(&self) -> &Arc<snapshot::Upstream> {
        &self.shared.config
    }

    /// As all cores see it.
    pub fn shared(&self) -> &Arc<SharedUpstream> {
        &self.shared
    }

    /// A lane to the endpoint to use, not one of those to `avoid` (by id) if there is another.
    /// `hash` is what consistent hashing goes by.
    pub fn pick(&self, hash: Option<u64>, avoid: &[u64], now: Instant) -> Option<Rc<Lane>> {
        let mut view = self.view.borrow_mut();
        if view.epoch != self.shared.state.epoch() || now >= view.until {
            *view = self.look(&view, now);
        }
        let View { lanes, balancer, .. } = &mut *view;
        let lane = |at: usize| lanes.get(at);
        let avoided = |at: usize| {
            !avoid.is_empty() && lane(at).is_some_and(|lane| avoid.contains(&lane.endpoint.id))
        };
        let ewma = matches!(self.config().balance, Balance::By(BalanceBy::PeakEwma));
        let load = |at: usize, share: f64| {
            let Some(lane) = lane(at) else { return f64::MAX };
            let active = lane.endpoint.active.load(Relaxed) as f64 / share;
            if ewma { lane.latency.get().cost(active, now) } else { active }
        };
        let at = balancer.pick(hash, &mut self.rng.borrow_mut(), avoided, load)?;
        lanes.get(at).cloned()
    }

    /// The next pick looks who is there anew. Members are stored before they are counted: who saw
    /// them in between would go by the view from before.
    pub fn look_again(&self) {
        self.view.borrow_mut().epoch = u64::MAX;
    }

    /// Leave to send a request, unless the breaker holds it back.
    pub fn admit(&self, now: Instant) -> Result<Pass<'_>, Refusal> {
        let draw = || self.rng.borrow_mut().f64();
        self.shared.state.breaker.admit(&self.config().breaker, now, draw).map_err(|wait| {
            let seconds = wait.as_millis().div_ceil(1_000).max(1).to_string();
            let note = format!("{}: most of its requests fail (breaker)", self.config().name);
            Refusal::new(&codes::BREAKER_OPEN).note(note).header("Retry-After", seconds)
        })
    }

    /// How a request to `endpoint` ended. Ejects it where it fails too often.
    pub fn judge(&self, endpoint: &Endpoint, verdict: Verdict, now: Instant) {
        if let Some(outlier) = &self.config().outlier {
            self.shared.state.judge(outlier, endpoint, verdict, now);
        }
    }

    /// This core's random numbers.
    pub fn rng(&self) -> RefMut<'_, Rng> {
        self.rng.borrow_mut()
    }

    /// Memory to compose a request in.
    pub fn spare(&self) -> Composed {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives it back.
    pub fn give(&self, composed: Composed) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && composed.capacity() <= KEEP_MAX {
            spare.push(composed);
        }
    }

    /// Closes connections that were idle for too long. While requests of any core wait for a place
    /// among the upstream's connections, all idle ones.
    pub fn sweep(&self, now: Instant) {
        let all = self.shared.state.load.pending.load(Relaxed) > 0
            && self.shared.state.load.connections.load(Relaxed)
                >= self.config().breaker.connections;
        for lane in self.lanes.borrow().values() {
            lane.pool.sweep(now, all);
        }
    }

    /// Closes all connections that idle.
    pub fn close_idle(&self) {
        for lane in self.lanes.borrow().values() {
            lane.pool.sweep(self.clock.now(), true);
        }
    }

    /// Looks who is there and how they are.
    fn look(&self, before: &View, now: Instant) -> View {
        let config = self.config();
        let state = &self.shared.state;
        let epoch = state.epoch();
        let members = state.members();
        let mut until = Instant::from_nanos(u64::MAX);
        let candidates: Vec<Candidate> = members
            .list
            .iter()
            .map(|member| {
                let candidate = candidate(member, config.slow_start, now);
                if candidate.ramp < 100 {
                    until = until.min(now.after(ramp_step(config.slow_start)));
                }
                let ejected = member.endpoint.ejected_until(now);
                until = ejected.map_or(until, |end| until.min(end));
                candidate
            })
            .collect();
        let balancer = Balancer::new(
            &config.balance,
            &candidates,
            config.panic_threshold,
            Some(&before.balancer),
            &mut self.rng.borrow_mut(),
        );
        let mut known = self.lanes.borrow_mut();
        let lane = |endpoint: &Arc<Endpoint>| {
            known.remove(&endpoint.id).unwrap_or_else(|| Rc::new(self.lane(endpoint.clone())))
        };
        let lanes: Vec<_> = members.list.iter().map(|member| &member.endpoint).map(lane).collect();
        // Those that are no members any more go, and their idle connections with them.
        *known = lanes.iter().map(|lane| (lane.endpoint.id, lane.clone())).collect();
        View { epoch, until, lanes, balancer }
    }

    fn lane(&self, endpoint: Arc<Endpoint>) -> Lane {
        Lane {
            endpoint,
            pool: Pool::new(self.clock.clone(), self.config().pool),
            latency: Cell::default(),
            identity: identity(&self.shared),
        }
    }
}

fn identity(shared: &SharedUpstream) -> Box<str> {
    let tls = shared.config.tls.as_ref().map_or("", |tls| tls.identity.as_str());
    format!("{:?} {tls}", shared.config.protocol).into()
}

/// How often a ramp is looked at.
fn ramp_step(slow_start: Duration) -> Duration {
    (slow_start / 30).max(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Fleet;
    use crate::observe::testing::{DOCUMENT, compile};

    /// The moment between a name's addresses being stored and their being counted.
    /// Seen to fail: without `look_again` nobody is picked.
    #[test]
    fn members_that_are_not_counted_yet_are_found_when_asked_for() {
        let clock = Clock::system();
        let fleet = Fleet::new(clock.clone());
        let shared = fleet.apply(&compile(DOCUMENT)).remove(0);
        let now = clock.now();
        let members = shared.state.put_without_counting(Arc::default());
        let upstream = Upstream::new(shared.clone(), HashMap::new(), clock);
        assert!(upstream.pick(None, &[], now).is_none(), "nobody is there");
        shared.state.put_without_counting(members);
        assert!(upstream.pick(None, &[], now).is_none(), "and nobody was told");
        upstream.look_again();
        assert!(upstream.pick(None, &[], now).is_some(), "whoever asks again finds them");
    }
}
