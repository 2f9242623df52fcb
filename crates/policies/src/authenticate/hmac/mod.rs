//! Lets in callers who sign their requests with a shared secret, as older clients do it.
//!
//! This is the form of draft-cavage-http-signatures, which many gateways and SDKs speak:
//! `Authorization: Signature keyId="…",headers="…",signature="…"`, or the same in a field
//! `Signature`. For new clients the `signature` policy is better: it is a standard, and what was
//! overheard can't be sent again.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - hmac:
//!           keys:
//!             - { id: shop-1, application: shop, secret: "${env:SHOP_SECRET:-at least 16 bytes}" }
//! applications:
//!   - name: shop
//! ```
//!
//! Every signature must cover what `headers` names, by default `(request-target)`, `host` and
//! `date`. What says when it was signed (`date`, `x-date` in its place, or `(created)`) must be
//! covered, and must not be further from the gateway's clock than `clock_skew`. A request with a
//! body must cover `digest` (or `content-digest`), unless `digest` is `optional`; the body is held
//! back, up to `body` bytes, and compared before the upstream sees any of it.
//!
//! Within `clock_skew` the same request can be sent again by anyone who overheard it: use TLS. The
//! signature is removed before the upstream is asked, unless `keep` says to leave it.

mod compile;
mod settings;
mod shown;

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::message::{Headers, Known, Name, Request};
use policy::{
    Caller, Code, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};

use super::application;
use super::digest::{self, Digests};
use super::shown::{MULTIPLE_CREDENTIALS, authorization};
use crate::structured::parse;
use crate::structured::value::{Bare, Item, Member};
use compile::compile;
use settings::{Algorithm, Needed, Settings};
use shown::Shown;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "hmac",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[
        &MISSING,
        &INVALID,
        &MULTIPLE_CREDENTIALS,
        &digest::MISMATCH,
        &digest::TOO_LARGE,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static MISSING: Code = Code {
    name: "hmac_missing",
    status: 401,
    grpc: 16,
    title: "The request must be signed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Sign the request with your secret; WWW-Authenticate says what must be covered.",
};

static INVALID: Code = Code {
    name: "hmac_invalid",
    status: 401,
    grpc: 16,
    title: "The signature is not good",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "The detail says what is wrong with it; check the secret, the clock, and what is covered\
    .",
};

/// Asks for a signature.
struct Hmac {
    keys: HashMap<Box<str>, Key>,
    headers: Vec<String>,
    digest: Needed,
    clock_skew: Duration,
    body: u64,
    keep: bool,
    challenge: Box<str>,
}

struct Key {
    algorithm: Algorithm,
    secret: hmac::Key,
    caller: Caller,
}

impl std::fmt::Debug for Hmac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hmac({} keys)", self.keys.len())
    }
}

impl Policy for Hmac {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.judge(exchange) {
            Ok(None) => Step::next(),
            Ok(Some(digests)) => Step::Wait(Box::pin(async move {
                let most = digest::most(self.body, exchange.body_limit);
                match digests.check(&mut exchange.request, most).await {
                    Ok(()) => Flow::Continue,
                    Err(refusal) => {
                        exchange.caller = None;
                        Flow::Refuse(Box::new(refusal))
                    }
                }
            })),
            Err(refusal) => Step::refuse(refusal),
        }
    }

    fn hide(&self, request: &mut Request) {
        if self.keep {
            return;
        }
        if !matches!(authorization(&request.headers, "signature"), Ok(None)) {
            request.headers.remove(Known::Authorization);
        }
        if let Some(name) = own_field() {
            request.headers.remove(&name);
        }
    }
}

/// The field that a signature may stand in beside `Authorization`.
fn own_field() -> Option<Name> {
    Name::new("signature")
}

impl Hmac {
    /// Judges the request by its head. Gives the digests that its body must have.
    fn judge(&self, exchange: &mut Exchange) -> Result<Option<Digests>, Refusal> {
        let shown = self.shown(&exchange.request.headers)?;
        let invalid = |what: String| self.asking(&INVALID).detail(what);
        let Some(key) = self.keys.get(shown.key.as_str()) else {
            return Err(invalid("nobody here has the key it names".to_owned()));
        };
        let digests = self.verify(&shown, key, exchange).map_err(invalid)?;
        application::admit(exchange, &key.caller)?;
        self.hide(&mut exchange.request);
        Ok(digests)
    }

    fn asking(&self, code: &'static Code) -> Refusal {
        Refusal::new(code).header("WWW-Authenticate", self.challenge.clone())
    }

    /// The one signature there is.
    fn shown(&self, headers: &Headers) -> Result<Shown, Refusal> {
        let name = own_field();
        let mut own = name.iter().flat_map(|name| headers.all(name));
        let (first, second) = (own.next(), own.next());
        let text = match (authorization(headers, "signature")?, first, second) {
            (Some(_), Some(_), _) | (_, _, Some(_)) => {
                let refusal = Refusal::new(&MULTIPLE_CREDENTIALS);
                return Err(refusal.detail("there are several signatures"));
            }
            (None, None, _) => return Err(self.asking(&MISSING).absent()),
            (Some(text), ..) | (None, Some(text), None) => text,
        };
        Shown::parse(text).ok_or_else(|| self.asking(&INVALID).detail("it can't be read"))
    }

