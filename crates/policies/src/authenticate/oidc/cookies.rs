//! Cookies: a text in as many as it takes, found, set, ended and taken out of requests.

use std::fmt::Write;

use policy::message::{Headers, Known};

/// Most bytes of a cookie's value: browsers take 4096 with the name and what it is set with.
const CHUNK: usize = 3_600;

/// Most cookies that a session is in.
const CHUNKS: usize = 4;

/// How cookies are called and set.
#[derive(Debug)]
pub(super) struct Cookies {
    pub(super) name: String,
    /// What follows the value: path, domain and the flags.
    pub(super) attributes: String,
}

impl Cookies {
    /// The text that the cookies of a request hold. None where there is none, or a part is missing.
    pub(super) fn session(&self, headers: &Headers) -> Shown {
        let first = match one(headers, &self.name) {
            One::None => return Shown::Nothing,
            One::Several => return Shown::Broken,
            One::Is(first) => first,
        };
        let count = first.chars().next().and_then(|count| count.to_digit(10));
        let Some(count @ 1..=9) = count else { return Shown::Broken };
        let mut text = first.get(1..).unwrap_or_default().to_owned();
        for number in 1..count {
            match one(headers, &format!("{}.{number}", self.name)) {
                One::Is(part) => text.push_str(part),
                One::None | One::Several => return Shown::Broken,
            }
        }
        Shown::Text(text)
    }

    /// Sets the cookies that hold `text`, and ends those of a longer one before it; none where it
    /// is too long for cookies.
    pub(super) fn set_session(&self, text: &str, headers: &Headers) -> Option<Vec<Box<str>>> {
        let count = text.len().div_ceil(CHUNK).max(1);
        if count > CHUNKS {
            return None;
        }
        let mut set = Vec::with_capacity(count);
        for number in 0..count {
            let part = text.get(number * CHUNK..text.len().min((number + 1) * CHUNK))?;
            set.push(match number {
                0 => self.set(&self.name, &format!("{count}{part}"), None),
                _ => self.set(&format!("{}.{number}", self.name), part, None),
            });
        }
        let more = (count..CHUNKS).map(|number| format!("{}.{number}", self.name));
        let more = more.filter(|name| !matches!(one(headers, name), One::None));
        set.extend(more.map(|name| self.end(&name)));
        Some(set)
    }

    /// Ends the session's cookies that a request shows.
    pub(super) fn end_session(&self, headers: &Headers) -> Vec<Box<str>> {
        let parts = (1..CHUNKS).map(|number| format!("{}.{number}", self.name));
        let names = std::iter::once(self.name.clone()).chain(parts);
        let shown = names.filter(|name| !matches!(one(headers, name), One::None));
        shown.map(|name| self.end(&name)).collect()
    }

    /// The cookie of a login.
    pub(super) fn login_name(&self, state: &str) -> String {
        format!("{}_login_{}", self.name, state.get(..8).unwrap_or_default())
    }

    /// The logins that are under way in this browser: name and value.
    pub(super) fn logins<'h>(&self, headers: &'h Headers) -> Vec<(&'h str, &'h str)> {
        let prefix = format!("{}_login_", self.name);
        pairs(headers).filter(|(name, _)| name.starts_with(&prefix)).collect()
    }

    /// Sets a cookie.
    pub(super) fn set(&self, name: &str, value: &str, seconds: Option<u64>) -> Box<str> {
        let mut set = format!("{name}={value}");
        if let Some(seconds) = seconds {
            let _ = write!(set, "; Max-Age={seconds}");
        }
        set.push_str(&self.attributes);
        set.into()
    }

    /// Ends a cookie.
    pub(super) fn end(&self, name: &str) -> Box<str> {
        self.set(name, "", Some(0))
    }

    /// Takes all of ours out of a request; the others stay.
    pub(super) fn remove(&self, headers: &mut Headers) {
        let ours = |pair: &[u8]| {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            name.strip_prefix(self.name.as_bytes()).is_some_and(|rest| {
                matches!(rest, [] | [b'.', b'0'..=b'9']) || rest.starts_with(b"_login_")
            })
        };
        let values: Vec<Vec<u8>> = headers.all(Known::Cookie).map(<[u8]>::to_vec).collect();
        if !values.iter().any(|value| value.split(|byte| *byte == b';').any(ours)) {
            return;
        }
        headers.remove(Known::Cookie);
        for value in values {
            let kept = value.split(|byte| *byte == b';').filter(|pair| !ours(pair));
            let kept: Vec<&[u8]> = kept.map(<[u8]>::trim_ascii).filter(|p| !p.is_empty()).collect();
            if !kept.is_empty() {
                headers.append_known(Known::Cookie, kept.join(&b"; "[..]));
            }
        }
    }
}

