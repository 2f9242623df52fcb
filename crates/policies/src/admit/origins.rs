//! Origins of web pages (RFC 6454, Fetch): which ones are listed. Knows no policy.

use base::{Pointer, Problem, Problems};

/// Which origins are listed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::admit) enum Origins {
    /// Every one.
    Any,
    /// These.
    Listed(Vec<Pattern>),
}

/// An origin, or all below a domain.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::admit) enum Pattern {
    /// This one, as browsers write it.
    Exact(Box<str>),
    /// `https://*.example.com`: what comes before the host, and what its end is, dot and port
    /// included.
    Below { before: Box<str>, end: Box<str> },
}

impl Origins {
    /// These, which stand at `at`.
    pub fn listed(texts: &[String], at: &Pointer, problems: &mut Problems) -> Self {
        let mut patterns = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            match Pattern::new(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(why) => {
                    let what = format!("`{text}` is no origin: {why}");
                    let hint = "write scheme, host and, if it is not the usual one, port: \
                                `https://app.example.com`, `http://localhost:3000`";
                    problems.push(Problem::new(&at.index(number), what).hint(hint));
                }
            }
        }
        Self::Listed(patterns)
    }

    /// Whether this origin is listed. Browsers write each in one way only, so bytes are compared.
    pub fn lists(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(patterns) => patterns.iter().any(|pattern| pattern.is(origin)),
        }
    }
}

impl Pattern {
    /// The pattern as a document writes it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text == "null" {
            return Ok(Self::Exact(text.into()));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err("it has no scheme") };
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err("its scheme can't be one");
        }
        let (below, host) = match rest.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, rest),
        };
        if host.contains('*') {
            return Err("`*` stands only for whole labels at its beginning, and a dot follows");
        }
        if host.is_empty() || !host.bytes().all(|byte| is_host(byte) || b":[]".contains(&byte)) {
            return Err("it is no scheme, host and port: a path, a slash at the end or a user is \
                        not part of an origin");
        }
        if matches!((scheme, port(host)), ("https", Some("443")) | ("http", Some("80"))) {
            return Err("browsers leave the usual port out");
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("browsers write it in lower case");
        }
        Ok(if below {
            let before = format!("{scheme}://").into();
            Self::Below { before, end: format!(".{host}").into() }
        } else {
            Self::Exact(text.into())
        })
    }

    fn is(&self, origin: &[u8]) -> bool {
        match self {
            Self::Exact(known) => known.as_bytes() == origin,
            Self::Below { before, end } => {
                let rest = origin.strip_prefix(before.as_bytes());
                let labels = rest.and_then(|rest| rest.strip_suffix(end.as_bytes()));
                // Nothing in front but labels: no user, no port, no other host before a slash.
                labels.is_some_and(|labels| {
                    !labels.is_empty() && labels.iter().all(|byte| is_host(*byte))
                })
            }
        }
    }
}

/// The port at the end of `host`.
fn port(host: &str) -> Option<&str> {
    host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'))
}

const fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An origin is listed as it is written, whole; `null` only where it is, and nothing that
    /// merely begins or ends like a listed one. The cases beside this show what callers see of it.
    /// Seen to fail: with `starts_with` and `ends_with` in place of `Pattern::is`.
    #[test]
    #[allow(non_snake_case, reason = "a test's name starts with its number in docs/faults.md")]
    fn fa_E30_origins_that_are_reflected_null_or_not_allowed() {
        let listed = |pattern: &str, origin: &str| {
            Origins::Listed(vec![Pattern::new(pattern).unwrap()]).lists(origin.as_bytes())
        };
        for (pattern, origin) in [
            ("https://a.example", "https://a.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("null", "null"),
            ("https://*.a.example", "https://x.a.example"),
            ("https://*.a.example", "https://x.y.a.example"),
            ("https://*.a.example:8443", "https://x.a.example:8443"),
        ] {
            assert!(listed(pattern, origin), "{pattern} {origin}");
        }
        for (pattern, origin) in [
            ("https://a.example", "http://a.example"),
            ("https://a.example", "https://a.example:8443"),
            ("https://a.example", "https://a.example.evil.example"),
            ("https://a.example", "https://b.example"),
            ("https://a.example", "null"),
            ("https://a.example", ""),
            ("https://*.a.example", "https://a.example"),
            ("https://*.a.example", "https://.a.example.evil"),
            ("https://*.a.example", "https://evila.example"),
            ("https://*.a.example", "http://x.a.example"),
            ("https://*.a.example", "https://.a.example"),
            ("https://*.a.example", "https://evil/x.a.example"),
            ("https://*.a.example", "https://evil:1@x.a.example"),
            ("https://*.a.example", "https://evil#x.a.example"),
            ("https://*.a.example", "https://evil\u{e9}.a.example"),
        ] {
            assert!(!listed(pattern, origin), "{pattern} {origin}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_no_pattern() {
        for (text, why) in [
            ("a.example", "scheme"),
            ("://a.example", "scheme"),
            ("https://", "no scheme, host and port"),
            ("https://a.example/", "slash"),
            ("https://a.example/path", "path"),
            ("https://user@a.example", "user"),
            ("https://a.example:443", "usual port"),
            ("http://a.example:80", "usual port"),
            ("https://A.example", "lower case"),
            ("https://a*.example", "whole labels"),
            ("https://*", "whole labels"),
        ] {
            assert!(Pattern::new(text).unwrap_err().contains(why), "{text}");
        }
    }
}
