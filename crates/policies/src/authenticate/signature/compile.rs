//! From settings to the policy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::{Caller, Compile, Policy, PolicyKind};
use serde_json::Value;

use super::key::{Algorithm, Key};
use super::replay::Nonces;
use super::settings::{Needed, Settings, WrittenKey};
use super::{KIND, Signature};
use crate::authenticate::application;

/// The longest that a signature may be good for.
const MAX_AGE: Duration = Duration::from_secs(86_400);

/// The fewest bytes of a secret.
const SECRET_BYTES: usize = 16;

pub(super) fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let mut keys = HashMap::new();
    for (number, written) in settings.keys.iter().enumerate() {
        let at = at.key("keys").index(number);
        let Some(found) = key(written, &at, cx, &mut problems) else { continue };
        if keys.insert(written.id.as_str().into(), found).is_some() {
            let what = format!("there are two keys `{}`", written.id);
            problems.push(Problem::new(&at, what).hint("give each an `id` of its own"));
        }
    }
    if settings.keys.is_empty() {
        let problem = Problem::new(at, "there is no key that anyone could sign with");
        problems.push(problem.hint("name them in `keys`"));
    }
    check(&settings, at, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let (max_age, clock_skew) = (settings.max_age.0, settings.clock_skew.0);
    let life = max_age + 2 * clock_skew;
    let most = settings.nonces as usize;
    let kept = format!("{} nonces {} {most}", cx.id, life.as_secs());
    Ok(Arc::new(Signature {
        accepted: accepted(&settings).into(),
        keys,
        components: settings.components,
        digest: settings.digest,
        nonce: settings.nonce,
        max_age,
        clock_skew,
        tag: settings.tag,
        body: settings.body.0,
        keep: settings.keep,
        nonces: cx.carry.keep(&kept, || Nonces::new(life, most)),
    }))
}

/// What is wrong with the settings beside the keys.
fn check(settings: &Settings, at: &Pointer, problems: &mut Problems) {
    for (number, name) in settings.components.iter().enumerate() {
        let plain = name.strip_prefix('@').unwrap_or(name);
        let is = !plain.is_empty()
            && plain
                .bytes()
                .all(|byte| policy::message::is_token(byte) && !byte.is_ascii_uppercase())
            && name != "@query-param";
        if !is {
            let what = format!("`{}` can't be covered", name.escape_debug());
            let hint = "name fields in lower case, or `@method`, `@path` and the like";
            let at = at.key("components").index(number);
            problems.push(Problem::new(&at, what).hint(hint));
        }
    }
    for (name, age) in [("max_age", settings.max_age), ("clock_skew", settings.clock_skew)] {
        if age.0 > MAX_AGE {
            let problem = Problem::new(&at.key(name), "this is longer than a day");
            problems.push(problem.hint("write 1d or less, as in `5m`"));
        }
    }
    if settings.nonces < 2 * settings.keys.len() as u32 {
        let problem = Problem::new(&at.key("nonces"), "there is no room for a nonce of each key");
        problems.push(problem.hint("leave it at 1000000"));
    }
}

/// The key and whose it is.
fn key(
    written: &WrittenKey,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Option<(Key, Caller)> {
    let before = problems.len();
    let named = written.application.as_deref();
    let application = named
        .and_then(|name| application::find(cx.directory, name, &at.key("application"), problems));
    let key = match (written.algorithm, &written.secret, &written.secret_base64) {
        (Algorithm::HmacSha256, Some(text), None) => {
            secret(Some(text.expose().as_bytes()), &at.key("secret"), problems)
        }
        (Algorithm::HmacSha256, None, Some(text)) => {
            let bytes = BASE64_STANDARD.decode(text.expose().trim()).ok();
            secret(bytes.as_deref(), &at.key("secret_base64"), problems)
        }
        (Algorithm::HmacSha256, ..) => {
            let problem = Problem::new(at, "a key for hmac-sha256 has one secret");
            problems.push(problem.hint("write `secret: ${env:NAME}`, or `secret_base64`"));
            None
        }
        (_, None, None) => public(written, at, problems),
        _ => {
            let problem = Problem::new(at, "a secret is for hmac-sha256 alone");
            problems.push(problem.hint("write the `public_key`"));
            None
        }
    };
    let caller =
        Caller { application, credential: written.id.as_str().into(), by: KIND.name, grant: None };
    key.filter(|_| problems.len() == before).map(|key| (key, caller))
}

fn secret(bytes: Option<&[u8]>, at: &Pointer, problems: &mut Problems) -> Option<Key> {
    match bytes {
        Some(bytes) if bytes.len() >= SECRET_BYTES => return Some(Key::secret(bytes)),
        Some(_) => problems.push(
            Problem::new(at, "this secret is too short")
                .hint("use at least 16 bytes, as `openssl rand -base64 32` makes them"),
        ),
        None => problems.push(
            Problem::new(at, "this secret is not base64")
                .hint("write `secret` where it is meant as it stands"),
        ),
    }
    None
}

fn public(written: &WrittenKey, at: &Pointer, problems: &mut Problems) -> Option<Key> {
    let Some(text) = &written.public_key else {
        let what = format!("a key for {} has a public key", written.algorithm.text());
        problems.push(Problem::new(at, what).hint("write it as a PEM block in `public_key`"));
        return None;
    };
    let key = Key::public(written.algorithm, text);
    if key.is_none() {
        let what = format!("this is no public key for {}", written.algorithm.text());
        let hint = "write what `openssl pkey -pubout` gives; keys of RSA have at least 2048 bits";
        problems.push(Problem::new(&at.key("public_key"), what).hint(hint));
    }
    key
}

/// The value of `Accept-Signature` (RFC 9421 §5).
fn accepted(settings: &Settings) -> String {
    let components: Vec<_> = settings.components.iter().map(|name| format!("\"{name}\"")).collect();
    let mut text = format!("sig=({});created;keyid", components.join(" "));
    if settings.nonce == Needed::Required {
        text.push_str(";nonce");
    }
    if let Some(tag) = &settings.tag {
        text.push_str(";tag=");
        text.push_str(&crate::structured::string(tag));
    }
    text
}
