//! Header fields that tell the upstream who calls. What callers send under their names is removed
//! before any policy runs, whatever the spelling.

use std::borrow::Cow;
use std::fmt::Write;

use base::{Pointer, Problem, Problems};
use policy::message::{Headers, Known, Name};
use policy::{Caller, Compile};
use serde_json::{Map, Value};

/// Most bytes of a value.
const BYTES: usize = 4096;

/// What of a caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The application's name.
    Application,
    /// The organization's name.
    Organization,
    /// The id of the credential.
    Credential,
    /// Whom the credential speaks of.
    Subject,
    /// Who issued it.
    Issuer,
    /// What it may be used for.
    Scopes,
    /// Groups and roles.
    Groups,
    /// What stands at this place of its claims (RFC 6901).
    Claim(Box<str>),
}

/// Fields, and what they tell.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(Name, Fact)>);

impl Fields {
    /// Tells `fact` in the field `written`, which stands at `at`; an empty name tells nothing. What
    /// can't be a field of its own becomes a problem.
    pub(crate) fn add(
        &mut self,
        written: &str,
        fact: Fact,
        at: &Pointer,
        cx: &mut Compile<'_>,
        problems: &mut Problems,
    ) {
        if written.is_empty() {
            return;
        }
        let Some(name) = name(written, at, problems) else { return };
        if self.0.iter().any(|(known, _)| *known == name) {
            let problem = Problem::new(at, format!("`{written}` tells something else already"));
            problems.push(problem.hint("give each fact a field of its own"));
            return;
        }
        cx.identity_headers.push(name.as_str().to_owned());
        self.0.push((name, fact));
    }

    /// Whether nothing is told.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes them. A fact that there is not leaves no field of its name, whoever wrote one before.
    pub(crate) fn write(&self, headers: &mut Headers, caller: Option<&Caller>) {
        for (name, fact) in &self.0 {
            headers.remove(name);
            let Some(value) = caller.and_then(|caller| fact.of(caller)) else { continue };
            if value.len() <= BYTES {
                headers.append(name.as_str(), &*value);
            }
        }
    }
}

/// The header name `written`; what is none, or has a meaning already, becomes a problem.
pub(crate) fn name(written: &str, at: &Pointer, problems: &mut Problems) -> Option<Name> {
    match Name::new(written) {
        Some(name) if Known::of(written.as_bytes()) == Known::Other => return Some(name),
        Some(_) => problems.push(
            Problem::new(at, format!("`{written}` has another meaning in HTTP"))
                .hint("use a name of its own, as in `x-api-key`"),
        ),
        None => problems.push(
            Problem::new(at, format!("`{written}` can't be a header's name"))
                .hint("use letters, digits and `-`, as in `x-api-key`"),
        ),
    }
    None
}

impl Fact {
    /// What there is to tell of `caller`.
    fn of<'c>(&self, caller: &'c Caller) -> Option<Cow<'c, str>> {
        let grant = caller.grant.as_deref();
        let one = |text: Option<&'c str>| text.filter(|text| !text.is_empty()).map(plain);
        match self {
            Self::Application => one(caller.application_name()),
            Self::Organization => one(caller.organization()),
            Self::Credential => one(Some(&caller.credential)),
            Self::Subject => one(grant?.subject.as_deref()),
            Self::Issuer => one(grant?.issuer.as_deref()),
            Self::Scopes => list(caller.scopes().map(Cow::from), " "),
            Self::Groups => list(caller.groups().map(Cow::from), ","),
            Self::Claim(place) => claim(&grant?.claims, place),
        }
    }
}

