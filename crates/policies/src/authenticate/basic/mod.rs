//! Lets in users who show their name and password (HTTP Basic, RFC 7617).
//!
//! Users stand in the document, in files as `htpasswd` makes them, or in both. Only hashes of
//! passwords are stored: Argon2id or bcrypt, as `gateward password hash` and `htpasswd -B` make
//! them. Fast hashes (`{SHA}`, MD5, crypt, plain text) are refused, since whoever gets hold of the
//! file would soon have the passwords.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - basic:
//!           realm: orders
//!           users:
//!             - name: anna
//!               hash: $2b$10$HG/3zydNzQpb1HqUZeNeNeec2A1jXZJm4V/qDuvwCN5iYqLV3mnYy
//!               application: shop
//!               groups: [ staff ]
//! applications:
//!   - name: shop
//! ```
//!
//! A request without `Authorization: Basic` is refused with 401, and so is one with a name or a
//! password that is not right; nothing tells which. Two credentials in one request are refused with
//! 400. The credentials are removed before the upstream is asked, unless `keep` says to leave them.
//! Send them over TLS only.
//!
//! Checking a password costs what its hash was made to cost. It is done beside the requests, on one
//! thread that is the same for all APIs; a password that was right is not checked again for the
//! time of `cache`. Where too many wait to be checked, the request is refused with 503 and
//! `Retry-After`. A client that sent `failed_tries` wrong passwords within a minute is refused with
//! 429 until that minute is over; callers whose password is remembered are let in all the same.
//!
//! In policies behind this one and in conditions, the caller's name is the user's, the groups are
//! those of the user, and the application is the one named with them, if any. Files give users
//! neither. Files are read again when they change.

mod credentials;
pub(crate) mod hash;
mod memory;
mod pool;
mod users;

use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems, Secret, Span};
use policy::message::{Known, Request};
use policy::{
    Caller, Code, Compile, Exchange, Fault, Flow, Grant, Phase, Policy, PolicyKind, Posture,
    Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::application;
use super::shown::{self, MULTIPLE_CREDENTIALS};
use credentials::Credentials;
use memory::{Failures, Right};
use pool::{Mark, Pool};
use users::{User, Users};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "basic",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &MISSING,
        &INVALID,
        &FAILED,
        &BUSY,
        &MULTIPLE_CREDENTIALS,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static MISSING: Code = Code {
    name: "basic_missing",
    status: 401,
    grpc: 16,
    title: "A name and a password are needed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send `Authorization: Basic` with a user's name and password.",
};

static INVALID: Code = Code {
    name: "basic_invalid",
    status: 401,
    grpc: 16,
    title: "The name or the password is not right",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Check both; operators check the user's hash in the document or in its file.",
};

static FAILED: Code = Code {
    name: "basic_failed_tries",
    status: 429,
    grpc: 8,
    title: "Too many wrong passwords came from here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Wait for the time in Retry-After, then send the right one; operators raise \
           `failed_tries` where many callers share an address.",
};

static BUSY: Code = Code {
    name: "basic_busy",
    status: 503,
    grpc: 14,
    title: "Too many passwords wait to be checked",
    proxy_error: "connection_limit_reached",
    fault: Fault::Gateway,
    cure: "Try again after the time in Retry-After; operators use hashes that cost less, a longer \
           `cache`, or another way to authenticate programs.",
};

/// Most bytes of a file of users.
const FILE_BYTES: u64 = 16 << 20;

/// How long a right password may be remembered at most.
const CACHE_MAX: Duration = Duration::from_secs(3_600);

/// Who may come, and how often they may be wrong.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Basic")]
struct Settings {
    /// What the users are users of; people are shown it when they are asked for a password.
    realm: String,
    /// The users.
    users: Vec<WrittenUser>,
    /// Files of further users, a line `name:hash` each, as htpasswd makes them.
    files: Vec<String>,
    /// Whether the upstream gets to see the name and the password.
    keep: bool,
    /// How long a right password is remembered before it is checked again; at most 1h.
    cache: Span,
    /// Wrong passwords of one client's address within a minute; 0 sets no bound.
    failed_tries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            realm: "api".to_owned(),
            users: Vec::new(),
            files: Vec::new(),
            keep: false,
            cache: Span::secs(300),
            failed_tries: 30,
        }
    }
}

