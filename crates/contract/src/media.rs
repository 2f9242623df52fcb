//! Media types, as contracts name them (RFC 9110 §8.3.1).

/// A media type, or a range of them: `application/json`, `image/*`, `*/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// In lower case, without parameters.
    text: String,
}

impl Media {
    /// The media type of a field's value, or of a contract's key; its parameters are left out.
    pub fn of(value: &str) -> Self {
        let text = value.split(';').next().unwrap_or_default();
        Self { text: text.trim_matches([' ', '\t']).to_ascii_lowercase() }
    }

    /// The type without its parameters, in lower case.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How exactly it says `other`: 3 by name, 2 by `type/*`, 1 by `*/*`; none where it says
    /// something else.
    pub fn matches(&self, other: &Self) -> Option<u8> {
        if self.text == other.text {
            return Some(3);
        }
        match self.text.strip_suffix("/*") {
            Some("*") => Some(1),
            Some(kind) => other.text.split_once('/').filter(|(it, _)| *it == kind).map(|_| 2),
            None => None,
        }
    }

    /// Whether it is JSON.
    pub fn is_json(&self) -> bool {
        self.text == "application/json" || self.text.ends_with("+json")
    }

    /// Whether it is `application/x-www-form-urlencoded`.
    pub fn is_form(&self) -> bool {
        self.text == "application/x-www-form-urlencoded"
    }

    /// Whether it is plain text.
    pub fn is_text(&self) -> bool {
        self.text == "text/plain"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_match_by_how_much_they_say() {
        for (range, value, how) in [
            ("application/json", "Application/JSON; charset=utf-8", Some(3)),
            ("application/*", "application/json", Some(2)),
            ("*/*", "application/json", Some(1)),
            ("application/json", "application/problem+json", None),
            ("text/*", "application/json", None),
        ] {
            assert_eq!(Media::of(range).matches(&Media::of(value)), how, "{range} {value}");
        }
        assert!(Media::of("application/vnd.acme+json;v=1").is_json());
        assert!(!Media::of("application/jsonp").is_json());
    }
}
