//! The authorization server: where it is asked, and as whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::{RequestId, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::{Answer, Call, Remote};
use serde_json::{Map, Value, json};

use super::answer::{Expected, Said};
use crate::asked::{Answers, Held, Told};
use crate::jose::{self, SigningKey};

/// Time for which a discovered endpoint is used before it is looked up again.
const DISCOVERED: Duration = Duration::from_secs(3600);

/// Time after which a discovery that failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 256 << 10;

/// Time an assertion of who asks is good for.
const ASSERTION: Duration = Duration::from_secs(60);

/// An authorization server.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) remote: Arc<dyn Remote>,
    pub(super) endpoint: Endpoint,
    pub(super) client: Option<Client>,
    pub(super) within: Duration,
    pub(super) expected: Expected,
}

/// Where it is asked.
#[derive(Debug)]
pub(super) enum Endpoint {
    /// At this URL.
    Fixed(String),
    /// Where the issuer's metadata say (RFC 8414, OpenID Connect Discovery).
    Discovered(Discovery),
}

/// An endpoint that is looked up.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) issuer: String,
    pub(super) found: Arc<Answers<Result<Arc<str>, String>>>,
    /// What was found last: used while the issuer is away.
    pub(super) last: Mutex<Option<Arc<str>>>,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) proof: Proof,
}

/// How whoever asks proves it.
#[derive(Debug)]
pub(super) enum Proof {
    /// By HTTP Basic (RFC 6749 §2.3.1).
    Basic(Secret),
    /// By the secret in the body.
    Post(Secret),
    /// By a signed assertion (RFC 7523 §2.2).
    Assertion(Box<SigningKey>),
    /// By the certificate of the connection (RFC 8705 §2).
    Certificate,
}

impl Provider {
    /// Asks what becomes of `token` at `now`.
    ///
    /// # Errors
    /// Nothing is known of it; with why, for operators.
    pub(super) async fn ask(&self, token: &str, now: Duration) -> Result<Said, String> {
        let endpoint = self.endpoint(now).await?;
        let call = self.question(&endpoint, token, now).ok_or("the assertion can't be signed")?;
        let answer = self.remote.call(call).await.map_err(|why| format!("{endpoint}: {why}"))?;
        match answer.status {
            200 => {
                self.expected.read(&answer.body, now).map_err(|why| format!("{endpoint}: {why}"))
            }
            400 | 401 | 403 => {
                let code = answer.status;
                Err(format!("{endpoint} answered {code}: check `client` and its rights there"))
            }
            code => Err(format!("{endpoint} answered {code}")),
        }
    }

