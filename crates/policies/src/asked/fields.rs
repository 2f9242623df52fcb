//! Header fields that a server is told, or tells: lists of their names.

use base::{Pointer, Problem, Problems};
use policy::Exchange;
use policy::message::{Headers, Known, Name};

/// What a list of names is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The server is told them.
    Told,
    /// The upstream gets them, from the server alone.
    Upstream,
    /// The client gets them.
    Client,
}

/// The names in a list; what can't be one becomes a problem.
pub(crate) fn names(
    written: &[String],
    purpose: Use,
    at: &Pointer,
    problems: &mut Problems,
) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::with_capacity(written.len());
    for (number, text) in written.iter().enumerate() {
        let at = at.index(number);
        match Name::new(text) {
            None => {
                let what = format!("`{text}` can't be a header's name");
                let hint = "use letters, digits and `-`, as in `x-user`";
                problems.push(Problem::new(&at, what).hint(hint));
            }
            Some(name) if !fits(Known::of(text.as_bytes()), purpose) => {
                let what = format!("`{}` has another meaning in HTTP", name.as_str());
                let hint = match purpose {
                    Use::Told => "it is sent anyway, or never: leave it out",
                    _ => "use a name of its own, as in `x-user`",
                };
                problems.push(Problem::new(&at, what).hint(hint));
            }
            Some(name) if names.contains(&name) => {}
            Some(name) => names.push(name),
        }
    }
    names
}

/// Whether a field may be used so: not those that messages are framed or routed by.
const fn fits(known: Known, purpose: Use) -> bool {
    match known {
        Known::Other | Known::Authorization => true,
        Known::Cookie | Known::UserAgent | Known::Origin | Known::XForwardedFor => {
            matches!(purpose, Use::Told)
        }
        Known::Accept | Known::ContentType | Known::ContentEncoding | Known::XRequestId => {
            matches!(purpose, Use::Told)
        }
        Known::TraceParent | Known::TraceState => matches!(purpose, Use::Told),
        Known::SetCookie
        | Known::WwwAuthenticate
        | Known::Location
        | Known::RetryAfter
        | Known::CacheControl => matches!(purpose, Use::Client),
        _ => false,
    }
}

/// Fields of an answer, by an allow-list.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Vec<Name>);

impl Fields {
    /// Puts those of `answered` that are listed in place of what `headers` has of them. What the
    /// answer leaves out is gone. False if a value can't be a header field's.
    pub(crate) fn replace<'a>(
        &self,
        headers: &mut Headers,
        answered: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> bool {
        for name in &self.0 {
            headers.remove(name);
        }
        self.append(headers, answered)
    }

    /// Adds those of `answered` that are listed. False if a value can't be a header field's.
    pub(crate) fn append<'a>(
        &self,
        headers: &mut Headers,
        answered: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> bool {
        let listed = answered.filter(|(name, _)| self.lists(name));
        listed.fold(true, |good, (name, value)| headers.append(name, value) && good)
    }

    /// Moves those that are listed from what `exchange` has for the response into it. One more
    /// cookie does not take the place of another; any other field does.
    pub(crate) fn settle(&self, exchange: &mut Exchange) {
        if exchange.for_response.is_empty() {
            return;
        }
        let Exchange { for_response, response, .. } = exchange;
        for name in &self.0 {
            if !for_response.has(name) {
                continue;
            }
            if Known::of(name.as_str().as_bytes()) != Known::SetCookie {
                response.headers.remove(name);
            }
            for_response.all(name).for_each(|value| {
                response.headers.append(name.as_str(), value);
            });
            for_response.remove(name);
        }
    }

    /// Whether `name` is listed.
    fn lists(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_or_routes_a_message_is_in_no_list() {
        let all = ["host", "content-length", "transfer-encoding", "connection", "x-forwarded-host"];
        for purpose in [Use::Told, Use::Upstream, Use::Client] {
            let mut problems = Problems::new();
            let written = all.map(str::to_owned);
            assert!(names(&written, purpose, &Pointer::root(), &mut problems).is_empty());
            assert_eq!(problems.len(), all.len());
        }
        let mut problems = Problems::new();
        let twice = ["X-A".to_owned(), "x-a".to_owned(), "authorization".to_owned()];
        assert_eq!(names(&twice, Use::Upstream, &Pointer::root(), &mut problems).len(), 2);
        assert!(problems.is_empty());
    }

    #[test]
    fn only_what_is_listed_passes_and_what_is_left_out_goes() {
        let fields = Fields(vec![Name::new("x-user").unwrap(), Name::new("x-role").unwrap()]);
        let mut headers = Headers::new();
        headers.append("X-User", "forged");
        headers.append("X-ROLE", "forged");
        headers.append("x-else", "stays");
        let answered = [("x-user", &b"ann"[..]), ("x-other", b"no"), ("content-length", b"1")];
        assert!(fields.replace(&mut headers, answered.into_iter()));
        assert_eq!(format!("{headers:?}"), r#"{"x-else": "stays", "x-user": "ann"}"#);
        let broken = [("x-user", &b"a\r\nx-admin: 1"[..])];
        assert!(!fields.replace(&mut headers, broken.into_iter()));
        assert_eq!(format!("{headers:?}"), r#"{"x-else": "stays"}"#);
    }
}
