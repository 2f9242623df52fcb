//! Keeps other sites' pages from acting for whoever looks at them (cross-site request forgery).
//!
//! A browser sends cookies, and client certificates, along with requests that any page anywhere
//! makes. What a page may not do by this policy is change something: requests other than `GET`,
//! `HEAD` and `OPTIONS`, and WebSockets, are refused with 403 where they come from a page of
//! another origin. It needs no token and no state: browsers say where a request comes from.
//!
//! ```yaml
//! apis:
//!   - name: shop
//!     path: /
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - csrf: { origins: [ "https://checkout.example.com" ] }
//! ```
//!
//! `Sec-Fetch-Site`, which no page can write, decides where it is there: `same-origin` and `none`
//! pass. Else, for browsers from before 2023, `Origin` has to name the host that was called. Other
//! pages pass only from `origins`. Requests with neither field come from no browser's page and
//! pass: nobody is tricked into sending those.
//!
//! Put it where browsers prove who they are by what they send unasked: cookies (`oidc`), `basic`,
//! `mtls`. Keys and tokens that a page has to add itself are safe without. A `GET` that changes
//! something is not helped by this.
//!
//! With `mode: report` nothing is refused: what would have been stands as `note` in the access log.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::{Known, Method, Name, Request};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::admit::origins::Origins;
use crate::mode::Mode;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "csrf",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&CROSS_SITE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static CROSS_SITE: Code = Code {
    name: "cross_site_request",
    status: 403,
    grpc: 7,
    title: "A page of another site may not do this",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Act from the site's own pages; operators add pages of other origins that may to the \
           `origins` of the csrf policy.",
};

/// Whose pages may act.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Csrf")]
struct Settings {
    /// Other origins whose pages may, as in `https://checkout.example.com` or
    /// `https://*.example.com`.
    #[serde(default)]
    origins: Vec<String>,
    /// What becomes of requests of other pages.
    #[serde(default)]
    mode: Mode,
}

/// Keeps other sites' pages out.
#[derive(Debug)]
struct Csrf {
    origins: Origins,
    mode: Mode,
    site: Name,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let at = at.key("origins");
    for (number, origin) in settings.origins.iter().enumerate() {
        if origin == "null" {
            let problem = Problem::new(&at.index(number), "any page can have the origin `null`");
            problems.push(problem.hint("list the origins that may"));
        }
    }
    let origins = Origins::listed(&settings.origins, &at, &mut problems);
    let Some(site) = Name::new("sec-fetch-site").filter(|_| problems.is_empty()) else {
        return Err(problems);
    };
    Ok(Arc::new(Csrf { origins, mode: settings.mode, site }))
}

impl Policy for Csrf {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let said = self.judge(&exchange.request);
        Step::Done(self.mode.settle(exchange, said))
    }
}

impl Csrf {
    fn judge(&self, request: &Request) -> Result<(), Refusal> {
        let reads = matches!(request.method, Method::Get | Method::Head | Method::Options);
        if reads && request.upgrade.is_none() && !request.headers.has(Known::Upgrade) {
            return Ok(());
        }
        let headers = &request.headers;
        let mut sites = headers.all(&self.site).peekable();
        let origin = headers.get(Known::Origin);
        let own = match (sites.peek(), origin) {
            (Some(_), _) => sites.all(|site| matches!(site, b"same-origin" | b"none")),
            (None, Some(origin)) => is_of(origin, request.target.authority.as_str()),
            (None, None) => true,
        };
        let listed = headers.has(Known::Origin)
            && headers.all(Known::Origin).all(|origin| self.origins.lists(origin));
        if own || listed {
            return Ok(());
        }
        let origin = String::from_utf8_lossy(origin.unwrap_or(b"unknown")).into_owned();
        Err(Refusal::new(&CROSS_SITE).note(format!("its origin is {origin}")))
    }
}

/// Whether `origin` is a page of this host and port. Its scheme does not count: TLS may have ended
/// at a proxy.
fn is_of(origin: &[u8], authority: &str) -> bool {
    let text = std::str::from_utf8(origin).unwrap_or_default();
    let host = text.strip_prefix("https://").or(text.strip_prefix("http://"));
    !authority.is_empty() && host == Some(authority)
}
