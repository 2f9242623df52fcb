//! The tries of one exchange: the first, and further ones where the rules, the budget and the time
//! allow them.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base::Instant;
use config::v1::RetryOn;
use policy::message::{Body, Known};
use policy::{Exchange, Refusal, codes};
use smallvec::SmallVec;

use super::attempt::{Busy, Call};
use super::body::{Guarded, Watch};
use super::breaker::Change;
use super::failure::Failure;
use super::outlier::Verdict;
use super::rules::{self, Ended};
use super::tunnel::Held;
use super::upstream::{Lane, Running};
use super::{Passed, choose, hashed};
use crate::codec::{Sent, Upgraded, grpc};
use crate::deadline::Deadline;
use crate::observe::{self, Try};

/// What follows a try that failed.
enum Next {
    /// Nothing.
    GiveUp,
    /// Another at once, by a new connection: an idle one turned out to be closed.
    Fresh,
    /// Another at once: the gateway's own credential was turned down, and there is a new one.
    Renewed,
    /// Another after this time.
    After(Duration),
}

impl Call<'_> {
    /// Tries until there is a response to pass on or nothing more to try.
    pub async fn run(
        &mut self,
        x: &mut Exchange,
        place: Running,
        mut now: Instant,
    ) -> Result<Passed, Refusal> {
        let mut failed: SmallVec<[u64; 4]> = SmallVec::new();
        let mut fresh = false;
        let mut renewed = false;
        let mut tries = 0;
        loop {
            let lane = self.lane(x, &failed, now).await?;
            if !fresh {
                tries += 1;
            }
            x.upstream.attempts = tries;
            x.upstream.endpoint = Some(lane.endpoint.label.clone());
            self.tell_time_left(x, now)?;
            let busy = Busy::new(lane.clone());
            let one = self.begin(&lane, x, now);
            self.attach(&lane, x)?;
            let next = match self.attempt(&lane, fresh, one.started, x).await {
                Ok(Sent::Upgraded(upstream)) => {
                    now = self.answer_seen(&one, x);
                    self.over(false, now);
                    let Upgraded { io, read } = upstream;
                    let io = Box::new(Held::new(io, (place, busy)));
                    return Ok(Passed::Tunnel(Upgraded { io, read }));
                }
                Ok(Sent::Response) => {
                    now = self.answer_seen(&one, x);
                    match self.concluded(&lane, tries, &mut renewed, &mut now, x).await {
                        Next::GiveUp => {
                            self.over(is_unavailable(x), now);
                            self.body.settle();
                            self.guard(x, place, busy, lane);
                            return Ok(Passed::Response);
                        }
                        next => next,
                    }
                }
                Err(failure) => {
                    now = self.core.timers.now();
                    let next = self.failed(&lane, &failure, (tries, fresh), now, x);
                    if !matches!(next, Next::Fresh) {
                        observe::tried(self.running, x, &one, Err(failure.code), now);
                    }
                    if let Next::GiveUp = next {
                        if failure.endpoint {
                            self.over(true, now);
                        }
                        return Err(failure.refusal());
                    }
                    next
                }
            };
            drop(busy);
            x.response.clear();
            fresh = matches!(next, Next::Fresh);
            if let Next::After(wait) = next {
                failed.push(lane.endpoint.id);
                Box::pin(self.wait(wait)).await;
                now = self.core.timers.now();
            }
        }
    }

    /// Whether the endpoint turned down the gateway's own credential, and the request can be sent
    /// again. Nothing was done for one that is answered 401, so that its method is of no account.
    fn is_turned_down(&self, x: &Exchange) -> bool {
        x.credential.is_some() && x.response.status.code() == 401 && self.body.is_whole()
    }

    /// Gets another credential; false if there is none.
    async fn renew(&self, x: &mut Exchange) -> bool {
        let Some(credential) = x.credential.clone() else { return false };
        let Some(renewal) = credential.renew(self.core.clock.wall()) else { return false };
        let renewed = match self.ends.by {
            None => renewal.await,
            Some(by) => {
                let left = by.since(self.core.timers.now());
                let mut late = Deadline::after(&self.core.timers, left);
                tokio::select! {
                    biased;
                    renewed = renewal => renewed,
                    () = late.passed() => None,
                }
            }
        };
        let found = renewed.is_some();
        if found {
            x.credential = renewed;
        }
        found
    }

    /// Puts the gateway's own credential onto the request, where it has one.
    fn attach(&mut self, lane: &Lane, x: &Exchange) -> Result<(), Refusal> {
        let Some(credential) = &x.credential else { return Ok(()) };
        self.composed.attach(&**credential, &lane.endpoint, self.core.clock.wall())
    }

    /// A response's head is here: what follows, be it that the credential was turned down.
    async fn concluded(
        &mut self,
        lane: &Lane,
        tries: u32,
        renewed: &mut bool,
        now: &mut Instant,
        x: &mut Exchange,
    ) -> Next {
        let next = self.answered(lane, tries, *now, x);
        if !matches!(next, Next::GiveUp) || *renewed || !self.is_turned_down(x) {
            return next;
        }
        if !Box::pin(self.renew(x)).await {
            return next;
        }
        *renewed = true;
        *now = self.core.timers.now();
        Next::Renewed
    }

    /// A try begins.
    fn begin(&mut self, lane: &Lane, x: &Exchange, now: Instant) -> Try {
        let (upstream, endpoint) =
            (self.upstream.config().number, lane.endpoint.written.load(Relaxed));
        let one = Try::new(x, upstream, endpoint, now);
        self.composed.set_try(x, &one);
        one
    }

    /// The head of a try's response is here, now.
    fn answer_seen(&self, one: &Try, x: &Exchange) -> Instant {
        let now = one.started.after(x.times.connect).after(x.times.first_byte);
        observe::tried(self.running, x, one, Ok(x.response.status), now);
        now
    }

    /// A response's head is here: pass it on, or try again?
    fn answered(&self, lane: &Lane, tries: u32, now: Instant, x: &mut Exchange) -> Next {
        let status = x.response.status.code();
        x.upstream.status = Some(status);
        lane.latency.set(lane.latency.get().with(x.times.first_byte, now));
        let unavailable = is_unavailable(x);
        let verdict = if unavailable { Verdict::GatewayFailure } else { Verdict::Answered };
        if unavailable {
            lane.endpoint.failed(&format!("answered {status}"));
        }
        self.judge(lane, verdict, now);
        let Some(kind) = rules::kind(status, self.retry) else { return Next::GiveUp };
        let ended = self.ended(kind, true, x);
        if !ended.may_retry(self.retry) {
            return Next::GiveUp;
        }
        match rules::retry_after(&x.response.headers, self.core.clock.wall()) {
            Ok(asked) => self.again(tries, asked.unwrap_or_default(), now),
            Err(()) => Next::GiveUp,
        }
    }

    /// There is no response: try again?
    fn failed(
        &self,
        lane: &Lane,
        failure: &Failure,
        (tries, fresh): (u32, bool),
        now: Instant,
        x: &Exchange,
    ) -> Next {
        let Some(kind) = failure.kind else {
            self.blame(lane, failure, now);
            return Next::GiveUp;
        };
        let ended = self.ended(kind, failure.sent, x);
        let closed = matches!(kind, RetryOn::Reset | RetryOn::Refused);
        let stale = x.upstream.reused && !fresh && closed;
        if stale && ended.is_safe() {
            // It was closed while it was idle: nobody's fault, and no reason to wait or to count.
            return Next::Fresh;
        }
        self.blame(lane, failure, now);
        if !ended.may_retry(self.retry) {
            return Next::GiveUp;
        }
        self.again(tries, Duration::ZERO, now)
    }

    /// The exchange has its answer, or will have none: the breaker is told.
    fn over(&mut self, failed: bool, now: Instant) {
        let (config, state) = (self.upstream.config(), &self.upstream.shared().state);
        let upstream = &*config.name;
        match self.pass.ended(failed, state.budget.requests(), now) {
            Some(Change::Opened) => {
                tracing::warn!(upstream, "most requests fail: none is sent for now");
            }
            Some(Change::Closed) => tracing::info!(upstream, "requests are sent again"),
            None => {}
        }
    }

    /// Another try, if there may be one more and there is time and budget for it.
    fn again(&self, tries: u32, asked: Duration, now: Instant) -> Next {
        // The one request that is to show how the upstream is, is one request.
        if tries > self.retry.attempts || self.pass.is_probe() {
            return Next::GiveUp;
        }
        let wait = rules::backoff(self.retry, tries, &mut self.upstream.rng()).max(asked);
        if self.ends.by.is_some_and(|by| now.after(wait) >= by) {
            return Next::GiveUp;
        }
        let budget = &self.upstream.shared().state.budget;
        if !budget.retry(now, self.retry.budget_percent, self.retry.budget_floor) {
            return Next::GiveUp;
        }
        Next::After(wait)
    }

    fn ended(&self, kind: RetryOn, sent: bool, x: &Exchange) -> Ended {
        Ended { kind, method: x.request.method, sent, whole: self.body.is_whole() }
    }

    fn blame(&self, lane: &Lane, failure: &Failure, now: Instant) {
        if failure.endpoint {
            lane.endpoint.failed(&failure.note);
            self.judge(lane, Verdict::NoAnswer, now);
        }
    }

    fn judge(&self, lane: &Lane, verdict: Verdict, now: Instant) {
        self.upstream.judge(&lane.endpoint, verdict, now);
    }

    /// A lane to an endpoint, another one than those that failed if there is one.
    async fn lane(&self, x: &Exchange, failed: &[u64], now: Instant) -> Result<Rc<Lane>, Refusal> {
        let hash = hashed::hash_of(&self.upstream.config().balance, x);
        if let Some(lane) = self.upstream.pick(hash, failed, now) {
            return Ok(lane);
        }
        let by = now.after(self.timeouts.connect);
        let by = self.ends.by.map_or(by, |end| end.min(by));
        Box::pin(choose::later(self.core, self.upstream, hash, failed, by)).await
    }

    /// Tells the endpoint of a gRPC call how long its answer is still waited for: never longer than
    /// the caller said.
    fn tell_time_left(&mut self, x: &Exchange, now: Instant) -> Result<(), Refusal> {
        if !x.request.headers.has(Known::GrpcTimeout) {
            return Ok(());
        }
        let elapsed = now.since(x.started);
        match grpc::time_left(&x.request.headers, elapsed) {
            Some(Duration::ZERO) => {
                Err(Refusal::new(&codes::TOTAL_TIMEOUT).note("grpc-timeout passed"))
            }
            Some(left) => {
                let end = self.ends.by.map_or(left, |by| by.since(now));
                self.composed.set_time_left(left.min(end));
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn wait(&self, wait: Duration) {
        if !wait.is_zero() {
            Deadline::after(&self.core.timers, wait).passed().await;
        }
    }

    /// Holds what the exchange takes until its response ends, and watches over the pauses in it. A
    /// response that is all here has ended.
    fn guard(&self, x: &mut Exchange, place: Running, busy: Busy, lane: Rc<Lane>) {
        x.response.body = match x.response.body.take() {
            Body::Stream(stream) => Body::Stream(Box::new(Guarded::new(
                stream,
                Watch {
                    idle: self.timeouts.idle,
                    total_by: self.ends.by,
                    clock: self.core.clock.clone(),
                    deadline: Deadline::new(&self.core.timers),
                },
                self.upstream.clone(),
                lane,
                (place, busy),
            ))),
            whole => whole,
        };
    }
}

/// Whether an answer says that the service, or a gateway before it, is down.
fn is_unavailable(x: &Exchange) -> bool {
    matches!(x.response.status.code(), 502..=504)
        || (x.request.is_grpc() && grpc::status(&x.response.headers) == Some(14))
}
