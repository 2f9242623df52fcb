//! Tells the upstream who calls by a token that the gateway signs.
//!
//! Upstreams that verify it need not trust the network between. The token lives for minutes, is
//! made once per caller and sent until it is nearly over; the `jwks` policy publishes its keys.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - identity_jwt:
//!           issuer: https://gateway.example.com
//!           audience: orders
//!           claims: { mail: email }
//!   - name: keys
//!     path: /.well-known/jwks.json
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - jwks: {}
//! applications:
//!   - name: shop
//! ```
//!
//! It has `iss`, `aud`, `iat`, `exp`, and of the caller `sub` (whom the credential speaks of, or
//! the application), `client_id` (the application), `organization`, `scope` and `groups`, each
//! where there is one, and the claims that `claims` takes from the caller's own token. It stands in
//! `header`, which callers can't send: the gateway removes what comes under that name. Where nobody
//! is known there is none.
//!
//! Without `keys` each instance makes a key for itself, and another every `rotate`: published an
//! hour before it signs, and an hour after it stopped. Several instances behind one address need
//! `keys`, the same for all: files with private keys, of which the first signs and all are
//! published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base::{Pointer, Problem, Problems, Span};
use policy::message::Name;
use policy::{Caller, Code, Compile, Exchange, Fault, Phase, Policy};
use policy::{PolicyKind, Posture, Refusal, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::asked::{Answers, Told};
use crate::jose::Algorithm;
use crate::ring::{Ring, Turning};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "identity_jwt",
    phase: Phase::Transform,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&UNSIGNED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static UNSIGNED: Code = Code {
    name: "identity_unsigned",
    status: 500,
    grpc: 13,
    title: "Who calls can't be told to the upstream",
    proxy_error: "proxy_internal_error",
    fault: Fault::Gateway,
    cure: "Operators check the keys of the identity_jwt policy.",
};

/// Tokens kept in memory.
const KEPT: usize = 10_000;

/// What the token says, and what signs it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityJwt")]
struct Settings {
    /// What the token has as `iss`.
    issuer: String,
    /// What it has as `aud`; nothing unless given.
    #[serde(default)]
    audience: Option<String>,
    /// The header field it stands in; `x-gateward-identity` unless given.
    #[serde(default)]
    header: Option<String>,
    /// How long it is valid. It is sent for half of that.
    #[serde(default = "lifetime")]
    lifetime: Span,
    /// Claims taken from the caller's own token: name, and where it stands there (a name or a JSON
    /// Pointer).
    #[serde(default)]
    claims: BTreeMap<String, String>,
    /// Files with private keys in PEM: the first signs, `jwks` publishes all.
    #[serde(default)]
    keys: Vec<String>,
    /// The algorithm; `ES256` unless given or the key is for another.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// The name of the keys that this instance makes for itself, for `jwks` to publish.
    #[serde(default)]
    set: Option<String>,
    /// How often it makes another.
    #[serde(default = "rotate")]
    rotate: Span,
}

const fn lifetime() -> Span {
    Span::secs(300)
}

const fn rotate() -> Span {
    Span::secs(30 * 86_400)
}

/// Claims that say what others must not.
const OWN: &[&str] = &["iss", "aud", "iat", "exp", "nbf", "sub", "client_id", "cnf"];

#[derive(Debug)]
struct IdentityJwt {
    issuer: String,
    audience: Option<String>,
    header: Name,
    lifetime: Duration,
    /// Name, and JSON Pointer.
    claims: Vec<(String, String)>,
    ring: Arc<Ring>,
    kept: Arc<Answers<String>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let header = settings.header.as_deref().unwrap_or("x-gateward-identity");
    let header = crate::identity::name(header, &at.key("header"), &mut problems);
    let lifetime = settings.lifetime.get();
    if !(Duration::from_secs(10)..=Duration::from_secs(3600)).contains(&lifetime) {
        let problem = Problem::new(&at.key("lifetime"), "not 10s to 1h");
        problems.push(problem.hint("write a few minutes, as in 5m"));
    }
    if settings.rotate.get() < Duration::from_secs(2 * 3600) {
        let problem = Problem::new(&at.key("rotate"), "keys would be replaced all the time");
        problems.push(problem.hint("write 2h or more, as in 30d"));
    }
    if settings.algorithm.is_some_and(Algorithm::is_symmetric) {
        let problem = Problem::new(&at.key("algorithm"), "secrets can't be published");
        problems.push(problem.hint("write ES256, EdDSA, RS256 or another with public keys"));
    }
    let mut claims = Vec::with_capacity(settings.claims.len());
    for (name, place) in &settings.claims {
        if OWN.contains(&name.as_str()) {
            let what = format!("`{name}` is said by the gateway itself");
            let problem = Problem::new(&at.key("claims").key(name), what);
            problems.push(problem.hint("give the claim another name"));
        }
        let pointer = match place.strip_prefix('/') {
            Some(_) => place.clone(),
            None => format!("/{}", place.replace('~', "~0").replace('/', "~1")),
        };
        claims.push((name.clone(), pointer));
    }
    let ring = match settings.keys.as_slice() {
        [] => Ring::own(settings.set.as_deref().unwrap_or("identity"), cx.carry),
        files => {
            let at = at.key("keys");
            Arc::new(Ring::read(files, settings.algorithm, &at, cx.world, &mut problems))
        }
    };
    let Some(header) = header.filter(|_| problems.is_empty()) else { return Err(problems) };
    if settings.keys.is_empty() {
        ring.begin(settings.algorithm.unwrap_or(Algorithm::ES256));
        cx.chores.push(Arc::new(Turning { ring: ring.clone(), age: settings.rotate.get() }));
    }
    cx.identity_headers.push(header.as_str().to_owned());
    let Settings { issuer, audience, .. } = settings;
    let kept = Arc::new(Answers::new(KEPT));
    Ok(Arc::new(IdentityJwt { issuer, audience, header, lifetime, claims, ring, kept }))
}

impl Policy for IdentityJwt {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        exchange.request.headers.remove(&self.header);
        let Some(caller) = &exchange.caller else { return Step::next() };
        match self.token(caller, exchange.wall) {
            Some(told) => {
                exchange.request.headers.append(self.header.as_str(), &told.value);
                Step::next()
            }
            // An upstream that gets none could take the caller for a stranger.
            None => Step::refuse(Refusal::new(&UNSIGNED)),
        }
    }
}