/// What a request shows of a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// Something that can't be one.
    Broken,
    Text(String),
}

/// The value of a cookie.
pub(super) enum One<'h> {
    None,
    Is(&'h str),
    /// Which of them is meant is not clear.
    Several,
}

pub(super) fn one<'h>(headers: &'h Headers, name: &str) -> One<'h> {
    let mut found = pairs(headers).filter(|(known, _)| *known == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (None, _) => One::None,
        (Some(value), None) => One::Is(value),
        (Some(_), Some(_)) => One::Several,
    }
}

fn pairs(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.all(Known::Cookie).filter_map(|value| std::str::from_utf8(value).ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies() -> Cookies {
        Cookies { name: "gw".to_owned(), attributes: "; Path=/".to_owned() }
    }

    fn request(values: &[&str]) -> Headers {
        let mut headers = Headers::new();
        for value in values {
            headers.append_known(Known::Cookie, value);
        }
        headers
    }

    /// The cookie field of a browser that was given these.
    fn shown(set: &[Box<str>]) -> String {
        let pairs: Vec<&str> = set.iter().map(|set| set.split(';').next().unwrap()).collect();
        pairs.join("; ")
    }

    #[test]
    fn a_text_of_any_length_comes_back_as_it_went() {
        let cookies = cookies();
        for length in [0, 1, CHUNK, CHUNK + 1, CHUNKS * CHUNK] {
            let text = "x".repeat(length);
            let set = cookies.set_session(&text, &Headers::new()).unwrap();
            assert_eq!(set.len(), length.div_ceil(CHUNK).max(1));
            assert!(set.iter().all(|one| one.len() < 4_000));
            assert_eq!(cookies.session(&request(&[&shown(&set)])), Shown::Text(text));
        }
        assert!(cookies.set_session(&"x".repeat(CHUNKS * CHUNK + 1), &Headers::new()).is_none());
    }

    #[test]
    fn parts_that_are_missing_or_twice_make_no_session() {
        let cookies = cookies();
        for value in ["gw=", "gw=0a", "gw=xa", "gw=2a", "gw=1a; gw=1b", "gw=2a; gw.1=b; gw.1=c"] {
            assert_eq!(cookies.session(&request(&[value])), Shown::Broken, "{value}");
        }
        assert_eq!(cookies.session(&request(&["gwx=1a; gw.1=b"])), Shown::Nothing);
    }

    #[test]
    fn what_a_longer_session_left_is_ended() {
        let cookies = cookies();
        let set = cookies.set_session("a", &request(&["gw=3x; gw.1=y; gw.2=z; gw.9=q"])).unwrap();
        assert_eq!(set.len(), 3);
        assert!(set.iter().skip(1).all(|one| one.contains("=; Max-Age=0")), "{set:?}");
    }

    #[test]
    fn ours_go_and_others_stay() {
        let mut headers = request(&["a=b; gw=1x; gw.1=y; gw_login_abc=z; gwen=c", "gw=1"]);
        cookies().remove(&mut headers);
        assert_eq!(headers.get(Known::Cookie), Some(&b"a=b; gwen=c"[..]));
        assert_eq!(headers.all(Known::Cookie).count(), 1);
    }
}
