//! What every refusal is held to, and every request that is let through: the same over TCP in one
//! piece and byte by byte, and in memory cut at every place.
//!
//! A refusal: the status and the code; not one byte of the request upstream; exactly one log line
//! with the code and no value of the request's; the metric one higher; the next request served.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use base::Clock;
use config::Memory;
use gateward_dataplane::admin::{self, Admin, Instance, Reload};
use gateward_dataplane::{Handle, Observer, Options, UpstreamStatus, start};
use policy::Carry;
use snapshot::{Bind, Snapshot};
use testkit::attack::oracle::Oracle;
use testkit::attack::raw::{self, Answer, End, Told, Until};

use crate::support::{WALL, compiled};

/// A value that no log may show.
pub const CANARY: &str = "canary-4711";

/// Longer payloads are not cut at every place but at some.
const CUT_ALL: usize = 512;

/// A gateway before an oracle.
pub struct Bench {
    /// The gateway.
    pub handle: Handle,
    /// What its first listener is called, as no other is in this process.
    pub listener: String,
    /// Where that stands.
    pub address: SocketAddr,
    /// The origin.
    pub oracle: Oracle,
    /// The gateway's time.
    pub clock: Clock,
    admin: Admin,
}

/// How a request that is refused is answered.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The refusal's code.
    pub code: &'static str,
    /// Whether the connection ends with it.
    pub closes: bool,
    /// Whether the head and what came of the body before the fault may have gone on, as a request
    /// that never ends.
    pub begun: bool,
}

/// A refusal that ends the connection.
pub const fn closed(status: u16, code: &'static str) -> Refused {
    Refused { status, code, closes: true, begun: false }
}

/// A refusal after which the connection goes on.
pub const fn open(status: u16, code: &'static str) -> Refused {
    Refused { status, code, closes: false, begun: false }
}

/// A request that can't be read.
pub const MALFORMED: Refused = closed(400, "request_malformed");

/// A body that can't be read, when its head may be on its way already.
pub const BROKEN: Refused = Refused { status: 400, code: "body_broken", closes: true, begun: true };

/// What most cases need: one API before the oracle. `@UP@` is the oracle's address.
pub const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0' } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ] } ]
apis: [ { name: echo, hosts: [ a.test ], upstream: up } ]
";

impl Bench {
    /// A gateway that runs by `document`, before an oracle that echoes.
    pub async fn new(document: &str) -> Self {
        Self::before(Oracle::start().await, document, Memory::default()).await
    }

    /// A gateway that runs by `document` with `files` around it, before `oracle`. Its clock stands
    /// still.
    pub async fn before(oracle: Oracle, document: &str, files: Memory) -> Self {
        let clock = Clock::fixed(WALL);
        Self::by(clock, oracle, document, files)
    }

    /// The same, by this clock.
    pub fn by(clock: Clock, oracle: Oracle, document: &str, files: Memory) -> Self {
        Lines::listen();
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let listener = format!("web{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let document = document.replace("@UP@", &oracle.address.to_string());
        let document = document.replacen("name: web,", &format!("name: {listener},"), 1);
        let snapshot = Arc::new(compiled(&document, &Carry::default(), &files));
        let bind = snapshot.listeners.first().expect("a listener").bind.clone();
        let options = Options { workers: 1, clock: clock.clone(), ..Options::default() };
        let handle = start(snapshot, options).expect("it starts");
        let instance = Arc::new(Shown(handle.observer().clone()));
        let local = Bind::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let admin = admin::serve(&local, instance, &gateward_dataplane::NoKeeper)
            .expect("an admin listener");
        let address = socket(&handle.address(&bind).expect("it listens"));
        Self { handle, listener, address, oracle, clock, admin }
    }

    /// The sum of the metrics that start with `name`.
    pub async fn metric(&self, name: &str) -> u64 {
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let told = raw::exchange(socket(self.admin.bind()), request, Until::End).await;
        let page = told.answers.first().expect("a page").text();
        let values = page.lines().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// The lines about its refusals with this code.
    pub fn lines(&self, code: &str) -> Vec<String> {
        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let named = [format!("code=\"{code}\""), format!("listener=\"{}\"", self.listener)];
        let named = |line: &&String| named.iter().all(|part| line.contains(part));
        lines.iter().filter(named).cloned().collect()
    }

    /// Waits until the metrics that start with `name` are `value` together.
    pub async fn metric_is(&self, name: &str, value: u64) {
        eventually(&format!("{name} is {value}"), async || self.metric(name).await == value).await;
    }

    /// A request that must be refused, and with it everything behind it.
    pub async fn refuses(&self, what: &str, bytes: &[u8], wanted: Refused) {
        let metric = format!("gateward_refusals_total{{code=\"{}\"}}", wanted.code);
        let (counted, lines) = (self.metric(&metric).await, self.lines(wanted.code).len());
        let sent = self.oracle.bytes();
        let mut runs = 0;
        let until = if wanted.closes { Until::End } else { Until::Answers(1) };
        for way in ways(bytes.len()) {
            // One second's lines are bounded.
            self.clock.advance(Duration::from_secs(1));
            let told = self.play(bytes, way, until).await;
            check_refusal(&format!("{what}, {way:?}"), &told, wanted);
            runs += 1;
        }
        self.metric_is(&metric, counted + runs).await;
        let name = format!("{what}: {runs} lines of {}", wanted.code);
        eventually(&name, async || self.lines(wanted.code).len() as u64 >= lines as u64 + runs)
            .await;
        let new = self.lines(wanted.code).split_off(lines);
        assert_eq!(new.len() as u64, runs, "{what}: one line each: {new:?}");
        assert!(!new.concat().contains(CANARY), "{what}: a line tells too much: {new:?}");
        if wanted.begun {
            let whole = self.oracle.seen();
            assert!(whole.is_empty(), "{what}: the origin saw it whole: {whole:?}");
        } else {
            assert_eq!(self.oracle.bytes(), sent, "{what}: bytes went upstream");
        }
        self.serves_on(what).await;
    }

    /// A well-formed request on another connection is served.
    async fn serves_on(&self, what: &str) {
        let good = b"GET /good HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let told = raw::exchange(self.address, good, Until::Answers(1)).await;
        let statuses: Vec<_> = told.answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200], "{what}: the next one");
        let seen = self.oracle.take();
        let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
        assert_eq!(targets, ["/good"], "{what}: the next one");
        assert!(self.oracle.wrong().is_empty(), "{what}: {:?}", self.oracle.wrong());
    }

