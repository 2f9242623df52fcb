//! Keeps GraphQL within bounds: how deep, how much, which operations.
//!
//! One small query can ask for everything at once. Each operation is measured before the upstream
//! hears of it; what asks for more than is taken is refused with 400, which says of what.
//!
//! ```yaml
//! apis:
//!   - name: graph
//!     path: /graphql
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - graphql: { depth: 8, cost: 500, costs: { search: 20 }, operations: [query, mutation] }
//! ```
//!
//! - `depth`: fields inside each other; what fragments select counts where they are spread.
//! - `cost`: each field costs 1, or what `costs` says by its name; what is inside a list costs as
//!   often as `multipliers` say there will be of it: `users(first: 50) { name }` costs 51. Numbers
//!   are taken from variables, too.
//! - `fields`, `aliases`, `directives`, `tokens`: how many there may be in an operation.
//! - `batch`: operations in one request; 1 unless said, which refuses lists.
//! - `introspection`: `__schema` and `__type` are refused unless it is `allow`.
//! - `operations`: which kinds may be called. A `GET` may only be a query.
//!
//! Every operation of a document is held to this, not only the one that is named. What is measured
//! is what was sent: the upstream has to take documents of GraphQL as it is specified. Operations
//! come as JSON by `POST`, as `application/graphql`, or in the query of a `GET`; what comes
//! otherwise (multipart, WebSocket, a page for people) is refused with 415 unless
//! `other_types: pass` is written, and what is compressed in any case.
//!
//! `persisted` names a file in JSON with all the documents that may be sent, each under its SHA-256
//! in hexadecimal digits. Callers send the document, or the hash alone as Apollo's clients do
//! (`extensions.persistedQuery.sha256Hash`), which the upstream then has to know. With
//! `mode: report` nothing is refused: what would have been stands as `note` in the access log.

mod document;
mod lexer;
mod measure;
mod request;
mod settings;

use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base::{Pointer, Problems};
use policy::message::{Body, Known, Method};
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use serde_json::Value;

use self::document::{Bad, Kind};
use self::measure::{Measure, Prices};
use self::request::{Asked, Form};
use self::settings::Settings;
use crate::mode::Mode;
use crate::protect::body::{Other, too_large};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "graphql",
    phase: Phase::Protect,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&TOO_MUCH, &MALFORMED, &FORBIDDEN, &METHOD, &TYPE, &codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static TOO_MUCH: Code = Code {
    name: "graphql_too_much",
    status: 400,
    grpc: 3,
    title: "The operation asks for more than is taken here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask for less at once: the detail says of what. Operators raise that bound of the \
           graphql policy where callers need more.",
};

static MALFORMED: Code = Code {
    name: "graphql_malformed",
    status: 400,
    grpc: 3,
    title: "The request is no GraphQL",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send a document of GraphQL with an operation in it, as `query` of a JSON body.",
};

static FORBIDDEN: Code = Code {
    name: "graphql_forbidden",
    status: 403,
    grpc: 7,
    title: "The operation is not allowed here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send an operation that is allowed: the detail says what is not. Operators allow \
           introspection, kinds of operations and documents in the graphql policy.",
};

static METHOD: Code = Code {
    name: "graphql_method",
    status: 405,
    grpc: 12,
    title: "A GET may only be a query",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send mutations by POST.",
};

static TYPE: Code = Code {
    name: "graphql_type_unsupported",
    status: 415,
    grpc: 3,
    title: "Only GraphQL is taken here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send JSON by POST, without Content-Encoding; operators let others through by \
           `other_types: pass`.",
};

/// What operations may ask for.
#[derive(Debug)]
struct Bounds {
    depth: usize,
    cost: u64,
    fields: u64,
    aliases: u64,
    directives: u64,
    tokens: usize,
    batch: usize,
}

/// Measures operations.
#[derive(Debug)]
struct Graphql {
    bounds: Bounds,
    prices: Prices,
    introspection: bool,
    operations: Vec<Kind>,
    /// The hashes of documents that may be sent; none: any document.
    persisted: Option<HashSet<String>>,
    most: usize,
    mode: Mode,
    other: Other,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    settings.ready(at, cx.world).map(|ready| Arc::new(ready) as _)
}

impl Policy for Graphql {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let request = &exchange.request;
        let said = match (request::form(request), request.body.remaining(), &request.body) {
            _ if request.preflight().is_some() => Ok(()),
            (None, ..) => self.other.judge(&TYPE),
            // It can't be measured, and must not pass by that.
            (Some(Form::Json | Form::Plain), ..) if request.headers.has(Known::ContentEncoding) => {
                Err(Refusal::new(&TYPE))
            }
            (Some(Form::Get), ..) => {
                let query = request.target.query.as_deref().unwrap_or_default();
                self.asked(request::of_query(query), &request.method)
            }
            (_, Some(length), _) if length > self.most as u64 => Err(too_large(self.most)),
            (Some(form), _, Body::Full(bytes)) => self.body(form, &bytes.clone()),
            (Some(form), Some(0), _) => self.body(form, &[]),
            (Some(form), ..) => return self.wait(form, exchange),
        };
        Step::Done(self.mode.settle(exchange, said))
    }
}

