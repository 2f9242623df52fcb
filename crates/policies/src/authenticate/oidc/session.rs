//! What a session holds, and how long it lasts. Knows no HTTP.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::provider::Tokens;
use crate::jose::{Bad, Token};

/// How long before the access token ends new ones are had, in seconds, or a fifth of its life.
const AHEAD: u64 = 30;

/// A session, as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Session {
    /// The ID token, which was verified.
    #[serde(rename = "i")]
    pub(super) id_token: String,
    /// The access token, where the upstream gets it.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<String>,
    /// When new tokens are to be had: a bit before the access token ends.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<u64>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    /// What was granted.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    /// When it began, and when it was last sealed, in seconds since 1970.
    #[serde(rename = "b")]
    pub(super) began: u64,
    #[serde(rename = "s")]
    pub(super) seen: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(***, {} to {})", self.began, self.seen)
    }
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) idle: Duration,
    pub(super) lifetime: Duration,
}

impl Session {
    /// One that begins now, in seconds since 1970, and holds nothing yet.
    pub(super) fn new(now: u64) -> Self {
        Self {
            id_token: String::new(),
            access_token: None,
            due: None,
            refresh_token: None,
            scope: None,
            began: now,
            seen: now,
        }
    }

    /// Whether it lasts at `now`.
    pub(super) fn lasts(&self, times: Times, now: Duration) -> bool {
        let after = |from: u64, span: Duration| Duration::from_secs(from).saturating_add(span);
        // One from the future is of a clock that was set back, and none to rely on.
        let begun = Duration::from_secs(self.began) <= now.saturating_add(Duration::from_secs(60));
        begun && now < after(self.began, times.lifetime) && now < after(self.seen, times.idle)
    }

    /// Whether it is to be sealed anew, so that it does not end as idle.
    pub(super) fn is_stale(&self, times: Times, now: Duration) -> bool {
        now >= Duration::from_secs(self.seen).saturating_add(times.idle / 8)
    }

    /// Whether new tokens are to be had.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| now.as_secs() >= due)
    }

    /// Takes new tokens into it: `keeps` says whether the access token is of use.
    pub(super) fn take(&mut self, tokens: Tokens, keeps: bool, now: Duration) {
        let ahead = |life: u64| now.as_secs().saturating_add(life - (life / 5).min(AHEAD));
        self.due = tokens.expires_in.map(ahead);
        if let Some(id) = tokens.id {
            self.id_token = id;
        }
        self.access_token = keeps.then_some(tokens.access);
        self.refresh_token = tokens.refresh.or(self.refresh_token.take());
        self.scope = tokens.scope.or(self.scope.take());
    }

    /// What the ID token says; it was verified before it was sealed.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Bad> {
        Token::read(&self.id_token)?.unverified()
    }
}

/// A login that a browser began, as it is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Login {
    #[serde(rename = "s")]
    pub(super) state: String,
    #[serde(rename = "n")]
    pub(super) nonce: String,
    #[serde(rename = "v")]
    pub(super) verifier: String,
    /// Path and query of the page that was asked for.
    #[serde(rename = "t")]
    pub(super) target: String,
    /// In seconds since 1970.
    #[serde(rename = "b")]
    pub(super) began: u64,
}

/// How long a login may take, in seconds.
pub(super) const LOGIN: u64 = 600;

impl Login {
    /// Whether it may still end at `now`.
    pub(super) fn lasts(&self, now: Duration) -> bool {
        now.as_secs() < self.began.saturating_add(LOGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_idle_or_by_its_age_whichever_comes_first() {
        let times = Times { idle: Duration::from_secs(80), lifetime: Duration::from_secs(200) };
        let mut session = Session::new(1_000);
        let lasts = |session: &Session, at| session.lasts(times, Duration::from_secs(at));
        assert!(lasts(&session, 1_079) && !lasts(&session, 1_080));
        assert!(!session.is_stale(times, Duration::from_secs(1_009)));
        assert!(session.is_stale(times, Duration::from_secs(1_010)));
        session.seen = 1_190;
        assert!(lasts(&session, 1_199) && !lasts(&session, 1_200));
        assert!(!lasts(&session, 900), "begun in the future");
    }

    #[test]
    fn tokens_are_renewed_before_they_end_and_what_is_not_given_anew_stays() {
        let now = Duration::from_secs(1_000);
        let mut session = Session::new(1_000);
        let tokens = |life, refresh: Option<&str>, scope: Option<&str>| Tokens {
            id: Some("i".to_owned()),
            access: "hunter2".to_owned(),
            refresh: refresh.map(str::to_owned),
            scope: scope.map(str::to_owned),
            expires_in: life,
        };
        session.take(tokens(Some(100), Some("r"), Some("a b")), true, now);
        let due = |session: &Session, at| session.is_due(Duration::from_secs(at));
        assert!(!due(&session, 1_079) && due(&session, 1_080));
        session.take(tokens(Some(3_600), None, None), true, now);
        assert!(!due(&session, 4_569) && due(&session, 4_570));
        assert_eq!(
            (session.refresh_token.as_deref(), session.scope.as_deref()),
            (Some("r"), Some("a b"))
        );
        assert!(!format!("{session:?}").contains("hunter2"));
        session.take(tokens(None, Some("s"), None), false, now);
        assert!(session.access_token.is_none() && !due(&session, u64::MAX / 2));
        assert_eq!(session.refresh_token.as_deref(), Some("s"));
    }
}