    /// Whether the signature is good. Gives the digests that the body must have.
    fn verify(
        &self,
        shown: &Shown,
        key: &Key,
        exchange: &Exchange,
    ) -> Result<Option<Digests>, String> {
        let named = shown.algorithm.as_deref();
        if named.is_some_and(|named| named != "hs2019" && named != key.algorithm.text()) {
            return Err("its algorithm is not the key's".to_owned());
        }
        let covers = |name: &str| shown.covered.iter().any(|covered| covered == name);
        let missed = self.headers.iter().find(|name| {
            // Browsers can't set Date.
            !covers(name) && (*name != "date" || !covers("x-date"))
        });
        if let Some(missed) = missed {
            return Err(format!("it does not cover {missed}"));
        }
        let request = &exchange.request;
        let digested = ["digest", "content-digest"].into_iter().find(|name| covers(name));
        if digested.is_none() && !request.body.is_empty() && self.digest == Needed::Required {
            return Err("it does not cover digest, and there is a body".to_owned());
        }
        self.timely(shown, exchange)?;
        let text = signed_text(request, shown)?;
        if hmac::verify(&key.secret, text.as_bytes(), &shown.signature).is_err() {
            return Err("it is not one with this key of what it says it covers".to_owned());
        }
        let Some(name) = digested else { return Ok(None) };
        let digests = digests(request, name).and_then(|named| Digests::new(named.into_iter()));
        digests
            .map(Some)
            .ok_or_else(|| format!("{name} has no SHA-256 or SHA-512 that can be read"))
    }

    /// Whether it was signed just now.
    fn timely(&self, shown: &Shown, exchange: &Exchange) -> Result<(), String> {
        let covers = |name: &str| shown.covered.iter().any(|covered| covered == name);
        let dated = |name: &str| -> Result<Duration, String> {
            let name = Name::new(name).ok_or("it has no date")?;
            let value = exchange.request.headers.get(&name).ok_or("there is no date")?;
            let text = std::str::from_utf8(value).map_err(|_| "the date can't be read")?;
            let date = httpdate::parse_http_date(text).map_err(|_| "the date can't be read")?;
            let since = date.duration_since(std::time::UNIX_EPOCH);
            since.map_err(|_| "the date can't be read".to_owned())
        };
        let made = match shown.created.filter(|_| covers("(created)")) {
            Some(created) => Duration::from_secs(created),
            None if covers("x-date") => dated("x-date")?,
            None if covers("date") => dated("date")?,
            None => return Err("it does not cover when it was made".to_owned()),
        };
        let now = exchange.wall;
        if made.abs_diff(now) > self.clock_skew {
            return Err("its time is too far from the gateway's clock".to_owned());
        }
        if shown.expires.is_some_and(|expires| Duration::from_secs(expires) < now) {
            return Err("it has expired".to_owned());
        }
        Ok(())
    }
}

/// The text that is signed (draft-cavage-http-signatures-12 §2.3).
fn signed_text(request: &Request, shown: &Shown) -> Result<String, String> {
    let mut text = String::with_capacity(256);
    for (number, name) in shown.covered.iter().enumerate() {
        if shown.covered.iter().take(number).any(|earlier| earlier == name) {
            return Err(format!("it covers {name} twice"));
        }
        let value = covered(request, shown, name)
            .ok_or_else(|| format!("the request has no {name} to be covered"))?;
        if number > 0 {
            text.push('\n');
        }
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&value);
    }
    Ok(text)
}

fn covered(request: &Request, shown: &Shown, name: &str) -> Option<String> {
    let target = &request.target;
    match name {
        "(request-target)" => {
            let method = request.method.as_str().to_ascii_lowercase();
            let query = target.query.as_ref().map(|query| format!("?{query}"));
            return Some(format!("{method} {}{}", target.path, query.unwrap_or_default()));
        }
        "(created)" => return shown.created.map(|created| created.to_string()),
        "(expires)" => return shown.expires.map(|expires| expires.to_string()),
        _ => {}
    }
    match Known::of(name.as_bytes()) {
        Known::Host => return Some(target.authority.as_str().to_owned()),
        Known::ContentLength => return Some(request.body.remaining()?.to_string()),
        _ => {}
    }
    let name = Name::new(name)?;
    let values: Vec<_> = request.headers.all(&name).map(<[u8]>::trim_ascii).collect();
    if values.is_empty() {
        return None;
    }
    String::from_utf8(values.join(&b", "[..])).ok()
}

/// The digests that `Digest` (RFC 3230) or `Content-Digest` tells: names and values.
fn digests(request: &Request, name: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let field = Name::new(name)?;
    let field: Vec<_> = request.headers.all(&field).collect();
    let field = field.join(&b", "[..]);
    if name == "content-digest" {
        let members = parse::dictionary(&field)?.into_iter();
        let bytes = members.filter_map(|(name, member)| match member {
            Member::Item(Item { value: Bare::Bytes(bytes), .. }) => Some((name, bytes)),
            _ => None,
        });
        return Some(bytes.collect());
    }
    let text = std::str::from_utf8(&field).ok()?;
    let one = |member: &str| {
        let (name, value) = member.trim().split_once('=')?;
        Some((name.to_owned(), BASE64_STANDARD.decode(value).ok()?))
    };
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests;
