//! Lets in browsers whose users log in at an OpenID provider.
//!
//! ```yaml
//! apis:
//!   - name: app
//!     path: /app
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - oidc:
//!           issuer: https://idp.example.com/realms/main
//!           client_id: app
//!           client_secret: "${env:CLIENT_SECRET:-example}"
//!           redirect_uri: https://app.example.com/app/oidc/back
//!           logout: /app/logout
//!           scopes: [ profile, offline_access ]
//!           keys: [ "${env:SESSION_KEY:-an example of a text with 32 bytes}" ]
//! ```
//!
//! A browser that opens a page without a session is sent to the provider, by the authorization code
//! flow with PKCE (RFC 7636), and comes back to `redirect_uri`. That is registered at the provider;
//! its path is one of this API, and its host is the one that browsers use. Then the page that was
//! asked for is shown. Each tab has a login of its own, so that several at once end well.
//!
//! Only pages are sent there: `GET` and `HEAD` that the browser calls navigations
//! (`Sec-Fetch-Mode`), or, of older browsers, that ask for HTML without `X-Requested-With`. What
//! scripts ask for is refused with 401, so that they can tell their user.
//!
//! The session is a cookie, sealed (AES-256-GCM) with the first of `keys` and bound to issuer and
//! client; a long one is in up to four. Nothing is kept at the gateway, so that every instance with
//! the same keys takes it. It ends after `idle` without a request and after `lifetime` in any case.
//! Where the provider gave a refresh token, tokens are renewed shortly before they end: once for
//! all requests of a session at an instance. If the provider takes the refresh token no more, the
//! session is over; if it is not available, sessions go on and only new logins are refused, with
//! 503.
//!
//! `logout` is the path at which the cookie is removed and the browser is sent to the provider to
//! log out there too, and back to `after_logout`. A copy of a session's cookie that somebody else
//! has lasts until `idle` or `lifetime` is over.
//!
//! In policies behind this one and in conditions, the caller's subject and claims are those of the
//! ID token, the scopes those that were granted, and the groups stand where `groups` says. The
//! upstream gets neither the cookies nor, unless `forward_access_token` says so, a token.
//!
//! Inside `any_of` this policy comes last, since browsers are sent to the provider when it is its
//! turn. Browsers send the cookies with requests that pages of the same site make: what changes
//! something should want a method other than `GET`.

mod codes;
mod compile;
mod cookies;
mod id_token;
mod login;
mod provider;
mod seal;
mod session;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use policy::message::{Body, Known, Method, Name, Request, Response, Status};
use policy::{
    Application, Caller, Code, Exchange, Flow, Grant, Phase, Policy, PolicyKind, Posture, Refusal,
    Stage, Step,
};

use super::application;
use super::jwt::claims::words;
use super::jwt::place::Place;
use crate::secret_names::SecretNames;
use cookies::{Cookies, Shown};
use provider::{NoTokens, Provider};
use seal::Seal;
use session::{Session, Times};
use settings::Settings;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "oidc",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &codes::LOGIN,
        &codes::SESSION,
        &codes::STATE,
        &codes::DENIED,
        &codes::CODE,
        &codes::ID_TOKEN,
        &codes::TOO_LARGE,
        &codes::UNAVAILABLE,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile: compile::compile,
};

/// Asks for a session, or a login.
#[derive(Debug)]
struct Oidc {
    provider: Arc<Provider>,
    /// The parameters of the request to log in that are the same for all.
    authorize: Vec<(String, String)>,
    /// The path browsers come back to.
    callback: String,
    /// Scheme and host of all that browsers are sent to here.
    origin: String,
    logout: Option<String>,
    after_logout: String,
    seal: Seal,
    cookies: Cookies,
    times: Times,
    leeway: Duration,
    /// Whether the upstream gets the access token.
    forward: bool,
    application: Option<Arc<Application>>,
    groups: Option<Place>,
    fetch: Fetch,
    /// What the callers' credential is called: the issuer.
    credential: Arc<str>,
    /// Held so that the names stay secret as long as this runs.
    _secrets: Arc<SecretNames>,
}

