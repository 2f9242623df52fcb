//! Secrets that a document refers to and a vault holds: read when the document is, kept in memory
//! alone, looked at again while the gateway runs. While the vault is away, what it said last
//! counts.

mod around;
mod client;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use config::v1;
use serde_json::{Map, Value};
use tokio::sync::Notify;

pub use around::WithVault;
use client::{Client, Failure};

/// Time after which a vault that was away is asked again.
const AWAY: Duration = Duration::from_secs(15);

/// Secrets by the vault and the path they came from.
#[derive(Default)]
pub struct Vault {
    state: Mutex<State>,
    /// There are other secrets to look after.
    other: Notify,
}

#[derive(Default)]
struct State {
    clients: HashMap<String, Arc<Client>>,
    secrets: HashMap<(String, String), Kept>,
    /// Counts documents that were read.
    generation: u64,
}

/// A secret's fields.
#[derive(Clone)]
struct Kept {
    client: Arc<Client>,
    fields: Map<String, Value>,
    /// When the vault said so.
    read: Instant,
    /// The document that asked for it last.
    generation: u64,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A document is about to be read.
    pub fn begin(&self) {
        self.lock().generation += 1;
    }

    /// The document that was read last is running: secrets that it does not refer to are forgotten.
    pub fn settle(&self) {
        let mut state = self.lock();
        let now = state.generation;
        state.secrets.retain(|_, kept| kept.generation == now);
        let State { clients, secrets, .. } = &mut *state;
        clients.retain(|key, _| secrets.keys().any(|(of, _)| of == key));
        drop(state);
        self.other.notify_one();
    }

    /// The value of `field` of the secret at `path`.
    fn value(
        &self,
        make: impl FnOnce() -> Result<Client, String>,
        key: &str,
        path: &str,
        field: &str,
    ) -> Result<String, String> {
        let (client, known) = self.known(make, key, path)?;
        let fresh = |kept: &Kept| kept.read.elapsed() < client.refresh;
        let (fields, read) = match known {
            Some(kept) if fresh(&kept) => (kept.fields, kept.read),
            known => match (client.read_now(path), known) {
                (Ok(fields), _) => (fields, Instant::now()),
                (Err(Failure::Away(why)), Some(kept)) => {
                    let address = &client.address;
                    tracing::warn!("the vault {address} is away, secrets stay as they were: {why}");
                    (kept.fields, kept.read)
                }
                (Err(failure), _) => return Err(failure.to_string()),
            },
        };
        let value = text(fields.get(field));
        let mut state = self.lock();
        let generation = state.generation;
        let kept = Kept { client, fields, read, generation };
        state.secrets.insert((key.to_owned(), path.to_owned()), kept);
        value.ok_or_else(|| "the secret has no such field, or one that is no text".to_owned())
    }

    fn known(
        &self,
        make: impl FnOnce() -> Result<Client, String>,
        key: &str,
        path: &str,
    ) -> Result<(Arc<Client>, Option<Kept>), String> {
        let mut state = self.lock();
        let client = match state.clients.get(key) {
            Some(client) => client.clone(),
            None => {
                let client = Arc::new(make()?);
                state.clients.insert(key.to_owned(), client.clone());
                client
            }
        };
        let known = state.secrets.get(&(key.to_owned(), path.to_owned())).cloned();
        Ok((client, known))
    }

    /// Waits until the vault says something else of a secret in use.
    pub async fn changed(&self) {
        let mut wait = self.least();
        loop {
            tokio::select! {
                () = self.other.notified() => {
                    wait = self.least();
                    continue;
                }
                () = sleep(wait) => {}
            }
            let (changed, away) = self.look().await;
            if changed {
                return;
            }
            wait = self.least().map(|usual| if away { usual.min(AWAY) } else { usual });
        }
    }

    /// Reads every secret in use again. Gives whether one is another now, and whether a vault is
    /// away.
    async fn look(&self) -> (bool, bool) {
        let all: Vec<_> = {
            let state = self.lock();
            let kept = state.secrets.iter();
            kept.map(|(place, kept)| (place.clone(), kept.client.clone())).collect()
        };
        let (mut changed, mut away) = (false, false);
        for (place, client) in all {
            match client.read(&place.1).await {
                Ok(fields) => {
                    let mut state = self.lock();
                    if let Some(kept) = state.secrets.get_mut(&place) {
                        changed |= kept.fields != fields;
                        (kept.fields, kept.read) = (fields, Instant::now());
                    }
                }
                Err(failure) => {
                    away |= matches!(failure, Failure::Away(_));
                    let (address, path) = (&client.address, &place.1);
                    tracing::warn!("{path} of the vault {address} stays as it was: {failure}");
                }
            }
        }
        (changed, away)
    }

    /// The least time between two looks; none where there is nothing to look at.
    fn least(&self) -> Option<Duration> {
        self.lock().secrets.values().map(|kept| kept.client.refresh).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// A field's value: a text, a number or a word; anything else as JSON.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What makes a vault another one.
fn key(vault: &v1::Vault, folder: &Path) -> String {
    let secret = |secret: &base::Secret| secret.expose().to_owned();
    let role = vault.app_role.as_ref();
    let role = role.map(|role| (secret(&role.role_id), secret(&role.secret_id), &role.mount));
    let token = vault.token.as_ref().map(secret);
    let parts = (&vault.address, token, role, &vault.namespace, &vault.ca, folder);
    format!("{parts:?} {:?} {:?}", vault.refresh, vault.timeout)
}
