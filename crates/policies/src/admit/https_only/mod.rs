//! Lets only requests in that came by TLS.
//!
//! A `GET` or `HEAD` that came in the clear is sent on to the same address by `https` with 308. Any
//! other is refused with 403: its body, and whatever it was to prove, crossed the network in the
//! clear already, and a redirect would hide that from whoever wrote the client.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - https_only: {}
//! ```
//!
//! Where a trusted proxy takes TLS off (`client_address.trusted` of the listener), its
//! `X-Forwarded-Proto` says how the request came; strangers' is never listened to.
//!
//! To tell browsers to come by `https` at once the next time, add `security_headers`.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::{Known, Method, Request, Response, Scheme, Status};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "https_only",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&REQUIRED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static REQUIRED: Code = Code {
    name: "https_required",
    status: 403,
    grpc: 7,
    title: "This is answered by https alone",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Call by https, and replace what was sent in the clear: keys, tokens, passwords.",
};

/// What becomes of requests that came in the clear.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpsOnly")]
struct Settings {
    /// What becomes of a `GET` or `HEAD`. Others are refused.
    #[serde(default)]
    otherwise: Otherwise,
    /// The port that answers by `https`.
    #[serde(default = "port")]
    #[schemars(range(min = 1))]
    port: u16,
}

/// What becomes of a `GET` or `HEAD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HttpsOnlyOtherwise")]
enum Otherwise {
    /// It is sent to the same address by `https`.
    #[default]
    Redirect,
    /// It is refused.
    Refuse,
}

const fn port() -> u16 {
    443
}

/// Lets in what came by TLS.
#[derive(Debug)]
struct HttpsOnly {
    redirects: bool,
    /// The port as a URL has it: nothing where it is the usual one.
    port: Box<str>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let port = match settings.port {
        0 => {
            let problem = Problem::new(&at.key("port"), "there is no port 0");
            return Err(vec![problem.hint("write the port of the listener with `tls`")]);
        }
        443 => String::new(),
        port => format!(":{port}"),
    };
    let redirects = settings.otherwise == Otherwise::Redirect;
    Ok(Arc::new(HttpsOnly { redirects, port: port.into() }))
}

impl Policy for HttpsOnly {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let request = &exchange.request;
        if came_by_https(request) {
            return Step::next();
        }
        let host = request.target.authority.host();
        let reads = matches!(request.method, Method::Get | Method::Head);
        if !self.redirects || !reads || host.is_empty() {
            return Step::refuse(Refusal::new(&REQUIRED));
        }
        let (path, query) = (&request.target.path, request.target.query.as_deref());
        let mark = if query.is_some() { "?" } else { "" };
        let to = format!("https://{host}{}{path}{mark}{}", self.port, query.unwrap_or_default());
        let status = Status::new(308).unwrap_or_default();
        let mut response = Response { status, ..Response::default() };
        response.headers.append_known(Known::Location, to);
        Step::reply(response)
    }
}

/// Whether it came by TLS, here or, as a trusted proxy says, there. The engine has taken what
/// strangers say about it away.
pub(in crate::admit) fn came_by_https(request: &Request) -> bool {
    let mut told = request.headers.all(Known::XForwardedProto);
    match (told.next(), told.next()) {
        (None, _) => request.target.scheme == Scheme::Https,
        (Some(scheme), None) => scheme.eq_ignore_ascii_case(Scheme::Https.text().as_bytes()),
        // Several answers are none.
        (Some(_), Some(_)) => false,
    }
}
