//! A vault's HTTP API: KV secrets of version 1 and 2, and AppRole logins.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::Secret;
use config::v1::AppRole;
use policy::{Answer, Call, Remote};
use serde_json::{Map, Value, json};

/// A vault, and as whom it is asked.
pub(super) struct Client {
    pub address: String,
    pub namespace: Option<String>,
    pub proof: Proof,
    pub remote: Arc<dyn Remote>,
    pub within: Duration,
    pub refresh: Duration,
    /// The token that a login gave, and when it is to be got anew.
    pub login: Mutex<Option<(Secret, Instant)>>,
    /// When it was away last.
    pub away: Mutex<Option<Instant>>,
}

/// Time after a vault was away in which a document's other secrets do not wait for it too.
const STILL_AWAY: Duration = Duration::from_secs(1);

/// As whom a vault is asked.
pub(super) enum Proof {
    Token(Secret),
    AppRole(AppRole),
}

/// Why a secret was not read; without a word of it.
#[derive(Debug)]
pub(super) enum Failure {
    /// The vault is away, sealed or broken: it may be there again.
    Away(String),
    /// It says no.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(why) | Self::Refused(why)) = self;
        f.write_str(why)
    }
}

/// Where a secret's mount ends, and the version of its engine.
struct Mount {
    length: usize,
    version: u8,
}

impl Client {
    /// The fields of the secret at `path`, for those who can't wait otherwise.
    pub fn read_now(&self, path: &str) -> Result<Map<String, Value>, Failure> {
        let last = *self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < STILL_AWAY) {
            return Err(Failure::Away(format!("the vault {} is away", self.address)));
        }
        let gone = || Failure::Away("there is no thread to ask it by".into());
        let read = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.map_err(|_| gone())?.block_on(self.read(path))
            });
            asking.join().unwrap_or_else(|_| Err(gone()))
        });
        if matches!(read, Err(Failure::Away(_))) {
            *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        read
    }

    /// The fields of the secret at `path`.
    pub async fn read(&self, path: &str) -> Result<Map<String, Value>, Failure> {
        let mount = self.mount(path).await?;
        let (start, rest) = path.split_at(mount.length);
        let rest = rest.trim_start_matches('/');
        let place = match mount.version {
            2 => format!("{start}/data/{rest}"),
            _ => format!("{start}/{rest}"),
        };
        let answer = self.get(&place).await?;
        let data = body(&answer)?.remove("data");
        let data = match (mount.version, data) {
            (2, Some(Value::Object(mut data))) => data.remove("data"),
            (_, data) => data,
        };
        match data {
            Some(Value::Object(fields)) => Ok(fields),
            _ => Err(Failure::Refused("the vault's answer has no secret in it".into())),
        }
    }

    /// What `path` is mounted by, as the vault's own tools ask for it. Where that may not be asked,
    /// the first part of the path, and version 2.
    async fn mount(&self, path: &str) -> Result<Mount, Failure> {
        let usual = Mount { length: path.find('/').unwrap_or(path.len()), version: 2 };
        let answer = match self.get(&format!("sys/internal/ui/mounts/{path}")).await {
            Ok(answer) => body(&answer)?,
            Err(Failure::Refused(_)) => return Ok(usual),
            Err(away) => return Err(away),
        };
        let data = answer.get("data");
        let start = data.and_then(|data| data.get("path")).and_then(Value::as_str);
        let start = start.unwrap_or_default().trim_end_matches('/');
        if start.is_empty() || !path.starts_with(start) {
            return Ok(usual);
        }
        let version = data.and_then(|data| data.get("options")?.get("version")?.as_str());
        let version = if version == Some("2") { 2 } else { 1 };
        Ok(Mount { length: start.len(), version })
    }

    /// A `GET` that answers 200. A token that a login gave and that is no longer taken is got anew,
    /// once.
    async fn get(&self, place: &str) -> Result<Answer, Failure> {
        let token = self.token().await?;
        let answer = self.call(Call::get(self.url(place)), Some(&token)).await;
        match (&self.proof, answer) {
            (Proof::AppRole(_), Err(Failure::Refused(why))) if why.contains("403") => {
                self.login.lock().unwrap_or_else(PoisonError::into_inner).take();
                let token = self.token().await?;
                self.call(Call::get(self.url(place)), Some(&token)).await
            }
            (_, answer) => answer,
        }
    }

    async fn token(&self) -> Result<Secret, Failure> {
        let role = match &self.proof {
            Proof::Token(token) => return Ok(token.clone()),
            Proof::AppRole(role) => role,
        };
        let known = self.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, until)) = known
            && Instant::now() < until
        {
            return Ok(token);
        }
        let place = format!("auth/{}/login", role.mount.trim_matches('/'));
        let said =
            json!({ "role_id": role.role_id.expose(), "secret_id": role.secret_id.expose() });
        let call = Call::post(self.url(&place), "application/json", said.to_string());
        let answer = self.call(call, None).await?;
        let auth = body(&answer)?.remove("auth").unwrap_or_default();
        let token = auth.get("client_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| Failure::Refused("the login gave no token".into()))?;
        let token = Secret::new(token);
        // Zero: it has no end.
        let seconds = auth.get("lease_duration").and_then(Value::as_u64).unwrap_or(0);
        let holds = if seconds == 0 { 86_400 } else { seconds * 2 / 3 };
        let until = Instant::now() + Duration::from_secs(holds.min(86_400));
        let login = Some((token.clone(), until));
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
        Ok(token)
    }

    async fn call(&self, call: Call, token: Option<&Secret>) -> Result<Answer, Failure> {
        let mut call = call.within(self.within).header("x-vault-request", "true");
        if let Some(token) = token {
            call = call.header("x-vault-token", token.expose());
        }
        if let Some(namespace) = &self.namespace {
            call = call.header("x-vault-namespace", namespace.as_str());
        }
        let answer = self
            .remote
            .call(call)
            .await
            .map_err(|why| Failure::Away(format!("the vault {}: {why}", self.address)))?;
        match answer.status {
            200 => Ok(answer),
            404 => Err(Failure::Refused("the vault has no such secret (404)".into())),
            status @ (400..=428 | 430..=471) => {
                Err(Failure::Refused(format!("the vault answered {status}")))
            }
            status => Err(Failure::Away(format!("the vault answered {status}"))),
        }
    }

    fn url(&self, place: &str) -> String {
        format!("{}/v1/{place}", self.address)
    }
}

fn body(answer: &Answer) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(Failure::Away("the vault's answer is no JSON object".into())),
    }
}
