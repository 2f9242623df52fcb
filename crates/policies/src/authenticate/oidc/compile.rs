//! Settings, turned into what runs.

use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use policy::message::{Name, is_token};
use policy::{Compile, Policy, PolicyKind};
use serde_json::Value;

use super::cookies::Cookies;
use super::provider::{Memory, Provider};
use super::seal::{self, Seal};
use super::session::Times;
use super::settings::{Cookie, Settings};
use super::{Fetch, Oidc};
use crate::authenticate::application;
use crate::authenticate::jwt::place::Place;
use crate::jose::Algorithm;
use crate::jwks::{self, Published};
use crate::secret_names::SecretNames;

/// How often the provider's keys are fetched, and how old they may be.
const KEYS: jwks::Times =
    jwks::Times { refresh: Duration::from_secs(300), most: Duration::from_secs(3_600) };

/// Most keys that seal.
const SEALS: usize = 8;

/// How long a session lasts at most, whatever is written.
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// Parameters of the request to log in that are not the document's.
const OURS: &[&str] = &[
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

pub(super) fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    crate::asked::url(&settings.issuer, &at.key("issuer"), &mut problems);
    let back = Back::of(&settings.redirect_uri, &at.key("redirect_uri"), &mut problems);
    check_words(&settings, at, &mut problems);
    check_times(&settings, at, &mut problems);
    check_paths(&settings, &back, at, &mut problems);
    let cookies = cookies(&settings.cookie, &back, &at.key("cookie"), &mut problems);
    let seal = seal(&settings, &at.key("keys"), &mut problems);
    let groups = settings.groups.as_deref().and_then(|written| {
        let place = Place::new(written);
        if place.is_none() {
            let problem = Problem::new(&at.key("groups"), "this is no place of a claim");
            problems.push(problem.hint("write `groups` or `realm_access.roles`"));
        }
        place
    });
    let application = settings.application.as_deref().and_then(|name| {
        application::find(cx.directory, name, &at.key("application"), &mut problems)
    });
    let names = (Name::new("sec-fetch-mode"), Name::new("x-requested-with"));
    let (Some(seal), (Some(mode), Some(requested_with))) = (seal, names) else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let provider = provider(&settings, at, cx)?;
    // What comes back from the provider is no text for logs.
    let secrets = SecretNames::of(cx.carry);
    ["code", "state"].into_iter().for_each(|name| secrets.add(name));
    Ok(Arc::new(Oidc {
        provider: Arc::new(provider),
        authorize: parameters(&settings),
        callback: back.path,
        origin: back.origin,
        logout: settings.logout,
        after_logout: settings.after_logout,
        seal,
        cookies,
        times: Times { idle: settings.idle.get(), lifetime: settings.lifetime.get() },
        leeway: settings.leeway.get(),
        forward: settings.forward_access_token,
        application,
        groups,
        fetch: Fetch { mode, requested_with },
        credential: settings.issuer.into(),
        _secrets: secrets,
    }))
}

fn provider(settings: &Settings, at: &Pointer, cx: &mut Compile<'_>) -> Result<Provider, Problems> {
    let (tls, at_tls) = (&settings.tls, at.key("tls"));
    let remote = cx.world.remote(tls, &at_tls)?;
    let place = jwks::Place::Issuer(settings.issuer.clone());
    let keys = Published::new(place, Algorithm::ASYMMETRIC, KEYS, (tls, &at_tls), cx)?;
    let key = format!("oidc {} {} {tls:?} {}", settings.issuer, settings.client_id, cx.id);
    Ok(Provider {
        issuer: settings.issuer.clone(),
        client_id: settings.client_id.clone(),
        client_secret: settings.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
        client_auth: settings.client_auth,
        redirect_uri: settings.redirect_uri.clone(),
        timeout: settings.timeout.get(),
        keys,
        remote,
        memory: cx.carry.keep(&key, Memory::default),
    })
}

/// The parameters that are the same for all who log in.
fn parameters(settings: &Settings) -> Vec<(String, String)> {
    let mut scope = String::from("openid");
    for more in settings.scopes.iter().filter(|scope| *scope != "openid") {
        scope.push(' ');
        scope.push_str(more);
    }
    let own = [
        ("response_type", "code"),
        ("client_id", &settings.client_id),
        ("redirect_uri", &settings.redirect_uri),
        ("scope", &scope),
        ("code_challenge_method", "S256"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter().chain(settings.parameters.clone()).collect()
}

/// The parts of the redirect URI.
struct Back {
    /// Scheme and host, as `https://app.example.com`.
    origin: String,
    path: String,
}

impl Back {
    fn of(written: &str, at: &Pointer, problems: &mut Problems) -> Self {
        crate::asked::url(written, at, problems);
        let host = written.find("://").map_or(0, |at| at + 3);
        let end = written.get(host..).and_then(|rest| rest.find(['/', '?', '#']));
        let (origin, path) = written.split_at(end.map_or(written.len(), |end| host + end));
        if !is_path(path) || path == "/" {
            let problem = Problem::new(at, "its path can't be one that browsers come back to");
            let hint = "write a path of this API alone, as in `https://app.example.com/oidc/back`";
            problems.push(problem.hint(hint));
        }
        Self { origin: origin.to_owned(), path: path.to_owned() }
    }

    fn host(&self) -> &str {
        let rest = self.origin.split_once("://").map_or("", |(_, rest)| rest);
        match rest.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => rest,
        }
    }

    /// Whether browsers send cookies there that are for TLS alone.
    fn is_secure(&self) -> bool {
        let local = matches!(self.host(), "localhost" | "127.0.0.1" | "[::1]");
        local || self.origin.starts_with("https://")
    }
}

/// Whether `text` is a path that is written in one way only.
fn is_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let dots = |segment: &str| matches!(segment, "." | "..");
    text.starts_with('/')
        && text.bytes().all(plain)
        && !text.contains("//")
        && !text.split('/').any(dots)
}

