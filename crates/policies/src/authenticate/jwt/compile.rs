//! Settings, turned into what runs.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::Name;
use policy::{Compile, Policy, PolicyKind};
use serde_json::Value;

use super::claims::{Required, Rules};
use super::dpop::Proofs;
use super::issuer::{Issuer, Keys, given};
use super::place::Place;
use super::settings::{self, From, Settings};
use super::source;
use super::{Jwt, Memory};
use crate::identity::{self, Fact, Fields};
use crate::jose::{Algorithm, Jwk, Key, KeySet, SigningKey};
use crate::jwks::{self, Published, Times};
use crate::secret_names::SecretNames;

/// Most bytes of a file of keys.
const KEYS: u64 = 512 << 10;

/// Most verified tokens kept.
const MEMORY: u32 = 1_000_000;

/// Most issuers of one policy.
const ISSUERS: usize = 64;

pub(super) fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let from = places(&settings.from, &at.key("from"), cx, &mut problems);
    let mut told = Fields::default();
    for (field, place) in &settings.headers {
        let at = at.key("headers").key(field);
        let Some(place) = place_of(place, &at, &mut problems) else { continue };
        told.add(field, Fact::Claim(place.pointer().into()), &at, cx, &mut problems);
    }
    let issuers = issuers(&settings.issuers, &at.key("issuers"), cx, &mut problems);
    let origin = origin(&settings.dpop, &at.key("dpop").key("origin"), &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let realm = settings.realm.as_deref().unwrap_or("gateward");
    let age = settings.dpop.age.get();
    let key = format!("dpop {} {age:?} {}", cx.id, settings.dpop.nonce);
    let proofs = cx.carry.keep(&key, || {
        let mut secret = [0; 32];
        let made = aws_lc_rs::rand::fill(&mut secret).is_ok();
        Proofs::new(age, (settings.dpop.nonce && made).then_some(secret))
    });
    Ok(Arc::new(Jwt {
        issuers,
        from,
        keep: settings.keep,
        told,
        bound: settings.bound,
        origin,
        proofs,
        realm: crate::structured::string(realm).into(),
        memory: (settings.cache > 0)
            .then(|| Arc::new(Memory::new(settings.cache.min(MEMORY) as usize))),
        directory: cx.directory.clone(),
        _secrets: SecretNames::of(cx.carry),
    }))
}

fn places(
    written: &[From],
    at: &Pointer,
    cx: &mut Compile<'_>,
    problems: &mut Problems,
) -> Vec<source::Place> {
    let secrets = SecretNames::of(cx.carry);
    let mut places = Vec::new();
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    for (number, from) in written.iter().enumerate() {
        let at = at.index(number);
        match from {
            From::Authorization => places.push(source::Place::Authorization),
            From::Header(name) => {
                let name = identity::name(name, &at.key("header"), problems);
                places.extend(name.map(|name: Name| {
                    secrets.add(name.as_str());
                    source::Place::Header(name)
                }));
            }
            From::Cookie(name) | From::Query(name) if !plain(name) => {
                let problem = Problem::new(&at, format!("`{name}` can't be a name here"));
                let hint = "use letters, digits, `-`, `_` and `.`, as in `access_token`";
                problems.push(problem.hint(hint));
            }
            From::Cookie(name) => places.push(source::Place::Cookie(name.clone())),
            From::Query(name) => {
                secrets.add(name);
                places.push(source::Place::Query(name.clone()));
            }
        }
    }
    if written.is_empty() {
        places.push(source::Place::Authorization);
    }
    places
}

fn place_of(written: &str, at: &Pointer, problems: &mut Problems) -> Option<Place> {
    let place = Place::new(written);
    if place.is_none() {
        let problem = Problem::new(at, format!("`{written}` is no place of a claim"));
        problems.push(problem.hint("write `sub`, `realm_access.roles` or `/realm_access/roles`"));
    }
    place
}

