//! What stands in a signature as the drafts had it that came before RFC 9421
//! (draft-cavage-http-signatures-12 §2).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Fields one signature may cover.
const FIELDS: usize = 64;

/// A signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The key's id.
    pub key: String,
    /// The algorithm, where it is named.
    pub algorithm: Option<String>,
    /// What it covers, in order.
    pub covered: Vec<String>,
    /// When it was made, as written.
    pub created: Option<u64>,
    /// When it ends, in seconds since 1970.
    pub expires: Option<u64>,
    /// The signature itself.
    pub signature: Vec<u8>,
}

impl Shown {
    /// Reads the parameters; none where they are not what they must be, or one is there twice.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (mut key, mut algorithm, mut covered, mut signature) = (None, None, None, None);
        let (mut created, mut expires) = (None, None);
        for (name, value) in parameters(text)? {
            let twice = match name {
                "keyId" => key.replace(value),
                "algorithm" => algorithm.replace(value),
                "headers" => covered.replace(value),
                "signature" => signature.replace(value),
                "created" => created.replace(value),
                "expires" => expires.replace(value),
                _ => continue,
            };
            if twice.is_some() {
                return None;
            }
        }
        let seconds = |text: Option<&str>| match text {
            // A fraction is of no use to anyone.
            Some(text) => text.split('.').next()?.parse().ok().map(Some),
            None => Some(None),
        };
        let covered: Vec<String> =
            covered.unwrap_or("date").split(' ').map(str::to_ascii_lowercase).collect();
        if covered.len() > FIELDS || covered.iter().any(String::is_empty) {
            return None;
        }
        Some(Self {
            key: key?.to_owned(),
            algorithm: algorithm.map(str::to_ascii_lowercase),
            covered,
            created: seconds(created)?,
            expires: seconds(expires)?,
            signature: BASE64_STANDARD.decode(signature?).ok()?,
        })
    }
}

/// `name=value` or `name="value"`, with commas between.
fn parameters(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        all.push((name.trim(), value.trim()));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_any_order_and_each_once() {
        let text = "keyId=\"a, b\" , algorithm=\"hmac-sha256\",created=12.5,\
                    headers=\"(request-target) Host\",signature=\"AAAA\"";
        let shown = Shown::parse(text.as_bytes()).unwrap();
        assert_eq!((shown.key.as_str(), shown.created), ("a, b", Some(12)));
        assert_eq!(shown.covered, ["(request-target)", "host"]);
        assert_eq!(Shown::parse(b"keyId=\"a\",signature=\"AAAA\"").unwrap().covered, ["date"]);
        for bad in [
            &b""[..],
            b"keyId=\"a\"",
            b"signature=\"AAAA\"",
            b"keyId=\"a\",keyId=\"a\",signature=\"AAAA\"",
            b"keyId=\"a\" signature=\"AAAA\"",
            b"keyId=\"a,signature=\"AAAA\"",
            b"keyId=\"a\",signature=\"!\"",
            b"keyId=\"a\",signature=\"AAAA\",headers=\"\"",
            b"keyId=\"a\",signature=\"AAAA\",headers=\"a  b\"",
            b"keyId=\"a\",signature=\"AAAA\",created=-1",
            b"keyId=\"a\",signature=\"AAAA\",expires=\"soon\"",
            b"keyId=\"\xff\",signature=\"AAAA\"",
        ] {
            assert_eq!(Shown::parse(bad), None, "{}", bad.escape_ascii());
        }
    }
}
