//! An exchange's way past what observes it.

use std::io::Write;
use std::sync::Mutex;

use policy::{Policy, codes};
use tracing_subscriber::fmt::MakeWriter;

use policy::message::Headers;

use super::testing::{DOCUMENT, NOW, compile, core, exchange, observer};
use super::*;

const SENT: &str = "0192345a-bcde-7f00-8000-00000000000f";

fn id_of(headers: &Headers) -> Vec<String> {
    headers.all(Known::XRequestId).map(|id| String::from_utf8_lossy(id).into_owned()).collect()
}

#[test]
fn a_request_id_is_taken_from_trusted_peers_only() {
    let observer = observer();
    let (_, running) = core(&observer, &compile(DOCUMENT));
    for (sent, trusted, kept) in
        [(SENT, true, true), (SENT, false, false), ("42", true, false), ("", true, false)]
    {
        let mut x = exchange(Some(0), 200);
        x.request.headers.append("X-Request-ID", sent);
        x.request.headers.append("x-request-id", "another");
        start(&running, &mut x, trusted);
        assert_eq!(x.id.to_string() == SENT, kept, "{sent:?} {trusted}");
        let id = x.id.to_string();
        x.response.headers.append("X-Request-Id", "the upstream's own");
        mark(&mut x);
        assert_eq!(id_of(&x.response.headers), [id]);
    }
}

/// A policy that keeps what it is told at the end.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<(u64, Duration)>>);

impl Policy for Witness {
    fn on_end(&self, exchange: &Exchange) {
        self.0.lock().unwrap().push((exchange.bytes_out, exchange.times.total));
    }
}

fn step(kind: &'static str, policy: Arc<dyn Policy>) -> ChainStep {
    ChainStep {
        policy,
        kind,
        id: kind.into(),
        phase: policy::Phase::Watch,
        level: snapshot::Level::Document,
        at: Arc::default(),
        plan: None,
        when: None,
    }
}

#[test]
fn policies_see_the_end_with_everything_known() {
    let observer = observer();
    let (core, running) = core(&observer, &compile(DOCUMENT));
    let witness = Arc::new(Witness::default());
    let ran = [step("a", witness.clone()), step("b", witness.clone())];
    let mut x = exchange(Some(0), 200);
    x.bytes_out = 95;
    observer.clock.advance(Duration::from_millis(7));
    finish(&core, &running, &mut x, ran.iter());
    assert_eq!(*witness.0.lock().unwrap(), [(95, Duration::from_millis(7)); 2]);
}

/// What was said, as text.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Said {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Lines said while an exchange that was refused ends.
fn said(ran: &[ChainStep], times: usize) -> String {
    let observer = observer();
    let (core, running) = core(&observer, &compile(DOCUMENT));
    let said = Said::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(said.clone()).with_ansi(false).without_time();
    tracing::subscriber::with_default(subscriber.finish(), || {
        for _ in 0..times {
            let mut x = exchange(None, 404);
            x.refusal = Some(&codes::ROUTE_NOT_FOUND);
            x.note = Some("a note\nof two \u{1b}[31mlines".into());
            x.request.headers.append("Authorization", "Bearer hunter2");
            x.request.target.path = "/a\u{1b}[2J\nforged line".into();
            finish(&core, &running, &mut x, ran.iter());
        }
    });
    String::from_utf8(said.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn a_refusal_leaves_one_line_where_no_access_log_tells_of_it() {
    let text = said(&[], 1);
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in ["route_not_found", "status=404", "client=192.0.2.1", "listener=\"web\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        text.contains(r#"path="/a\u{1b}[2J\nforged line""#),
        "strangers' text is escaped: {text}"
    );
    assert!(!text.contains("hunter2"), "no header, no query: {text}");
    let logged = said(&[step(ACCESS_LOG, Arc::new(Witness::default()))], 1);
    assert_eq!(logged, "", "the access log has it");
}

#[test]
fn a_flood_of_refusals_is_no_flood_of_lines() {
    assert_eq!(said(&[], 500).lines().count(), 10);
}

#[test]
fn refusals_are_counted_even_when_no_line_is_left() {
    let observer = observer();
    let (core, running) = core(&observer, &compile(DOCUMENT));
    let logged = step(ACCESS_LOG, Arc::new(Witness::default()));
    for _ in 0..50 {
        let mut x = exchange(Some(0), 503);
        x.refusal = Some(&codes::DRAINING);
        finish(&core, &running, &mut x, [&logged].into_iter());
    }
    let page =
        observer.metrics.page(&gauges(&OverloadStatus::default()), metrics::Format::Prometheus);
    assert!(page.contains("gateward_refusals_total{code=\"draining\"} 50\n"));
}

static PAST: crate::admin::Past =
    crate::admin::Past { fallback: None, crashed: 0, stuck: 0, last: None };

fn gauges(overload: &OverloadStatus) -> metrics::Gauges<'_> {
    metrics::Gauges {
        snapshot: None,
        ready: false,
        workers: 2,
        uptime: 0.0,
        started: NOW.as_secs_f64(),
        reloaded: None,
        upstreams: &[],
        overload,
        past: &PAST,
    }
}

#[test]
fn a_try_is_counted_with_its_endpoint() {
    let observer = observer();
    let (core, running) = core(&observer, &compile(DOCUMENT));
    let mut x = exchange(Some(0), 200);
    x.upstream.attempts = 1;
    let one = Try::new(&x, 0, 0, core.clock.now());
    observer.clock.advance(Duration::from_millis(2));
    tried(&running, &x, &one, Err(&codes::CONNECT_FAILED), core.clock.now());
    x.upstream.attempts = 2;
    let two = Try::new(&x, 0, 1, core.clock.now());
    tried(&running, &x, &two, Ok(Status::OK), core.clock.now());
    let page =
        observer.metrics.page(&gauges(&OverloadStatus::default()), metrics::Format::Prometheus);
    for line in [
        "failures_total{upstream=\"orders\",endpoint=\"http://10.0.0.7:9001\",code=\"connect_failed\"} 1",
        "tries_total{upstream=\"orders\",endpoint=\"http://10.0.0.8:9001\",class=\"2xx\"} 1",
        "upstream_retries_total{upstream=\"orders\"} 1",
        "first_byte_seconds_count{upstream=\"orders\"} 1",
    ] {
        assert!(page.contains(line), "{line} in\n{page}");
    }
}

#[test]
fn a_snapshot_whose_log_can_not_be_opened_is_not_followed() {
    let text =
        format!("{DOCUMENT}policies: [ access_log: {{ to: {{ file: /nowhere/a.log }} }} ]\n");
    let problems = observer().follow(&compile(&text)).err().unwrap();
    assert!(problems[0].contains("/nowhere/a.log can't be opened"), "{problems:?}");
}

#[test]
fn reloads_are_counted_and_the_last_of_each_kind_is_kept() {
    let observer = observer();
    observer.taken(3);
    observer.refused(serde_json::json!(["no"]));
    observer.clock.advance(Duration::from_secs(1));
    observer.taken(4);
    let last = observer.reloads().last();
    let at = NOW.as_secs_f64();
    assert_eq!(last.taken, Some(reloads::Taken { revision: 4, at: at + 1.0 }));
    let problems = serde_json::json!(["no"]);
    assert_eq!(last.refused, Some(reloads::Refused { at, problems }));
    assert_eq!(observer.metrics.reloads_taken.get(), 2);
    assert_eq!(observer.metrics.reloads_refused.get(), 1);
}
