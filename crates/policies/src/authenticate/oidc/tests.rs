//! Browsers, attackers among them, and a provider that answers what the test has it answer.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use policy::{Answer, Call, Remote, Unanswered};
use serde_json::{Value, json};

use super::login::parameters;
use super::*;
use crate::harness::{self, Bench};
use crate::jose::{Algorithm, SigningKey, encode, jwks};

mod attacks;
mod flow;
mod renewal;

const NOW: u64 = 1_790_000_000;
const ISSUER: &str = "https://idp.example";
const ORIGIN: &str = "https://app.example";
const KEY: &str = "0123456789abcdef0123456789abcdef";

type Said = Result<Answer, Unanswered>;

/// The provider.
#[derive(Debug)]
struct Idp {
    key: Mutex<SigningKey>,
    /// What it answers for a code or a refresh token; nothing while the test has it wait.
    tokens: Mutex<Option<Said>>,
    away: Mutex<bool>,
    metadata: Mutex<Value>,
    calls: Mutex<Vec<Call>>,
}

impl Default for Idp {
    fn default() -> Self {
        Self {
            key: Mutex::new(SigningKey::generate(Algorithm::ES256).unwrap()),
            tokens: Mutex::default(),
            away: Mutex::default(),
            metadata: Mutex::new(json!({
                "issuer": ISSUER,
                "jwks_uri": format!("{ISSUER}/jwks"),
                "authorization_endpoint": format!("{ISSUER}/auth?tenant=a"),
                "token_endpoint": format!("{ISSUER}/token"),
                "end_session_endpoint": format!("{ISSUER}/end"),
            })),
            calls: Mutex::default(),
        }
    }
}

fn answer(status: u16, body: &Value) -> Said {
    Ok(Answer { status, body: body.to_string().into(), ..Answer::default() })
}

impl Idp {
    /// How often the token endpoint was called.
    fn asked(&self) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.url.ends_with("/token")).count()
    }

    fn last(&self) -> Call {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .rfind(|call| call.url.ends_with("/token"))
            .cloned()
            .unwrap()
    }

    fn id_token(&self, nonce: &str, changes: Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": "web", "sub": "ann", "exp": NOW + 600, "iat": NOW, "nonce": nonce,
            "roles": ["staff"],
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(changes.as_object().unwrap().clone());
        self.key.lock().unwrap().sign("JWT", claims).unwrap()
    }

    fn give(&self, more: Value) {
        let mut tokens = json!({
            "token_type": "Bearer", "access_token": "an-access-token", "scope": "openid orders",
        });
        tokens.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        *self.tokens.lock().unwrap() = Some(answer(200, &tokens));
    }

    fn refuse(&self, error: &str) {
        *self.tokens.lock().unwrap() = Some(answer(400, &json!({ "error": error })));
    }

    fn go(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }
}

impl Remote for Idp {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Said> + Send>> {
        let url = call.url.clone();
        self.calls.lock().unwrap().push(call);
        if *self.away.lock().unwrap() {
            return Box::pin(std::future::ready(Err(Unanswered::Late)));
        }
        let said = match url.strip_prefix(ISSUER).unwrap() {
            "/.well-known/openid-configuration" => {
                Some(answer(200, &self.metadata.lock().unwrap()))
            }
            "/jwks" => Some(answer(200, &jwks([&*self.key.lock().unwrap()]))),
            "/token" => self.tokens.lock().unwrap().clone(),
            other => panic!("{other} was called"),
        };
        match said {
            Some(said) => Box::pin(std::future::ready(said)),
            None => Box::pin(std::future::pending()),
        }
    }
}

/// A policy, and the provider behind it.
struct World {
    idp: Arc<Idp>,
    policy: Arc<dyn Policy>,
    _bench: Bench,
}

impl World {
    fn new(more: Value) -> Self {
        Self::with(Arc::new(Idp::default()), more)
    }

