//! Refuses JSON that is made to hurt whoever reads it.
//!
//! Bodies nested thousands of levels deep, with a million members, or with a member twice are no
//! mistakes: they are meant to exhaust a parser, or to be read by the gateway in one way and by the
//! upstream in another. The body is held back until it is known to be JSON within these bounds; at
//! the first that is broken it is refused with 400, which says which one.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - json_threat: { depth: 10, max: 64KiB }
//! ```
//!
//! Sizes of names and strings are those of what they stand for, in UTF-8, not of how it is escaped.
//! Numbers that no double can hold are refused, as is whatever is not JSON (RFC 8259): comments, a
//! comma too many, a byte order mark, more than one value.
//!
//! Bodies of another `Content-Type` can't be looked into. They are refused with 415 unless
//! `other_types: pass` is written; an upstream that reads JSON whatever the type says would else be
//! reached around this. JSON that is compressed is refused with 415 in any case. A request without
//! a body passes.
//!
//! With `mode: report` nothing is refused: what would have been stands as `note` in the access log.
//! Where a `schema` is given, too, it comes second: write this one before it.

mod walk;

use std::hash::RandomState;
use std::sync::Arc;

use base::{ByteSize, Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::mode::Mode;
use crate::protect::body::{self, Format, Other, Seen};
use walk::{Bad, Bounds, Broken};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "json_threat",
    phase: Phase::Protect,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&THREAT, &body::UNREADABLE, &body::TYPE, &codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static THREAT: Code = Code {
    name: "json_threat",
    status: 400,
    grpc: 3,
    title: "The JSON is larger or deeper than is taken here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send less at once: the detail says of what. Operators raise that bound of the \
           json_threat policy where callers need more.",
};

/// Deepest nesting that can be allowed: the reader's own bound is a little above.
const DEPTH_MAX: u8 = 100;

/// What JSON may be like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsonThreat")]
struct Settings {
    /// Objects and lists inside each other.
    #[serde(default = "depth")]
    #[schemars(range(max = 100))]
    depth: u8,
    /// Members of an object.
    #[serde(default = "members")]
    members: usize,
    /// Items of a list.
    #[serde(default = "items")]
    items: usize,
    /// Values in all, objects and lists among them.
    #[serde(default = "values")]
    values: usize,
    /// Bytes of a member's name.
    #[serde(default = "name")]
    #[schemars(default = "name")]
    name: ByteSize,
    /// Bytes of a string.
    #[serde(default = "string")]
    #[schemars(default = "string")]
    string: ByteSize,
    /// Whether an object may have a member twice. Readers differ in which of them they take.
    #[serde(default)]
    repeated: bool,
    /// Bytes of the body, all of which is held back until it is looked through.
    #[serde(default = "max")]
    #[schemars(default = "max")]
    max: ByteSize,
    /// What becomes of a body that is not as it should be.
    #[serde(default)]
    mode: Mode,
    /// What becomes of bodies that are not JSON by their `Content-Type`.
    #[serde(default)]
    other_types: Other,
}

const fn depth() -> u8 {
    20
}

const fn members() -> usize {
    1_000
}

const fn items() -> usize {
    10_000
}

const fn values() -> usize {
    100_000
}

const fn name() -> ByteSize {
    ByteSize(256)
}

const fn string() -> ByteSize {
    ByteSize(64 << 10)
}

const fn max() -> ByteSize {
    ByteSize(1 << 20)
}

/// Looks through JSON.
#[derive(Debug)]
struct JsonThreat {
    bounds: Bounds,
    hasher: RandomState,
    most: usize,
    mode: Mode,
    other: Other,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    if settings.depth > DEPTH_MAX {
        let what = format!("nesting is looked through {DEPTH_MAX} deep at most");
        let hint = "few readers take more; leave the policy out where the upstream's does";
        problems.push(Problem::new(&at.key("depth"), what).hint(hint));
    }
    if settings.max.0 == 0 || settings.values == 0 {
        let key = if settings.max.0 == 0 { "max" } else { "values" };
        let what = "a bound of 0 lets no body through";
        let hint = "to let no body through use `body_size: { max: 0 }`";
        problems.push(Problem::new(&at.key(key), what).hint(hint));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let bytes = |size: ByteSize| usize::try_from(size.0).unwrap_or(usize::MAX);
    Ok(Arc::new(JsonThreat {
        bounds: Bounds {
            depth: settings.depth,
            members: settings.members,
            items: settings.items,
            values: settings.values,
            name: bytes(settings.name),
            string: bytes(settings.string),
            repeated: settings.repeated,
        },
        hasher: RandomState::new(),
        most: bytes(settings.max),
        mode: settings.mode,
        other: settings.other_types,
    }))
}

impl Policy for JsonThreat {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if let Some(seen) = body::at_hand(&exchange.request, Format::Json, self.most) {
            let said = self.judge(seen);
            return Step::Done(self.mode.settle(exchange, said));
        }
        Step::Wait(Box::pin(async move {
            match body::hold(&mut exchange.request, self.most).await {
                Ok(seen) => {
                    let said = self.judge(seen);
                    self.mode.settle(exchange, said)
                }
                Err(broken) => Flow::Refuse(Box::new(broken.into())),
            }
        }))
    }
}

impl JsonThreat {
    fn judge(&self, seen: Seen) -> Result<(), Refusal> {
        let body = match seen {
            Seen::Nothing => return Ok(()),
            Seen::Other => return self.other.judge(&body::TYPE),
            Seen::Compressed => return Err(Refusal::new(&body::TYPE)),
            Seen::TooLarge => return Err(body::too_large(self.most)),
            Seen::Whole(body) => body,
        };
        walk::check(&body, &self.bounds, &self.hasher).map_err(|bad| match bad {
            Bad::Form(why) => Refusal::new(&body::UNREADABLE).detail(why),
            Bad::Bound(broken, bound) => Refusal::new(&THREAT).detail(broken.told(bound)),
        })
    }
}

impl Broken {
    /// What is told to whoever sent it.
    fn told(self, bound: usize) -> String {
        match self {
            Self::Depth => format!("objects and lists are nested more than {bound} deep"),
            Self::Members => format!("an object has more than {bound} members"),
            Self::Items => format!("a list has more than {bound} items"),
            Self::Values => format!("there are more than {bound} values"),
            Self::Name => format!("a member's name has more than {bound} bytes"),
            Self::String => format!("a string has more than {bound} bytes"),
            Self::Repeated => "an object has a member twice".to_owned(),
        }
    }
}
