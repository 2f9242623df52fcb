//! Where keys are, and one look at them.

use std::time::Duration;

use policy::{Call, Remote};
use serde_json::{Map, Value};

use crate::jose::{Algorithm, KeySet, object};

/// Time for one answer, and most bytes of it.
const WITHIN: Duration = Duration::from_secs(5);
const MOST: usize = 512 << 10;

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this URL.
    Keys(String),
    /// Where the metadata of this issuer says (OpenID Connect Discovery §4, RFC 8414).
    Issuer(String),
}

impl Place {
    /// The URL that is asked first.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Keys(url) => url.clone(),
            Self::Issuer(issuer) => {
                format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
            }
        }
    }

    /// The keys that are there now.
    ///
    /// # Errors
    /// Why there are none, for operators.
    pub(super) async fn keys(
        &self,
        remote: &dyn Remote,
        allowed: &[Algorithm],
    ) -> Result<KeySet, String> {
        let url = match self {
            Self::Keys(url) => url.clone(),
            Self::Issuer(issuer) => {
                let metadata = metadata(remote, issuer).await?;
                address(&metadata, "jwks_uri", issuer)
                    .map_err(|what| format!("{}: {what}", self.url()))?
            }
        };
        let bytes = get(remote, &url).await?;
        let keys = KeySet::read(&bytes, allowed).map_err(|what| format!("{url}: {what}"))?;
        if keys.keys().is_empty() {
            let why = keys.skipped().first().copied().unwrap_or("the set is empty");
            return Err(format!("{url}: no key can be used: {why}"));
        }
        Ok(keys)
    }
}

/// What `url` answers, if it is 200.
async fn get(remote: &dyn Remote, url: &str) -> Result<bytes::Bytes, String> {
    let call = Call { most: MOST, ..Call::get(url) };
    let call = call.within(WITHIN).header("accept", "application/json");
    match remote.call(call).await {
        Ok(answer) if answer.status == 200 => Ok(answer.body),
        Ok(answer) => Err(format!("{url}: it answered {}", answer.status)),
        Err(unanswered) => Err(format!("{url}: {unanswered}")),
    }
}

/// What the metadata of `issuer` says (OpenID Connect Discovery §4.3).
///
/// # Errors
/// It is not there, or another's.
pub(crate) async fn metadata(
    remote: &dyn Remote,
    issuer: &str,
) -> Result<Map<String, Value>, String> {
    let url = Place::Issuer(issuer.to_owned()).url();
    let bytes = get(remote, &url).await?;
    let metadata = object(&bytes).ok_or_else(|| format!("{url}: it is no JSON object"))?;
    match metadata.get("issuer").and_then(Value::as_str) {
        Some(own) if own == issuer => Ok(metadata),
        _ => Err(format!("{url}: its `issuer` is another one")),
    }
}

/// The URL that `metadata` has as `name`; without TLS only where `issuer` is.
///
/// # Errors
/// There is none.
pub(crate) fn address(
    metadata: &Map<String, Value>,
    name: &str,
    issuer: &str,
) -> Result<String, String> {
    let url = metadata.get(name).and_then(Value::as_str);
    let url = url.ok_or_else(|| format!("it has no `{name}`"))?;
    let scheme = |url: &str| url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match (scheme(issuer).as_deref(), scheme(url).as_deref()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(url.to_owned()),
        _ => Err(format!("its `{name}` is not https")),
    }
}
