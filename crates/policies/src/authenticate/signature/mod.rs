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
//!             - { id: lab, algorithm: hmac-sha256, secret: "${env:LAB_SECRET:-at least 16 bytes}" }
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

mod component;
mod key;
mod replay;
mod shown;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::{ByteSize, Pointer, Problem, Problems, Secret, Span};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::message::Request;
use policy::{
    Caller, Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal,
    Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::digest::{self, Digests};
use super::{application, shown::MULTIPLE_CREDENTIALS};
use key::{Algorithm, Key};
use replay::{Nonces, Seen};
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

/// The longest that a signature may be good for.
const MAX_AGE: Duration = Duration::from_secs(86_400);

/// The fewest bytes of a secret.
const SECRET_BYTES: usize = 16;

/// What a signature must be like, and by whose keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Signature")]
struct Settings {
    /// The keys, by the `keyid` that signatures name.
    keys: Vec<WrittenKey>,
    /// What every signature must cover: names of fields in lower case, and derived components as
    /// `@method`.
    components: Vec<String>,
    /// Whether a request with a body must cover `content-digest`.
    digest: Needed,
    /// Whether a signature must have a nonce.
    nonce: Needed,
    /// How long a signature is good for; at most 1d.
    max_age: Span,
    /// What clocks may differ by.
    clock_skew: Span,
    /// Which signature counts, where a request may have several: its `tag`.
    tag: Option<String>,
    /// The longest body that is held back to be compared with its digest.
    body: ByteSize,
    /// Nonces remembered at most; a half of them is shared out to the keys.
    nonces: u32,
    /// Whether the upstream gets to see the signature.
    keep: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let components = ["@method", "@authority", "@path", "@query"];
        Self {
            keys: Vec::new(),
            components: components.map(str::to_owned).to_vec(),
            digest: Needed::Required,
            nonce: Needed::Required,
            max_age: Span::secs(300),
            clock_skew: Span::secs(30),
            tag: None,
            body: ByteSize(1 << 20),
            nonces: 1_000_000,
            keep: false,
        }
    }
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignatureNeeded")]
enum Needed {
    /// It must.
    Required,
    /// It is looked at where it is.
    Optional,
}

/// A key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignatureKey")]
struct WrittenKey {
    /// What signatures call it: their `keyid`.
    id: String,
    /// The application that has it.
    application: Option<String>,
    /// The one algorithm it is for.
    algorithm: Algorithm,
    /// The secret of `hmac-sha256`, as text; at least 16 bytes.
    secret: Option<Secret>,
    /// The secret of `hmac-sha256`, in base64.
    secret_base64: Option<Secret>,
    /// The public key of the others: a PEM block, `BEGIN PUBLIC KEY`.
    public_key: Option<String>,
}

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

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let mut keys = HashMap::new();
    for (number, written) in settings.keys.iter().enumerate() {
        let at = at.key("keys").index(number);
        let Some(found) = key(written, &at, cx, &mut problems) else { continue };
        if keys.insert(written.id.as_str().into(), found).is_some() {
            let what = format!("there are two keys `{}`", written.id);
            problems.push(Problem::new(&at, what).hint("give each an `id` of its own"));
        }
    }
    if settings.keys.is_empty() {
        let problem = Problem::new(at, "there is no key that anyone could sign with");
        problems.push(problem.hint("name them in `keys`"));
    }
    check(&settings, at, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let (max_age, clock_skew) = (settings.max_age.0, settings.clock_skew.0);
    let life = max_age + 2 * clock_skew;
    let most = settings.nonces as usize;
    let kept = format!("{} nonces {} {most}", cx.id, life.as_secs());
    Ok(Arc::new(Signature {
        accepted: accepted(&settings).into(),
        keys,
        components: settings.components,
        digest: settings.digest,
        nonce: settings.nonce,
        max_age,
        clock_skew,
        tag: settings.tag,
        body: settings.body.0,
        keep: settings.keep,
        nonces: cx.carry.keep(&kept, || Nonces::new(life, most)),
    }))
}

/// What is wrong with the settings beside the keys.
fn check(settings: &Settings, at: &Pointer, problems: &mut Problems) {
    for (number, name) in settings.components.iter().enumerate() {
        let plain = name.strip_prefix('@').unwrap_or(name);
        let is = !plain.is_empty()
            && plain
                .bytes()
                .all(|byte| policy::message::is_token(byte) && !byte.is_ascii_uppercase())
            && name != "@query-param";
        if !is {
            let what = format!("`{}` can't be covered", name.escape_debug());
            let hint = "name fields in lower case, or `@method`, `@path` and the like";
            let at = at.key("components").index(number);
            problems.push(Problem::new(&at, what).hint(hint));
        }
    }
    for (name, age) in [("max_age", settings.max_age), ("clock_skew", settings.clock_skew)] {
        if age.0 > MAX_AGE {
            let problem = Problem::new(&at.key(name), "this is longer than a day");
            problems.push(problem.hint("write 1d or less, as in `5m`"));
        }
    }
    if settings.nonces < 2 * settings.keys.len() as u32 {
        let problem = Problem::new(&at.key("nonces"), "there is no room for a nonce of each key");
        problems.push(problem.hint("leave it at 1000000"));
    }
}

/// The key and whose it is.
fn key(
    written: &WrittenKey,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Option<(Key, Caller)> {
    let before = problems.len();
    let named = written.application.as_deref();
    let application = named
        .and_then(|name| application::find(cx.directory, name, &at.key("application"), problems));
    let key = match (written.algorithm, &written.secret, &written.secret_base64) {
        (Algorithm::HmacSha256, Some(text), None) => {
            secret(Some(text.expose().as_bytes()), &at.key("secret"), problems)
        }
        (Algorithm::HmacSha256, None, Some(text)) => {
            let bytes = BASE64_STANDARD.decode(text.expose().trim()).ok();
            secret(bytes.as_deref(), &at.key("secret_base64"), problems)
        }
        (Algorithm::HmacSha256, ..) => {
            let problem = Problem::new(at, "a key for hmac-sha256 has one secret");
            problems.push(problem.hint("write `secret: ${env:NAME}`, or `secret_base64`"));
            None
        }
        (_, None, None) => public(written, at, problems),
        _ => {
            let problem = Problem::new(at, "a secret is for hmac-sha256 alone");
            problems.push(problem.hint("write the `public_key`"));
            None
        }
    };
    let caller =
        Caller { application, credential: written.id.as_str().into(), by: KIND.name, grant: None };
    key.filter(|_| problems.len() == before).map(|key| (key, caller))
}

fn secret(bytes: Option<&[u8]>, at: &Pointer, problems: &mut Problems) -> Option<Key> {
    match bytes {
        Some(bytes) if bytes.len() >= SECRET_BYTES => return Some(Key::secret(bytes)),
        Some(_) => problems.push(
            Problem::new(at, "this secret is too short")
                .hint("use at least 16 bytes, as `openssl rand -base64 32` makes them"),
        ),
        None => problems.push(
            Problem::new(at, "this secret is not base64")
                .hint("write `secret` where it is meant as it stands"),
        ),
    }
    None
}

fn public(written: &WrittenKey, at: &Pointer, problems: &mut Problems) -> Option<Key> {
    let Some(text) = &written.public_key else {
        let what = format!("a key for {} has a public key", written.algorithm.text());
        problems.push(Problem::new(at, what).hint("write it as a PEM block in `public_key`"));
        return None;
    };
    let key = Key::public(written.algorithm, text);
    if key.is_none() {
        let what = format!("this is no public key for {}", written.algorithm.text());
        let hint = "write what `openssl pkey -pubout` gives; keys of RSA have at least 2048 bits";
        problems.push(Problem::new(&at.key("public_key"), what).hint(hint));
    }
    key
}

/// The value of `Accept-Signature` (RFC 9421 §5).
fn accepted(settings: &Settings) -> String {
    let components: Vec<_> = settings.components.iter().map(|name| format!("\"{name}\"")).collect();
    let mut text = format!("sig=({});created;keyid", components.join(" "));
    if settings.nonce == Needed::Required {
        text.push_str(";nonce");
    }
    if let Some(tag) = &settings.tag {
        text.push_str(";tag=");
        text.push_str(&crate::structured::string(tag));
    }
    text
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
