//! Proofs of possession (RFC 9449 §4): whoever shows a token has the key it was issued to. Knows no
//! HTTP but a method and a URL.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use serde_json::Value;

use super::replay::{Seen, Shown};
use crate::jose::{self, Algorithm, Jwk, Key, Token};

/// How far a proof's time may lie in the future, since clocks differ.
const AHEAD: Duration = Duration::from_secs(30);

/// How long a nonce is given out.
const NONCE: u64 = 120;

/// Most bytes of a proof's id.
const ID_BYTES: usize = 256;

/// What a proof is checked against.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Scheme, host and path.
    pub(super) url: &'a str,
    /// The token that it goes with.
    pub(super) token: &'a str,
    /// The thumbprint of the key that the token is bound to.
    pub(super) thumbprint: &'a str,
    pub(super) now: Duration,
}

/// Why a proof is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is wrong, and in what.
    Wrong(&'static str),
    /// It has to have a nonce of ours.
    Nonce,
    /// Whether it was shown before can't be told.
    Busy,
}

/// How proofs are checked.
#[derive(Debug)]
pub(super) struct Proofs {
    age: Duration,
    shown: Shown,
    /// What nonces are made with, where they are asked for.
    nonces: Option<hmac::Key>,
}

impl Proofs {
    /// Proofs as old as `age`; with nonces made by this secret, if there is one.
    pub(super) fn new(age: Duration, secret: Option<[u8; 32]>) -> Self {
        let nonces = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret));
        Self { age, shown: Shown::new(age + AHEAD), nonces }
    }

    /// Whether `proof` is one for what is asked (RFC 9449 §4.3).
    pub(super) fn check(&self, proof: &str, asked: &Asked<'_>) -> Result<(), Bad> {
        let wrong = Bad::Wrong;
        let read = Token::read(proof).map_err(|bad| wrong(bad.what()))?;
        if read.kind().as_deref() != Some("dpop+jwt") {
            return Err(wrong("its `typ` is not `dpop+jwt`"));
        }
        if !Algorithm::ASYMMETRIC.contains(&read.algorithm()) {
            return Err(wrong("its algorithm is not one with public keys"));
        }
        let jwk = read.header("jwk").and_then(Value::as_object);
        let jwk = jwk.filter(|jwk| !jwk.contains_key("d") && !jwk.contains_key("k"));
        let jwk = jwk
            .ok_or(wrong("it has no public key as `jwk`"))
            .and_then(|jwk| Jwk::of(jwk).map_err(Bad::Wrong))?;
        let key = Key::new(&jwk, &[read.algorithm()]).map_err(Bad::Wrong)?;
        if key.thumbprint() != asked.thumbprint {
            return Err(wrong("the token is bound to another key"));
        }
        read.verify_with(&key).map_err(|bad| wrong(bad.what()))?;
        let claims = read.unverified().map_err(|bad| wrong(bad.what()))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("htm") != Some(asked.method) {
            return Err(wrong("its `htm` is not this method"));
        }
        if text("htu").and_then(plain).as_deref() != plain(asked.url).as_deref() {
            return Err(wrong("its `htu` is not this URL"));
        }
        let hash = jose::encode(digest(&SHA256, asked.token.as_bytes()));
        if text("ath") != Some(&hash) {
            return Err(wrong("its `ath` is not the hash of this token"));
        }
        let id = text("jti").filter(|id| !id.is_empty() && id.len() <= ID_BYTES);
        let id = id.ok_or(wrong("it has no `jti`, or a long one"))?;
        let at = claims.get("iat").and_then(Value::as_u64).filter(|at| *at < 1 << 40);
        let at = Duration::from_secs(at.ok_or(wrong("it has no `iat`"))?);
        if at > asked.now + AHEAD || asked.now > at + self.age {
            return Err(wrong("it was not made just now, by its `iat`"));
        }
        if self.nonces.is_some() && !text("nonce").is_some_and(|nonce| self.made(nonce, asked.now))
        {
            return Err(Bad::Nonce);
        }
        let seen = digest(&SHA256, format!("{} {id}", key.thumbprint()).as_bytes());
        let seen = seen.as_ref().first_chunk().copied().unwrap_or_default();
        match self.shown.see(&seen, asked.now) {
            Seen::First => Ok(()),
            Seen::Again => Err(wrong("it was shown before")),
            Seen::Full => Err(Bad::Busy),
        }
    }

    /// The nonce that is given out now, where they are asked for.
    pub(super) fn nonce(&self, now: Duration) -> Option<String> {
        let key = self.nonces.as_ref()?;
        let slot = (now.as_secs() / NONCE).to_be_bytes();
        let code = hmac::sign(key, &slot);
        let code = code.as_ref().first_chunk::<16>()?;
        Some(jose::encode([slot.as_slice(), code].concat()))
    }

    /// Whether `nonce` was given out now or just before.
    fn made(&self, nonce: &str, now: Duration) -> bool {
        let earlier = now.saturating_sub(Duration::from_secs(NONCE));
        [now, earlier].into_iter().any(|time| self.nonce(time).as_deref() == Some(nonce))
    }
}

/// `url` without query and fragment, its scheme and host in lower case, without the port that
/// everyone knows (RFC 9449 §4.3, RFC 3986 §6.2).
fn plain(url: &str) -> Option<String> {
    let url = url.split(['?', '#']).next()?;
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = host.strip_suffix(port).unwrap_or(&host);
    let path = if path.is_empty() { "/" } else { path };
    Some(format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests;
