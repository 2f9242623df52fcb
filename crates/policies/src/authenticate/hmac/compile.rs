//! From settings to the policy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base::{Pointer, Problem, Problems};
use policy::message::Name;
use policy::{Caller, Compile, Policy, PolicyKind};
use serde_json::Value;

use super::settings::{Algorithm, Settings, WrittenKey};
use super::{Hmac, KIND, Key};
use crate::authenticate::application;

/// The fewest bytes of a secret.
const SECRET_BYTES: usize = 16;

/// The most that clocks may differ by.
const SKEW_MAX: Duration = Duration::from_secs(3_600);

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
        let key = key(written, &at, cx, &mut problems);
        if keys.insert(written.id.as_str().into(), key).is_some() {
            let what = format!("there are two keys `{}`", written.id);
            problems.push(Problem::new(&at, what).hint("give each an `id` of its own"));
        }
    }
    if settings.keys.is_empty() {
        let problem = Problem::new(at, "there is no key that anyone could sign with");
        problems.push(problem.hint("name them in `keys`"));
    }
    let headers: Vec<_> = settings.headers.iter().map(|it| it.to_ascii_lowercase()).collect();
    for (number, name) in headers.iter().enumerate() {
        let derived = matches!(name.as_str(), "(request-target)" | "(created)" | "(expires)");
        if !derived && Name::new(name).is_none() {
            let what = format!("`{}` can't be covered", name.escape_debug());
            let hint = "name header fields, `(request-target)` or `(created)`";
            problems.push(Problem::new(&at.key("headers").index(number), what).hint(hint));
        }
    }
    if settings.clock_skew.0 > SKEW_MAX {
        let problem = Problem::new(&at.key("clock_skew"), "this is longer than an hour");
        problems.push(problem.hint("write 1h or less, as in `5m`"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(Hmac {
        challenge: format!("Signature headers=\"{}\"", headers.join(" ")).into(),
        keys,
        headers,
        digest: settings.digest,
        clock_skew: settings.clock_skew.0,
        body: settings.body.0,
        keep: settings.keep,
    }))
}

fn key(written: &WrittenKey, at: &Pointer, cx: &Compile<'_>, problems: &mut Problems) -> Key {
    let named = written.application.as_deref();
    let application = named
        .and_then(|name| application::find(cx.directory, name, &at.key("application"), problems));
    let secret = written.secret.expose().as_bytes();
    if secret.len() < SECRET_BYTES {
        let problem = Problem::new(&at.key("secret"), "this secret is too short");
        let hint = "use at least 16 bytes, as `openssl rand -base64 32` makes them";
        problems.push(problem.hint(hint));
    }
    let algorithm = match written.algorithm {
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    };
    Key {
        algorithm: written.algorithm,
        secret: hmac::Key::new(algorithm, secret),
        caller: Caller {
            application,
            credential: written.id.as_str().into(),
            by: KIND.name,
            grant: None,
        },
    }
}
