//! Gives answers the header fields by which browsers protect whoever looks at them.
//!
//! ```yaml
//! apis:
//!   - name: shop
//!     path: /
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - security_headers:
//!           hsts: { max_age: 365d, subdomains: true }
//!           content_security_policy: "default-src 'self'"
//! ```
//!
//! Unless told otherwise, answers get:
//!
//! - `Strict-Transport-Security`, for a year, where they go by TLS: browsers come by `https` alone
//!   from then on. Nothing else is as hard to take back, so subdomains are left out;
//! - `X-Content-Type-Options: nosniff`: a download is no script;
//! - `X-Frame-Options: DENY`: no other page can put this one under a button of its own;
//! - `Referrer-Policy: strict-origin-when-cross-origin`: paths and queries stay here.
//!
//! and lose `Server` and `X-Powered-By`, which tell attackers what to try first. Refusals and other
//! answers of the gateway's own get the same.
//!
//! What the upstream says of these itself stays, since it knows its pages; with `replace: true` the
//! gateway's word takes its place.

use std::sync::Arc;

use base::{Pointer, Problem, Problems, Span};
use policy::message::{Headers, Name};
use policy::{Compile, Exchange, Phase, Policy, PolicyKind, Posture, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::https_only::came_by_https;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "security_headers",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// Which header fields answers get and lose.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "SecurityHeaders")]
struct Settings {
    /// `Strict-Transport-Security`.
    hsts: Hsts,
    /// `X-Content-Type-Options: nosniff`.
    no_sniff: bool,
    /// `X-Frame-Options`.
    frames: Frames,
    /// `Referrer-Policy`; empty for none.
    referrer_policy: String,
    /// `Content-Security-Policy`.
    content_security_policy: Option<String>,
    /// `Permissions-Policy`.
    permissions_policy: Option<String>,
    /// `Cross-Origin-Opener-Policy`.
    cross_origin_opener_policy: Option<String>,
    /// `Cross-Origin-Resource-Policy`.
    cross_origin_resource_policy: Option<String>,
    /// Whether the gateway's word takes the place of the upstream's.
    replace: bool,
    /// Fields that answers lose.
    remove: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hsts: Hsts::default(),
            no_sniff: true,
            frames: Frames::default(),
            referrer_policy: "strict-origin-when-cross-origin".to_owned(),
            content_security_policy: None,
            permissions_policy: None,
            cross_origin_opener_policy: None,
            cross_origin_resource_policy: None,
            replace: false,
            remove: ["Server", "X-Powered-By"].map(str::to_owned).to_vec(),
        }
    }
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Hsts")]
struct Hsts {
    /// How long browsers come by `https` alone; `0s` says nothing of it.
    max_age: Span,
    /// Whether that holds for everything below the host, too.
    subdomains: bool,
    /// Whether browsers may be shipped with it. That takes a year, and `subdomains`.
    preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self { max_age: Span::secs(YEAR), subdomains: false, preload: false }
    }
}

const YEAR: u64 = 365 * 24 * 60 * 60;

/// Who may show the answer in a frame.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Frames")]
enum Frames {
    /// Nobody.
    #[default]
    Deny,
    /// Pages of the same origin.
    SameOrigin,
    /// Everybody: nothing is said of it.
    Allow,
}

/// Gives and takes fields.
#[derive(Debug)]
struct SecurityHeaders {
    hsts: Option<(Name, Box<str>)>,
    fields: Vec<(Name, Box<str>)>,
    remove: Vec<Name>,
    replace: bool,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let hsts = settings.hsts.value(&at.key("hsts"), &mut problems);
    let frames = match settings.frames {
        Frames::Deny => Some("DENY"),
        Frames::SameOrigin => Some("SAMEORIGIN"),
        Frames::Allow => None,
    };
    let referrer = Some(settings.referrer_policy.as_str()).filter(|value| !value.is_empty());
    let written = [
        ("no_sniff", "X-Content-Type-Options", settings.no_sniff.then_some("nosniff")),
        ("frames", "X-Frame-Options", frames),
        ("referrer_policy", "Referrer-Policy", referrer),
        (
            "content_security_policy",
            "Content-Security-Policy",
            settings.content_security_policy.as_deref(),
        ),
        ("permissions_policy", "Permissions-Policy", settings.permissions_policy.as_deref()),
        (
            "cross_origin_opener_policy",
            "Cross-Origin-Opener-Policy",
            settings.cross_origin_opener_policy.as_deref(),
        ),
        (
            "cross_origin_resource_policy",
            "Cross-Origin-Resource-Policy",
            settings.cross_origin_resource_policy.as_deref(),
        ),
    ];
    let mut fields = Vec::new();
    for (key, name, value) in written {
        let Some(value) = value else { continue };
        if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || value.trim().is_empty() {
            let what = "the value is empty, or has line breaks or letters beyond ASCII";
            let hint = "write it on one line (`>-` in YAML joins lines)";
            problems.push(Problem::new(&at.key(key), what).hint(hint));
        }
        fields.extend(Name::new(name).map(|name| (name, value.into())));
    }
    let mut remove = Vec::new();
    for (number, text) in settings.remove.iter().enumerate() {
        match Name::new(text) {
            Some(name) => remove.push(name),
            None => problems.push(
                Problem::new(
                    &at.key("remove").index(number),
                    format!("`{text}` can't be a header's name"),
                )
                .hint("use letters, digits and `-`, as in `X-Powered-By`"),
            ),
        }
    }
    let hsts = hsts.and_then(|value| Some((Name::new("Strict-Transport-Security")?, value)));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(SecurityHeaders { hsts, fields, remove, replace: settings.replace }))
}

impl Hsts {
    fn value(&self, at: &Pointer, problems: &mut Problems) -> Option<Box<str>> {
        let seconds = self.max_age.get().as_secs();
        if self.preload && (!self.subdomains || seconds < YEAR) {
            let what = "browsers ship with no host that does not say so for its subdomains, too, \
                        and for a year";
            let hint = "add `subdomains: true` and a `max_age` of 365d, or remove `preload`";
            problems.push(Problem::new(&at.key("preload"), what).hint(hint));
        }
        let subdomains = if self.subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        (seconds > 0).then(|| format!("max-age={seconds}{subdomains}{preload}").into())
    }
}

impl Policy for SecurityHeaders {
    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let headers = &mut exchange.response.headers;
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.fields {
            self.give(headers, name, value);
        }
        if let Some((name, value)) = &self.hsts
            && came_by_https(&exchange.request)
        {
            self.give(headers, name, value);
        }
        Step::next()
    }
}

impl SecurityHeaders {
    fn give(&self, headers: &mut Headers, name: &Name, value: &str) {
        if self.replace || !headers.has(name) {
            headers.set(name, value);
        }
    }
}
