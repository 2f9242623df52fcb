//! Where a request shows its token.

use policy::Refusal;
use policy::message::{Known, Name, Request};

use crate::authenticate::shown::{MULTIPLE_CREDENTIALS, authorization};

/// A place.
#[derive(Debug)]
pub(super) enum Place {
    Authorization,
    Header(Name),
    Cookie(String),
    Query(String),
}

/// A token, as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) token: String,
    /// Whether it came with the scheme `DPoP`.
    pub(super) dpop: bool,
}

/// The one token of a request.
///
/// # Errors
/// It shows several.
pub(super) fn find(places: &[Place], request: &Request) -> Result<Option<Shown>, Refusal> {
    let mut found: Option<Shown> = None;
    for place in places {
        for shown in place.shown(request)? {
            // Which of two is meant is not clear.
            if found.as_ref().is_some_and(|found| *found != shown) {
                let refusal = Refusal::new(&MULTIPLE_CREDENTIALS);
                return Err(refusal.detail("the request shows two tokens"));
            }
            found = Some(shown);
        }
    }
    Ok(found)
}

/// Takes tokens out of a request.
pub(super) fn remove(places: &[Place], request: &mut Request) {
    for place in places {
        place.remove(request);
    }
}

impl Place {
    fn shown(&self, request: &Request) -> Result<Vec<Shown>, Refusal> {
        let headers = &request.headers;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let bearer = |token: String| Shown { token, dpop: false };
        Ok(match self {
            Self::Authorization => {
                let mut all = Vec::new();
                for (scheme, dpop) in [("bearer", false), ("dpop", true)] {
                    let found = authorization(headers, scheme)?;
                    all.extend(found.map(|token| Shown { token: text(token), dpop }));
                }
                all
            }
            Self::Header(name) => headers
                .all(name)
                .map(|value| bearer(text(without_scheme(value))))
                .filter(|shown| !shown.token.is_empty())
                .collect(),
            Self::Cookie(name) => headers
                .all(Known::Cookie)
                .flat_map(|value| value.split(|byte| *byte == b';'))
                .filter_map(|pair| cookie(pair, name).map(|value| bearer(text(value))))
                .collect(),
            Self::Query(name) => {
                let query = request.target.query.as_deref().unwrap_or_default();
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let own = pairs.filter(|(found, value)| found == name && !value.is_empty());
                own.map(|(_, value)| bearer(value.to_owned())).collect()
            }
        })
    }

    fn remove(&self, request: &mut Request) {
        match self {
            Self::Authorization => {
                let ours =
                    |value: &[u8]| has_scheme(value, b"bearer") || has_scheme(value, b"dpop");
                if request.headers.all(Known::Authorization).any(ours) {
                    request.headers.remove(Known::Authorization);
                }
            }
            Self::Header(name) => drop(request.headers.remove(name)),
            Self::Cookie(name) => remove_cookie(request, name),
            Self::Query(name) => remove_parameter(request, name),
        }
    }
}

fn has_scheme(value: &[u8], scheme: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let (found, rest) = value.split_at(scheme.len().min(value.len()));
    found.eq_ignore_ascii_case(scheme) && matches!(rest.first(), None | Some(b' '))
}

fn without_scheme(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            token.trim_ascii_start()
        }
        _ => value,
    }
}

/// The value of a cookie of this name (RFC 6265 §4.2.1).
fn cookie<'p>(pair: &'p [u8], name: &str) -> Option<&'p [u8]> {
    let (found, value) = pair.trim_ascii().split_at_checked(name.len())?;
    let value = value.strip_prefix(b"=").filter(|value| !value.is_empty())?;
    (found == name.as_bytes()).then_some(value)
}