impl IdentityJwt {
    /// The token for `caller`: the last one for the same claims by the same key, until half of its
    /// life is over.
    fn token(&self, caller: &Caller, now: Duration) -> Option<Arc<Told<String>>> {
        let mut claims = self.claims(caller);
        let key = self.ring.signs()?;
        let same = [key.kid().as_bytes(), &serde_json::to_vec(&claims).ok()?].concat();
        let hash = digest(&SHA256, &same).as_ref().first_chunk().copied()?;
        if let Some(told) = self.kept.find(&hash, now) {
            return Some(told);
        }
        let ends = caller.grant.as_ref().and_then(|grant| grant.expires);
        let until = now + self.lifetime / 2;
        claims.insert("iat".into(), json!(now.as_secs()));
        claims.insert("exp".into(), json!((now + self.lifetime).as_secs()));
        let value = key.sign("JWT", &claims)?;
        let until = ends.map_or(until, |ends| until.min(ends.max(now)));
        let told = Arc::new(Told { value, until, good: true });
        self.kept.keep(hash, told.clone());
        Some(told)
    }

    /// What is said of `caller`, but for when.
    fn claims(&self, caller: &Caller) -> Map<String, Value> {
        let mut claims = Map::new();
        let grant = caller.grant.as_deref();
        let scopes: Vec<&str> = caller.scopes().collect();
        let groups: Vec<&str> = caller.groups().collect();
        let texts = [
            ("iss", Some(self.issuer.as_str())),
            ("aud", self.audience.as_deref()),
            ("sub", caller.name()),
            ("client_id", caller.application_name()),
            ("organization", caller.organization()),
        ];
        for (name, text) in texts {
            claims.extend(text.map(|text| (name.to_owned(), json!(text))));
        }
        if !scopes.is_empty() {
            claims.insert("scope".into(), json!(scopes.join(" ")));
        }
        if !groups.is_empty() {
            claims.insert("groups".into(), json!(groups));
        }
        for (name, place) in &self.claims {
            let found = grant.and_then(|grant| at(&grant.claims, place));
            claims.extend(found.map(|value| (name.clone(), value.clone())));
        }
        claims
    }
}

