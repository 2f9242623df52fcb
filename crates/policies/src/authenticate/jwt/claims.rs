//! What a verified token has to say. Knows no HTTP and no keys.

use std::time::Duration;

use policy::Code;
use serde_json::{Map, Value};

use super::codes;
use super::place::Place;

/// What is asked of a token's claims.
#[derive(Debug)]
pub(super) struct Rules {
    /// The audiences, of which the token must name one, or all.
    pub(super) audiences: Vec<String>,
    pub(super) all_audiences: bool,
    /// How far clocks may differ.
    pub(super) leeway: Duration,
    /// How long after it was issued a token is taken.
    pub(super) max_age: Option<Duration>,
    /// Whether `exp` may be missing.
    pub(super) endless: bool,
    /// Whether it has to be an access token of RFC 9068.
    pub(super) access_token: bool,
    pub(super) required: Vec<Required>,
}

/// A claim that is asked for.
#[derive(Debug)]
pub(super) struct Required {
    pub(super) place: Place,
    /// Of which the token must have one; nothing is asked of the value where there is none.
    pub(super) any: Vec<Value>,
    /// Which the token must all have.
    pub(super) all: Vec<Value>,
}

/// Why a token is not taken.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) code: &'static Code,
    /// The claim.
    pub(super) claim: Box<str>,
}

fn wrong(code: &'static Code, claim: &str) -> Wrong {
    Wrong { code, claim: claim.into() }
}

/// What RFC 9068 §2.2 requires beside what is asked for here.
const ACCESS_TOKEN: &[&str] = &["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

/// The latest time a token can speak of: what is later is a mistake.
const LATEST: u64 = 1 << 40;

impl Rules {
    /// Whether `claims` are what is asked for at `now`. Gives when they end.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        now: Duration,
    ) -> Result<Option<Duration>, Wrong> {
        types(claims)?;
        let expires = time(claims, "exp")?;
        match expires {
            None if !self.endless => return Err(wrong(&codes::CLAIM, "exp")),
            Some(expires) if now >= expires + self.leeway => {
                return Err(wrong(&codes::EXPIRED, "exp"));
            }
            _ => {}
        }
        let issued = time(claims, "iat")?;
        for (name, time) in [("nbf", time(claims, "nbf")?), ("iat", issued)] {
            if time.is_some_and(|time| now + self.leeway < time) {
                return Err(wrong(&codes::EARLY, name));
            }
        }
        if let Some(most) = self.max_age {
            let issued = issued.ok_or_else(|| wrong(&codes::CLAIM, "iat"))?;
            if now > issued + most + self.leeway {
                return Err(wrong(&codes::EXPIRED, "iat"));
            }
        }
        self.check_audience(claims)?;
        if self.access_token
            && let Some(missing) = ACCESS_TOKEN.iter().find(|name| !claims.contains_key(**name))
        {
            return Err(wrong(&codes::CLAIM, missing));
        }
        match self.required.iter().find(|required| !required.holds(claims)) {
            Some(required) => Err(wrong(&codes::CLAIM, required.place.text())),
            None => Ok(expires),
        }
    }

    /// When `claims`, which were checked, become valid.
    pub(super) fn since(&self, claims: &Map<String, Value>) -> Duration {
        let time = |name| claims.get(name).and_then(Value::as_u64).unwrap_or_default();
        Duration::from_secs(time("nbf").max(time("iat"))).saturating_sub(self.leeway)
    }

    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), Wrong> {
        if self.audiences.is_empty() {
            return Ok(());
        }
        let named = |audience: &String| match claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience.as_str()),
            _ => false,
        };
        let right = match self.all_audiences {
            true => self.audiences.iter().all(named),
            false => self.audiences.iter().any(named),
        };
        if right { Ok(()) } else { Err(wrong(&codes::AUDIENCE, "aud")) }
    }
}

impl Required {
    fn holds(&self, claims: &Map<String, Value>) -> bool {
        let Some(found) = self.place.of(claims).filter(|value| !value.is_null()) else {
            return false;
        };
        let has = |wanted: &Value| match found {
            Value::Array(items) => items.contains(wanted),
            found => found == wanted,
        };
        (self.any.is_empty() || self.any.iter().any(has)) && self.all.iter().all(has)
    }
}

/// Whether the registered claims are of the types that RFC 7519 §4.1 gives them: one of another
/// type would pass for a missing one.
fn types(claims: &Map<String, Value>) -> Result<(), Wrong> {
    for name in ["iss", "sub", "jti", "client_id", "azp"] {
        if claims.get(name).is_some_and(|value| !value.is_string()) {
            return Err(wrong(&codes::CLAIM_TYPE, name));
        }
    }
    let audience = |value: &Value| match value {
        Value::String(_) => true,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => false,
    };
    if !claims.get("aud").is_none_or(audience) {
        return Err(wrong(&codes::CLAIM_TYPE, "aud"));
    }
    Ok(())
}

/// The time `name`, which is a whole number of seconds since 1970.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Duration>, Wrong> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().filter(|seconds| *seconds < LATEST);
    let seconds = seconds.ok_or_else(|| wrong(&codes::CLAIM_TYPE, name))?;
    Ok(Some(Duration::from_secs(seconds)))
}

/// The words at `place`: a list, or a string of words (RFC 6749 §3.3). What is no word is none.
pub(super) fn words(claims: &Map<String, Value>, place: &Place) -> Vec<Box<str>> {
    match place.of(claims) {
        Some(Value::String(text)) => text.split_ascii_whitespace().map(Box::from).collect(),
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().map(Box::from)).collect()
        }
        _ => Vec::new(),
    }
}
