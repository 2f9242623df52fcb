//! Holds an API to its OpenAPI document: callers, and the upstream too where that is asked for.
//!
//! An API names its document, of OpenAPI 3.1, 3.0 or 2.0, as YAML or JSON. Its operations become
//! the API's routes, and each takes what the document says it takes:
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /
//!     upstream: http://127.0.0.1:9001
//!     contract: orders.yaml
//!   - name: shop
//!     path: /shop
//!     upstream: http://127.0.0.1:9002
//!     contract:
//!       file: orders.yaml
//!       mode: report
//!       unknown_operations: pass
//!       responses: { percent: 10 }
//!     routes:
//!       - match: { operation: getOrder }
//!         policies: [ { rate: { limit: 10, window: 1s } } ]
//! ```
//!
//! It is the one policy that does not stand in `policies:`, because it says which routes there are.
//! Paths of the document are below the API's `path`, whatever its `servers` say. A route is called
//! by its `operationId`; one that is written with `match: { operation: … }` takes that operation's
//! place, with policies, an upstream and timeouts of its own. Other routes that are written are
//! none of the contract's business. `gateward import openapi FILE` writes such an API.
//!
//! **What is held to.** Parameters of path, query, header and cookie in every style, which are read
//! as the types that their schemas have; that what is required is there; the body's type; bodies in
//! JSON, of forms (`application/x-www-form-urlencoded`) and of plain text. Bodies of other types,
//! multipart and XML among them, are held to their type only. What is `readOnly` need not be in
//! requests, and what is `writeOnly` not in responses. A request that does not fit is refused with
//! 400 before the upstream hears of it; `errors` say where in the request (`/query/limit`,
//! `/body/lines/0/quantity`), which rule of the document, and what is wrong:
//!
//! ```json
//! {"code":"contract_broken","status":400,"errors":[
//!   {"detail":"it is less than the minimum of 1","pointer":"/body/quantity",
//!    "rule":"/components/schemas/Order/properties/quantity/minimum"}]}
//! ```
//!
//! Query parameters that the operation does not have are refused unless `unknown_parameters` says
//! `report` or `pass`; header fields and cookies never are. What the contract has no operation for
//! is answered with 404 or 405, or goes on where `unknown_operations` says so. With `mode: report`
//! nothing is refused: what would have been stands as `note` in the access log.
//!
//! **Responses** are looked at where `responses` is written: status, type, header fields, and
//! bodies in JSON of at most `max` bytes, which are held back meanwhile. They are reported; with
//! `mode: refuse` callers get 502 instead. `percent` is the share that is looked at.
//!
//! Other files may be referred to that are in the document's folder or below it, and what
//! `references` names; nothing is ever fetched. Patterns run in linear time: those that look around
//! or back are refused when the document is checked, or left out with `hard_patterns: ignore`. A
//! path with a query (`/orders?state=open`) asks for those parameters too. Who may call is said by
//! other policies: what the document says of `security` is for people.

mod body;
mod fields;
mod form;
mod judge;
mod request;
mod response;
mod settings;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use base::{Pointer, Problems};
use config::v1::{Contract as Settings, Unknown};
use contract::Operation;
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use serde_json::Value;

use self::body::Seen;
use self::judge::Judge;
use self::response::Responses;
use crate::mode::Mode;
use crate::protect::body::UNREADABLE;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "contract",
    phase: Phase::Protect,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&BROKEN, &TYPE, &RESPONSE, &UNREADABLE, &codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static BROKEN: Code = Code {
    name: "contract_broken",
    status: 400,
    grpc: 3,
    title: "The request does not fit the API's contract",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send what the API's documentation asks for; `errors` says where, which rule, and what \
           is wrong.",
};

static TYPE: Code = Code {
    name: "contract_body_type",
    status: 415,
    grpc: 3,
    title: "The operation does not take a body of this type",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send one Content-Type of those that the API's documentation has for this operation, and \
           no Content-Encoding.",
};

static RESPONSE: Code = Code {
    name: "contract_broken_by_upstream",
    status: 502,
    grpc: 13,
    title: "The response does not fit the API's contract",
    proxy_error: "http_response_incomplete",
    fault: Fault::Upstream,
    cure: "Correct the upstream or the contract: the access log's `note` says what does not fit.",
};

/// An API's contract, ready to be held to.
#[derive(Debug)]
struct Contract {
    operations: Vec<Operation>,
    requests: Judge,
    responses: Option<Responses>,
    mode: Mode,
    unknown_operations: Unknown,
    unknown_parameters: Unknown,
    most: usize,
    told: usize,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    settings::ready(&settings, at, cx).map(|contract| Arc::new(contract) as _)
}

impl Policy for Contract {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Some(operation) = self.operation(exchange) else {
            if self.unknown_operations == Unknown::Report {
                exchange.note = Some("reported: the contract has no such operation".into());
            }
            return Step::next();
        };
        if let Some(seen) = body::at_hand(&exchange.request, operation, self.most) {
            let said = self.judge(exchange, operation, seen);
            return Step::Done(self.mode.settle(exchange, said));
        }
        Step::Wait(Box::pin(async move {
            match body::hold(&mut exchange.request, operation, self.most).await {
                Ok(seen) => {
                    let said = self.judge(exchange, operation, seen);
                    self.mode.settle(exchange, said)
                }
                Err(broken) => Flow::Refuse(Box::new(broken.into())),
            }
        }))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match (&self.responses, self.operation(exchange)) {
            (Some(responses), Some(operation)) => responses.step(exchange, operation),
            _ => Step::next(),
        }
    }
}

impl Contract {
    /// The operation that is called.
    fn operation(&self, exchange: &Exchange) -> Option<&Operation> {
        let number = exchange.route.as_ref()?.names.operation?;
        self.operations.get(usize::try_from(number).ok()?)
    }

    /// Whether a request fits, of whose body this was seen.
    fn judge(
        &self,
        exchange: &mut Exchange,
        operation: &Operation,
        seen: Seen,
    ) -> Result<(), Refusal> {
        let body = body::value(operation, seen)?;
        let Some(number) = exchange.route.as_ref().and_then(|route| route.names.operation) else {
            return Ok(());
        };
        let asked = request::Asked { operation, unknown: self.unknown_parameters };
        let (read, violations) = asked.judge(
            exchange,
            body,
            |parts, told| self.requests.judge(&[number as usize], parts, told),
            self.told,
        );
        if let (Unknown::Report, Some(name)) = (self.unknown_parameters, read.unknown.first()) {
            exchange.note = Some(format!("reported: unknown parameter `{name}`").into());
        }
        let Some(first) = violations.first() else { return Ok(()) };
        let note = format!("`{}`: {} (`{}`)", first.pointer, first.what, first.rule);
        let told = if self.told == 0 { Vec::new() } else { violations };
        Err(Refusal::new(&BROKEN).note(note).violations(told))
    }
}