/// What stands at a JSON Pointer of `claims`.
fn at<'c>(claims: &'c Map<String, Value>, place: &str) -> Option<&'c Value> {
    let (first, rest) = match place.get(1..)?.split_once('/') {
        Some((first, _)) => (first, place.get(first.len() + 1..)?),
        None => (place.get(1..)?, ""),
    };
    claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

#[cfg(test)]
mod tests {
    use policy::{Application, Grant};

    use super::*;
    use crate::harness::{self, Bench, refusal};
    use crate::jose::{KeySet, Token};

    fn exchange(now: u64) -> Exchange {
        let mut exchange = harness::exchange();
        exchange.wall = Duration::from_secs(now);
        let claims = json!({ "email": "ann@example.com", "a": { "b": [1] } });
        exchange.caller = Some(Caller {
            application: Some(Arc::new(Application {
                name: "shop".into(),
                ..Application::default()
            })),
            credential: "1".into(),
            by: "jwt",
            grant: Some(Arc::new(Grant {
                subject: Some("ann".into()),
                scopes: vec!["read".into(), "write".into()],
                claims: claims.as_object().cloned().unwrap(),
                ..Grant::default()
            })),
        });
        exchange
    }

    fn told(policy: &dyn Policy, mut exchange: Exchange) -> Option<String> {
        exchange.request.headers.append("X-Gateward-Identity", "forged");
        assert!(refusal(policy.on_request(&mut exchange)).is_none());
        let name = Name::new("x-gateward-identity").unwrap();
        let values: Vec<_> = exchange.request.headers.all(&name).collect();
        assert!(values.len() < 2, "what the caller sent is still there");
        values.first().map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn the_upstream_gets_a_token_that_the_published_keys_verify() {
        let mut bench = Bench::default();
        let settings = json!({
            "issuer": "https://gw.example", "audience": "orders",
            "claims": { "mail": "email", "first": "/a/b/0", "none": "nowhere" },
        });
        let policy = bench.compile(&KIND, &settings).unwrap();
        assert_eq!(bench.identity_headers, ["x-gateward-identity"]);
        let token = told(&*policy, exchange(1_790_000_000)).unwrap();
        let ring = Ring::own("identity", &bench.carry);
        let set = crate::ring::document(&ring);
        let keys = KeySet::read(&set, Algorithm::ASYMMETRIC).unwrap();
        let read = Token::read(&token).unwrap();
        assert_eq!(read.verify(&keys), Ok(()));
        let expected = json!({
            "iss": "https://gw.example", "aud": "orders", "sub": "ann", "client_id": "shop",
            "scope": "read write", "mail": "ann@example.com", "first": 1,
            "iat": 1_790_000_000, "exp": 1_790_000_300,
        });
        assert_eq!(Value::Object(read.unverified().unwrap()), expected);
        assert_eq!(told(&*policy, exchange(1_790_000_149)), Some(token.clone()), "made once");
        assert_ne!(told(&*policy, exchange(1_790_000_150)), Some(token), "nearly over");
        let mut stranger = exchange(1_790_000_000);
        stranger.caller = None;
        assert_eq!(told(&*policy, stranger), None);
    }

    #[test]
    fn keys_may_stand_in_files() {
        let mut bench = Bench::default();
        let key = crate::jose::SigningKey::generate(Algorithm::EdDSA).unwrap();
        bench.world.files.insert("a.pem".into(), key.to_pem().unwrap().into());
        bench.world.files.insert("b.pem".into(), b"nothing".to_vec());
        let settings = json!({ "issuer": "a", "keys": ["a.pem"] });
        let policy = bench.compile(&KIND, &settings).unwrap();
        let token = told(&*policy, exchange(1_790_000_000)).unwrap();
        assert_eq!(Token::read(&token).unwrap().kid(), Some(key.kid()));
        let bad = json!({ "issuer": "a", "keys": ["b.pem"] });
        let problems = bench.compile(&KIND, &bad).unwrap_err();
        assert!(problems[0].what.contains("no private key"), "{problems:?}");
        let wrong = json!({ "issuer": "a", "keys": ["a.pem"], "algorithm": "RS256" });
        assert!(bench.compile(&KIND, &wrong).is_err());
    }
}
