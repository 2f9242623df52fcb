//! Lets in callers that show a signed token (JWT) of an issuer the document trusts.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - jwt:
//!           issuers:
//!             - issuer: https://idp.example.com/realms/shop
//!               audiences: [ orders ]
//!               application: client_id
//!               groups: realm_access.roles
//!               claims: [ { claim: tenant, any: [ acme, umbrella ] } ]
//!           headers: { X-User: sub, X-Mail: email }
//! applications:
//!   - name: shop
//! ```
//!
//! **Keys.** An issuer's keys are found by its metadata (`issuer` +
//! `/.well-known/openid-configuration`), at the URL, in the file or in the text that `keys` names.
//! They are fetched beside the requests every `refresh`, once for all who use them. A token whose
//! key is not known makes the gateway ask again, at most every 30 s per issuer. When the issuer
//! can't be reached its last keys are used for `max_stale`, one hour; then tokens are refused with
//! 503. A key has one algorithm: the one it names, or the first of `algorithms` that fits it.
//! Nothing in a token's header changes that, and `jwk`, `jku`, `x5u` and `x5c` in it are not looked
//! at.
//!
//! ```yaml
//! policies:
//!   - jwt:
//!       issuers:
//!         - issuer: https://partner.example.com
//!           keys: { url: "https://partner.example.com/keys.json" }
//!           algorithms: [ ES256 ]
//!           audiences: [ orders ]
//!           type: access_token
//! ```
//!
//! **What a token must say.** `iss` of one of the issuers, an audience of `audiences`, an `exp`
//! that is not over and an `nbf` and `iat` that have come, all with a `leeway` of one minute, and
//! what `claims` asks for. Claims of a wrong type are refused, never taken for missing ones. With
//! `type: access_token` it must be an access token by RFC 9068.
//!
//! **Who calls.** The token's claims can be used by policies after this one: conditions see them,
//! `scope` what `scopes` names, `acl` what `groups` names. Where `application` names a claim, the
//! application of that name calls, with its plans. `headers` tells claims to the upstream; the
//! gateway removes what callers send under these names. The token itself is taken out of the
//! request unless `keep` is set.
//!
//! Where two of these policies stand in one chain, both must be content, so the outer one needs
//! `keep`.
//!
//! **Bound tokens.** A token with a `cnf` is taken from whoever has what it names: the client
//! certificate (RFC 8705), or the key of a DPoP proof (RFC 9449), which is checked against method,
//! URL and token and taken once. `bound` asks for such tokens; `dpop.nonce` for a nonce in proofs.
//!
//! A token that was verified is kept in memory until it ends, so that it is verified once per
//! instance; `cache` says how many.

pub(super) mod claims;
mod codes;
mod compile;
mod dpop;
mod issuer;
pub(super) mod place;
mod replay;
mod settings;
mod source;
mod verified;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use policy::message::{Name, Request};
use policy::{
    Code, Directory, Exchange, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use serde_json::Value;

use crate::asked::{Answers, Held, Told};
use crate::identity::Fields;
use crate::jose::{self, Bad, Token};
use crate::secret_names::SecretNames;
use dpop::{Asked, Proofs};
use issuer::{Issuer, Keys, Refused, refused};
use settings::{Bound, Settings};
use source::Shown;
use verified::Verified;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "jwt",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &codes::MISSING,
        &codes::MALFORMED,
        &codes::ALGORITHM,
        &codes::UNKNOWN_KEY,
        &codes::SIGNATURE,
        &codes::CLAIM_TYPE,
        &codes::CLAIM,
        &codes::TYPE,
        &codes::ISSUER,
        &codes::AUDIENCE,
        &codes::EXPIRED,
        &codes::EARLY,
        &codes::BINDING,
        &codes::PROOF,
        &codes::NONCE,
        &codes::BUSY,
        &codes::STRANGER,
        &codes::UNAVAILABLE,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile: compile::compile,
};

/// Verified tokens by their SHA-256.
type Memory = Answers<Verified>;

/// Asks for a token.
#[derive(Debug)]
struct Jwt {
    issuers: Vec<Issuer>,
    from: Vec<source::Place>,
    keep: bool,
    told: Fields,
    bound: Bound,
    /// Scheme and host of callers' URLs, where the gateway sees others.
    origin: Option<Box<str>>,
    proofs: Arc<Proofs>,
    /// As a quoted string.
    realm: Box<str>,
    memory: Option<Arc<Memory>>,
    directory: Arc<Directory>,
    /// Held so that the names stay secret as long as this runs.
    _secrets: Arc<SecretNames>,
}

impl Policy for Jwt {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let shown = match source::find(&self.from, &exchange.request) {
            Ok(Some(shown)) => shown,
            Ok(None) => return Step::refuse(self.refusal(&codes::MISSING, None).absent()),
            Err(refusal) => return Step::refuse(refusal),
        };
        let key = sha256(shown.token.as_bytes());
        let now = exchange.wall;
        if let Some(held) = self.memory.as_ref().and_then(|memory| memory.find(&key, now))
            && self.is_current(&held.value, now)
        {
            return done(self.admit(exchange, &shown, &held.value));
        }
        match self.judge(&shown.token, key, now) {
            Ok(held) => done(self.admit(exchange, &shown, &held.value)),
            Err((refused, number)) => self.refused_or_wait(exchange, shown, key, refused, number),
        }
    }

    fn hide(&self, request: &mut Request) {
        source::remove(&self.from, request);
    }
}

