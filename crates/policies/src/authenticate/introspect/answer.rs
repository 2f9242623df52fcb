//! What an authorization server says of a token (RFC 7662 §2.2), read without trust in it.

use std::time::Duration;

use policy::Grant;
use serde_json::{Map, Value};

use crate::jose;

/// Time by which clocks may differ.
const SKEW: Duration = Duration::from_secs(60);

/// What is said of a token.
#[derive(Debug)]
pub(super) enum Said {
    /// It is good.
    Active(Active),
    /// It is not, or not for us; with why, for operators.
    Inactive(&'static str),
}

/// A good token.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) grant: Grant,
    /// The client it was issued to.
    pub(super) client: Option<Box<str>>,
    pub(super) bound: Bound,
}

/// Who alone may show a token (RFC 7800).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Whoever has it.
    Bearer,
    /// Whoever has the certificate with this SHA-256 (RFC 8705 §3.1).
    Certificate(Box<str>),
    /// Whoever proves it in a way that is not checked here.
    Other,
}

/// What must be so besides.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Whom it must be for, one of these; anybody where there are none.
    pub(super) audiences: Vec<String>,
    /// Who must have issued it, where the answer says who did.
    pub(super) issuer: Option<String>,
}

impl Expected {
    /// Reads the answer `body` at `now`.
    ///
    /// # Errors
    /// It is no answer to what was asked: nothing is known of the token.
    pub(super) fn read(&self, body: &[u8], now: Duration) -> Result<Said, &'static str> {
        let mut said = jose::object(body).ok_or("the answer is no JSON object")?;
        match said.shift_remove("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                return Ok(Said::Inactive("the server says it is not active"));
            }
            _ => return Err("the answer's `active` is neither true nor false"),
        }
        let expires = time(&said, "exp")?;
        if expires.is_some_and(|end| end <= now) {
            return Ok(Said::Inactive("its `exp` is over"));
        }
        if time(&said, "nbf")?.is_some_and(|start| start > now + SKEW) {
            return Ok(Said::Inactive("its `nbf` is still to come"));
        }
        let issuer = text(&said, "iss")?;
        // Some write it with a slash at its end, and some without.
        let said_by = issuer.as_deref().map(|issuer| issuer.trim_end_matches('/'));
        if self.issuer.is_some() && said_by.is_some() && self.issuer.as_deref() != said_by {
            return Ok(Said::Inactive("its `iss` is another issuer"));
        }
        if !self.audiences.is_empty() && !self.is_for_us(&said)? {
            return Ok(Said::Inactive("its `aud` is none of `audiences`"));
        }
        let client = text(&said, "client_id")?;
        let bound = bound(&said);
        let username = text(&said, "username")?;
        let grant = Grant {
            subject: text(&said, "sub")?.or(username),
            issuer,
            scopes: scopes(&said)?,
            groups: words(&said, "groups"),
            expires,
            claims: said,
        };
        Ok(Said::Active(Active { grant, client, bound }))
    }

    fn is_for_us(&self, said: &Map<String, Value>) -> Result<bool, &'static str> {
        let ours = |one: &str| self.audiences.iter().any(|known| known == one);
        match said.get("aud") {
            None => Ok(false),
            Some(Value::String(one)) => Ok(ours(one)),
            Some(Value::Array(all)) => {
                let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
                let texts = texts.ok_or("the answer's `aud` is of the wrong type")?;
                Ok(texts.into_iter().any(ours))
            }
            Some(_) => Err("the answer's `aud` is of the wrong type"),
        }
    }
}

impl Active {
    /// Whether whoever showed the certificate of this SHA-256, or none, may use the token.
    pub(super) fn may_use(&self, shown: Option<&[u8; 32]>) -> bool {
        match &self.bound {
            Bound::Bearer => true,
            Bound::Certificate(wanted) => shown.is_some_and(|sha256| {
                let shown = jose::encode(sha256);
                aws_lc_rs::constant_time::verify_slices_are_equal(
                    shown.as_bytes(),
                    wanted.as_bytes(),
                )
                .is_ok()
            }),
            Bound::Other => false,
        }
    }
}

/// A time in whole seconds since 1970 (RFC 7519's NumericDate).
fn time(said: &Map<String, Value>, name: &str) -> Result<Option<Duration>, &'static str> {
    match said.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                // Beyond 2^53 no clock will get.
                (0.0..9e15).contains(&float).then_some(float as u64)
            });
            let seconds = seconds.ok_or("a time in the answer is none")?;
            Ok(Some(Duration::from_secs(seconds)))
        }
        Some(_) => Err("a time in the answer is none"),
    }
}

fn text(said: &Map<String, Value>, name: &str) -> Result<Option<Box<str>>, &'static str> {
    match said.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str().into())),
        Some(_) => Err("a name in the answer is no text"),
    }
}

/// RFC 7662 has one text; some servers write a list.
fn scopes(said: &Map<String, Value>) -> Result<Vec<Box<str>>, &'static str> {
    match said.get("scope") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split_ascii_whitespace().map(Box::from).collect()),
        Some(Value::Array(_)) => Ok(words(said, "scope")),
        Some(_) => Err("the answer's `scope` is of the wrong type"),
    }
}

fn words(said: &Map<String, Value>, name: &str) -> Vec<Box<str>> {
    let list = said.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(Box::from).collect()
}

