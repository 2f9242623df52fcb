//! From settings to the policy.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Pointer, Problem, Problems, Secret};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::message::{Known, Name};
use policy::{Compile, Policy, PolicyKind};
use serde_json::{Map, Value};

use super::fixed::{Aws, Fixed, Signing};
use super::settings::{
    Settings, WrittenAws, WrittenBasic, WrittenClient, WrittenExchange, WrittenJwt, WrittenPair,
};
use super::source::Source;
use super::token::{self, Client};
use super::{UpstreamAuth, Way, sigv4};
use crate::asked;
use crate::jose::{Algorithm, SigningKey};
use crate::secret_names::SecretNames;

pub(super) fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let written: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let given = settings.as_object().map_or(0, Map::len);
    if given != 1 {
        let what = format!("one way is given, not {given}");
        return Err(vec![Problem::new(at, what).hint("write one of them, as in `bearer: …`")]);
    }
    let secrets = SecretNames::of(cx.carry);
    let way = way(&written, settings, at, cx, &secrets, &mut problems)?;
    match way {
        Some(way) if problems.is_empty() => Ok(Arc::new(UpstreamAuth { way, _secrets: secrets })),
        _ => Err(problems),
    }
}

/// The one way that is given.
fn way(
    written: &Settings,
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
    secrets: &SecretNames,
    problems: &mut Problems,
) -> Result<Option<Way>, Problems> {
    if let Some(client) = &written.oauth2 {
        let params = vec![("grant_type", "client_credentials".to_owned())];
        let found = source(client, params, 1, settings, &at.key("oauth2"), cx, problems)?;
        if let Some(source) = &found {
            cx.chores.push(source.clone());
        }
        return Ok(found.map(Way::Token));
    }
    if let Some(exchange) = &written.exchange {
        return Ok(exchanged(exchange, settings, at, cx, problems)?.map(Way::Exchange));
    }
    if let Some(jwt) = &written.jwt {
        return Ok(signing(jwt, &at.key("jwt"), problems).map(Way::Jwt));
    }
    if let Some(aws) = &written.aws {
        let signer = amazon(aws, &at.key("aws"), problems);
        return Ok(Some(Way::Aws(Arc::new(signer), aws.body.0)));
    }
    let fixed = fixed(written, at, secrets, problems);
    Ok(fixed.map(|fixed| Way::Fixed(Arc::new(fixed))))
}

/// A credential that stays the same.
fn fixed(
    written: &Settings,
    at: &Pointer,
    secrets: &SecretNames,
    problems: &mut Problems,
) -> Option<Fixed> {
    let authorization = |value: String| Some(Fixed::Field("Authorization".to_owned(), value));
    if let Some(WrittenBasic { user, password }) = &written.basic {
        if user.contains(':') {
            let problem = Problem::new(&at.key("basic").key("user"), "the name has a colon in it");
            problems.push(problem.hint("use a name without one"));
        }
        let pair = format!("{user}:{}", password.expose());
        return authorization(format!("Basic {}", BASE64_STANDARD.encode(pair)));
    }
    if let Some(token) = &written.bearer {
        let token = token.expose().trim();
        value(token, &at.key("bearer"), problems);
        return authorization(format!("Bearer {token}"));
    }
    if let Some(pair) = &written.header {
        let at = at.key("header");
        value(pair.value.expose(), &at.key("value"), problems);
        field(&pair.name, &at.key("name"), problems);
        secrets.add(&pair.name);
        return Some(Fixed::Field(pair.name.clone(), pair.value.expose().to_owned()));
    }
    let WrittenPair { name, value } = written.query.as_ref()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(plain) {
        let what = format!("`{}` can't be a parameter's name here", name.escape_debug());
        let problem = Problem::new(&at.key("query").key("name"), what);
        problems.push(problem.hint("use letters, digits, `-`, `_` and `.`"));
    }
    secrets.add(name);
    Some(Fixed::Parameter(name.clone(), token::encoded(value.expose())))
}

fn amazon(written: &WrittenAws, at: &Pointer, problems: &mut Problems) -> Aws {
    let text = |secret: &Secret| secret.expose().trim().to_owned();
    let signer = Aws {
        access_key_id: written.access_key_id.clone(),
        secret: text(&written.secret_access_key),
        token: written.session_token.as_ref().map(text),
        region: written.region.clone(),
        service: written.service.clone(),
    };
    for (name, text) in [
        ("access_key_id", &signer.access_key_id),
        ("secret_access_key", &signer.secret),
        ("region", &signer.region),
        ("service", &signer.service),
    ] {
        value(text, &at.key(name), problems);
    }
    signer
}