/// What stands at `place` of `claims`: a text, a number, true or false, or a list of those. Nothing
/// else can be told in a field.
fn claim<'c>(claims: &'c Map<String, Value>, place: &str) -> Option<Cow<'c, str>> {
    let (first, rest) = place.strip_prefix('/')?.split_once('/').map_or_else(
        || (place.strip_prefix('/').unwrap_or_default(), None),
        |(first, rest)| (first, Some(rest)),
    );
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    let value = match rest {
        Some(rest) => value.pointer(&format!("/{rest}"))?,
        None => value,
    };
    match value {
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(scalar).collect();
            list(items?.into_iter(), ",")
        }
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(plain(text)),
        value => scalar(value),
    }
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(yes) => Some(if *yes { "true" } else { "false" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text as a field's value: what is no visible ASCII is percent-encoded, and `%` with it, so that
/// it can be told what it was.
fn plain(text: &str) -> Cow<'_, str> {
    let inner = text.trim_matches(' ').len() == text.len();
    encoded(text, |byte| byte.is_ascii_graphic() || (byte == b' ' && inner))
}

/// Texts joined by `by`; in them what separates elements of lists is encoded too, so that none can
/// pass for two.
fn list<'c>(texts: impl Iterator<Item = Cow<'c, str>>, by: &str) -> Option<Cow<'c, str>> {
    let mut joined = String::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !joined.is_empty() {
            joined.push_str(by);
        }
        joined.push_str(&encoded(&text, |byte| byte.is_ascii_graphic() && byte != b','));
        if joined.len() > BYTES {
            return None;
        }
    }
    (!joined.is_empty()).then_some(joined.into())
}

fn encoded(text: &str, stays: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let stays = |byte: u8| byte != b'%' && stays(byte);
    if text.bytes().all(stays) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::{Application, Grant};
    use serde_json::json;

    use super::*;

    fn caller() -> Caller {
        let claims = json!({
            "email": "ann@example.com",
            "a/b": { "c~d": [1, true, "x,y"] },
            "none": null,
            "deep": { "er": {} },
            "long": "x".repeat(BYTES + 1),
        });
        Caller {
            application: Some(Arc::new(Application {
                name: "Müller & 100%".into(),
                groups: vec!["a,admin".into(), "b c".into()].into(),
                ..Application::default()
            })),
            credential: "1".into(),
            by: "jwt",
            grant: Some(Arc::new(Grant {
                subject: Some("ann\r\nX-Admin: 1".into()),
                scopes: vec!["read".into(), "write all".into()],
                claims: claims.as_object().cloned().unwrap_or_default(),
                ..Grant::default()
            })),
        }
    }

    #[test]
    fn a_value_is_one_line_and_an_element_never_passes_for_two() {
        for (fact, told) in [
            (Fact::Application, Some("M%C3%BCller & 100%25")),
            (Fact::Organization, None),
            (Fact::Subject, Some("ann%0D%0AX-Admin: 1")),
            (Fact::Scopes, Some("read write%20all")),
            (Fact::Groups, Some("a%2Cadmin,b%20c")),
            (Fact::Claim("/email".into()), Some("ann@example.com")),
            (Fact::Claim("/a~1b/c~0d".into()), Some("1,true,x%2Cy")),
            (Fact::Claim("/a~1b/c~0d/0".into()), Some("1")),
            (Fact::Claim("/none".into()), None),
            (Fact::Claim("/deep".into()), None),
            (Fact::Claim("/nowhere/x".into()), None),
        ] {
            assert_eq!(fact.of(&caller()).as_deref(), told, "{fact:?}");
        }
    }

    #[test]
    fn what_is_not_known_leaves_no_field_behind() {
        let name = |text| Name::new(text).unwrap();
        let fields = Fields(vec![
            (name("x-org"), Fact::Organization),
            (name("x-long"), Fact::Claim("/long".into())),
            (name("x-by"), Fact::Credential),
        ]);
        let mut headers = Headers::new();
        for name in ["x-org", "X-Long", "x-by"] {
            headers.append(name, "forged");
        }
        fields.write(&mut headers, Some(&caller()));
        let left: Vec<_> = headers.iter().map(|(_, name, value)| (name, value)).collect();
        assert_eq!(left, [(&b"x-by"[..], &b"1"[..])]);
        fields.write(&mut headers, None);
        assert!(headers.is_empty());
    }
}
