//! Tokens that an authorization server gives: how they are asked for and what its answer must be
//! like (RFC 6749 §5, RFC 8693 §2).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::{Answer, Call, Remote, Unanswered};
use serde::Deserialize;

/// How long a token lasts where the server does not say.
const LIFE: Duration = Duration::from_secs(300);

/// How long a token is used at most, whatever the server says.
const LIFE_MAX: Duration = Duration::from_secs(86_400);

/// Most bytes of a token.
const TOKEN_BYTES: usize = 16 << 10;

/// A token.
#[derive(Clone)]
pub(super) struct Token {
    /// The value of `Authorization`.
    value: Arc<str>,
    /// When it was had.
    pub had: Duration,
    /// When it ends.
    pub ends: Duration,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(***, {:?} to {:?})", self.had, self.ends)
    }
}

impl Token {
    /// The value of `Authorization`.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Until when it is used: a bit less than it lasts, since the request takes its time.
    pub fn good_until(&self) -> Duration {
        let life = self.ends.saturating_sub(self.had);
        self.ends.saturating_sub((life / 10).min(Duration::from_secs(10)))
    }

    /// From when on another one is fetched while this one is still good: after four fifths of its
    /// time.
    pub fn refreshed_from(&self) -> Duration {
        self.had + self.ends.saturating_sub(self.had) * 4 / 5
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// The server can't be asked, or its answer is none: why, without anything secret.
    Unavailable(String),
    /// The server will not have the one whose token was to be exchanged.
    Refused(String),
}

/// Who asks an authorization server.
pub(super) struct Client {
    /// Where.
    pub url: String,
    /// Who.
    pub id: String,
    /// With what.
    pub secret: String,
    /// How both are sent.
    pub method: Method,
    /// For how long an answer is waited for.
    pub within: Duration,
    /// The way there.
    pub remote: Arc<dyn Remote>,
}

/// How a client proves who it is (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UpstreamAuthMethod")]
pub(super) enum Method {
    /// In `Authorization: Basic`.
    #[default]
    Basic,
    /// In the body.
    Post,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({} at {})", self.id, self.url)
    }
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Client {
    /// Asks for a token with these parameters, at the time `now`.
    pub async fn ask(&self, params: &[(&str, &str)], now: Duration) -> Result<Token, NoToken> {
        let mut form = Vec::from(params);
        if self.method == Method::Post {
            form.extend([("client_id", self.id.as_str()), ("client_secret", &self.secret)]);
        }
        let body: Vec<_> = form
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let call = Call::post(&self.url, "application/x-www-form-urlencoded", body.join("&"))
            .header("accept", "application/json")
            .within(self.within);
        let call = match self.method {
            Method::Post => call,
            Method::Basic => {
                let pair = format!("{}:{}", encoded(&self.id), encoded(&self.secret));
                call.header("authorization", format!("Basic {}", BASE64_STANDARD.encode(pair)))
            }
        };
        let answer = self.remote.call(Call { most: 64 << 10, ..call }).await;
        self.read(answer, now)
    }

    fn read(&self, answer: Result<Answer, Unanswered>, now: Duration) -> Result<Token, NoToken> {
        let unavailable = |what: String| NoToken::Unavailable(format!("{}: {what}", self.url));
        let answer = answer.map_err(|error| unavailable(error.to_string()))?;
        if answer.status != 200 {
            let refused = serde_json::from_slice::<Refused>(&answer.body).ok();
            // Only the errors that there are (RFC 6749 §5.2, RFC 8693 §2.2.2), and not what else
            // may stand there.
            let known = [
                "invalid_request",
                "invalid_client",
                "invalid_grant",
                "invalid_target",
                "unauthorized_client",
                "unsupported_grant_type",
                "invalid_scope",
                "access_denied",
            ];
            let error =
                refused.and_then(|refused| known.into_iter().find(|known| *known == refused.error));
            let what = format!("it answered {} {}", answer.status, error.unwrap_or_default());
            return Err(match error {
                Some("invalid_grant" | "invalid_target" | "access_denied" | "invalid_request") => {
                    NoToken::Refused(what)
                }
                _ => unavailable(what),
            });
        }
        let given: Given = serde_json::from_slice(&answer.body)
            .map_err(|_| unavailable("its answer is no token".to_owned()))?;
        if !given.token_type.eq_ignore_ascii_case("bearer") {
            return Err(unavailable("its token is of a type that is not spoken here".to_owned()));
        }
        let token = given.access_token;
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() > TOKEN_BYTES || !plain {
            return Err(unavailable("its token can't be sent".to_owned()));
        }
        // Some write the number as text.
        let life = given.expires_in.as_ref().and_then(|life| {
            life.as_u64().or_else(|| life.as_str().and_then(|life| life.parse().ok()))
        });
        let life = life.map_or(LIFE, Duration::from_secs).min(LIFE_MAX);
        Ok(Token { value: format!("Bearer {token}").into(), had: now, ends: now + life })
    }
}

/// As forms write it (RFC 6749, appendix B).
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}
