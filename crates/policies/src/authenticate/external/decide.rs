//! What becomes of a request by what its authorizer decided.

use std::sync::Arc;

use bytes::Bytes;
use policy::message::{Body, Known, Name, Response, Status};
use policy::{Caller, Exchange, Flow, Grant, Refusal};

use super::settings::OnError;
use super::verdict::{Allowed, Denied, Verdict, fields, text};
use super::{DENIED, External, Identify, KIND, UNAUTHENTICATED, UNAVAILABLE, UNDECIDED};
use crate::asked::Told;

impl External {
    /// What becomes of `x`.
    pub(super) fn decide(&self, x: &mut Exchange, told: &Told<Verdict>) -> Result<Flow, Refusal> {
        match &told.value {
            Verdict::Allowed(allowed) => self.allow(x, allowed).map(|()| Flow::Continue),
            Verdict::Denied(denied) => self.deny(x, denied),
            Verdict::Nothing(why) => Err(self.undecided(why)),
        }
    }

    fn allow(&self, x: &mut Exchange, allowed: &Allowed) -> Result<(), Refusal> {
        let caller = match &self.identify {
            Some(identify) => Some(self.caller(identify, allowed)?),
            None => None,
        };
        let headers = &mut x.request.headers;
        for name in allowed.remove.iter().filter_map(|name| Name::new(name)) {
            let known = Known::of(name.as_str().as_bytes());
            if matches!(known, Known::Other | Known::Authorization | Known::Cookie) {
                headers.remove(&name);
            }
        }
        let whole = self.upstream.replace(headers, fields(&allowed.request))
            && self.client.append(&mut x.for_response, fields(&allowed.response));
        if !whole {
            return Err(self.undecided("a field of its answer can't be a header field"));
        }
        if caller.is_some() {
            x.caller = caller;
        }
        Ok(())
    }

    fn caller(&self, identify: &Identify, allowed: &Allowed) -> Result<Caller, Refusal> {
        let of = |name: &Name| text(&allowed.request, name.as_str());
        let maybe = |name: &Option<Name>| name.as_ref().and_then(of).unwrap_or_default();
        let Some(subject) = of(&identify.subject) else {
            let what = format!("its yes has no {}, as `identify` says", identify.subject.as_str());
            return Err(self.undecided(&what));
        };
        let application = match maybe(&identify.application) {
            "" => None,
            name => self.directory.by_name(name).cloned(),
        };
        if let Some(application) = &application {
            application.may_call().map_err(Refusal::new)?;
        }
        let words = |text: &str, by: fn(char) -> bool| -> Vec<Box<str>> {
            text.split(by).map(str::trim).filter(|word| !word.is_empty()).map(Box::from).collect()
        };
        let grant = Grant {
            subject: Some(subject.into()),
            groups: words(maybe(&identify.groups), |c| c == ','),
            scopes: words(maybe(&identify.scopes), char::is_whitespace),
            ..Grant::default()
        };
        Ok(Caller {
            application,
            credential: subject.into(),
            by: KIND.name,
            grant: Some(Arc::new(grant)),
        })
    }

    fn deny(&self, x: &mut Exchange, denied: &Denied) -> Result<Flow, Refusal> {
        let replies = self.answer && !x.request.is_grpc();
        if let Some(response) = replies.then(|| self.reply(denied)).flatten() {
            x.refusal = Some(if denied.status == 401 { &UNAUTHENTICATED } else { &DENIED });
            return Ok(Flow::Reply(Box::new(response)));
        }
        if denied.status != 401 {
            return Err(Refusal::new(&DENIED).note(format!("it answered {}", denied.status)));
        }
        let challenge = text(&denied.headers, "www-authenticate").unwrap_or("Bearer");
        let refusal = Refusal::new(&UNAUTHENTICATED).header("WWW-Authenticate", challenge);
        let shown = self.asking.told.iter().any(|name| x.request.headers.has(name));
        Err(if shown { refusal } else { refusal.absent() })
    }

    /// The authorizer's own answer; none where a client can't have it.
    fn reply(&self, denied: &Denied) -> Option<Response> {
        let status = Status::new(denied.status).filter(|status| matches!(status.class(), 3 | 4))?;
        let mut response = Response::new(status);
        if !self.client.append(&mut response.headers, fields(&denied.headers)) {
            return None;
        }
        if let Some(kind) = text(&denied.headers, "content-type")
            && !denied.body.is_empty()
        {
            response.headers.append("Content-Type", kind);
        }
        if !response.headers.has(Known::CacheControl) {
            response.headers.append("Cache-Control", "no-store");
        }
        if status.may_have_body() && !denied.body.is_empty() {
            response.body = Body::Full(Bytes::clone(&denied.body));
        }
        Some(response)
    }

    fn undecided(&self, why: &str) -> Refusal {
        let code = match self.on_error {
            OnError::Unavailable => &UNAVAILABLE,
            OnError::Forbidden => &UNDECIDED,
        };
        Refusal::new(code).note(why)
    }
}
