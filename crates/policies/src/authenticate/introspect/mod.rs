//! Lets in callers whose token an authorization server says is active (RFC 7662).
//!
//! For tokens that say nothing by themselves. The token is read from `Authorization: Bearer`, or
//! from the header field or query parameter that is named, and the server is asked of it, at
//! `endpoint` or where the metadata of `issuer` say. What it answers is remembered: of an active
//! token until the token ends, at most `cache.ttl`; of others for `cache.refused`. A token that is
//! withdrawn is so refused after `cache.ttl` at the latest. However many requests show the same
//! token at once, the server is asked once.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - introspect:
//!           endpoint: https://idp.example.com/oauth2/introspect
//!           client: { id: gateward, secret: "change me: ${env:IDP_SECRET:-…}" }
//!           audiences: [https://orders.example.com]
//!           cache: { ttl: 1m }
//! ```
//!
//! - It says `active: true`: the request goes on.
//! - It says `active: false`; or the token is over, not yet good, of another issuer, or for none of
//!   `audiences`: 401 `token_inactive`.
//! - It is away, slow, redirects, refuses the gateway, or answers too much or what is no answer:
//!   503 `introspection_unavailable`. Tokens that are remembered are still let in.
//!
//! A request without a token is refused with 401 `token_missing`, one with several with 400. A
//! token that is bound to a certificate (RFC 8705) is good on connections that showed that
//! certificate alone; one that is bound in another way (DPoP) is refused.
//!
//! The application is the one whose name is the answer's `client_id`, where the document has one;
//! `sub`, `scope`, `groups` and all else that is said are there for what comes after: `acl`,
//! `scope` and `rule` decide what the caller may do.
//!
//! The gateway proves itself to the server by `client`: with a secret in HTTP Basic or, `auth:
//! post`, in the body; with a signed assertion (`auth: private_key_jwt`, `key`); or, `auth: tls`,
//! by the certificate of `tls`. The token goes on to the upstream unless `forward: false`.

mod answer;
mod provider;
mod settings;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problems};
use policy::message::Request;
use policy::{
    Caller, Code, Compile, Directory, Exchange, Fault, Flow, Grant, Phase, Policy, PolicyKind,
    Posture, Refusal, Stage, Step,
};
use serde_json::Value;

use super::shown::MULTIPLE_CREDENTIALS;
use crate::asked::{Answers, Held, Keyed, Told};
use answer::{Active, Said};
use provider::Provider;
use settings::Settings;
use token::{Place, Shown};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "introspect",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &MISSING,
        &INACTIVE,
        &UNAVAILABLE,
        &MULTIPLE_CREDENTIALS,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static MISSING: Code = Code {
    name: "token_missing",
    status: 401,
    grpc: 16,
    title: "A token is needed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Get a token from the authorization server and send it where WWW-Authenticate says.",
};

static INACTIVE: Code = Code {
    name: "token_inactive",
    status: 401,
    grpc: 16,
    title: "The token is not active",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Get a new token: this one is over, withdrawn, for another service, or none. Operators \
           see in the log which.",
};

static UNAVAILABLE: Code = Code {
    name: "introspection_unavailable",
    status: 503,
    grpc: 14,
    title: "The authorization server can't be asked",
    proxy_error: "destination_unavailable",
    fault: Fault::Gateway,
    cure: "Try again later; operators find in the log what the authorization server answered: check \
           that it runs, the policy's endpoint or issuer, and its client.",
};

