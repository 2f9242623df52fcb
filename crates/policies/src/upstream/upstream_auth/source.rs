//! Tokens of the gateway itself (client credentials) and tokens that callers' tokens are exchanged
//! for: had once for all who wait, kept as long as they are good, fetched anew before they end.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::{Chore, Credential, Outgoing, Refusal, Renewal};

use super::token::{Client, NoToken, Token};
use crate::asked::{Answers, Key, Told};

/// How long nobody is asked after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// How old a token must be to be thrown away because an upstream turned it down: one that turns
/// down whatever it is shown must not have the authorization server asked for each request.
const RENEWED: Duration = Duration::from_secs(5);

/// How often it is looked whether a token is to be fetched anew.
const LOOK: Duration = Duration::from_secs(1);

type Answer = Result<Token, NoToken>;

/// Where tokens come from: one server, asked as one client.
pub(super) struct Source {
    asked: Arc<Asked>,
    answers: Arc<Answers<Answer>>,
    /// The time by the last request, in seconds since 1970.
    seen: AtomicU64,
    /// Whether the gateway's own token was used since it was fetched.
    own: Mutex<Option<Used>>,
}

/// What is asked, and whom.
struct Asked {
    client: Client,
    /// The parameters of every request but those of the one it is for.
    params: Vec<(&'static str, String)>,
}

/// The gateway's own token, and when somebody last wanted it.
struct Used {
    token: Token,
    at: Duration,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({:?})", self.asked.client)
    }
}

/// Whom a token is for: the gateway itself, or the caller who showed this one.
#[derive(Clone)]
pub(super) struct Subject(Option<Arc<str>>);

impl Subject {
    /// The gateway.
    pub const GATEWAY: Self = Self(None);

    /// A caller's token.
    pub fn caller(token: &str) -> Self {
        Self(Some(token.into()))
    }

    fn key(&self) -> Key {
        let mut key = Key::default();
        if let Some(token) = &self.0 {
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
            key.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        }
        key
    }
}

impl Source {
    /// Tokens from `client`'s server, of which `most` are kept.
    pub fn new(client: Client, params: Vec<(&'static str, String)>, most: usize) -> Self {
        Self {
            asked: Arc::new(Asked { client, params }),
            answers: Arc::new(Answers::new(most)),
            seen: AtomicU64::new(0),
            own: Mutex::new(None),
        }
    }

    /// The token for `subject` at the time `now`: the one that is kept, or else a new one.
    pub async fn token(&self, subject: &Subject, now: Duration) -> Answer {
        self.seen.fetch_max(now.as_secs(), Ordering::Relaxed);
        if let Some(kept) = self.answers.find(&subject.key(), now) {
            self.used(subject, &kept.value, now);
            return kept.value.clone();
        }
        self.fetch(subject, now, None).await
    }

    /// Takes note of who wants the gateway's own token.
    fn used(&self, subject: &Subject, answer: &Answer, at: Duration) {
        if let (None, Ok(token)) = (&subject.0, answer) {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            *own = Some(Used { token: token.clone(), at });
        }
    }

    /// Has a new token. `good` is the one that is kept if there is none to be had.
    async fn fetch(&self, subject: &Subject, now: Duration, good: Option<Token>) -> Answer {
        let (asked, whose) = (self.asked.clone(), subject.clone());
        let question = move || async move {
            let Asked { client, params } = &*asked;
            let mut params: Vec<_> =
                params.iter().map(|(name, value)| (*name, value.as_str())).collect();
            if let Some(token) = &whose.0 {
                params.push(("subject_token", token));
            }
            match (client.ask(&params, now).await, good) {
                (Ok(token), _) => Told { until: token.good_until(), value: Ok(token), good: true },
                (Err(why), Some(kept)) => {
                    tracing::warn!(server = client.url, ?why, "a token can't be renewed yet");
                    Told { until: kept.good_until(), value: Ok(kept), good: true }
                }
                (Err(why), None) => Told { until: now + PAUSE, value: Err(why), good: false },
            }
        };
        let told = self.answers.clone().ask(subject.key(), now, question).await;
        self.used(subject, &told.value, now);
        told.value.clone()
    }

    /// A token in place of `turned_down`; none if that one is too young to be at fault.
    async fn renewed(
        &self,
        subject: &Subject,
        turned_down: &Token,
        now: Duration,
    ) -> Option<Token> {
        let kept = self.answers.find(&subject.key(), now);
        let other = kept.and_then(|kept| kept.value.clone().ok());
        if let Some(other) = other.filter(|other| other.value() != turned_down.value()) {
            return Some(other);
        }
        if now < turned_down.had + RENEWED {
            return None;
        }
        let token = self.fetch(subject, now, None).await.ok()?;
        (token.value() != turned_down.value()).then_some(token)
    }

    /// The credential that shows `token`.
    pub fn credential(self: &Arc<Self>, subject: Subject, token: Token) -> Arc<dyn Credential> {
        Arc::new(Shown { source: self.clone(), subject, token })
    }
}

/// Only the gateway's own token is fetched before it ends: callers' come when they call.
impl Chore for Source {
    fn run(&self) -> Pin<Box<dyn Future<Output = Duration> + Send + '_>> {
        Box::pin(async move {
            let now = Duration::from_secs(self.seen.load(Ordering::Relaxed));
            let due = {
                let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
                own.as_ref()
                    // One that nobody wanted since it was due for the first time is let go.
                    .filter(|used| used.at >= used.token.refreshed_from())
                    .map(|used| used.token.clone())
                    .filter(|token| now < token.good_until())
            };
            if let Some(token) = due {
                let _ = self.fetch(&Subject::GATEWAY, now, Some(token)).await;
            }
            LOOK
        })
    }
}

/// A token on its way to the upstream.
struct Shown {
    source: Arc<Source>,
    subject: Subject,
    token: Token,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shown({:?})", self.token)
    }
}

impl Credential for Shown {
    fn attach(&self, request: &mut Outgoing<'_>) -> Result<(), Refusal> {
        super::set(request, "Authorization", self.token.value())
    }

    fn renew(&self, wall: Duration) -> Option<Renewal<'_>> {
        Some(Box::pin(async move {
            let token = self.source.renewed(&self.subject, &self.token, wall).await?;
            Some(self.source.credential(self.subject.clone(), token))
        }))
    }
}
