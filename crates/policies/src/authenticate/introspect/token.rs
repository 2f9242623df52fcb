//! Finds the token that a request shows.

use policy::message::{Headers, Name, Request};
use policy::{Code, Refusal};

use crate::authenticate::shown;

/// Most bytes of a token; what is longer is asked of nobody.
const TOKEN_BYTES: usize = 4096;

/// Where tokens stand.
#[derive(Debug)]
pub(super) enum Place {
    /// `Authorization: Bearer`.
    Bearer,
    /// The whole value of a header field.
    Header(Name),
    /// A query parameter.
    Query(String),
}

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// What can be a token (RFC 6750 §2.1).
    Token(String),
    /// What can be none.
    Broken,
}

impl Place {
    /// What `request` shows here.
    ///
    /// # Errors
    /// More than one token.
    pub(super) fn find(&self, request: &Request, several: &'static Code) -> Result<Shown, Refusal> {
        let found = match self {
            Self::Bearer => shown::authorization(&request.headers, "Bearer")?,
            Self::Header(name) => only(&request.headers, name, several)?,
            Self::Query(name) => {
                let query = request.target.query.as_deref().unwrap_or_default();
                let mut values = query.split('&').filter_map(|pair| value(pair, name));
                let found = values.next();
                if values.next().is_some() {
                    return Err(Refusal::new(several).detail("the query holds several tokens"));
                }
                found.map(str::as_bytes)
            }
        };
        Ok(match found.map(std::str::from_utf8) {
            None => Shown::Nothing,
            Some(Ok(token)) if is_token(token) => Shown::Token(token.to_owned()),
            Some(_) => Shown::Broken,
        })
    }

    /// Takes the token out of `request`.
    pub(super) fn take(&self, request: &mut Request) {
        match self {
            Self::Bearer => {
                if !matches!(shown::authorization(&request.headers, "Bearer"), Ok(None)) {
                    request.headers.remove(policy::message::Known::Authorization);
                }
            }
            Self::Header(name) => {
                request.headers.remove(name);
            }
            Self::Query(name) => {
                let Some(query) = &request.target.query else { return };
                let kept = query.split('&').filter(|pair| value(pair, name).is_none());
                let kept = kept.collect::<Vec<_>>().join("&");
                request.target.query = Some(kept).filter(|kept| !kept.is_empty());
            }
        }
    }
}

/// The one value of a field.
fn only<'h>(
    headers: &'h Headers,
    name: &'h Name,
    several: &'static Code,
) -> Result<Option<&'h [u8]>, Refusal> {
    let mut values = headers.all(name);
    let found = values.next();
    match values.next() {
        Some(_) => {
            let what = format!("{} stands there twice", name.as_str());
            Err(Refusal::new(several).detail(what))
        }
        None => Ok(found),
    }
}

/// The value of a query's `pair`, where it has this name.
fn value<'p>(pair: &'p str, name: &str) -> Option<&'p str> {
    pair.split_once('=').filter(|(known, _)| *known == name).map(|(_, value)| value)
}

/// `b64token` of RFC 6750 §2.1, of which all tokens in use are. What has other characters is shown
/// to no server.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    !body.is_empty() && text.len() <= TOKEN_BYTES && body.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticate::shown::MULTIPLE_CREDENTIALS as SEVERAL;

    fn find(place: &Place, request: &Request) -> Result<Shown, u16> {
        place.find(request, &SEVERAL).map_err(|refusal| refusal.code.status)
    }

    fn with(headers: &[(&str, &str)], query: Option<&str>) -> Request {
        let mut request = Request::default();
        for (name, value) in headers {
            request.headers.append(name, value);
        }
        request.target.query = query.map(str::to_owned);
        request
    }

    #[test]
    fn a_token_is_found_where_it_may_stand_and_nowhere_else() {
        let all = with(&[("authorization", "bearer abc"), ("x-token", "abd")], Some("a=1&t=abe"));
        let places = [
            (Place::Bearer, "abc"),
            (Place::Header(Name::new("x-token").unwrap()), "abd"),
            (Place::Query("t".into()), "abe"),
        ];
        for (place, token) in places {
            assert_eq!(find(&place, &all), Ok(Shown::Token(token.into())));
            assert_eq!(find(&place, &Request::default()), Ok(Shown::Nothing));
            let mut left =
                with(&[("authorization", "bearer abc"), ("x-token", "abd")], Some("a=1&t=abe"));
            place.take(&mut left);
            assert_eq!(find(&place, &left), Ok(Shown::Nothing));
        }
        assert_eq!(find(&Place::Bearer, &with(&[("authorization", "Basic YTpi")], None)), {
            Ok(Shown::Nothing)
        });
    }

    #[test]
    fn what_can_be_no_token_is_broken_and_two_are_too_many() {
        let long = "a".repeat(TOKEN_BYTES + 1);
        for bad in ["", "=", "a b", "a&b=c", "a%20b", "a\"b", "ä", "a=b", &long] {
            let header = Place::Header(Name::new("x-token").unwrap());
            assert_eq!(find(&header, &with(&[("x-token", bad)], None)), Ok(Shown::Broken), "{bad}");
        }
        let two = with(&[("x-token", "a"), ("X-Token", "a")], Some("t=a&t=a"));
        for place in [Place::Header(Name::new("x-token").unwrap()), Place::Query("t".into())] {
            assert_eq!(find(&place, &two), Err(400));
        }
        let two = with(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], None);
        assert_eq!(find(&Place::Bearer, &two), Err(400));
    }
}
