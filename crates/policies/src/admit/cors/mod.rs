//! Says which web pages may call (CORS, as the Fetch standard has it).
//!
//! Browsers let a page see an answer from another origin only where the answer allows it, and ask
//! before they send what a plain form could not: the preflight, an `OPTIONS` request. The gateway
//! answers preflights itself, before anyone has to say who they are, and the upstream never sees
//! them. It puts its own word in place of all that the upstream says on the matter
//! (`Access-Control-…`), also on refusals, so that pages can read why.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - cors:
//!           origins: [ "https://shop.example.com", "https://*.partners.example.com" ]
//!           headers: [ Authorization, Content-Type, X-Api-Key ]
//!           expose: [ X-Request-Id, RateLimit ]
//!     routes:
//!       - match: { methods: [GET, POST], path: "/{rest*}" }
//! ```
//!
//! A preflight takes the route of the request it asks for, so a route need not take `OPTIONS`. That
//! is so where the policy has no `when`; with one, preflights are requests like any other.
//!
//! A preflight from an origin that is not listed is refused with 403. Other calls from there pass,
//! since browsers keep the answer from the page; with `other_origins: refuse` they are refused,
//! too. That also keeps strangers' pages from opening WebSockets, which browsers never ask for.
//! Calls without `Origin` come from no page, and always pass.
//!
//! `*` can't be written beside `credentials`: any page anywhere could then act for whoever looks at
//! it. Answers that depend on the origin have `Vary: Origin`, so that no cache mixes them up.

mod settings;

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::message::{Headers, Known, Request, Response, Status};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use serde_json::Value;

use self::settings::{List, Other, Settings};
use crate::admit::origins::Origins;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "cors",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&DENIED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "origin_denied",
    status: 403,
    grpc: 7,
    title: "Pages of this origin may not call",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Operators add the page's origin, as the browser sends it in `Origin`, to the `origins` \
           of the API's cors policy.",
};

/// Says which pages may call.
#[derive(Debug)]
struct Cors {
    origins: Origins,
    other: Other,
    credentials: bool,
    expose: Option<Box<str>>,
    methods: List,
    headers: List,
    max_age: Box<str>,
    private_network: bool,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let cors = Cors {
        origins: settings.origins(at, &mut problems),
        other: settings.other_origins,
        credentials: settings.credentials,
        expose: settings.expose(at, &mut problems),
        methods: settings.methods(at, &mut problems),
        headers: settings.headers(at, &mut problems),
        max_age: settings.max_age.get().as_secs().to_string().into(),
        private_network: settings.private_network,
    };
    if problems.is_empty() { Ok(Arc::new(cors)) } else { Err(problems) }
}

impl Policy for Cors {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let request = &exchange.request;
        if !request.headers.has(Known::Origin) {
            return Step::next();
        }
        let allowed = self.allowed(request);
        if request.preflight().is_some() {
            if allowed.is_none() {
                return Step::refuse(denied(request));
            }
            return Step::reply(self.preflight(request));
        }
        if allowed.is_none() && self.other == Other::Refuse {
            return Step::refuse(denied(request));
        }
        // Kept for the way back: by then the request's own field may have been changed.
        if let Some(allowed) = allowed {
            let allowed = allowed.to_vec();
            exchange.for_response.set_known(Known::AccessControlAllowOrigin, allowed);
        }
        Step::next()
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Exchange { for_response, response, request, .. } = exchange;
        let headers = &mut response.headers;
        if request.preflight().is_none() {
            headers.remove_where(|_, name| is_about_origins(name));
            if let Some(allowed) = for_response.get(Known::AccessControlAllowOrigin) {
                headers.append_known(Known::AccessControlAllowOrigin, allowed);
                self.allow(headers);
                for_response.remove(Known::AccessControlAllowOrigin);
            }
        }
        if self.origins != Origins::Any && !varies_by_origin(headers) {
            headers.append_known(Known::Vary, "Origin");
        }
        Step::next()
    }

    fn answers_preflights(&self) -> bool {
        true
    }
}

impl Cors {
    /// The value of `Access-Control-Allow-Origin`, where the request's one origin is listed.
    fn allowed<'r>(&self, request: &'r Request) -> Option<&'r [u8]> {
        let mut origins = request.headers.all(Known::Origin);
        let (origin, None) = (origins.next()?, origins.next()) else { return None };
        match self.origins {
            Origins::Any => Some(b"*"),
            Origins::Listed(_) => self.origins.lists(origin).then_some(origin),
        }
    }

    /// What goes with every allowed answer.
    fn allow(&self, headers: &mut Headers) {
        if self.credentials {
            headers.append("Access-Control-Allow-Credentials", "true");
        }
        if let Some(expose) = &self.expose {
            headers.append("Access-Control-Expose-Headers", expose.as_bytes());
        }
    }

    /// The answer to a preflight of a listed origin. What it asks for and may not have is told by
    /// its absence: the browser then says which method or field it is.
    fn preflight(&self, request: &Request) -> Response {
        let status = Status::new(204).unwrap_or_default();
        let mut response = Response { status, ..Response::default() };
        let headers = &mut response.headers;
        if let Some(allowed) = self.allowed(request) {
            headers.append_known(Known::AccessControlAllowOrigin, allowed);
        }
        if self.credentials {
            headers.append("Access-Control-Allow-Credentials", "true");
        }
        match &self.methods {
            List::Any => {
                let asked = request.preflight();
                let asked = asked.as_ref().map_or("", |asked| asked.as_str());
                headers.append("Access-Control-Allow-Methods", asked);
            }
            List::These(list) => {
                headers.append("Access-Control-Allow-Methods", list.as_bytes());
            }
        }
        match &self.headers {
            // `*` does not stand for `Authorization`, and with credentials for nothing.
            List::Any => {
                for asked in request.headers.all(Known::AccessControlRequestHeaders) {
                    headers.append("Access-Control-Allow-Headers", asked);
                }
            }
            List::These(list) if !list.is_empty() => {
                headers.append("Access-Control-Allow-Headers", list.as_bytes());
            }
            List::These(_) => {}
        }
        headers.append("Access-Control-Max-Age", self.max_age.as_bytes());
        let asks = request.headers.get(Known::AccessControlRequestPrivateNetwork);
        if self.private_network && asks == Some(b"true") {
            headers.append("Access-Control-Allow-Private-Network", "true");
        }
        let varies = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.append_known(Known::Vary, varies);
        response
    }
}

fn denied(request: &Request) -> Refusal {
    let origin = request.headers.get(Known::Origin).unwrap_or_default();
    let shown: String = String::from_utf8_lossy(origin).chars().take(100).collect();
    Refusal::new(&DENIED).note(format!("the origin is {shown:?}"))
}

/// Whether a field of an answer is what browsers go by.
fn is_about_origins(name: &[u8]) -> bool {
    let own = b"access-control-";
    name.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own))
}

/// Whether caches are told already that it matters who asks.
fn varies_by_origin(headers: &Headers) -> bool {
    headers.all(Known::Vary).any(|value| {
        let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name.eq_ignore_ascii_case(b"origin") || name == b"*")
    })
}