fn origin(dpop: &settings::Dpop, at: &Pointer, problems: &mut Problems) -> Option<Box<str>> {
    let written = dpop.origin.as_deref()?;
    let host = written.split_once("://").map(|(_, host)| host);
    if crate::asked::url(written, at, problems).is_some() && host.is_none_or(|h| h.contains('/')) {
        let problem = Problem::new(at, "this URL has a path");
        problems.push(problem.hint("write scheme and host alone, as in `https://api.example.com`"));
    }
    Some(written.into())
}

fn issuers(
    written: &[settings::Issuer],
    at: &Pointer,
    cx: &mut Compile<'_>,
    problems: &mut Problems,
) -> Vec<Issuer> {
    if written.is_empty() || written.len() > ISSUERS {
        let problem =
            Problem::new(at, format!("{} issuers are given, not 1 to {ISSUERS}", written.len()));
        problems.push(problem.hint("write `issuers: [{ issuer: https://…, audiences: [ … ] }]`"));
    }
    let mut issuers: Vec<Issuer> = Vec::new();
    for (number, written) in written.iter().enumerate() {
        let at = at.index(number);
        if issuers.iter().any(|known| known.name.as_deref() == written.issuer.as_deref()) {
            let problem = Problem::new(&at.key("issuer"), "another issuer has this name already");
            problems.push(problem.hint("tokens tell by `iss` whose they are: write each once"));
        }
        issuers.extend(issuer(written, &at, cx, problems));
    }
    issuers
}

fn issuer(
    written: &settings::Issuer,
    at: &Pointer,
    cx: &mut Compile<'_>,
    problems: &mut Problems,
) -> Option<Issuer> {
    if written.audiences.is_empty() != written.any_audience {
        let (what, hint) = match written.any_audience {
            true => ("`any_audience` stands beside `audiences`", "leave one of them out"),
            false => (
                "no audience is given, so that tokens for other APIs would open this one",
                "write what tokens for this API have as `aud`, or `any_audience: true`",
            ),
        };
        problems.push(Problem::new(&at.key("audiences"), what).hint(hint));
    }
    let mut place = |key: &str, text: &Option<String>| {
        text.as_deref().and_then(|text| place_of(text, &at.key(key), problems))
    };
    let application = place("application", &written.application);
    let scopes = place("scopes", &written.scopes);
    let groups = place("groups", &written.groups);
    if written.known_applications && written.application.is_none() {
        let problem = Problem::new(&at.key("known_applications"), "no claim names an application");
        problems.push(problem.hint("write which, as in `application: client_id`"));
    }
    let mut required = Vec::new();
    for (number, claim) in written.claims.iter().enumerate() {
        let at = at.key("claims").index(number);
        let Some(place) = place_of(&claim.claim, &at.key("claim"), problems) else { continue };
        required.push(Required { place, any: claim.any.clone(), all: claim.all.clone() });
    }
    let keys = keys(written, at, cx, problems)?;
    let name = written.issuer.as_deref();
    Some(Issuer {
        name: name.map(Box::from),
        credential: name.unwrap_or("jwt").into(),
        keys,
        rules: Rules {
            audiences: written.audiences.clone(),
            all_audiences: written.all_audiences,
            leeway: written.leeway.get(),
            max_age: written.max_age.map(|age| age.get()),
            endless: !written.require_expiry,
            access_token: written.kind == settings::Kind::AccessToken,
            required,
        },
        application,
        known_applications: written.known_applications,
        scopes,
        groups,
    })
}

