//! Lets only bodies through that fit a JSON Schema.
//!
//! The schema stands in the document or in a file of its own, in the draft that its `$schema` names
//! or else 2020-12. A body that does not fit is refused with 400 before the upstream hears of it;
//! the answer's `errors` say where, which rule of the schema, and what is wrong:
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - schema:
//!           schema:
//!             type: object
//!             required: [article, quantity]
//!             additionalProperties: false
//!             properties:
//!               article: { type: string, pattern: "^[A-Z]{3}-[0-9]+$" }
//!               quantity: { type: integer, minimum: 1 }
//! ```
//!
//! ```json
//! {"code":"body_invalid","status":400,"errors":[
//!   {"detail":"it is less than the minimum of 1","pointer":"/quantity",
//!    "rule":"/properties/quantity/minimum"}]}
//! ```
//!
//! The whole body is held back until it is known to fit, at most `max` bytes of it; the upstream
//! gets it as it came. It must be JSON that two readers can't take for different things: each
//! member once, nothing behind it, nested at most 64 deep. A body of another `Content-Type` is
//! refused with 415 unless `other_types: pass` is written, and compressed JSON in any case.
//!
//! A request without a body passes, but for `POST`, `PUT` and `PATCH`, which need `optional: true`
//! for it. With `mode: report` nothing is refused: what would have been stands as `note` in the
//! access log. That is how a schema is tried on traffic before it is enforced.
//!
//! Schemas may refer to others by `$ref`: to what is in themselves, or to files that `references`
//! lists by the URI they are referred to. Nothing is ever fetched. Patterns run in linear time,
//! so those that look around or back are refused when the document is checked.

mod settings;

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::message::Method;
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use serde_json::Value;

use self::settings::Settings;
use crate::mode::Mode;
use crate::protect::body::{self, Format, Other, Seen};
use crate::protect::validator::Validator;
use crate::strict_json;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "schema",
    phase: Phase::Protect,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&INVALID, &body::UNREADABLE, &MISSING, &body::TYPE, &codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static INVALID: Code = Code {
    name: "body_invalid",
    status: 400,
    grpc: 3,
    title: "The body does not fit its schema",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send what the API's documentation asks for; `errors` says where, which rule, and what \
           is wrong.",
};

static MISSING: Code = Code {
    name: "body_missing",
    status: 400,
    grpc: 3,
    title: "The request needs a body",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send a JSON body; operators allow requests without one by `optional: true`.",
};

/// Deepest nesting of a body.
const DEPTH: u8 = 64;

/// Looks whether bodies fit.
#[derive(Debug)]
struct Schema {
    validator: Validator,
    mode: Mode,
    optional: bool,
    other: Other,
    most: usize,
    told: usize,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    Ok(Arc::new(Schema {
        validator: settings.validator(cx.world, at)?,
        mode: settings.mode,
        optional: settings.optional,
        other: settings.other_types,
        most: usize::try_from(settings.max.0).unwrap_or(usize::MAX),
        told: settings.told(),
    }))
}

impl Policy for Schema {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let request = &mut exchange.request;
        if let Some(seen) = body::at_hand(request, Format::Json, self.most) {
            let said = self.judge(request.method, seen);
            return Step::Done(self.mode.settle(exchange, said));
        }
        Step::Wait(Box::pin(async move {
            match body::hold(&mut exchange.request, self.most).await {
                Ok(seen) => {
                    let said = self.judge(exchange.request.method, seen);
                    self.mode.settle(exchange, said)
                }
                Err(broken) => Flow::Refuse(Box::new(broken.into())),
            }
        }))
    }
}

impl Schema {
    fn judge(&self, method: Method, seen: Seen) -> Result<(), Refusal> {
        let body = match seen {
            Seen::Nothing => {
                let needed = matches!(method, Method::Post | Method::Put | Method::Patch);
                return if needed && !self.optional { Err(Refusal::new(&MISSING)) } else { Ok(()) };
            }
            Seen::Other => return self.other.judge(&body::TYPE),
            Seen::Compressed => return Err(Refusal::new(&body::TYPE)),
            Seen::TooLarge => return Err(body::too_large(self.most)),
            Seen::Whole(body) => body,
        };
        let value = strict_json::value(&body, DEPTH)
            .map_err(|error| Refusal::new(&body::UNREADABLE).detail(error.to_string()))?;
        let violations = self.validator.judge(&value, self.told);
        let Some(first) = violations.first() else { return Ok(()) };
        let note = format!("`{}`: {} (`{}`)", first.pointer, first.what, first.rule);
        let told = if self.told == 0 { Vec::new() } else { violations };
        Err(Refusal::new(&INVALID).note(note).violations(told))
    }
}