    /// Requests that must be let through. `seen` is what the origin is to see, as [`told`] tells
    /// it: once each, in this order, and nothing else.
    pub async fn passes(&self, what: &str, bytes: &[u8], seen: &[&str]) {
        for way in ways(bytes.len()) {
            let told = self.play(bytes, way, Until::Answers(seen.len())).await;
            let statuses: Vec<_> = told.answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, vec![200; seen.len()], "{what}, {way:?}: {told:?}");
            let requests: Vec<_> = self.oracle.take().iter().map(self::told).collect();
            assert_eq!(requests, seen, "{what}, {way:?}");
        }
        assert!(self.oracle.wrong().is_empty(), "{what}: {:?}", self.oracle.wrong());
    }

    /// Answers to `bytes` over TCP, in one piece.
    pub async fn answers(&self, bytes: &[u8], count: usize) -> Vec<Answer> {
        raw::exchange(self.address, bytes, Until::Answers(count)).await.answers
    }

    async fn play(&self, bytes: &[u8], way: Way, until: Until) -> Told {
        match way {
            Way::Whole => raw::exchange(self.address, bytes, until).await,
            Way::ByteByByte => {
                let stream = raw::connect(self.address).await;
                raw::tell(stream, &raw::one_by_one(bytes), &[], until).await
            }
            Way::Holding(capacity) => {
                let stream = self.handle.connect(&self.listener, capacity);
                raw::tell(stream, &[bytes], &[], until).await
            }
        }
    }
}

/// How bytes come.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Over TCP, at once.
    Whole,
    /// Over TCP, one by one.
    ByteByByte,
    /// In memory, by a connection that holds so many: read in pieces of that size, the first of
    /// them cut there.
    Holding(usize),
}

/// Every way in which so many bytes may come.
fn ways(length: usize) -> impl Iterator<Item = Way> {
    let cuts = (1..length).filter(move |at| length <= CUT_ALL || at.is_power_of_two());
    [Way::Whole, Way::ByteByByte].into_iter().chain(cuts.map(Way::Holding))
}

fn check_refusal(what: &str, told: &Told, wanted: Refused) {
    let [answer] = &told.answers[..] else { panic!("{what}: not one answer: {told:?}") };
    let code = answer.code().unwrap_or_default();
    assert_eq!((answer.status, code.as_str()), (wanted.status, wanted.code), "{what}: {told:?}");
    assert_eq!(answer.closes(), wanted.closes, "{what}: {told:?}");
    let ended = told.end == End::Closed;
    assert!(ended || !wanted.closes, "{what}: the connection does not end well: {told:?}");
    assert!(told.left.is_empty(), "{what}: something follows: {told:?}");
}

/// A request as the origin saw it, in one line.
pub fn told(seen: &testkit::attack::oracle::Seen) -> String {
    let body = String::from_utf8_lossy(&seen.body);
    format!("{} {} {body}", seen.method, seen.target).trim_end().to_owned()
}

/// Waits for `holds`, as long as a test may hang.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(raw::PATIENCE, waiting).await;
    assert!(waited.is_ok(), "waited in vain: {what}");
}

/// The address of a TCP listener.
fn socket(bind: &Bind) -> SocketAddr {
    match bind {
        Bind::Tcp(address) => *address,
        Bind::Unix(path) => panic!("{} is no TCP address", path.display()),
    }
}

/// What the admin listener needs to show metrics.
struct Shown(Arc<Observer>);

impl Instance for Shown {
    fn observer(&self) -> &Observer {
        &self.0
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        None
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn upstreams(&self) -> Vec<UpstreamStatus> {
        Vec::new()
    }

    fn reload(&self) -> Reload {
        Box::pin(async { Err(serde_json::Value::Null) })
    }
}

/// The lines about refusals of this process.
struct Lines;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Lines {
    /// Keeps lines from now on.
    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing_subscriber::fmt().with_writer(|| Self).with_ansi(false).init());
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
