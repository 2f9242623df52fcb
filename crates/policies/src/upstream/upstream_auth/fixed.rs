//! Credentials that stay the same, and those that are made for each request without asking anyone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::message::Known;
use policy::{Credential, Outgoing, Refusal};
use serde_json::{Map, Value, json};

use super::sigv4::{self, Signed, Signer};
use super::{UNAVAILABLE, set};
use crate::jose::SigningKey;

/// A field, or a parameter of the query.
pub(super) enum Fixed {
    /// A field and its value.
    Field(String, String),
    /// A parameter, and its value as it stands in a URL.
    Parameter(String, String),
}

impl std::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name, _) => write!(f, "Field({name}, ***)"),
            Self::Parameter(name, _) => write!(f, "Parameter({name}, ***)"),
        }
    }
}

impl Credential for Fixed {
    fn attach(&self, request: &mut Outgoing<'_>) -> Result<(), Refusal> {
        match self {
            Self::Field(name, value) => set(request, name, value),
            Self::Parameter(name, value) => {
                let (path, query) = match request.target.split_once('?') {
                    Some((path, query)) => (path, query),
                    None => (request.target.as_str(), ""),
                };
                // What a caller sends under this name is not what counts.
                let others = query.split('&').filter(|pair| {
                    let written = pair.split_once('=').map_or(*pair, |(name, _)| name);
                    !pair.is_empty() && decoded(written) != *name
                });
                let mut target = format!("{path}?");
                for pair in others {
                    target.push_str(pair);
                    target.push('&');
                }
                target.push_str(name);
                target.push('=');
                target.push_str(value);
                *request.target = target;
                Ok(())
            }
        }
    }
}

/// `text` with its escapes undone, and `+` as a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = ahead;
            }
            (b'+', ..) => bytes.push(b' '),
            (byte, ..) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A signature for an Amazon service.
pub(super) struct Aws {
    pub access_key_id: String,
    pub secret: String,
    pub token: Option<String>,
    pub region: String,
    pub service: String,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Aws({} in {})", self.service, self.region)
    }
}

/// One for a request whose body is known, or is not signed.
#[derive(Debug)]
pub(super) struct AwsSigned {
    /// Who signs.
    pub by: Arc<Aws>,
    /// The hash of the body, or what stands for it.
    pub body: Box<str>,
}

impl Credential for AwsSigned {
    fn attach(&self, request: &mut Outgoing<'_>) -> Result<(), Refusal> {
        let time = sigv4::time(request.wall.as_secs());
        // What earlier tries and callers put there.
        request.headers.remove(Known::Authorization);
        request.headers.remove_where(|_, name| name.eq_ignore_ascii_case(b"x-amz-security-token"));
        set(request, "X-Amz-Date", &time)?;
        set(request, "X-Amz-Content-Sha256", &self.body)?;
        if let Some(token) = &self.by.token {
            set(request, "X-Amz-Security-Token", token)?;
        }
        let mut fields = vec![("host".to_owned(), request.authority.to_owned())];
        for (known, name, value) in request.headers.iter() {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if known == Known::ContentType || name.starts_with("x-amz-") {
                fields.push((name, String::from_utf8_lossy(value).into_owned()));
            }
        }
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let signer = Signer {
            access_key_id: &self.by.access_key_id,
            secret: self.by.secret.as_bytes(),
            region: &self.by.region,
            service: &self.by.service,
        };
        let method = request.method.as_str();
        let signed = Signed { method, path, query, fields, body: &self.body, time: &time };
        let value = sigv4::authorization(&signer, signed);
        set(request, "Authorization", &value)
    }
}

/// A token that the gateway signs itself.
pub(super) struct Signing {
    pub key: SigningKey,
    pub issuer: String,
    pub subject: Option<String>,
    pub audience: String,
    pub claims: Map<String, Value>,
    pub ttl: Duration,
    /// The one that was made last, where it is the same for all callers.
    pub made: Mutex<Option<(Arc<str>, Duration)>>,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signing({} for {})", self.issuer, self.audience)
    }
}

impl Signing {
    /// The token for whom `caller` names, at the time `now`.
    pub fn token(&self, caller: Option<&str>, now: Duration) -> Option<Arc<str>> {
        let subject = self.subject.as_deref().or(caller);
        let own = subject.is_none() || self.subject.is_some();
        if own {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((token, until)) = &*made
                && now < *until
            {
                return Some(token.clone());
            }
        }
        let mut claims = self.claims.clone();
        let ends = now.saturating_add(self.ttl);
        claims.insert("iss".into(), json!(self.issuer));
        claims.insert("sub".into(), json!(subject.unwrap_or(&self.issuer)));
        claims.insert("aud".into(), json!(self.audience));
        claims.insert("iat".into(), json!(now.as_secs()));
        claims.insert("exp".into(), json!(ends.as_secs()));
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        claims.insert("jti".into(), json!(format!("{:032x}", u128::from_be_bytes(id))));
        let token: Arc<str> = format!("Bearer {}", self.key.sign("JWT", &claims)?).into();
        if own {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            // A half of its time is left for whoever gets it last.
            *made = Some((token.clone(), now.saturating_add(self.ttl / 2)));
        }
        Some(token)
    }

    /// The credential for a caller.
    pub fn credential(
        &self,
        caller: Option<&str>,
        now: Duration,
    ) -> Result<Arc<dyn Credential>, Refusal> {
        let token = self.token(caller, now);
        let token = token.ok_or_else(|| Refusal::new(&UNAVAILABLE).note("signing failed"))?;
        Ok(Arc::new(Fixed::Field("Authorization".to_owned(), token.as_ref().to_owned())))
    }
}