fn bound(said: &Map<String, Value>) -> Bound {
    match said.get("cnf") {
        None | Some(Value::Null) => Bound::Bearer,
        Some(Value::Object(how)) if how.len() == 1 => {
            let certificate = how.get("x5t#S256").and_then(Value::as_str);
            certificate.map_or(Bound::Other, |sha256| Bound::Certificate(sha256.into()))
        }
        Some(_) => Bound::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn expected() -> Expected {
        let issuer = Some("https://idp.example.com".to_owned());
        Expected { audiences: vec!["orders".into()], issuer }
    }

    /// In a word what is read of `body`.
    fn read(expected: &Expected, body: &str) -> String {
        match expected.read(body.as_bytes(), NOW) {
            Ok(Said::Active(active)) => format!("{:?}", active.grant.subject.unwrap_or_default()),
            Ok(Said::Inactive(why)) => format!("inactive: {why}"),
            Err(why) => format!("unknown: {why}"),
        }
    }

    #[test]
    fn the_example_of_rfc_7662_is_read() {
        let body = r#"{ "active": true, "client_id": "l238j323ds-23ij4", "username": "jdoe",
            "scope": "read write dolphin", "sub": "Z5O3upPC88QrAjx00dis",
            "aud": "https://protected.example.net/resource", "iss": "https://server.example.com/",
            "exp": 1890000000, "iat": 1419350238, "extension_field": "twenty-seven" }"#;
        let Ok(Said::Active(active)) = Expected::default().read(body.as_bytes(), NOW) else {
            panic!("not active")
        };
        let grant = active.grant;
        assert_eq!(grant.subject.as_deref(), Some("Z5O3upPC88QrAjx00dis"));
        assert_eq!(grant.issuer.as_deref(), Some("https://server.example.com/"));
        assert_eq!(grant.scopes, ["read", "write", "dolphin"].map(Box::from));
        assert_eq!(grant.expires, Some(Duration::from_secs(1_890_000_000)));
        assert_eq!(grant.claims["extension_field"], "twenty-seven");
        assert_eq!(active.client.as_deref(), Some("l238j323ds-23ij4"));
        assert_eq!(active.bound, Bound::Bearer);
    }

    #[test]
    fn what_is_not_surely_active_is_not() {
        for (body, said) in [
            (r#"{"active":false}"#, "inactive"),
            (r#"{"active":true,"exp":1790000000}"#, "inactive"),
            (r#"{"active":true,"exp":1790000001,"aud":"orders"}"#, "\""),
            (r#"{"active":true,"nbf":1790000061,"aud":"orders"}"#, "inactive"),
            (r#"{"active":true,"nbf":1790000060,"aud":"orders"}"#, "\""),
            (r#"{"active":true}"#, "inactive: its `aud`"),
            (r#"{"active":true,"aud":["a","b"]}"#, "inactive: its `aud`"),
            (r#"{"active":true,"aud":["a","orders"]}"#, "\""),
            (r#"{"active":true,"aud":"orders","iss":"https://other"}"#, "inactive: its `iss`"),
            (r#"{"active":true,"aud":"orders","iss":"https://idp.example.com/"}"#, "\""),
            ("", "unknown"),
            ("{}", "unknown"),
            ("[]", "unknown"),
            ("<html>", "unknown"),
            (r#"{"active":"true"}"#, "unknown"),
            (r#"{"active":1}"#, "unknown"),
            (r#"{"active":null}"#, "unknown"),
            (r#"{"active":false,"active":true}"#, "unknown"),
            (r#"{"active":true,"exp":"1890000000"}"#, "unknown"),
            (r#"{"active":true,"exp":-1}"#, "unknown"),
            (r#"{"active":true,"exp":1e400}"#, "unknown"),
            (r#"{"active":true,"exp":[]}"#, "unknown"),
            (r#"{"active":true,"aud":7}"#, "unknown"),
            (r#"{"active":true,"aud":"orders","scope":7}"#, "unknown"),
            (r#"{"active":true,"aud":"orders","sub":7}"#, "unknown"),
        ] {
            let found = read(&expected(), body);
            assert!(found.starts_with(said), "{body}: {found}");
        }
        assert!(read(&expected(), &"[".repeat(100_000)).starts_with("unknown"));
    }

    #[test]
    fn a_bound_token_is_for_who_has_its_certificate_alone() {
        let sha256 = jose::encode([7; 32]);
        let with = |cnf: &str| {
            let body = format!(r#"{{"active":true,"cnf":{cnf}}}"#);
            match Expected::default().read(body.as_bytes(), NOW) {
                Ok(Said::Active(active)) => active,
                other => panic!("{other:?}"),
            }
        };
        let bound = with(&format!(r#"{{"x5t#S256":"{sha256}"}}"#));
        assert!(bound.may_use(Some(&[7; 32])));
        assert!(!bound.may_use(Some(&[8; 32])) && !bound.may_use(None));
        for other in [r#"{"jkt":"a"}"#, "{}", "7", r#"{"x5t#S256":7}"#] {
            assert!(!with(other).may_use(Some(&[7; 32])), "{other}");
        }
        let both = with(&format!(r#"{{"x5t#S256":"{sha256}","jkt":"a"}}"#));
        assert!(!both.may_use(Some(&[7; 32])), "the proof of the other key is not checked here");
        assert!(with("null").may_use(None));
    }
}