impl Jwt {
    /// Whether a token has begun, and the keys it was verified with are still its issuer's.
    fn is_current(&self, verified: &Verified, now: Duration) -> bool {
        let issuer = self.issuers.get(verified.issuer);
        now >= verified.since
            && issuer.is_some_and(|issuer| issuer.generation() == verified.generation)
    }

    /// Who shows `token`; or why not, and whose it is.
    fn judge(
        &self,
        token: &str,
        key: [u8; 32],
        now: Duration,
    ) -> Result<Held<Verified>, (Refused, usize)> {
        let malformed = |bad: Bad| (refused(bad), 0);
        let token = Token::read(token).map_err(malformed)?;
        let claims = token.unverified().map_err(malformed)?;
        let name = claims.get("iss");
        let is_its = |issuer: &Issuer| match (&issuer.name, name) {
            (Some(own), Some(Value::String(name))) => **own == **name,
            (None, None) => true,
            _ => false,
        };
        let number = self.issuers.iter().position(is_its);
        let found = number.and_then(|number| Some((number, self.issuers.get(number)?)));
        let Some((number, issuer)) = found else {
            let code = match name {
                None | Some(Value::String(_)) => &codes::ISSUER,
                Some(_) => &codes::CLAIM_TYPE,
            };
            return Err((Refused::Because(code, "iss".into()), 0));
        };
        let judged = issuer.judge(number, &token, claims, now, &self.directory);
        let (value, until) = judged.map_err(|refused| (refused, number))?;
        let held = Arc::new(Told { value, until, good: true });
        if let Some(memory) = &self.memory {
            memory.keep(key, held.clone());
        }
        Ok(held)
    }

