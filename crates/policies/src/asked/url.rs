//! URLs of servers, as documents write them.

use base::{Pointer, Problem, Problems};

/// The URL `text`, without a slash at its end; what is none that can be called becomes a problem.
pub(crate) fn url(text: &str, at: &Pointer, problems: &mut Problems) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let what = match host {
        None => "is neither http nor https",
        Some("") => "has no host",
        Some(host) if host.contains('@') => "has a user in it; credentials have settings",
        Some(_) if text.contains('#') => "has a fragment, which is never sent",
        Some(_) if text.bytes().any(|byte| !byte.is_ascii_graphic()) => {
            "has a character in it that URLs have not"
        }
        Some(_) => return Some(text.trim_end_matches('/').to_owned()),
    };
    // What it holds may be a secret by mistake.
    let problem = Problem::new(at, format!("this URL {what}"));
    problems.push(problem.hint("write one as in `https://idp.example.com/oauth2`"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_called_is_a_url() {
        for good in ["http://a", "https://a:8443/b/c?d", "http://[::1]:1/x/", "http://127.0.0.1"] {
            let mut problems = Problems::new();
            let found = url(good, &Pointer::root(), &mut problems);
            assert_eq!(found.as_deref(), Some(good.trim_end_matches('/')));
        }
        for bad in [
            "",
            "a/b",
            "ftp://a/",
            "file:///etc/passwd",
            "http://",
            "https:///a",
            "http://user:hunter2@a/",
            "http://a/#b",
            "http://a b/",
            "http://a/\r\nx: y",
            "http://ä/",
        ] {
            let mut problems = Problems::new();
            assert_eq!(url(bad, &Pointer::root(), &mut problems), None, "{bad}");
            assert_eq!(problems.len(), 1, "{bad}");
            assert!(!format!("{problems:?}").contains("hunter2"));
        }
    }
}
