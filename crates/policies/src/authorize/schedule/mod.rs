//! Lets requests in by the time of day, the day of the week and the date.
//!
//! With `allow`, requests come in inside its windows only; inside those of `deny`, none does.
//! Everything else is refused with 403. Hours are those that clocks in `zone` show, summer time and
//! all, by the IANA time zone database that Gateward was built with.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - schedule:
//!           zone: Europe/Berlin
//!           allow:
//!             - { days: [ mon, tue, wed, thu, fri ], from: "07:00", to: "19:00" }
//!             - { days: [ sat ], from: "22:00", to: "02:00" }    # until Sunday at two
//!           deny:
//!             - { first: 2026-12-24, last: 2026-12-26 }
//! ```
//!
//! A window holds from its first minute until before its last. One whose `to` is before its `from`
//! ends the next day, and belongs to the day on which it begins.

mod window;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::zones;
use window::{Minute, Window};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "schedule",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&CLOSED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static CLOSED: Code = Code {
    name: "outside_schedule",
    status: 403,
    grpc: 7,
    title: "This may not be called at this time",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Call at another time; operators see and change the times in the schedule policy.",
};

/// When requests may come. At least one of the lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schedule")]
struct Settings {
    /// The time zone, by its IANA name.
    #[serde(default = "utc")]
    zone: String,
    /// Windows in which requests may come; at no other time they may.
    #[serde(default)]
    allow: Option<Vec<Times>>,
    /// Windows in which no request may come, also where `allow` has the time.
    #[serde(default)]
    deny: Vec<Times>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A window: every day, all day, but for what is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ScheduleWindow")]
struct Times {
    /// Days of the week on which it begins.
    days: Vec<Day>,
    /// When it begins, as `07:00`.
    from: Option<String>,
    /// When it is over, as `19:00`; `24:00` is the end of the day.
    to: Option<String>,
    /// The first day on which it begins, as `2026-12-24`.
    first: Option<String>,
    /// The last day on which it begins.
    last: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ScheduleDay")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

/// Decides by time.
#[derive(Debug)]
struct Schedule {
    zone: TimeZone,
    allow: Option<Vec<Window>>,
    deny: Vec<Window>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    match &settings.allow {
        None if settings.deny.is_empty() => problems.push(
            Problem::new(at, "neither `allow` nor `deny` has a window")
                .hint("write for example `allow: [ { from: \"07:00\", to: \"19:00\" } ]`"),
        ),
        Some(allow) if allow.is_empty() => problems.push(
            Problem::new(&at.key("allow"), "an empty list lets nobody in, ever")
                .hint("name windows, or leave `allow` out"),
        ),
        _ => {}
    }
    let zone = zones::find(&settings.zone, &at.key("zone"), &mut problems);
    let mut windows = |written: &[Times], at: Pointer| -> Vec<Window> {
        let written = written.iter().enumerate();
        written.map(|(number, times)| window(times, &at.index(number), &mut problems)).collect()
    };
    let allow = settings.allow.as_deref().map(|allow| windows(allow, at.key("allow")));
    let deny = windows(&settings.deny, at.key("deny"));
    match zone {
        Some(zone) if problems.is_empty() => Ok(Arc::new(Schedule { zone, allow, deny })),
        _ => Err(problems),
    }
}

/// A window; what is wrong with it becomes a problem.
fn window(written: &Times, at: &Pointer, problems: &mut Problems) -> Window {
    let mut minute = |word: &str, text: &Option<String>, default: Minute| {
        let Some(text) = text else { return default };
        Minute::read(text).unwrap_or_else(|| {
            let what = format!("`{text}` is no time of the day");
            let hint = "write hours and minutes, as in \"07:00\"";
            problems.push(Problem::new(&at.key(word), what).hint(hint));
            default
        })
    };
    let from = minute("from", &written.from, Minute::FIRST);
    let to = minute("to", &written.to, Minute::END);
    if from == to {
        let problem = Problem::new(at, "the window is over when it begins");
        problems.push(problem.hint("let `to` be another time than `from`, or leave both out"));
    }
    let mut day = |word: &str, text: &Option<String>| {
        let text = text.as_deref()?;
        let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        if day.is_none() {
            let what = format!("`{text}` is no date");
            let hint = "write year, month and day, as in 2026-12-24";
            problems.push(Problem::new(&at.key(word), what).hint(hint));
        }
        day
    };
    let (first, last) = (day("first", &written.first), day("last", &written.last));
    if first.zip(last).is_some_and(|(first, last)| last < first) {
        let problem = Problem::new(&at.key("last"), "the last day is before the first");
        problems.push(problem.hint("let `last` be the later of the two"));
    }
    let days = match written.days.as_slice() {
        [] => 0x7f,
        days => days.iter().fold(0, |all, day| all | window::bit(day.weekday())),
    };
    Window { days, first, last, from, to }
}

impl Policy for Schedule {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let seconds = i64::try_from(exchange.wall.as_secs()).ok();
        let Some(now) = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) else {
            // A clock beyond the year 9999 decides nothing.
            return Step::refuse(Refusal::new(&CLOSED).note("the clock has no date"));
        };
        let now = self.zone.to_datetime(now);
        let within = |windows: &[Window]| windows.iter().any(|window| window.has(now));
        let allowed = self.allow.as_deref().is_none_or(within);
        if allowed && !within(&self.deny) {
            return Step::next();
        }
        let list = if allowed { "in `deny`" } else { "not in `allow`" };
        Step::refuse(Refusal::new(&CLOSED).note(format!("{now} is {list}")))
    }
}