    /// What becomes of a token that was not verified: where new keys may help, they are waited for.
    fn refused_or_wait<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        shown: Shown,
        key: [u8; 32],
        refused: Refused,
        number: usize,
    ) -> Step<'a> {
        let now = exchange.wall;
        let published = match self.issuers.get(number).map(|issuer| &issuer.keys) {
            Some(Keys::Published(published)) => published,
            _ => return done(Err(self.no(refused, None))),
        };
        match refused {
            Refused::Because(..) => done(Err(self.no(refused, None))),
            Refused::NoKeys => match published.ask_for_any(now) {
                Err(why) => done(Err(self.no(refused, Some(&why)))),
                Ok(fetch) => Step::Wait(Box::pin(async move {
                    let fetched = fetch.await;
                    let why = fetched.as_ref().err().map(|why| &**why);
                    flow(self.after(exchange, &shown, key, why))
                })),
            },
            Refused::UnknownKey => match published.ask_for_unknown(now) {
                None => done(Err(self.no(refused, None))),
                Some(fetch) => Step::Wait(Box::pin(async move {
                    // What it knew before is still there if this fails.
                    let _ = fetch.await;
                    flow(self.after(exchange, &shown, key, None))
                })),
            },
        }
    }

    /// Another look after keys were fetched.
    fn after(
        &self,
        exchange: &mut Exchange,
        shown: &Shown,
        key: [u8; 32],
        why: Option<&str>,
    ) -> Result<(), Refusal> {
        match self.judge(&shown.token, key, exchange.wall) {
            Ok(held) => self.admit(exchange, shown, &held.value),
            Err((refused, _)) => Err(self.no(refused, why)),
        }
    }

    /// Lets the caller in, if the token is bound to nothing that it has not.
    fn admit(
        &self,
        exchange: &mut Exchange,
        shown: &Shown,
        verified: &Verified,
    ) -> Result<(), Refusal> {
        self.check_binding(exchange, shown, verified)?;
        if !self.keep {
            source::remove(&self.from, &mut exchange.request);
        }
        // A proof is for this gateway alone.
        if verified.cnf.as_ref().is_some_and(|cnf| cnf.key().is_some()) {
            exchange.request.headers.remove(&proof_field());
        }
        self.told.write(&mut exchange.request.headers, Some(&verified.caller));
        exchange.caller = Some(verified.caller.clone());
        Ok(())
    }

    fn check_binding(
        &self,
        exchange: &Exchange,
        shown: &Shown,
        verified: &Verified,
    ) -> Result<(), Refusal> {
        let (certificate, key) = match &verified.cnf {
            None => (None, None),
            Some(cnf) => (cnf.certificate(), cnf.key()),
        };
        let unknown = verified.cnf.is_some() && certificate.is_none() && key.is_none();
        let enough = match self.bound {
            Bound::AsIssued => true,
            Bound::Any => certificate.is_some() || key.is_some(),
            Bound::Certificate => certificate.is_some(),
            Bound::Dpop => key.is_some(),
        };
        // A token bound to a key comes with the scheme DPoP, and no other does (RFC 9449 §7.1).
        let from_field = self.from.iter().all(|at| !matches!(at, source::Place::Authorization));
        let scheme = shown.dpop == key.is_some() || (from_field && key.is_some());
        if unknown || !enough || !scheme {
            return Err(self.refusal(&codes::BINDING, Some("the token is bound")));
        }
        if let Some(wanted) = certificate
            && !shows_certificate(exchange, wanted)
        {
            return Err(self.refusal(&codes::BINDING, Some("the token is bound")));
        }
        match key {
            Some(key) => self.check_proof(exchange, &shown.token, key),
            None => Ok(()),
        }
    }

    fn check_proof(
        &self,
        exchange: &Exchange,
        token: &str,
        thumbprint: &str,
    ) -> Result<(), Refusal> {
        let request = &exchange.request;
        let field = proof_field();
        let mut proofs = request.headers.all(&field).map(<[u8]>::to_vec);
        let (first, second) = (proofs.next(), proofs.next());
        let proof = first.filter(|_| second.is_none()).and_then(|it| String::from_utf8(it).ok());
        let Some(proof) = proof else {
            return Err(self.refusal(&codes::PROOF, Some("one DPoP field is needed")));
        };
        let target = &request.target;
        let url = match &self.origin {
            Some(origin) => format!("{origin}{}", target.path),
            None => {
                let (scheme, host) = (target.scheme.text(), target.authority.as_str());
                format!("{scheme}://{host}{}", target.path)
            }
        };
        let now = exchange.wall;
        let asked = Asked { method: request.method.as_str(), url: &url, token, thumbprint, now };
        self.proofs.check(&proof, &asked).map_err(|bad| match bad {
            dpop::Bad::Wrong(what) => self.refusal(&codes::PROOF, Some(what)),
            dpop::Bad::Busy => Refusal::new(&codes::BUSY),
            dpop::Bad::Nonce => {
                let nonce = self.proofs.nonce(now).unwrap_or_default();
                self.refusal(&codes::NONCE, Some("a nonce is needed")).header("DPoP-Nonce", nonce)
            }
        })
    }

    /// The refusal of a token that was not verified.
    fn no(&self, refused: Refused, why: Option<&str>) -> Refusal {
        match refused {
            Refused::Because(code, what) => {
                let detail = match code.status {
                    401 if what.is_empty() => None,
                    401 => Some(&*what),
                    _ => return Refusal::new(code),
                };
                self.refusal(code, detail)
            }
            Refused::UnknownKey => self.refusal(&codes::UNKNOWN_KEY, None),
            Refused::NoKeys => {
                let refusal = Refusal::new(&codes::UNAVAILABLE).header("Retry-After", "5");
                refusal.note(why.unwrap_or("the issuer's keys are too old"))
            }
        }
    }

    /// A refusal that says how to do better (RFC 6750 §3, RFC 9449 §7.1).
    fn refusal(&self, code: &'static Code, detail: Option<&str>) -> Refusal {
        let refusal = Refusal::new(code);
        let refusal = match detail {
            Some(detail) => refusal.detail(detail),
            None => refusal,
        };
        let error = match code.name {
            "jwt_missing" => None,
            "dpop_proof_invalid" => Some("invalid_dpop_proof"),
            "dpop_nonce_needed" => Some("use_dpop_nonce"),
            _ => Some("invalid_token"),
        };
        let scheme = match error {
            Some("invalid_dpop_proof" | "use_dpop_nonce") => "DPoP",
            _ if self.bound == Bound::Dpop => "DPoP",
            _ => "Bearer",
        };
        let mut challenge = format!("{scheme} realm={}", self.realm);
        if let Some(error) = error {
            challenge += &format!(", error=\"{error}\", error_description=\"{}\"", code.title);
        }
        if scheme == "DPoP" {
            challenge += ", algs=\"ES256 ES384 ES512 EdDSA PS256 PS384 PS512 RS256 RS384 RS512\"";
        }
        refusal.header("WWW-Authenticate", challenge)
    }
}

/// Whether the connection's client showed the certificate of this SHA-256 (RFC 8705 §3).
fn shows_certificate(exchange: &Exchange, wanted: &str) -> bool {
    let tls = exchange.connection.tls.as_ref();
    let client = tls.and_then(|tls| tls.client.as_ref());
    client.is_some_and(|client| jose::encode(client.sha256) == wanted)
}

fn proof_field() -> Name {
    Name::new("dpop").unwrap_or(Name::known(policy::message::Known::Other))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().first_chunk().copied().unwrap_or_default()
}

fn flow(result: Result<(), Refusal>) -> Flow {
    match result {
        Ok(()) => Flow::Continue,
        Err(refusal) => Flow::Refuse(Box::new(refusal)),
    }
}

fn done<'a>(result: Result<(), Refusal>) -> Step<'a> {
    Step::Done(flow(result))
}

#[cfg(test)]
mod tests;
