//! Texts with parameters: `{name}`. No HTTP in here.

use std::borrow::Cow;

/// A text with parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Parameter(Box<str>),
}

impl Template {
    /// Reads `text`; an error says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
                '{' => {
                    let name: String =
                        std::iter::from_fn(|| rest.next_if(|c| is_name(*c))).collect();
                    if name.is_empty() || rest.next() != Some('}') {
                        return Err(format!("`{{{name}` opens a parameter and does not close it"));
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(Part::Parameter(name.into()));
                }
                '}' => return Err("`}` closes a parameter that was not opened".to_owned()),
                c => plain.push(c),
            }
        }
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self(parts))
    }

    /// The text with parameters filled in; none where one is not there.
    pub(super) fn fill<'t>(
        &'t self,
        parameter: impl Fn(&str) -> Option<&'t str>,
    ) -> Option<Cow<'t, str>> {
        let part = |part: &'t Part| match part {
            Part::Text(text) => Some(&**text),
            Part::Parameter(name) => parameter(name),
        };
        match self.0.as_slice() {
            [one] => part(one).map(Cow::Borrowed),
            parts => parts.iter().map(part).collect::<Option<String>>().map(Cow::Owned),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in_and_doubled_braces_are_braces() {
        fn parameter<'a>(name: &str) -> Option<&'a str> {
            (name == "id").then_some("42")
        }
        for (text, filled) in [
            ("plain", Some("plain")),
            ("", Some("")),
            ("{id}", Some("42")),
            ("a-{id}-{id}", Some("a-42-42")),
            ("{{id}} }}{{", Some("{id} }{")),
            ("{other}", None),
            ("a {other}", None),
        ] {
            let template = Template::new(text).unwrap();
            assert_eq!(template.fill(parameter).as_deref(), filled, "{text}");
        }
    }

    #[test]
    fn broken_parameters_are_refused() {
        for text in ["{", "{id", "}", "{}", "{a b}", "a}b", "{{{", "{id}}"] {
            assert!(Template::new(text).is_err(), "{text}");
        }
    }
}
