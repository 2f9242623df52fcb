//! Lets in callers who sign their requests (HTTP Message Signatures, RFC 9421).
//!
//! A signature says who sends a request, and that nothing of what it covers was changed on the way:
//! method, path, header fields, and the body by its `Content-Digest` (RFC 9530).
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - signature:
//!           keys:
//!             - id: shop-2026
//!               application: shop
//!               algorithm: ed25519
//!               public_key: |
//!                 -----BEGIN PUBLIC KEY-----
//!                 MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
//!                 -----END PUBLIC KEY-----
//!             - { id: lab, algorithm: hmac-sha256, secret: "${env:LAB:-at least 16 bytes}" }
//! applications:
//!   - name: shop
//! ```
//!
//! A request is signed with `Signature-Input` and `Signature`. The key is found by `keyid`, and is
//! for its one algorithm alone: an `alg` that says another one is refused. Every signature must
//! cover what `components` names, by default the method, the host, the path and the query;
//! `@target-uri` covers the last three. A request with a body must cover `content-digest` as well,
//! unless `digest` is `optional`; the body is held back, up to `body` bytes, and compared before
//! the upstream sees any of it.
//!
//! A signature is good from `created` on for `max_age`, and no longer than `expires` says;
//! `clock_skew` is what clocks may differ by. Each `nonce` counts once, so that a request that was
//! overheard can't be sent again; `nonce: optional` takes signatures without one, which can be sent
//! again as long as they are good. Nonces are remembered on each instance by itself.
//!
//! The path and the query that count are those the gateway routes by, with escapes in upper case
//! and only where needed; clients that sign a path as they send it should send it so.
//!
//! Of several signatures the one by a key that is known counts; `tag` says which where there may be
//! more. Signatures that count are removed before the upstream is asked, unless `keep` says to
//! leave them.

mod compile;
mod component;
mod key;
mod replay;
mod settings;
mod shown;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use policy::message::Request;
use policy::{
    Caller, Code, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};

use super::digest::{self, Digests};
use super::{application, shown::MULTIPLE_CREDENTIALS};
use compile::compile;
use key::Key;
use replay::{Nonces, Seen};
use settings::{Needed, Settings};
use shown::{Bad, Shown};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "signature",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[
        &MISSING,
        &INVALID,
        &REPLAYED,
        &NO_ROOM,
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
    name: "signature_missing",
    status: 401,
    grpc: 16,
    title: "The request must be signed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Sign the request as RFC 9421 says; Accept-Signature says what must be covered.",
};

static INVALID: Code = Code {
    name: "signature_invalid",
    status: 401,
    grpc: 16,
    title: "The signature is not good",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "The detail says what is wrong with it; check the key, the clock, and what is covered.",
};

static REPLAYED: Code = Code {
    name: "signature_replayed",
    status: 401,
    grpc: 16,
    title: "The signature was used before",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Sign every request anew, with a nonce of its own.",
};

static NO_ROOM: Code = Code {
    name: "signature_too_many",
    status: 429,
    grpc: 8,
    title: "This key signed more requests than can be remembered",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send fewer requests, or with a shorter life; operators raise `nonces` or shorten \
           `max_age`.",
};

/// Asks for a signature.
#[derive(Debug)]
struct Signature {
    keys: HashMap<Box<str>, (Key, Caller)>,
    components: Vec<String>,
    digest: Needed,
    nonce: Needed,
    max_age: Duration,
    clock_skew: Duration,
    tag: Option<String>,
    body: u64,
    keep: bool,
    nonces: Arc<Nonces>,
    accepted: Box<str>,
}

impl Policy for Signature {
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
        let known = |id: &str| self.keys.contains_key(id);
        if !self.keep
            && let Ok(shown) = shown::find(&request.headers, self.tag.as_deref(), known)
        {
            shown.remove(&mut request.headers);
        }
    }
}

