//! The provider: where its endpoints are, and the tokens it gives.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::{Answer, Call, Remote, Unanswered};
use serde_json::Value;

use super::settings::ClientAuth;
use crate::asked::{Answers, Told};
use crate::jose::object;
use crate::jwks::{Published, address, metadata};

/// How long the provider's metadata is used before it is fetched again.
const METADATA: Duration = Duration::from_secs(3600);

/// How long nobody is asked after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// How long the answer to a refresh is kept for other requests of the same session: the token that
/// it was had with counts once.
const REFRESHED: Duration = Duration::from_secs(60);

/// Most bytes of a token, and of an answer with tokens.
const TOKEN_BYTES: usize = 8 << 10;
const ANSWER_BYTES: usize = 64 << 10;

/// Refreshes that are remembered.
const REFRESHES: usize = 4_096;

/// Where the provider has what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) authorize: String,
    pub(super) token: String,
    pub(super) end_session: Option<String>,
    /// Whether it always says who it is when a browser comes back (RFC 9207).
    pub(super) names_itself: bool,
}

/// Tokens that the provider gave.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) id: Option<String>,
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) scope: Option<String>,
    /// In seconds from now.
    pub(super) expires_in: Option<u64>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoTokens {
    /// The provider does not take what it was shown.
    Refused(String),
    /// It can't be asked, or its answer is none: why, without anything secret.
    Unavailable(String),
}

type Found = Result<Arc<Endpoints>, Arc<str>>;

/// What outlives a reload.
pub(super) struct Memory {
    endpoints: Arc<Answers<Found>>,
    last: RwLock<Option<Arc<Endpoints>>>,
    refreshes: Arc<Answers<Result<Tokens, NoTokens>>>,
    /// Logins that came back.
    used: Answers<()>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            endpoints: Arc::new(Answers::new(1)),
            last: RwLock::default(),
            refreshes: Arc::new(Answers::new(REFRESHES)),
            used: Answers::new(REFRESHES),
        }
    }
}

/// The provider, and who we are to it.
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    pub(super) client_auth: ClientAuth,
    pub(super) redirect_uri: String,
    pub(super) timeout: Duration,
    pub(super) keys: Published,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) memory: Arc<Memory>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({} for {})", self.issuer, self.client_id)
    }
}

impl Provider {
    /// Where the provider has what: as it said within the hour, or as it last said.
    pub(super) async fn endpoints(self: &Arc<Self>, now: Duration) -> Found {
        let key = [0; 32];
        if let Some(found) = self.memory.endpoints.find(&key, now) {
            return found.value.clone();
        }
        let this = self.clone();
        let question = move || async move {
            let found = read(&*this.remote, &this.issuer).await;
            let mut last = this.memory.last.write().unwrap_or_else(PoisonError::into_inner);
            match (found, last.clone()) {
                (Ok(endpoints), _) => {
                    let endpoints = Arc::new(endpoints);
                    *last = Some(endpoints.clone());
                    Told { value: Ok(endpoints), until: now + METADATA, good: true }
                }
                (Err(_), Some(last)) => Told { value: Ok(last), until: now + PAUSE, good: true },
                (Err(why), None) => {
                    Told { value: Err(why.into()), until: now + PAUSE, good: false }
                }
            }
        };
        self.memory.endpoints.clone().ask(key, now, question).await.value.clone()
    }

    /// Notes that a login came back. False if it did before.
    pub(super) fn is_first(&self, state: &str, now: Duration, lasts: Duration) -> bool {
        let key = super::sha256(state.as_bytes());
        let first = self.memory.used.find(&key, now).is_none();
        let told = Told { value: (), until: now + lasts, good: true };
        self.memory.used.keep(key, Arc::new(told));
        first
    }

    /// The tokens for the code of a login.
    pub(super) async fn exchange(
        &self,
        endpoints: &Endpoints,
        code: &str,
        verifier: &str,
    ) -> Result<Tokens, NoTokens> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", verifier),
        ];
        self.ask(&endpoints.token, &form).await
    }

    /// New tokens for a session; the same for all its requests that ask within a minute.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        token: &str,
        now: Duration,
    ) -> Result<Tokens, NoTokens> {
        let key = super::sha256(token.as_bytes());
        if let Some(found) = self.memory.refreshes.find(&key, now) {
            return found.value.clone();
        }
        let (this, token) = (self.clone(), token.to_owned());
        let question = move || async move {
            let value = match this.endpoints(now).await {
                Ok(endpoints) => {
                    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
                    this.ask(&endpoints.token, &form).await
                }
                Err(why) => Err(NoTokens::Unavailable(why.to_string())),
            };
            let (until, good) = match &value {
                Ok(_) => (now + REFRESHED, true),
                Err(NoTokens::Refused(_)) => (now + REFRESHED, false),
                Err(NoTokens::Unavailable(why)) => {
                    tracing::warn!(issuer = this.issuer, why, "a session can't be renewed yet");
                    (now + PAUSE, false)
                }
            };
            Told { value, until, good }
        };
        self.memory.refreshes.clone().ask(key, now, question).await.value.clone()
    }

    async fn ask(&self, url: &str, form: &[(&str, &str)]) -> Result<Tokens, NoTokens> {
        let mut form = Vec::from(form);
        let mut basic = None;
        match (&self.client_secret, self.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret));
                basic = Some(format!("Basic {}", BASE64_STANDARD.encode(pair)));
            }
            (Some(secret), ClientAuth::Post) => {
                form.extend([("client_id", self.client_id.as_str()), ("client_secret", secret)]);
            }
            (None, _) => form.push(("client_id", &self.client_id)),
        }
        let call = Call::post(url, "application/x-www-form-urlencoded", query(&form))
            .header("accept", "application/json")
            .within(self.timeout);
        let call = match basic {
            Some(basic) => call.header("authorization", basic),
            None => call,
        };
        let answer = self.remote.call(Call { most: ANSWER_BYTES, ..call }).await;
        tokens(answer).map_err(|no| match no {
            NoTokens::Refused(what) => NoTokens::Refused(format!("{url}: {what}")),
            NoTokens::Unavailable(what) => NoTokens::Unavailable(format!("{url}: {what}")),
        })
    }
}