fn keys(
    written: &settings::Issuer,
    at: &Pointer,
    cx: &mut Compile<'_>,
    problems: &mut Problems,
) -> Option<Keys> {
    let (allowed, at_keys) = (allowed(written, at, problems)?, at.key("keys"));
    let place = match (&written.keys, &written.issuer) {
        (None, None) => {
            let problem = Problem::new(at, "neither `issuer` nor `keys` is given");
            problems.push(problem.hint("write whose tokens are taken: `issuer: https://…`"));
            return None;
        }
        (None, Some(issuer)) => {
            crate::asked::url(issuer, &at.key("issuer"), problems)?;
            jwks::Place::Issuer(issuer.clone())
        }
        (Some(settings::Keys::Url(_)), None) => {
            let problem = Problem::new(at, "keys from a URL are given, and no `issuer`");
            problems.push(problem.hint("write what its tokens have as `iss`"));
            return None;
        }
        (Some(settings::Keys::Url(url)), Some(_)) => {
            crate::asked::url(url, &at_keys.key("url"), problems)?;
            jwks::Place::Keys(url.clone())
        }
        (Some(settings::Keys::File(name)), _) => {
            let read = cx.world.read(name, "keys", KEYS, &at_keys.key("file"));
            return match read {
                Ok(bytes) => noted(keys_in(&bytes, &allowed), &at_keys.key("file"), problems),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            };
        }
        (Some(settings::Keys::Text(text)), _) => {
            return noted(keys_in(text.as_bytes(), &allowed), &at_keys.key("text"), problems);
        }
        (Some(settings::Keys::Secret(secret)), _) => {
            let key = secret_key(secret, &allowed);
            return noted(key, &at_keys.key("secret"), problems);
        }
    };
    let times = Times { refresh: written.refresh.get(), most: written.max_stale.get() };
    if times.refresh.as_secs() < 10 || times.most < times.refresh {
        let what = "keys would be fetched all the time, or be too old before they are fetched";
        let hint = "write a `refresh` of 10s or more, and a `max_stale` that is longer";
        problems.push(Problem::new(&at.key("refresh"), what).hint(hint));
        return None;
    }
    match Published::new(place, &allowed, times, (&written.tls, &at.key("tls")), cx) {
        Ok(published) => Some(Keys::Published(published)),
        Err(wrong) => {
            problems.extend(wrong);
            None
        }
    }
}

/// The algorithms: those with public keys, or those of a secret, never both.
fn allowed(
    written: &settings::Issuer,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Vec<Algorithm>> {
    let secret = matches!(written.keys, Some(settings::Keys::Secret(_)));
    let allowed = match (written.algorithms.as_slice(), secret) {
        ([], false) => Algorithm::ASYMMETRIC.to_vec(),
        ([], true) => vec![Algorithm::HS256],
        (given, _) => given.to_vec(),
    };
    let inline = matches!(written.keys, Some(settings::Keys::File(_) | settings::Keys::Text(_)));
    let symmetric = allowed.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    let right = match secret {
        true => symmetric == 1 && allowed.len() == 1,
        false => symmetric == 0 || (inline && symmetric == allowed.len()),
    };
    if right {
        return Some(allowed);
    }
    let what =
        "algorithms with secrets and with public keys don't go together, and a secret has one";
    let hint = "write `[HS256]` for a secret, and others for keys that are published";
    problems.push(Problem::new(&at.key("algorithms"), what).hint(hint));
    None
}

fn noted(
    keys: Result<KeySet, &'static str>,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Keys> {
    match keys {
        Ok(keys) => Some(given(keys)),
        Err(what) => {
            let problem = Problem::new(at, format!("these keys can't be used: {what}"));
            let hint =
                "write a JWK Set, or public keys or certificates in PEM, that fit `algorithms`";
            problems.push(problem.hint(hint));
            None
        }
    }
}

/// The keys in `bytes`: a JWK Set or PEM. All of them must be of use.
fn keys_in(bytes: &[u8], allowed: &[Algorithm]) -> Result<KeySet, &'static str> {
    let set = match bytes.trim_ascii_start().first() {
        Some(b'{') => KeySet::read(bytes, allowed)?,
        _ => {
            let keys = Jwk::from_pem(bytes)?;
            let keys: Result<Vec<_>, _> = keys.iter().map(|jwk| Key::new(jwk, allowed)).collect();
            KeySet::of(keys?)?
        }
    };
    match set.skipped() {
        [] if set.keys().is_empty() => Err("the set is empty"),
        [] => Ok(set),
        [why, ..] => Err(why),
    }
}

fn secret_key(secret: &str, allowed: &[Algorithm]) -> Result<KeySet, &'static str> {
    let algorithm = allowed.first().copied().unwrap_or(Algorithm::HS256);
    let short = "the secret is shorter than the algorithm's codes: 32, 48 or 64 bytes";
    let key = SigningKey::from_secret(secret.as_bytes(), algorithm).ok_or(short)?;
    KeySet::of([Key::new(key.jwk(), allowed)?])
}