/// Fields by which browsers tell pages from what scripts ask for.
#[derive(Debug)]
struct Fetch {
    mode: Name,
    requested_with: Name,
}

/// What seals are for.
const SESSION: &str = "session";

impl Policy for Oidc {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.caller.as_ref().is_some_and(|caller| caller.by == KIND.name) {
            return Step::next();
        }
        let path = exchange.request.target.path.as_str();
        if path == self.callback {
            return Step::Wait(Box::pin(self.come_back(exchange)));
        }
        if self.logout.as_deref() == Some(path) {
            return Step::Wait(Box::pin(self.log_out(exchange)));
        }
        match self.session(exchange) {
            Ok(session) if session.is_due(exchange.wall) => {
                Step::Wait(Box::pin(self.renew(session, exchange)))
            }
            Ok(session) => Step::Done(self.admit(session, false, exchange)),
            Err(code) if self.is_page(&exchange.request) => {
                Step::Wait(Box::pin(self.begin(code, exchange)))
            }
            Err(code) => Step::Done(self.turn_away(code, exchange)),
        }
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Exchange { for_response, response, .. } = exchange;
        if for_response.has(Known::SetCookie) {
            // Whoever keeps the answer keeps no session with it (RFC 9111 §5.2.2.4).
            response.headers.append_known(Known::CacheControl, "no-cache=\"Set-Cookie\"");
        }
        for cookie in for_response.all(Known::SetCookie) {
            response.headers.append_known(Known::SetCookie, cookie);
        }
        for_response.remove(Known::SetCookie);
        Step::next()
    }

    fn hide(&self, request: &mut Request) {
        self.cookies.remove(&mut request.headers);
    }
}