impl Signature {
    /// Judges the request by its head. Gives the digests that its body must have.
    fn judge(&self, exchange: &mut Exchange) -> Result<Option<Digests>, Refusal> {
        let known = |id: &str| self.keys.contains_key(id);
        let shown = shown::find(&exchange.request.headers, self.tag.as_deref(), known);
        let shown = shown.map_err(|bad| match bad {
            Bad::None => self.asking(&MISSING).absent(),
            Bad::Several => Refusal::new(&MULTIPLE_CREDENTIALS)
                .detail("several signatures are by keys that are known; a tag tells them apart"),
            Bad::Malformed(what) => self.asking(&INVALID).detail(what),
        })?;
        let Some((key, caller)) = self.keys.get(shown.key.as_str()) else {
            return Err(self.asking(&INVALID).detail("nobody here has the key it names"));
        };
        let digests = self
            .verify(&shown, key, exchange)
            .map_err(|what| self.asking(&INVALID).detail(what))?;
        if let Some(nonce) = &shown.nonce {
            let nonce = nonce.as_bytes();
            match self.nonces.see(&shown.key, self.keys.len(), nonce, exchange.wall) {
                Seen::New => {}
                Seen::Before => return Err(self.asking(&REPLAYED)),
                Seen::NoRoom => {
                    let wait = self.max_age.as_secs().max(1).to_string();
                    return Err(Refusal::new(&NO_ROOM).header("Retry-After", wait));
                }
            }
        }
        application::admit(exchange, caller)?;
        if !self.keep {
            shown.remove(&mut exchange.request.headers);
        }
        Ok(digests)
    }

    fn asking(&self, code: &'static Code) -> Refusal {
        Refusal::new(code)
            .header("WWW-Authenticate", "Signature")
            .header("Accept-Signature", self.accepted.clone())
    }

    /// Whether the signature is good. Gives the digests that the body must have.
    ///
    /// # Errors
    /// What is wrong with it, for whoever made it.
    fn verify(
        &self,
        shown: &Shown,
        key: &Key,
        exchange: &Exchange,
    ) -> Result<Option<Digests>, String> {
        self.timely(shown, exchange.wall)?;
        if shown.algorithm.as_ref().is_some_and(|named| named != key.algorithm.text()) {
            return Err("its algorithm is not the key's".to_owned());
        }
        if shown.nonce.is_none() && self.nonce == Needed::Required {
            return Err("it has no nonce".to_owned());
        }
        let covers = |name: &str| component::covers(&shown.covered, name);
        if let Some(missed) = self.components.iter().find(|name| !covers(name)) {
            return Err(format!("it does not cover {missed}"));
        }
        let request = &exchange.request;
        let digested = covers("content-digest");
        if !digested && !request.body.is_empty() && self.digest == Needed::Required {
            return Err("it does not cover content-digest, and there is a body".to_owned());
        }
        let base = component::base(request, &shown.covered, &shown.parameters)?;
        if !key.has_signed(base.as_bytes(), &shown.signature) {
            return Err("it is not one by this key of what it says it covers".to_owned());
        }
        if !digested {
            return Ok(None);
        }
        let named = component::content_digest(request).ok_or("Content-Digest can't be read")?;
        match Digests::new(named.into_iter()) {
            Some(digests) => Ok(Some(digests)),
            None => Err("Content-Digest has neither sha-256 nor sha-512".to_owned()),
        }
    }

    /// Whether it is neither too old nor from the future.
    fn timely(&self, shown: &Shown, now: Duration) -> Result<(), String> {
        let created = shown.created.ok_or("it does not say when it was created")?;
        let created = Duration::from_secs(created);
        if created > now.saturating_add(self.clock_skew) {
            return Err("it was created in the future".to_owned());
        }
        let good_until = created.saturating_add(self.max_age).saturating_add(self.clock_skew);
        if now > good_until {
            return Err("it is too old".to_owned());
        }
        let expires = shown.expires.map(Duration::from_secs);
        match expires {
            Some(expires) if expires < created => Err("it expires before it is made".to_owned()),
            Some(expires) if now > expires.saturating_add(self.clock_skew) => {
                Err("it has expired".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
