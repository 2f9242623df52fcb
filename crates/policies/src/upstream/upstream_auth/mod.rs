//! Shows the upstream a credential of the gateway's own.
//!
//! Callers prove who they are to the gateway; the gateway proves itself to the upstream. Its
//! credential is put onto the request after every other policy, for each try: nothing that a caller
//! or a policy puts there takes its place, and no log, no mirror and no other policy gets to see
//! it.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - upstream_auth:
//!           oauth2:
//!             token_url: https://idp.example.com/oauth2/token
//!             client_id: gateway
//!             client_secret: "${env:CLIENT_SECRET:-example}"
//!             scopes: [ orders.read ]
//!   - name: legacy
//!     path: /legacy
//!     upstream: http://127.0.0.1:9002
//!     policies:
//!       - upstream_auth: { basic: { user: gateway, password: "${env:PASSWORD:-example}" } }
//! ```
//!
//! One of these is given:
//!
//! | | |
//! |---|---|
//! | `basic` | a name and a password |
//! | `bearer` | a token, as it stands |
//! | `header` | a field of your own |
//! | `query` | a parameter of the query |
//! | `oauth2` | a token from an authorization server, by client credentials (RFC 6749 §4.4) |
//! | `exchange` | a token that the caller's is exchanged for (RFC 8693) |
//! | `jwt` | a token that the gateway signs itself |
//! | `aws` | a signature for Amazon's services (Signature Version 4) |
//!
//! Tokens of `oauth2` are had once for all who wait for one, used until shortly before they end,
//! and fetched anew before that; while the server can't be asked, the one that is there goes on
//! being used. If the upstream answers 401, a new token is had and the request sent once more,
//! provided that its body is still at hand (`retry.body` of the upstream says how much is kept).
//! Without a token the request is refused with 503.
//!
//! `exchange` wants a caller who was authenticated, and whose token still stands in
//! `Authorization: Bearer`. Tokens are kept for each caller's token, at most `entries` of them.
//! Where the server will not exchange it, the request is refused with 403.
//!
//! `aws` signs the host, the body's hash, `Content-Type` and every field `X-Amz-…`. The body is
//! held back to be hashed, up to `body` bytes; `body: 0` leaves it unsigned, which S3 takes over
//! TLS.

mod compile;
mod fixed;
mod settings;
mod sigv4;
mod source;
mod token;

use std::sync::Arc;

use policy::message::Known;
use policy::{
    Code, Credential, Exchange, Fault, Flow, Outgoing, Phase, Policy, PolicyKind, Posture, Refusal,
    Stage, Step,
};

use crate::secret_names::SecretNames;
use compile::compile;
use fixed::{Aws, AwsSigned, Signing};
use settings::Settings;
use source::{Source, Subject};
use token::NoToken;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "upstream_auth",
    phase: Phase::Upstream,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&UNAVAILABLE, &NO_CALLER, &REFUSED, &TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static UNAVAILABLE: Code = Code {
    name: "upstream_credential_unavailable",
    status: 503,
    grpc: 14,
    title: "The gateway has no credential for the upstream",
    proxy_error: "proxy_configuration_error",
    fault: Fault::Gateway,
    cure: "Try again; operators see in the log what the authorization server answered, and check \
           upstream_auth's settings.",
};

static NO_CALLER: Code = Code {
    name: "token_exchange_without_token",
    status: 401,
    grpc: 16,
    title: "There is no token that could be exchanged",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send `Authorization: Bearer` with a token; operators have a policy authenticate the \
           caller by it, and leave it there (`keep: true`).",
};

static REFUSED: Code = Code {
    name: "token_exchange_refused",
    status: 403,
    grpc: 7,
    title: "The token can't be exchanged for one of the upstream's",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask for a token that the authorization server exchanges; its log says why it does not \
           this one.",
};

static TOO_LARGE: Code = Code {
    name: "body_too_large_to_sign",
    status: 413,
    grpc: 8,
    title: "The body is too large to be signed",
    proxy_error: "http_request_error",
    fault: Fault::Caller,
    cure: "Send a smaller body; operators raise upstream_auth's `body`.",
};

/// Shows a credential to the upstream.
#[derive(Debug)]
struct UpstreamAuth {
    way: Way,
    /// Held so that the names stay secret as long as this runs.
    _secrets: Arc<SecretNames>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are few, each made once")]
enum Way {
    Fixed(Arc<dyn Credential>),
    Token(Arc<Source>),
    Exchange(Arc<Source>),
    Jwt(Signing),
    Aws(Arc<Aws>, u64),
}

/// Sets a field of the request; what can't be written refuses.
fn set(request: &mut Outgoing<'_>, name: &str, value: &str) -> Result<(), Refusal> {
    if request.set(name, value) {
        return Ok(());
    }
    Err(Refusal::new(&UNAVAILABLE).note(format!("{name} can't be written")))
}

/// The token in `Authorization: Bearer`.
fn bearer(exchange: &Exchange) -> Option<&str> {
    let value = exchange.request.headers.get(Known::Authorization)?;
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl Policy for UpstreamAuth {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match &self.way {
            Way::Fixed(credential) => {
                exchange.credential = Some(credential.clone());
                Step::next()
            }
            Way::Token(source) => Step::Wait(Box::pin(show(source, Subject::GATEWAY, exchange))),
            Way::Exchange(source) => {
                let token = exchange.caller.as_ref().and_then(|_| bearer(exchange));
                match token.map(Subject::caller) {
                    Some(subject) => Step::Wait(Box::pin(show(source, subject, exchange))),
                    None => Step::refuse(Refusal::new(&NO_CALLER)),
                }
            }
            Way::Jwt(signing) => {
                let caller = exchange.caller.as_ref().and_then(|caller| caller.name());
                match signing.credential(caller, exchange.wall) {
                    Ok(credential) => {
                        exchange.credential = Some(credential);
                        Step::next()
                    }
                    Err(refusal) => Step::refuse(refusal),
                }
            }
            Way::Aws(by, 0) => {
                let body = sigv4::UNSIGNED.into();
                exchange.credential = Some(Arc::new(AwsSigned { by: by.clone(), body }));
                Step::next()
            }
            Way::Aws(by, most) => Step::Wait(Box::pin(hash(by, *most, exchange))),
        }
    }
}

/// Has a token and shows it.
async fn show(source: &Arc<Source>, subject: Subject, exchange: &mut Exchange) -> Flow {
    let refusal = match source.token(&subject, exchange.wall).await {
        Ok(token) => {
            exchange.credential = Some(source.credential(subject, token));
            return Flow::Continue;
        }
        Err(NoToken::Refused(why)) => Refusal::new(&REFUSED).note(why),
        Err(NoToken::Unavailable(why)) => {
            Refusal::new(&UNAVAILABLE).note(why).header("Retry-After", "1")
        }
    };
    Flow::Refuse(Box::new(refusal))
}

/// Holds back the body and signs it.
async fn hash(by: &Arc<Aws>, most: u64, exchange: &mut Exchange) -> Flow {
    let limit = usize::try_from(most.min(exchange.body_limit)).unwrap_or(usize::MAX);
    let refusal = match exchange.request.body.hold(limit).await {
        Ok(held) if held.whole => {
            let body = sigv4::hash(&held.bytes).into();
            exchange.credential = Some(Arc::new(AwsSigned { by: by.clone(), body }));
            return Flow::Continue;
        }
        Ok(_) => Refusal::new(&TOO_LARGE).detail(format!("at most {limit} bytes are taken")),
        Err(error) => error.into(),
    };
    Flow::Refuse(Box::new(refusal))
}

#[cfg(test)]
mod tests;