async fn read(remote: &dyn Remote, issuer: &str) -> Result<Endpoints, String> {
    let metadata = metadata(remote, issuer).await?;
    let optional = |name: &str| match metadata.contains_key(name) {
        true => address(&metadata, name, issuer).map(Some),
        false => Ok(None),
    };
    let says = |name: &str| metadata.get(name).and_then(Value::as_bool).unwrap_or_default();
    Ok(Endpoints {
        authorize: address(&metadata, "authorization_endpoint", issuer)?,
        token: address(&metadata, "token_endpoint", issuer)?,
        end_session: optional("end_session_endpoint")?,
        names_itself: says("authorization_response_iss_parameter_supported"),
    })
}

/// The tokens of an answer (RFC 6749 §5).
fn tokens(answer: Result<Answer, Unanswered>) -> Result<Tokens, NoTokens> {
    let none = |what: &str| NoTokens::Unavailable(what.to_owned());
    let answer = answer.map_err(|error| none(&error.to_string()))?;
    let said = object(&answer.body);
    let text = |name: &str| said.as_ref().and_then(|said| said.get(name)).and_then(Value::as_str);
    if answer.status != 200 {
        // Only the errors that there are (RFC 6749 §5.2), and not what else may stand there.
        let known = ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"];
        let error = text("error").and_then(|error| known.into_iter().find(|it| *it == error));
        let what = format!("it answered {} {}", answer.status, error.unwrap_or_default());
        return Err(match error {
            Some("invalid_grant") => NoTokens::Refused(what),
            _ => NoTokens::Unavailable(what),
        });
    }
    let kind = text("token_type").ok_or_else(|| none("its answer has no tokens"))?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(none("its token is of a type that is not spoken here"));
    }
    let fits = |token: &&str| {
        !token.is_empty()
            && token.len() <= TOKEN_BYTES
            && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let token = |name: &str| match text(name) {
        Some(token) if fits(&token) => Ok(Some(token.to_owned())),
        Some(_) => Err(none("its token is too long, or can't be sent")),
        None => Ok(None),
    };
    // Some write the number as text.
    let life = said.as_ref().and_then(|said| said.get("expires_in")).and_then(|life| {
        life.as_u64().or_else(|| life.as_str().and_then(|life| life.parse().ok()))
    });
    Ok(Tokens {
        id: token("id_token")?,
        access: token("access_token")?.ok_or_else(|| none("its answer has no access token"))?,
        refresh: token("refresh_token")?,
        scope: text("scope").filter(|scope| scope.len() <= 1024).map(str::to_owned),
        expires_in: life,
    })
}

/// Parameters, as queries and forms have them.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// As queries and forms both read it.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Result<Tokens, NoTokens> {
        let body = body.as_bytes().to_vec().into();
        tokens(Ok(Answer { status, body, ..Answer::default() }))
    }

    #[test]
    fn only_an_answer_with_tokens_is_one() {
        let right =
            r#"{"token_type":"bearer","access_token":"a","expires_in":"60","id_token":"i"}"#;
        let tokens = said(200, right).unwrap();
        assert_eq!((&*tokens.access, tokens.expires_in), ("a", Some(60)));
        assert_eq!((tokens.id.as_deref(), tokens.refresh), (Some("i"), None));
        for (status, body) in [
            (200, "{}"),
            (200, "[]"),
            (200, r#"{"token_type":"DPoP","access_token":"a"}"#),
            (200, r#"{"token_type":"bearer"}"#),
            (200, r#"{"token_type":"bearer","access_token":"a\r\nb"}"#),
            (200, r#"{"token_type":"bearer","access_token":"a","access_token":"b"}"#),
            (302, right),
            (401, r#"{"error":"invalid_client"}"#),
            (500, r#"{"error":"the secret is hunter2"}"#),
        ] {
            let no = said(status, body).unwrap_err();
            assert!(matches!(&no, NoTokens::Unavailable(_)), "{body}: {no:?}");
            assert!(!format!("{no:?}").contains("hunter2"));
        }
        let no = said(400, r#"{"error":"invalid_grant","error_description":"hunter2"}"#);
        assert_eq!(no.unwrap_err(), NoTokens::Refused("it answered 400 invalid_grant".into()));
    }

    #[test]
    fn parameters_do_not_run_into_each_other() {
        assert_eq!(query(&[("a&b", "c=d e"), ("f", "ü/?")]), "a%26b=c%3Dd%20e&f=%C3%BC%2F%3F");
    }
}