fn check_paths(settings: &Settings, back: &Back, at: &Pointer, problems: &mut Problems) {
    let paths =
        [("logout", settings.logout.as_ref()), ("after_logout", Some(&settings.after_logout))];
    for (name, path) in paths {
        if path.is_some_and(|path| !is_path(path)) {
            let problem = Problem::new(&at.key(name), "this is no path");
            problems.push(problem.hint("write it from its first slash, as in `/app/logout`"));
        }
    }
    if settings.logout.as_ref() == Some(&back.path) {
        let problem = Problem::new(&at.key("logout"), "browsers come back to this path");
        problems.push(problem.hint("give the logout a path of its own"));
    }
}

fn check_words(settings: &Settings, at: &Pointer, problems: &mut Problems) {
    let graphic = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !graphic(&settings.client_id) {
        let problem = Problem::new(&at.key("client_id"), "this can't be a client's name");
        problems.push(problem.hint("write what the provider calls this client"));
    }
    if settings.client_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
        let problem = Problem::new(&at.key("client_secret"), "the secret is empty");
        problems.push(problem.hint("write `${env:NAME}`, or leave it out for a public client"));
    }
    for (number, scope) in settings.scopes.iter().enumerate() {
        if !graphic(scope) {
            let problem = Problem::new(&at.key("scopes").index(number), "this can't be a scope");
            problems.push(problem.hint("write one word an entry, as in `[ profile, email ]`"));
        }
    }
    for name in settings.parameters.keys() {
        if OURS.contains(&name.as_str()) || !graphic(name) {
            let at = at.key("parameters").key(name);
            let problem = Problem::new(&at, "this parameter is not the document's to give");
            problems.push(problem.hint("leave it out; it is made from the other settings"));
        }
    }
}

fn check_times(settings: &Settings, at: &Pointer, problems: &mut Problems) {
    let (idle, lifetime) = (settings.idle.get(), settings.lifetime.get());
    if idle < Duration::from_secs(60) || idle > lifetime || lifetime > LIFETIME {
        let problem = Problem::new(&at.key("idle"), "sessions can't last so");
        let hint = "write an `idle` of 1m or more and a `lifetime` that is longer, at most 30d";
        problems.push(problem.hint(hint));
    }
    if !(Duration::from_millis(100)..=Duration::from_secs(30)).contains(&settings.timeout.get()) {
        let problem = Problem::new(&at.key("timeout"), "nobody waits so long, or so short");
        problems.push(problem.hint("write 100ms to 30s, as in `5s`"));
    }
}

fn cookies(written: &Cookie, back: &Back, at: &Pointer, problems: &mut Problems) -> Cookies {
    let name = &written.name;
    let host_only = written.secure && written.domain.is_none() && written.path == "/";
    let bad = match name {
        _ if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) => Some("no name"),
        _ if name.starts_with("__Host-") && !host_only => Some("refused by browsers with these"),
        _ if name.starts_with("__Secure-") && !written.secure => Some("refused without `secure`"),
        _ => None,
    };
    if let Some(what) = bad {
        let problem = Problem::new(&at.key("name"), format!("`{name}` is {what}"));
        problems
            .push(problem.hint("write a name as in `app`, or `__Host-app` with path `/` alone"));
    }
    let under = back.path.strip_prefix(written.path.trim_end_matches('/'));
    if !is_path(&written.path) || under.is_none_or(|rest| !rest.starts_with('/')) {
        let problem = Problem::new(&at.key("path"), "`redirect_uri` is not under this path");
        problems.push(problem.hint("write `/`, or the path of the API"));
    }
    if written.secure && !back.is_secure() {
        let what = "browsers would not send these cookies to `redirect_uri`, which is without TLS";
        let problem = Problem::new(&at.key("secure"), what);
        problems.push(problem.hint("write a `redirect_uri` with https"));
    }
    let mut attributes = format!("; Path={}; HttpOnly; SameSite=Lax", written.path);
    if let Some(domain) = &written.domain {
        let rest = back.host().strip_suffix(domain.as_str());
        if domain.is_empty() || rest.is_none_or(|rest| !rest.is_empty() && !rest.ends_with('.')) {
            let problem = Problem::new(&at.key("domain"), "`redirect_uri` is not in this domain");
            problems.push(problem.hint("write a domain as in `example.com`, or leave it out"));
        }
        attributes.push_str("; Domain=");
        attributes.push_str(domain);
    }
    if written.secure {
        attributes.push_str("; Secure");
    }
    Cookies { name: name.clone(), attributes }
}

fn seal(settings: &Settings, at: &Pointer, problems: &mut Problems) -> Option<Seal> {
    let short = |key: &base::Secret| key.expose().len() < seal::LEAST;
    if !(1..=SEALS).contains(&settings.keys.len()) || settings.keys.iter().any(short) {
        let problem = Problem::new(at, "there is no key, more than 8, or one below 32 bytes");
        let hint = "make one with `openssl rand -base64 32` and write `[ \"${env:NAME}\" ]`";
        problems.push(problem.hint(hint));
        return None;
    }
    let texts = settings.keys.iter().map(base::Secret::expose);
    let seal = Seal::new(texts, &settings.issuer, &settings.client_id);
    if seal.is_none() {
        let problem = Problem::new(at, "no key can be made of this");
        problems.push(problem.hint("make one with `openssl rand -base64 32`"));
    }
    seal
}