/// A user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BasicUser")]
struct WrittenUser {
    /// The name; without a colon.
    name: String,
    /// The hash of the password: Argon2id or bcrypt, as `gateward password hash` makes it.
    hash: Secret,
    /// The application that the user calls for.
    application: Option<String>,
    /// The groups the user is in.
    #[serde(default)]
    groups: Vec<String>,
}

/// Asks for a name and a password.
#[derive(Debug)]
struct Basic {
    users: Users,
    challenge: Box<str>,
    keep: bool,
    cache: Duration,
    failed_tries: u32,
    right: Arc<Right>,
    failures: Arc<Failures>,
    pool: Arc<Pool>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let challenge = challenge(&settings.realm, &at.key("realm"), &mut problems);
    let users = users(&settings, at, cx, &mut problems);
    if problems.is_empty() && users.is_empty() {
        let problem = Problem::new(at, "there is no user who could come in");
        problems.push(problem.hint("name them in `users`, or a file that has some in `files`"));
    }
    let cache = settings.cache.get();
    if cache > CACHE_MAX {
        let what = "a right password can't be remembered for so long";
        problems.push(Problem::new(&at.key("cache"), what).hint("write 1h or less, as in `5m`"));
    }
    // Nothing is remembered without a key to hash it with.
    let right = match cx.carry.find("passwords: right") {
        Some(right) => Some(right),
        None => Right::new().map(|made| cx.carry.keep("passwords: right", || made)),
    };
    if right.is_none() {
        let problem = Problem::new(at, "the system gives no random numbers");
        problems.push(problem.hint("see why `getrandom` fails on this machine"));
    }
    let (Some(right), true) = (right, problems.is_empty()) else { return Err(problems) };
    Ok(Arc::new(Basic {
        users,
        challenge,
        keep: settings.keep,
        cache,
        failed_tries: settings.failed_tries,
        right,
        failures: cx.carry.keep(&format!("{} failures", cx.id), Failures::default),
        pool: cx.carry.keep("passwords: pool", Pool::default),
    }))
}

/// The value of `WWW-Authenticate`.
fn challenge(realm: &str, at: &Pointer, problems: &mut Problems) -> Box<str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if realm.is_empty() || !realm.bytes().all(plain) {
        let what = format!("`{}` can't be a realm", realm.escape_debug());
        let hint = "use letters, digits and spaces, as in `orders`";
        problems.push(Problem::new(at, what).hint(hint));
    }
    format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into()
}

fn users(settings: &Settings, at: &Pointer, cx: &Compile<'_>, problems: &mut Problems) -> Users {
    let mut users = Users::default();
    for (number, written) in settings.users.iter().enumerate() {
        let at = at.key("users").index(number);
        let named = written.application.as_deref();
        let application = named.and_then(|name| {
            application::find(cx.directory, name, &at.key("application"), problems)
        });
        let groups = written.groups.iter().map(|group| group.as_str().into()).collect();
        let caller = Caller {
            application,
            credential: written.name.as_str().into(),
            by: KIND.name,
            grant: Some(Arc::new(Grant { groups, ..Grant::default() })),
        };
        users.add(&written.name, written.hash.expose(), caller, &at, problems);
    }
    for (number, name) in settings.files.iter().enumerate() {
        let at = at.key("files").index(number);
        let text = match cx.world.read(name, "file of users", FILE_BYTES, &at) {
            Ok(bytes) => String::from_utf8(bytes),
            Err(mut problem) => {
                let hint = "name a file as htpasswd makes it, which the gateway may read";
                problem.hint.get_or_insert_with(|| hint.to_owned());
                problems.push(problem);
                continue;
            }
        };
        let Ok(text) = text else {
            let what = format!("`{name}` is no text in UTF-8");
            problems.push(Problem::new(&at, what).hint("name a file as htpasswd makes it"));
            continue;
        };
        let caller = |name: &str| Caller {
            application: None,
            credential: name.into(),
            by: KIND.name,
            grant: None,
        };
        users.add_file(&text, caller, &at, problems);
    }
    users
}

