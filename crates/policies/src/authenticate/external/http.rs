//! Authorizers that speak HTTP (forward-auth): the sub-request, and what its answer means.

use policy::message::Name;
use policy::{Answer, Call, Exchange};

use super::Asking;
use super::verdict::{Allowed, Denied, Verdict};

/// A decider behind a URL.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) url: String,
    /// The method of sub-requests; the request's own where none.
    pub(super) method: Option<&'static str>,
    /// Whether the request's path and query stand behind `url`.
    pub(super) append_path: bool,
}

impl Http {
    /// The sub-request that tells of `x`; none where the request's method can't be passed on.
    pub(super) fn question(
        &self,
        x: &Exchange,
        asking: &Asking,
        body: &super::Beginning,
    ) -> Option<Call> {
        let target = &x.request.target;
        let uri = match &target.query {
            Some(query) => format!("{}?{query}", target.path),
            None => target.path.clone(),
        };
        let url = match self.append_path && target.path.starts_with('/') {
            true => format!("{}{uri}", self.url),
            false => self.url.clone(),
        };
        let mut call = Call::get(url);
        call.method = match self.method {
            Some(method) => method,
            None => super::settings::method(x.request.method.as_str())?,
        };
        let mut told = |name: &str, value: &[u8]| {
            call.headers.push((name.to_owned(), value.to_vec()));
        };
        told("x-forwarded-method", x.request.method.as_str().as_bytes());
        told("x-forwarded-proto", target.scheme.text().as_bytes());
        told("x-forwarded-host", target.authority.as_str().as_bytes());
        told("x-forwarded-uri", uri.as_bytes());
        told("x-forwarded-for", x.client.to_string().as_bytes());
        if let Some(route) = &x.route {
            told("x-gateward-api", route.api().as_bytes());
            told("x-gateward-route", route.route().as_bytes());
        }
        for (name, value) in &asking.fixed {
            told(name.as_str(), value.expose().as_bytes());
        }
        for name in &asking.told {
            let name: &Name = name;
            x.request.headers.all(name).for_each(|value| told(name.as_str(), value));
        }
        if let Some(held) = &body.0 {
            told("x-gateward-body", if held.whole { b"whole" } else { b"partial" });
            call.body = held.bytes.clone();
        }
        Some(call)
    }
}

/// What an answer means: 2xx is yes, 3xx and 4xx no, anything else nothing.
pub(super) fn read(answer: Answer) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Allowed(Allowed {
            request: answer.headers.clone(),
            response: answer.headers,
            remove: Vec::new(),
        }),
        status @ 300..=499 => {
            Verdict::Denied(Denied { status, headers: answer.headers, body: answer.body })
        }
        status => Verdict::Nothing(format!("it answered {status}")),
    }
}