/// Time after which a server that gave no answer is asked of the same token again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of a token.
#[derive(Debug)]
enum Known {
    /// It is active; the caller, if the document has its application or not.
    Active(Box<Active>, Arc<Grant>),
    Inactive(&'static str),
    Nothing(String),
}

/// Asks the authorization server.
#[derive(Debug)]
struct Introspect {
    place: Place,
    forward: bool,
    provider: Arc<Provider>,
    answers: Arc<Answers<Known>>,
    ttl: Duration,
    refused: Duration,
    challenge: Box<str>,
    directory: Arc<Directory>,
    /// Held so that the names stay secret as long as this runs.
    _secrets: Arc<crate::secret_names::SecretNames>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let read: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let place = read.place(at, &mut problems);
    let provider = read.provider(at, cx, &mut problems);
    let (Some(place), Some(provider)) = (place, provider) else { return Err(problems) };
    if !problems.is_empty() {
        return Err(problems);
    }
    // Other settings ask another question.
    let mut asked = Keyed::new();
    asked.add(settings.to_string().as_bytes());
    let key = format!("{} tokens {}", cx.id, crate::jose::encode(asked.finish()));
    let answers = cx.carry.keep(&key, || Answers::new(read.cache.entries));
    let secrets = crate::secret_names::SecretNames::of(cx.carry);
    let challenge = match &place {
        Place::Bearer => "Bearer".to_owned(),
        Place::Header(name) => {
            secrets.add(name.as_str());
            format!("Bearer in=\"header\", name=\"{}\"", name.as_str())
        }
        Place::Query(name) => {
            secrets.add(name);
            format!("Bearer in=\"query\", name=\"{name}\"")
        }
    };
    Ok(Arc::new(Introspect {
        place,
        forward: read.forward,
        provider: Arc::new(provider),
        answers,
        ttl: read.cache.ttl.get(),
        refused: read.cache.refused.get(),
        challenge: challenge.into(),
        directory: cx.directory.clone(),
        _secrets: secrets,
    }))
}

impl Policy for Introspect {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let token = match self.place.find(&exchange.request, &MULTIPLE_CREDENTIALS) {
            Ok(Shown::Token(token)) => token,
            Ok(Shown::Nothing) => return Step::refuse(self.refusal(&MISSING).absent()),
            Ok(Shown::Broken) => {
                return Step::refuse(self.inactive("it has characters that tokens have not"));
            }
            Err(refusal) => return Step::refuse(refusal),
        };
        let mut key = Keyed::new();
        key.add(token.as_bytes());
        let key = key.finish();
        if let Some(known) = self.answers.find(&key, exchange.wall) {
            return Step::Done(self.decide(exchange, &known));
        }
        let now = exchange.wall;
        let question = self.question(token, now);
        Step::Wait(Box::pin(async move {
            let known = self.answers.clone().ask(key, now, || question).await;
            self.decide(exchange, &known)
        }))
    }

    fn hide(&self, request: &mut Request) {
        if !self.forward {
            self.place.take(request);
        }
    }
}

impl Introspect {
    fn question(
        &self,
        token: String,
        now: Duration,
    ) -> impl Future<Output = Told<Known>> + Send + 'static {
        let (provider, ttl, refused) = (self.provider.clone(), self.ttl, self.refused);
        async move {
            let (value, until) = match provider.ask(&token, now).await {
                Ok(Said::Active(mut active)) => {
                    let grant = Arc::new(std::mem::take(&mut active.grant));
                    let until = now + ttl;
                    let until = grant.expires.map_or(until, |end| end.min(until));
                    (Known::Active(Box::new(active), grant), until)
                }
                Ok(Said::Inactive(why)) => (Known::Inactive(why), now + refused),
                Err(why) => (Known::Nothing(why), now + AGAIN),
            };
            let good = matches!(value, Known::Active(..));
            Told { value, until, good }
        }
    }

    fn decide(&self, exchange: &mut Exchange, known: &Held<Known>) -> Flow {
        match self.judge(exchange, &known.value) {
            Ok(caller) => {
                if !self.forward {
                    self.place.take(&mut exchange.request);
                }
                exchange.caller = Some(caller);
                Flow::Continue
            }
            Err(refusal) => Flow::Refuse(Box::new(refusal)),
        }
    }

    fn judge(&self, exchange: &Exchange, known: &Known) -> Result<Caller, Refusal> {
        let (active, grant) = match known {
            Known::Active(active, grant) => (active, grant),
            Known::Inactive(why) => return Err(self.inactive(why)),
            Known::Nothing(why) => {
                return Err(Refusal::new(&UNAVAILABLE).note(why.as_str()));
            }
        };
        let tls = exchange.connection.tls.as_ref();
        let shown = tls.and_then(|tls| tls.client.as_ref()).map(|client| &client.sha256);
        if !active.may_use(shown) {
            return Err(self.inactive("it is bound to what this request does not show (`cnf`)"));
        }
        let client = active.client.as_deref();
        let application = client.and_then(|name| self.directory.by_name(name)).cloned();
        if let Some(application) = &application {
            application.may_call().map_err(Refusal::new)?;
        }
        let credential = client.or(grant.subject.as_deref()).unwrap_or("token");
        Ok(Caller {
            application,
            credential: credential.into(),
            by: KIND.name,
            grant: Some(grant.clone()),
        })
    }

    fn inactive(&self, why: &str) -> Refusal {
        let challenge = if &*self.challenge == "Bearer" { "Bearer " } else { &self.challenge };
        let joint = if challenge.ends_with(' ') { "" } else { ", " };
        let challenge = format!("{challenge}{joint}error=\"invalid_token\"");
        Refusal::new(&INACTIVE).header("WWW-Authenticate", challenge).note(why)
    }

    fn refusal(&self, code: &'static Code) -> Refusal {
        Refusal::new(code).header("WWW-Authenticate", self.challenge.clone())
    }
}
