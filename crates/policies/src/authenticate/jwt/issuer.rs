//! One issuer: its keys, what its tokens have to say, and who they speak of. Knows no HTTP.

use std::sync::Arc;
use std::time::Duration;

use policy::{Caller, Code, Directory, Grant};
use serde_json::{Map, Value};

use super::claims::{Rules, Wrong, words};
use super::place::Place;
use super::verified::{Binding, Verified};
use super::{KIND, codes};
use crate::jose::{Bad, KeySet, Token};
use crate::jwks::{Held, Published};

/// An issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Its `iss`; none where its tokens have none.
    pub(super) name: Option<Box<str>>,
    /// What its callers' credential is called.
    pub(super) credential: Arc<str>,
    pub(super) keys: Keys,
    pub(super) rules: Rules,
    pub(super) application: Option<Place>,
    pub(super) known_applications: bool,
    pub(super) scopes: Option<Place>,
    pub(super) groups: Option<Place>,
}

/// Its keys.
#[derive(Debug)]
pub(super) enum Keys {
    /// Written in the document.
    Given(Arc<Held>),
    /// Published somewhere.
    Published(Published),
}

/// Why a token does not let its bearer in.
#[derive(Debug)]
pub(super) enum Refused {
    /// For good.
    Because(&'static Code, Box<str>),
    /// The keys are not there yet.
    NoKeys,
    /// It names a key that is not among those that are there.
    UnknownKey,
}

/// Tokens of other kinds than these are made for something else (RFC 8725 §3.11).
const KINDS: &[&str] = &["jwt", "at+jwt"];

impl Issuer {
    /// The keys that may be used at `now`.
    fn held(&self, now: Duration) -> Option<Arc<Held>> {
        match &self.keys {
            Keys::Given(held) => Some(held.clone()),
            Keys::Published(published) => published.held(now),
        }
    }

    /// The number of its keys.
    pub(super) fn generation(&self) -> u64 {
        match &self.keys {
            Keys::Given(_) => 0,
            Keys::Published(published) => published.generation(),
        }
    }

    /// Who shows `token`, and until when that is known without another look.
    pub(super) fn judge(
        &self,
        number: usize,
        token: &Token<'_>,
        claims: Map<String, Value>,
        now: Duration,
        directory: &Directory,
    ) -> Result<(Verified, Duration), Refused> {
        let held = self.held(now).ok_or(Refused::NoKeys)?;
        token.verify(&held.keys).map_err(refused)?;
        self.check_kind(token)?;
        let because = |wrong: Wrong| Refused::Because(wrong.code, wrong.claim);
        let expires = self.rules.check(&claims, now).map_err(because)?;
        // Verified again when its keys would be too old, so that they are asked for again.
        let keys_last = match &self.keys {
            Keys::Given(_) => Duration::MAX,
            Keys::Published(published) => held.at + published.times().most,
        };
        let until = expires.map_or(Duration::MAX, |expires| expires + self.rules.leeway);
        let until = until.min(keys_last).min(self.too_old(&claims));
        let since = self.rules.since(&claims);
        let cnf = Binding::of(&claims);
        let caller = self.caller(claims, expires, directory)?;
        let generation = held.generation;
        Ok((Verified { caller, cnf, since, issuer: number, generation }, until))
    }

    fn check_kind(&self, token: &Token<'_>) -> Result<(), Refused> {
        let kind = token.kind();
        let right = match kind.as_deref() {
            _ if self.rules.access_token => kind.as_deref() == Some("at+jwt"),
            None => token.header("typ").is_none(),
            Some(kind) => KINDS.contains(&kind),
        };
        if right { Ok(()) } else { Err(Refused::Because(&codes::TYPE, "typ".into())) }
    }

    /// When a token is too old, where that has a bound.
    fn too_old(&self, claims: &Map<String, Value>) -> Duration {
        let issued = claims.get("iat").and_then(Value::as_u64).map(Duration::from_secs);
        match (self.rules.max_age, issued) {
            (Some(most), Some(issued)) => issued + most + self.rules.leeway,
            _ => Duration::MAX,
        }
    }

    fn caller(
        &self,
        claims: Map<String, Value>,
        expires: Option<Duration>,
        directory: &Directory,
    ) -> Result<Caller, Refused> {
        let named = |place: &Place| place.of(&claims).and_then(Value::as_str).map(str::to_owned);
        let name = self.application.as_ref().and_then(named);
        let application = name.as_deref().and_then(|name| directory.by_name(name)).cloned();
        if application.is_none() && self.known_applications {
            return Err(Refused::Because(&codes::STRANGER, name.unwrap_or_default().into()));
        }
        if let Some(application) = &application
            && let Err(code) = application.may_call()
        {
            return Err(Refused::Because(code, "".into()));
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(Box::from);
        let scopes = match &self.scopes {
            Some(place) => words(&claims, place),
            None => ["scope", "scp"]
                .iter()
                .find(|name| claims.contains_key(**name))
                .and_then(|name| Place::new(name))
                .map_or_else(Vec::new, |place| words(&claims, &place)),
        };
        let groups = self.groups.as_ref().map_or_else(Vec::new, |place| words(&claims, place));
        let grant =
            Grant { subject: text("sub"), issuer: text("iss"), scopes, groups, expires, claims };
        Ok(Caller {
            application,
            credential: self.credential.clone(),
            by: KIND.name,
            grant: Some(Arc::new(grant)),
        })
    }
}

/// What is wrong with a token, by its code.
pub(super) fn refused(bad: Bad) -> Refused {
    let code = match bad {
        Bad::TooLong | Bad::Form | Bad::Critical => &codes::MALFORMED,
        Bad::Algorithm => &codes::ALGORITHM,
        Bad::Signature => &codes::SIGNATURE,
        Bad::UnknownKey => return Refused::UnknownKey,
    };
    Refused::Because(code, bad.what().into())
}

/// Keys that stand in the document.
pub(super) fn given(keys: KeySet) -> Keys {
    Keys::Given(Arc::new(Held { keys, at: Duration::ZERO, generation: 0 }))
}