impl Policy for Basic {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let headers = &mut exchange.request.headers;
        let shown = match shown::authorization(headers, "basic") {
            Ok(Some(token)) => Credentials::parse(token),
            Ok(None) => return Step::refuse(self.challenged(&MISSING).absent()),
            Err(refusal) => return Step::refuse(refusal),
        };
        if !self.keep {
            headers.remove(Known::Authorization);
        }
        let Some(shown) = shown else { return Step::refuse(self.challenged(&INVALID)) };
        let user = self.users.get(shown.name());
        let mark = user.map(|user| self.mark(user, &shown));
        if let (Some(user), Some(mark)) = (user, &mark)
            && self.right.knows(mark, exchange.wall)
        {
            return match application::admit(exchange, &user.caller) {
                Ok(()) => Step::next(),
                Err(refusal) => Step::refuse(refusal),
            };
        }
        if self.failed_tries > 0
            && let Some(wait) =
                self.failures.wait(exchange.client, self.failed_tries, exchange.wall)
        {
            let seconds = wait.as_secs() + 1;
            return Step::refuse(Refusal::new(&FAILED).header("Retry-After", seconds.to_string()));
        }
        Step::Wait(Box::pin(self.check(user, shown, exchange)))
    }

    fn hide(&self, request: &mut Request) {
        if !self.keep && !matches!(shown::authorization(&request.headers, "basic"), Ok(None)) {
            request.headers.remove(Known::Authorization);
        }
    }
}

impl Basic {
    fn challenged(&self, code: &'static Code) -> Refusal {
        Refusal::new(code).header("WWW-Authenticate", self.challenge.clone())
    }

    fn mark(&self, user: &User, shown: &Credentials) -> Mark {
        let (name, password) = (shown.name().as_bytes(), shown.password().as_bytes());
        self.right.mark(user.stored.mark(), name, password)
    }

    /// Has the password checked, against another's hash where nobody has the name: both take the
    /// same time and end the same way.
    async fn check(
        &self,
        user: Option<&User>,
        shown: Credentials,
        exchange: &mut Exchange,
    ) -> Flow {
        let refuse = |refusal| Flow::Refuse(Box::new(refusal));
        let name = shown.name().as_bytes();
        let stored = user.map(|user| &user.stored);
        let stored = stored.or_else(|| self.users.decoy(|count| self.right.pick(name, count)));
        let Some(stored) = stored.cloned() else { return refuse(self.challenged(&INVALID)) };
        let mark = self.right.mark(stored.mark(), name, shown.password().as_bytes());
        let check = Box::new(move || stored.is_of(shown.password().as_bytes()));
        let Some(outcome) = self.pool.check(mark, check) else {
            return refuse(Refusal::new(&BUSY).header("Retry-After", "1"));
        };
        match (outcome.await, user) {
            (Ok(true), Some(user)) => {
                if !self.cache.is_zero() {
                    self.right.remember(mark, exchange.wall.saturating_add(self.cache));
                }
                match application::admit(exchange, &user.caller) {
                    Ok(()) => Flow::Continue,
                    Err(refusal) => refuse(refusal),
                }
            }
            (Ok(_), _) => {
                self.failures.add(exchange.client, exchange.wall);
                refuse(self.challenged(&INVALID))
            }
            // The thread that checks is gone: nobody can be let in.
            (Err(_), _) => refuse(Refusal::new(&BUSY).header("Retry-After", "1")),
        }
    }
}

#[cfg(test)]
mod tests;
