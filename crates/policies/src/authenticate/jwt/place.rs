//! Places of claims: `sub`, `realm_access.roles`, `/realm_access/roles` (RFC 6901).

use serde_json::{Map, Value};

/// A place in a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    written: Box<str>,
    /// The names to follow, from the outside in.
    names: Vec<String>,
}

impl Place {
    /// The place written like this. What begins with `/` is a JSON Pointer; dots lead inwards,
    /// unless it is a URL, as names of claims often are.
    pub(super) fn new(written: &str) -> Option<Self> {
        let names: Vec<String> = match written.strip_prefix('/') {
            Some(rest) => {
                rest.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
            }
            None if written.contains("://") => vec![written.to_owned()],
            None => written.split('.').map(str::to_owned).collect(),
        };
        let sound = names.len() <= 8 && names.iter().all(|name| !name.is_empty());
        sound.then(|| Self { written: written.into(), names })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.written
    }

    /// As a JSON Pointer.
    pub(super) fn pointer(&self) -> String {
        let escaped = self.names.iter().map(|name| name.replace('~', "~0").replace('/', "~1"));
        escaped.fold(String::new(), |pointer, name| pointer + "/" + &name)
    }

    /// What stands there.
    pub(super) fn of<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let (first, rest) = self.names.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            value => value.get(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_found_where_they_are_said_to_be() {
        let claims = json!({
            "sub": "ann",
            "realm": { "roles": ["a", "b"], "x/y": 1 },
            "https://example.com/role": "admin",
        });
        let claims = claims.as_object().unwrap();
        for (written, found) in [
            ("sub", Some(json!("ann"))),
            ("/sub", Some(json!("ann"))),
            ("realm.roles", Some(json!(["a", "b"]))),
            ("/realm/roles/1", Some(json!("b"))),
            ("/realm/x~1y", Some(json!(1))),
            ("https://example.com/role", Some(json!("admin"))),
            ("realm.none", None),
            ("sub.x", None),
            ("realm.roles.9", None),
        ] {
            let place = Place::new(written).unwrap();
            assert_eq!(place.of(claims), found.as_ref(), "{written}");
        }
        for bad in ["", "/", "a..b", ".a", "a.", "a.b.c.d.e.f.g.h.i"] {
            assert_eq!(Place::new(bad), None, "{bad}");
        }
        assert_eq!(Place::new("a.b").unwrap().pointer(), "/a/b");
        assert_eq!(Place::new("https://a/b").unwrap().pointer(), "/https:~1~1a~1b");
    }
}