impl Oidc {
    /// The session that a request shows; or why it has none.
    fn session(&self, exchange: &Exchange) -> Result<Session, &'static Code> {
        let session = self.sealed(exchange).ok_or(&codes::SESSION)?;
        let session = session.ok_or(&codes::LOGIN)?;
        match session.lasts(self.times, exchange.wall) {
            true => Ok(session),
            false => Err(&codes::SESSION),
        }
    }

    /// The session that a request shows, however old; none where what it shows is no session, or
    /// of another client.
    fn sealed(&self, exchange: &Exchange) -> Option<Option<Session>> {
        let text = match self.cookies.session(&exchange.request.headers) {
            Shown::Nothing => return Some(None),
            Shown::Broken => return None,
            Shown::Text(text) => text,
        };
        let opened = self.seal.open(SESSION, &text)?;
        serde_json::from_slice(&opened).ok().map(Some)
    }

    /// Lets in whose session it is; seals it anew where it `changed`, or would end as idle.
    fn admit(&self, mut session: Session, changed: bool, exchange: &mut Exchange) -> Flow {
        let now = exchange.wall;
        let Ok(claims) = session.claims() else {
            return self.turn_away(&codes::SESSION, exchange);
        };
        // Without a way to have another one, the upstream would be shown what it does not take.
        if self.forward && session.refresh_token.is_none() && session.is_due(now) {
            return self.turn_away(&codes::SESSION, exchange);
        }
        if changed || session.is_stale(self.times, now) {
            session.seen = now.as_secs();
            match self.keep(&session, &exchange.request) {
                Ok(cookies) => set(exchange, cookies),
                Err(refusal) => return refuse(refusal),
            }
        }
        let text = |name: &str| claims.get(name).and_then(|it| it.as_str()).map(Box::from);
        let scope = session.scope.as_deref().unwrap_or_default();
        let grant = Grant {
            subject: text("sub"),
            issuer: text("iss"),
            scopes: scope.split_ascii_whitespace().map(Box::from).collect(),
            groups: self.groups.as_ref().map_or_else(Vec::new, |place| words(&claims, place)),
            expires: Some(Duration::from_secs(session.began).saturating_add(self.times.lifetime)),
            claims,
        };
        let caller = Caller {
            application: self.application.clone(),
            credential: self.credential.clone(),
            by: KIND.name,
            grant: Some(Arc::new(grant)),
        };
        if let Err(refusal) = application::admit(exchange, &caller) {
            return refuse(refusal);
        }
        let headers = &mut exchange.request.headers;
        self.cookies.remove(headers);
        if self.forward {
            headers.remove(Known::Authorization);
            if let Some(token) = &session.access_token {
                headers.append_known(Known::Authorization, format!("Bearer {token}"));
            }
        }
        Flow::Continue
    }

    /// Has new tokens for a session, and lets in whose it is.
    async fn renew(&self, mut session: Session, exchange: &mut Exchange) -> Flow {
        let now = exchange.wall;
        let Some(token) = session.refresh_token.as_deref() else {
            return match self.forward {
                false => self.admit(session, false, exchange),
                true => self.over(exchange).await,
            };
        };
        let tokens = match self.provider.refresh(token, now).await {
            Ok(tokens) => tokens,
            // The session goes on while the provider is away.
            Err(NoTokens::Unavailable(_)) => return self.admit(session, false, exchange),
            Err(NoTokens::Refused(_)) => return self.over(exchange).await,
        };
        if let Some(id) = &tokens.id {
            let claims = match self.verify(id, None, &tokens.access, now).await {
                Ok(claims) => claims,
                Err(refusal) => return refuse(refusal),
            };
            let before = session.claims().ok();
            if before.as_ref().and_then(|before| before.get("sub")) != claims.get("sub") {
                return refuse(Refusal::new(&codes::ID_TOKEN).note("its `sub` is another one"));
            }
        }
        session.take(tokens, self.forward, now);
        self.admit(session, true, exchange)
    }

    /// The session is over: pages begin a new login, the rest is refused.
    async fn over(&self, exchange: &mut Exchange) -> Flow {
        match self.is_page(&exchange.request) {
            true => self.begin(&codes::SESSION, exchange).await,
            false => self.turn_away(&codes::SESSION, exchange),
        }
    }

    fn turn_away(&self, code: &'static Code, exchange: &mut Exchange) -> Flow {
        let ended = self.cookies.end_session(&exchange.request.headers);
        set(exchange, ended);
        let refusal = Refusal::new(code).header("WWW-Authenticate", "Cookie realm=\"login\"");
        refuse(if std::ptr::eq(code, &codes::LOGIN) { refusal.absent() } else { refusal })
    }

    /// The cookies that keep a session.
    fn keep(&self, session: &Session, request: &Request) -> Result<Vec<Box<str>>, Refusal> {
        let text = serde_json::to_vec(session).unwrap_or_default();
        let sealed = self.seal.seal(SESSION, &text);
        let sealed = sealed.ok_or_else(|| Refusal::new(&codes::UNAVAILABLE))?;
        let set = self.cookies.set_session(&sealed, &request.headers);
        set.ok_or_else(|| Refusal::new(&codes::TOO_LARGE))
    }

    /// Whether a browser shows the answer as a page, so that it can be sent somewhere else.
    fn is_page(&self, request: &Request) -> bool {
        let headers = &request.headers;
        if !matches!(request.method, Method::Get | Method::Head) || request.upgrade.is_some() {
            return false;
        }
        match headers.get(&self.fetch.mode) {
            Some(mode) => mode == b"navigate",
            None => {
                let html = |value: &[u8]| value.windows(9).any(|part| part == b"text/html");
                headers.all(Known::Accept).any(html) && !headers.has(&self.fetch.requested_with)
            }
        }
    }
}

/// Sets cookies once there is a response.
fn set(exchange: &mut Exchange, cookies: Vec<Box<str>>) {
    for cookie in cookies {
        exchange.for_response.append_known(Known::SetCookie, cookie.as_bytes());
    }
}

/// Sends the browser somewhere else.
fn send_to(location: &str) -> Flow {
    let mut response = Response::new(Status::new(302).unwrap_or_default());
    response.headers.append_known(Known::Location, location);
    response.headers.append_known(Known::CacheControl, "no-store");
    response.body = Body::Empty;
    Flow::Reply(Box::new(response))
}

fn refuse(refusal: Refusal) -> Flow {
    Flow::Refuse(Box::new(refusal))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