    fn question(&self, endpoint: &str, token: &str, now: Duration) -> Option<Call> {
        let mut form = Form::default();
        form.add("token", token);
        form.add("token_type_hint", "access_token");
        let mut basic = None;
        match self.client.as_ref().map(|client| (client, &client.proof)) {
            None => {}
            Some((client, Proof::Basic(secret))) => {
                let pair = format!("{}:{}", escaped(&client.id), escaped(secret.expose()));
                basic = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            Some((client, Proof::Post(secret))) => {
                form.add("client_id", &client.id);
                form.add("client_secret", secret.expose());
            }
            Some((client, Proof::Certificate)) => form.add("client_id", &client.id),
            Some((client, Proof::Assertion(key))) => {
                form.add("client_id", &client.id);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.add("client_assertion_type", kind);
                form.add("client_assertion", &client.assertion(key, self.audience(endpoint), now)?);
            }
        }
        let mut call = Call::post(endpoint, "application/x-www-form-urlencoded", form.0)
            .header("accept", "application/json")
            .within(self.within)
            .again();
        call.headers.extend(basic.map(|value| ("authorization".to_owned(), value.into_bytes())));
        call.most = ANSWER_BYTES;
        Some(call)
    }

    /// Whom an assertion is for: the issuer, where it is known.
    fn audience<'a>(&'a self, endpoint: &'a str) -> &'a str {
        self.expected.issuer.as_deref().unwrap_or(endpoint)
    }

    async fn endpoint(&self, now: Duration) -> Result<Arc<str>, String> {
        let discovery = match &self.endpoint {
            Endpoint::Fixed(url) => return Ok(url.as_str().into()),
            Endpoint::Discovered(discovery) => discovery,
        };
        let key = [0; 32];
        let found = match discovery.found.find(&key, now) {
            Some(found) => found,
            None => discovery.look_up(self.remote.clone(), self.within, now).await,
        };
        match &found.value {
            Ok(url) => Ok(url.clone()),
            Err(why) => {
                let last = discovery.last.lock().unwrap_or_else(PoisonError::into_inner);
                last.clone().ok_or_else(|| why.clone())
            }
        }
    }
}

impl Discovery {
    async fn look_up(
        &self,
        remote: Arc<dyn Remote>,
        within: Duration,
        now: Duration,
    ) -> Held<Result<Arc<str>, String>> {
        let issuer = self.issuer.clone();
        let question = || async move {
            let value = discover(&*remote, &issuer, within).await;
            let good = value.is_ok();
            let holds = if good { DISCOVERED } else { AGAIN };
            Told { value, until: now + holds, good }
        };
        let found = self.found.clone().ask([0; 32], now, question).await;
        if let Ok(url) = &found.value {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
        }
        found
    }
}

/// The introspection endpoint that `issuer`'s metadata name.
async fn discover(remote: &dyn Remote, issuer: &str, within: Duration) -> Result<Arc<str>, String> {
    let host = issuer.find("://").and_then(|at| Some(at + 3 + issuer.get(at + 3..)?.find('/')?));
    let (origin, path) = issuer.split_at(host.unwrap_or(issuer.len()));
    let places = [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ];
    let mut why = String::new();
    for place in places {
        let call = Call::get(&place).header("accept", "application/json").within(within);
        match remote.call(call).await {
            Ok(answer) if answer.status == 200 => match named(&answer, issuer) {
                Ok(url) => return Ok(url),
                Err(what) => why = format!("{place}: {what}"),
            },
            Ok(answer) => why = format!("{place} answered {}", answer.status),
            Err(unanswered) => why = format!("{place}: {unanswered}"),
        }
    }
    Err(why)
}

/// The endpoint in metadata, which must be the issuer's own (RFC 8414 §3.3).
fn named(answer: &Answer, issuer: &str) -> Result<Arc<str>, &'static str> {
    let said = jose::object(&answer.body).ok_or("the metadata are no JSON object")?;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    if text("issuer").map(|said| said.trim_end_matches('/')) != Some(issuer) {
        return Err("the metadata are of another issuer");
    }
    let url =
        text("introspection_endpoint").ok_or("the metadata name no introspection_endpoint")?;
    let secure = |url: &str| url.starts_with("https://");
    if secure(issuer) && !secure(url) {
        return Err("the introspection_endpoint is not https");
    }
    Ok(url.into())
}

impl Client {
    fn assertion(&self, key: &SigningKey, audience: &str, now: Duration) -> Option<String> {
        let claims = [
            ("iss", json!(self.id)),
            ("sub", json!(self.id)),
            ("aud", json!(audience)),
            ("jti", json!(RequestId::new(now).to_string())),
            ("iat", json!(now.as_secs())),
            ("exp", json!((now + ASSERTION).as_secs())),
        ];
        let claims = claims.map(|(name, value)| (name.to_owned(), value));
        key.sign("JWT", &claims.into_iter().collect::<Map<_, _>>())
    }
}

/// A form in the making.
#[derive(Default)]
struct Form(String);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&escaped(value));
    }
}

/// `text` as `application/x-www-form-urlencoded` has it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(char::from(b)),
            b => {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                out.push('%');
                out.extend([b >> 4, b & 15].map(|nibble| digit(nibble).to_ascii_uppercase()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_escaped() {
        let mut form = Form::default();
        form.add("a", "b c&d=e%+/ä");
        form.add("f", "-._~");
        assert_eq!(form.0, "a=b%20c%26d%3De%25%2B%2F%C3%A4&f=-._~");
    }

    #[test]
    fn metadata_of_another_issuer_are_none() {
        let named = |body: &str, issuer: &str| {
            let answer = Answer { status: 200, body: body.to_owned().into(), ..Answer::default() };
            named(&answer, issuer).map(|url| url.to_string())
        };
        let good = r#"{"issuer":"https://a/","introspection_endpoint":"https://a/i"}"#;
        assert_eq!(named(good, "https://a").as_deref(), Ok("https://a/i"));
        for bad in [
            r#"{"issuer":"https://b","introspection_endpoint":"https://a/i"}"#,
            r#"{"introspection_endpoint":"https://a/i"}"#,
            r#"{"issuer":"https://a"}"#,
            r#"{"issuer":"https://a","introspection_endpoint":"http://a/i"}"#,
            "<html>",
        ] {
            assert!(named(bad, "https://a").is_err(), "{bad}");
        }
    }
}