/// What can't be sent as a field's value becomes a problem.
fn value(text: &str, at: &Pointer, problems: &mut Problems) {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.trim().is_empty() || !text.bytes().all(plain) {
        let problem = Problem::new(at, "this can't be sent: it is empty or no printable ASCII");
        problems.push(problem.hint("see what the file or the variable it comes from holds"));
    }
}

/// What can't be the name of a field here becomes a problem.
fn field(name: &str, at: &Pointer, problems: &mut Problems) {
    let known = Known::of(name.as_bytes());
    if Name::new(name).is_none()
        || !matches!(known, Known::Other | Known::Authorization | Known::Cookie)
    {
        let what = format!("`{}` can't be the field here", name.escape_debug());
        problems.push(Problem::new(at, what).hint("use a name of its own, as in `X-Api-Key`"));
    }
}

fn source(
    written: &WrittenClient,
    mut params: Vec<(&'static str, String)>,
    most: usize,
    settings: &Value,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Result<Option<Arc<Source>>, Problems> {
    let Some(url) = asked::url(&written.token_url, &at.key("token_url"), problems) else {
        return Ok(None);
    };
    if !written.scopes.is_empty() {
        params.push(("scope", written.scopes.join(" ")));
    }
    let more = [("audience", &written.audience), ("resource", &written.resource)];
    params.extend(more.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    let client = Client {
        url,
        id: written.client_id.clone(),
        secret: written.client_secret.expose().trim().to_owned(),
        method: written.method,
        within: written.timeout.0.max(Duration::from_millis(1)),
        remote: cx.world.remote(&written.tls, &at.key("tls"))?,
    };
    // What was had by other settings is of no use: the key has all of them in it, hashed.
    let hash = sigv4::hash(settings.to_string().as_bytes());
    let kept = format!("{} tokens {hash}", cx.id);
    Ok(Some(cx.carry.keep(&kept, || Source::new(client, params, most))))
}

fn exchanged(
    written: &WrittenExchange,
    settings: &Value,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Result<Option<Arc<Source>>, Problems> {
    let at = at.key("exchange");
    let mut params = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        ("subject_token_type", written.subject_token_type.clone()),
    ];
    if let Some(wanted) = &written.requested_token_type {
        params.push(("requested_token_type", wanted.clone()));
    }
    let most = written.entries as usize;
    if !(1..=1_000_000).contains(&most) {
        let problem = Problem::new(&at.key("entries"), "this is none, or more than a million");
        problems.push(problem.hint("leave it at 10000"));
    }
    source(&written.client, params, most, settings, &at.key("client"), cx, problems)
}

fn signing(written: &WrittenJwt, at: &Pointer, problems: &mut Problems) -> Option<Signing> {
    let algorithm = match &written.algorithm {
        Some(name) => {
            let found = Algorithm::named(name);
            if found.is_none() {
                let what = format!("`{}` is no algorithm that is known here", name.escape_debug());
                let problem = Problem::new(&at.key("algorithm"), what);
                problems.push(problem.hint("leave it out, or write one as in `ES256`"));
            }
            found
        }
        None => None,
    };
    if written.ttl.0 > Duration::from_secs(3_600) || written.ttl.0 < Duration::from_secs(2) {
        let problem = Problem::new(&at.key("ttl"), "a token lasts for 2s to 1h");
        problems.push(problem.hint("leave it at `5m`"));
    }
    let key = match SigningKey::from_pem(written.key.expose().as_bytes(), algorithm) {
        Ok(key) => match &written.key_id {
            Some(id) => key.named(id.clone()),
            None => key,
        },
        Err(what) => {
            let problem = Problem::new(&at.key("key"), format!("this is no key: {what}"));
            problems.push(problem.hint("name a PEM file with a private key, `${file:path}`"));
            return None;
        }
    };
    Some(Signing {
        key,
        issuer: written.issuer.clone(),
        subject: written.subject.clone(),
        audience: written.audience.clone(),
        claims: written.claims.clone(),
        ttl: written.ttl.0,
        made: Mutex::new(None),
    })
}
