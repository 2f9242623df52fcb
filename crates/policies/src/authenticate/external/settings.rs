//! The settings of `external`, and what may be wrong with them.

use std::collections::BTreeMap;

use base::{ByteSize, Pointer, Problem, Problems, Secret, Span};
use config::v1::UpstreamTls;
use policy::message::{Known, Name};
use schemars::JsonSchema;
use serde::Deserialize;

use super::grpc;
use super::http::Http;
use super::{Asking, Decider, Identify};
use crate::asked::{Kept, Use, names, url};

/// Most bytes of a request's body that an authorizer is told.
const BODY_BYTES: u64 = 1 << 20;

/// Who decides, what it is told, and what its answers may change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "External")]
pub(super) struct Settings {
    /// The authorizer's URL.
    url: String,
    /// What it speaks.
    #[serde(default)]
    protocol: Protocol,
    /// The method of sub-requests over HTTP: `GET` unless given; `same` for the request's own.
    #[serde(default)]
    method: Option<String>,
    /// Over HTTP, whether the request's path and query stand behind `url`. They are told in
    /// `X-Forwarded-Uri` anyway.
    #[serde(default)]
    append_path: bool,
    /// Header fields of the request that the authorizer is told.
    #[serde(default = "told")]
    request_headers: Vec<String>,
    /// Header fields that every question has: what the authorizer knows the gateway by.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    /// Over gRPC, what each question has in `context_extensions`.
    #[serde(default)]
    context: BTreeMap<String, String>,
    /// Whether the authorizer is told the body.
    #[serde(default)]
    pub(super) body: Option<Body>,
    /// Header fields of the authorizer's yes that the upstream gets, in place of the client's:
    /// those that the client sends under these names never reach anybody.
    #[serde(default)]
    upstream_headers: Vec<String>,
    /// Header fields of the authorizer's answer that the client gets.
    #[serde(default)]
    client_headers: Vec<String>,
    /// Header fields of the authorizer's yes that say who the caller is.
    #[serde(default)]
    pub(super) identify: Option<WrittenIdentify>,
    /// Whether a denied client gets the authorizer's own answer: its status (3xx and 4xx), its body
    /// and `client_headers`.
    #[serde(default)]
    pub(super) answer: bool,
    /// What becomes of requests that nothing is decided of.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// Whether decisions are used again.
    #[serde(default)]
    pub(super) cache: Kept,
    /// Time the authorizer has to answer.
    #[serde(default = "timeout")]
    timeout: Span,
    /// TLS towards the authorizer.
    #[serde(default)]
    pub(super) tls: UpstreamTls,
}

/// What an authorizer speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ExternalProtocol")]
enum Protocol {
    /// HTTP: a sub-request, whose status is the decision.
    #[default]
    Http,
    /// Envoy's `ext_authz` v3 over gRPC.
    Grpc,
}

/// What becomes of requests that nothing is decided of. None is ever let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ExternalOnError")]
pub(super) enum OnError {
    /// They are refused with 503.
    #[default]
    Unavailable,
    /// They are refused with 403.
    Forbidden,
}

/// How much of a body the authorizer is told.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExternalBody")]
pub(super) struct Body {
    /// Most bytes.
    pub(super) max: ByteSize,
    /// Whether of a longer body the beginning is told; otherwise it is refused with 413.
    #[serde(default)]
    pub(super) partial: bool,
}

/// Which header fields say who the caller is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExternalIdentify")]
pub(super) struct WrittenIdentify {
    /// Holds the caller's name. A yes without it counts as no answer.
    subject: String,
    /// Holds the name of one of the document's applications.
    #[serde(default)]
    application: Option<String>,
    /// Holds groups, with commas between them.
    #[serde(default)]
    groups: Option<String>,
    /// Holds scopes, with spaces between them.
    #[serde(default)]
    scopes: Option<String>,
}

fn told() -> Vec<String> {
    vec!["authorization".into(), "cookie".into()]
}

const fn timeout() -> Span {
    Span::secs(2)
}

/// The methods a sub-request may have.
pub(super) fn method(text: &str) -> Option<&'static str> {
    const ALL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    ALL.into_iter().find(|known| *known == text)
}