fn remove_cookie(request: &mut Request, name: &str) {
    let ours = |pair: &[u8]| cookie(pair, name).is_some();
    let cookies: Vec<Vec<u8>> = request.headers.all(Known::Cookie).map(<[u8]>::to_vec).collect();
    if !cookies.iter().any(|value| value.split(|byte| *byte == b';').any(ours)) {
        return;
    }
    request.headers.remove(Known::Cookie);
    for value in cookies {
        let kept = value.split(|byte| *byte == b';').filter(|pair| !ours(pair));
        let kept: Vec<&[u8]> = kept.map(<[u8]>::trim_ascii).filter(|p| !p.is_empty()).collect();
        if !kept.is_empty() {
            request.headers.append_known(Known::Cookie, kept.join(&b"; "[..]));
        }
    }
}

fn remove_parameter(request: &mut Request, name: &str) {
    let ours = |pair: &str| pair.split_once('=').map_or(pair, |(found, _)| found) == name;
    let Some(query) = request.target.query.as_deref() else { return };
    if query.split('&').any(ours) {
        let kept: Vec<&str> = query.split('&').filter(|pair| !ours(pair)).collect();
        request.target.query = (!kept.is_empty()).then(|| kept.join("&"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], query: &str) -> Request {
        let mut request = Request::default();
        for (name, value) in headers {
            request.headers.append(name, value);
        }
        request.target.query = Some(query.to_owned());
        request
    }

    fn places() -> Vec<Place> {
        vec![
            Place::Authorization,
            Place::Header(Name::new("x-token").unwrap()),
            Place::Cookie("session".to_owned()),
            Place::Query("access_token".to_owned()),
        ]
    }

    #[test]
    fn a_token_is_found_in_each_place_and_taken_out_of_it() {
        for (headers, query, left_headers, left_query) in [
            (&[("authorization", "Bearer abc")][..], "a=1", "{}", Some("a=1")),
            (&[("authorization", "bearer  abc")], "a=1", "{}", Some("a=1")),
            (&[("x-token", "abc")], "a=1", "{}", Some("a=1")),
            (&[("x-token", "Bearer abc")], "a=1", "{}", Some("a=1")),
            (
                &[("cookie", "a=b; session=abc; c=d")],
                "a=1",
                r#"{"cookie": "a=b; c=d"}"#,
                Some("a=1"),
            ),
            (&[("cookie", "session=abc")], "a=1", "{}", Some("a=1")),
            (&[], "access_token=abc", "{}", None),
            (&[], "b=2&access_token=abc&c=3", "{}", Some("b=2&c=3")),
            (&[("x-token", "abc"), ("authorization", "Bearer abc")], "", "{}", Some("")),
        ] {
            let mut request = request(headers, query);
            let found = find(&places(), &request).unwrap().unwrap();
            assert_eq!((found.token.as_str(), found.dpop), ("abc", false), "{headers:?}");
            remove(&places(), &mut request);
            assert_eq!(format!("{:?}", request.headers).to_lowercase(), left_headers);
            assert_eq!(request.target.query.as_deref(), left_query, "{query}");
        }
    }

    #[test]
    fn two_tokens_are_none_and_other_schemes_stay() {
        for headers in [
            &[("authorization", "Bearer abc"), ("x-token", "abd")][..],
            &[("authorization", "Bearer abc"), ("authorization", "Bearer abc")],
            &[("authorization", "DPoP abc"), ("x-token", "abc")],
            &[("x-token", "abc"), ("x-token", "abd")],
            &[("cookie", "session=a; session=b")],
        ] {
            let refusal = find(&places(), &request(headers, "")).unwrap_err();
            assert_eq!(refusal.code.name, "multiple_credentials", "{headers:?}");
        }
        let mut basic = request(&[("authorization", "Basic YTpi")], "");
        assert_eq!(find(&places(), &basic).unwrap(), None);
        remove(&places(), &mut basic);
        assert!(basic.headers.has(Known::Authorization));
        let shown = find(&places(), &request(&[("authorization", "DPoP abc")], "")).unwrap();
        assert!(shown.unwrap().dpop);
    }
}