impl Graphql {
    fn wait<'a>(&'a self, form: Form, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(async move {
            let said = match exchange.request.body.hold(self.most).await {
                Ok(held) if held.whole => self.body(form, &held.bytes),
                Ok(_) => Err(too_large(self.most)),
                Err(broken) => return Flow::Refuse(Box::new(broken.into())),
            };
            self.mode.settle(exchange, said)
        }))
    }

    fn body(&self, form: Form, bytes: &[u8]) -> Result<(), Refusal> {
        let asked = match form {
            Form::Plain => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(vec![Asked { query: Some(text.into()), ..Asked::default() }]),
                Err(_) => Err("it is not UTF-8"),
            },
            _ => request::of_json(bytes),
        };
        self.asked(asked, &Method::Post)
    }

    /// Whether all of what is asked for may be.
    fn asked(&self, asked: Result<Vec<Asked>, &str>, method: &Method) -> Result<(), Refusal> {
        let asked = asked.map_err(|why| Refusal::new(&MALFORMED).detail(why))?;
        if asked.len() > self.bounds.batch {
            return Err(too_much("operations at once", self.bounds.batch));
        }
        asked.iter().try_for_each(|one| self.one(one, method))
    }

    fn one(&self, asked: &Asked, method: &Method) -> Result<(), Refusal> {
        self.persisted(asked)?;
        // A hash alone stands for a document that is known, and was written by whoever listed it.
        let Some(query) = &asked.query else { return Ok(()) };
        let document = document::read(query, self.bounds.tokens, self.bounds.depth)
            .map_err(|bad| self.bad(bad))?;
        let named = asked.operation.as_deref();
        if named.is_none() && document.operations.len() > 1 {
            let why = "`operationName` has to say which of the operations is meant";
            return Err(Refusal::new(&MALFORMED).detail(why));
        }
        let known = document.operations.iter().any(|one| named.is_none() || one.name == named);
        if !known {
            let why = "there is no operation of that name";
            return Err(Refusal::new(&MALFORMED).detail(why));
        }
        for operation in &document.operations {
            if !self.operations.contains(&operation.kind) {
                let what = format!("{} is not allowed", operation.kind.what());
                return Err(Refusal::new(&FORBIDDEN).detail(what));
            }
            if *method == Method::Get && operation.kind != Kind::Query {
                return Err(Refusal::new(&METHOD).header("Allow", "POST"));
            }
            let variables = Some(&asked.variables);
            let measure = measure::measure(&document, operation, variables, &self.prices);
            self.judge(&measure.map_err(|bad| self.bad(bad))?)?;
        }
        Ok(())
    }

    fn judge(&self, measure: &Measure) -> Result<(), Refusal> {
        let bounds = &self.bounds;
        let depth = bounds.depth as u64;
        for (what, is, most) in [
            ("fields inside each other", measure.depth, depth),
            ("fields", measure.fields, bounds.fields),
            ("aliases", measure.aliases, bounds.aliases),
            ("directives", measure.directives, bounds.directives),
            ("units of cost", measure.cost, bounds.cost),
        ] {
            if is > most {
                return Err(too_much(what, most));
            }
        }
        if measure.introspects && !self.introspection {
            return Err(Refusal::new(&FORBIDDEN).detail("introspection is not allowed"));
        }
        Ok(())
    }

    /// Whether the document is one of those that may be sent.
    fn persisted(&self, asked: &Asked) -> Result<(), Refusal> {
        let of = |text: &String| settings::hexadecimal(digest(&SHA256, text.as_bytes()).as_ref());
        let own = asked.query.as_ref().map(of);
        if let (Some(own), Some(said)) = (&own, &asked.hash)
            && own != said
        {
            let why = "the hash is not that of the document";
            return Err(Refusal::new(&MALFORMED).detail(why));
        }
        let hash = own.or_else(|| asked.hash.clone()).unwrap_or_default();
        match &self.persisted {
            Some(known) if known.contains(&hash) => Ok(()),
            Some(_) => Err(Refusal::new(&FORBIDDEN).detail("the document is not a persisted one")),
            // What is not sent can't be measured.
            None if asked.query.is_none() => {
                let why = "the document has to be sent: none is known here by its hash";
                Err(Refusal::new(&FORBIDDEN).detail(why))
            }
            None => Ok(()),
        }
    }

    fn bad(&self, bad: Bad) -> Refusal {
        match bad {
            Bad::Malformed(why) => Refusal::new(&MALFORMED).detail(why),
            Bad::Tokens => too_much("tokens", self.bounds.tokens),
            Bad::Depth => too_much("fields inside each other", self.bounds.depth),
        }
    }
}

impl Kind {
    const fn what(self) -> &'static str {
        match self {
            Self::Query => "a query",
            Self::Mutation => "a mutation",
            Self::Subscription => "a subscription",
        }
    }
}

fn too_much(what: &str, most: impl std::fmt::Display) -> Refusal {
    Refusal::new(&TOO_MUCH).detail(format!("at most {most} {what} are taken"))
}