impl Settings {
    /// Who decides.
    pub(super) fn decider(&self, at: &Pointer, problems: &mut Problems) -> Option<Decider> {
        let url = url(&self.url, &at.key("url"), problems);
        let mut unused = |name: &str, is: bool, protocol: &str| {
            if is {
                let what = format!("`{name}` has no meaning for `protocol: {protocol}`");
                problems.push(Problem::new(&at.key(name), what).hint("remove it"));
            }
        };
        if self.protocol == Protocol::Grpc {
            unused("method", self.method.is_some(), "grpc");
            unused("append_path", self.append_path, "grpc");
            return url.map(Decider::Grpc);
        }
        unused("context", !self.context.is_empty(), "http");
        let chosen = match self.method.as_deref() {
            Some("same") => None,
            None => Some("GET"),
            Some(text) => {
                if method(text).is_none() {
                    let what = format!("`{text}` can't be a sub-request's method");
                    let hint = "write `GET`, `POST` or another usual one, or `same`";
                    problems.push(Problem::new(&at.key("method"), what).hint(hint));
                }
                method(text)
            }
        };
        Some(Decider::Http(Http { url: url?, method: chosen, append_path: self.append_path }))
    }

    /// What it is told.
    pub(super) fn asking(&self, at: &Pointer, problems: &mut Problems) -> Asking {
        let told = names(&self.request_headers, Use::Told, &at.key("request_headers"), problems);
        let mut fixed = Vec::with_capacity(self.headers.len());
        for (text, value) in &self.headers {
            let plain = |name: &Name| {
                matches!(
                    Known::of(name.as_str().as_bytes()),
                    Known::Other | Known::Authorization | Known::UserAgent
                )
            };
            match Name::new(text).filter(plain) {
                Some(name) => fixed.push((name, value.clone())),
                None => {
                    let what = format!("`{text}` can't be a question's own header");
                    let hint = "use a name of its own, or `authorization`";
                    problems.push(Problem::new(&at.key("headers").key(text), what).hint(hint));
                }
            }
        }
        if let Some(body) = &self.body
            && (body.max.0 == 0 || body.max.0 > BODY_BYTES)
        {
            let what = "an authorizer is told 1 byte to 1 MiB of a body";
            let at = at.key("body").key("max");
            problems.push(Problem::new(&at, what).hint("write `max: 8KiB`, or remove `body`"));
        }
        let context = self.context.clone();
        Asking { told, fixed, context, within: self.timeout.get() }
    }

    /// Which fields of its answers the upstream gets, and which the client.
    pub(super) fn passed(&self, at: &Pointer, problems: &mut Problems) -> (Vec<Name>, Vec<Name>) {
        let upstream = &at.key("upstream_headers");
        let upstream = names(&self.upstream_headers, Use::Upstream, upstream, problems);
        let client = &at.key("client_headers");
        let client = names(&self.client_headers, Use::Client, client, problems);
        (upstream, client)
    }

    /// Which fields say who the caller is.
    pub(super) fn identity(&self, at: &Pointer, problems: &mut Problems) -> Option<Identify> {
        let written = self.identify.as_ref()?;
        let at = at.key("identify");
        let mut name = |word: &str, text: &str| {
            let list = [text.to_owned()];
            let mut wrong = Problems::new();
            let found = names(&list, Use::Upstream, &at, &mut wrong).pop();
            // Where it stands is the field's own place, not a list's.
            problems.extend(wrong.into_iter().map(|mut problem| {
                problem.at = at.key(word);
                problem
            }));
            found
        };
        let subject = name("subject", &written.subject);
        let mut maybe =
            |word: &str, text: &Option<String>| text.as_ref().and_then(|text| name(word, text));
        let application = maybe("application", &written.application);
        let groups = maybe("groups", &written.groups);
        let scopes = maybe("scopes", &written.scopes);
        Some(Identify { subject: subject?, application, groups, scopes })
    }
}

impl Decider {
    /// The question that tells of `x`; none where it can't be told as it is.
    pub(super) fn question(
        &self,
        x: &policy::Exchange,
        asking: &Asking,
        body: &super::Beginning,
        stamp: Option<&grpc::Stamp>,
    ) -> Option<policy::Call> {
        let call = match self {
            Self::Http(http) => http.question(x, asking, body)?,
            Self::Grpc(url) => grpc::question(url, x, asking, body, stamp)?,
        };
        Some(policy::Call { most: super::ANSWER_BYTES, again: true, ..call.within(asking.within) })
    }
}
