//! Where keys are, and one look at them.

use std::time::Duration;

use policy::{Call, Remote};
use serde_json::Value;

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
                let url = self.url();
                let metadata = get(remote, &url).await?;
                keys_url(&metadata, issuer).map_err(|what| format!("{url}: {what}"))?
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

/// Where `metadata` says the keys are, if it is that of `issuer` (OpenID Connect Discovery §4.3).
fn keys_url(metadata: &[u8], issuer: &str) -> Result<String, &'static str> {
    let metadata = object(metadata).ok_or("it is no JSON object")?;
    if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err("its `issuer` is another one");
    }
    let url = metadata.get("jwks_uri").and_then(Value::as_str).ok_or("it has no `jwks_uri`")?;
    let scheme = |url: &str| url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match (scheme(issuer).as_deref(), scheme(url).as_deref()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(url.to_owned()),
        _ => Err("its `jwks_uri` is not https"),
    }
}