    fn with(idp: Arc<Idp>, more: Value) -> Self {
        let mut bench = Bench::default();
        bench.world.remote = idp.clone();
        let mut settings = json!({
            "issuer": ISSUER, "client_id": "web", "client_secret": "hunter2", "groups": "roles",
            "redirect_uri": format!("{ORIGIN}/back"), "logout": "/out", "after_logout": "/bye",
            "keys": [KEY],
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let policy = bench.compile(&KIND, &settings).unwrap();
        Self { idp, policy, _bench: bench }
    }
}

/// What a request comes to.
#[derive(Debug, PartialEq, Eq)]
enum End {
    In,
    To(String),
    Refused(&'static str),
    Waits,
}

impl End {
    fn location(self) -> String {
        match self {
            Self::To(location) => location,
            other => panic!("{other:?}, and not sent anywhere"),
        }
    }
}

/// A browser with its cookies.
#[derive(Clone, Debug)]
struct Browser {
    jar: BTreeMap<String, String>,
    now: u64,
}

impl Default for Browser {
    fn default() -> Self {
        Self { jar: BTreeMap::new(), now: NOW }
    }
}

impl Browser {
    fn request(&self, method: Method, url: &str) -> Exchange {
        let mut exchange = harness::exchange();
        exchange.wall = Duration::from_secs(self.now);
        let (path, query) = url.split_once('?').map_or((url, None), |(p, q)| (p, Some(q)));
        exchange.request.method = method;
        exchange.request.target.path = path.to_owned();
        exchange.request.target.query = query.map(str::to_owned);
        let pairs: Vec<String> = self.jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
        if !pairs.is_empty() {
            exchange.request.headers.append("cookie", pairs.join("; "));
        }
        exchange
    }

    fn send(&mut self, world: &World, mut exchange: Exchange) -> (End, Exchange) {
        let flow = match world.policy.on_request(&mut exchange) {
            Step::Done(flow) => Some(flow),
            Step::Wait(mut flow) => {
                match flow.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(flow) => Some(flow),
                    Poll::Pending => None,
                }
            }
        };
        let end = match flow {
            None => End::Waits,
            Some(Flow::Continue) => End::In,
            Some(Flow::Refuse(refusal)) => {
                assert!(exchange.caller.is_none(), "refused, and let in");
                let said = format!("{refusal:?}");
                assert!(!said.contains("hunter2") && !said.contains("eyJ"), "{said}");
                End::Refused(refusal.code.name)
            }
            Some(Flow::Reply(response)) => {
                exchange.response = *response;
                let location = exchange.response.headers.get(Known::Location).unwrap();
                End::To(String::from_utf8(location.to_vec()).unwrap())
            }
        };
        assert!(matches!(world.policy.on_response(&mut exchange), Step::Done(Flow::Continue)));
        for set in exchange.response.headers.all(Known::SetCookie) {
            let set = std::str::from_utf8(set).unwrap();
            let (pair, attributes) = set.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(attributes.ends_with("Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
            match attributes.contains("Max-Age=0;") {
                true => drop(self.jar.remove(name)),
                false => drop(self.jar.insert(name.to_owned(), value.to_owned())),
            }
        }
        (end, exchange)
    }

    /// Opens a page.
    fn opens(&mut self, world: &World, url: &str) -> End {
        let mut exchange = self.request(Method::Get, url);
        exchange.request.headers.append("sec-fetch-mode", "navigate");
        self.send(world, exchange).0
    }

    /// Has a script ask.
    fn asks(&mut self, world: &World, url: &str) -> End {
        let exchange = self.request(Method::Get, url);
        self.send(world, exchange).0
    }

    /// Begins a login at a page: what the provider is told.
    fn begins(&mut self, world: &World, url: &str) -> BTreeMap<String, String> {
        let location = self.opens(world, url).location();
        let rest = location.strip_prefix("https://idp.example/auth?tenant=a&").expect(&location);
        parameters(rest).unwrap()
    }

    /// Comes back from a login that the provider was told of like this.
    fn comes_back(&mut self, world: &World, told: &BTreeMap<String, String>, more: Value) -> End {
        let id = world.idp.id_token(&told["nonce"], json!({}));
        let mut tokens = json!({ "id_token": id });
        tokens.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.idp.give(tokens);
        self.opens(world, &format!("/back?code=a-code&state={}", told["state"]))
    }

    /// Logs in.
    fn logs_in(&mut self, world: &World, more: Value) {
        let told = self.begins(world, "/page?a=b");
        let end = self.comes_back(world, &told, more);
        assert_eq!(end, End::To(format!("{ORIGIN}/page?a=b")));
    }
}
