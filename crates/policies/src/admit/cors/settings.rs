//! The settings of `cors`, and what may be wrong with them.

use base::{Pointer, Problem, Problems, Span};
use policy::message::{Method, Name};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admit::origins::Origins;

/// Which web pages may call, and what they may send and see.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cors")]
pub(super) struct Settings {
    /// Origins of pages that may call: `https://app.example.com`, `https://*.example.com` for
    /// everything below a domain, `null` for pages without an origin, `*` alone for all.
    origins: Vec<String>,
    /// Methods that pages may use; `*` alone for any.
    #[serde(default = "methods")]
    #[schemars(default = "methods")]
    methods: Vec<String>,
    /// Header fields that pages may send; `*` alone for any.
    #[serde(default = "headers")]
    #[schemars(default = "headers")]
    headers: Vec<String>,
    /// Header fields of answers that pages may see, beside those that all may.
    #[serde(default)]
    expose: Vec<String>,
    /// Whether pages may call with the cookies and the logins of whoever looks at them.
    #[serde(default)]
    pub(super) credentials: bool,
    /// How long browsers may remember what they were told before they ask again. They have bounds
    /// of their own, of about two hours.
    #[serde(default = "max_age")]
    #[schemars(default = "max_age")]
    pub(super) max_age: Span,
    /// Whether pages of the public network may call, where the gateway stands in a private one.
    #[serde(default)]
    pub(super) private_network: bool,
    /// What becomes of calls, other than preflights, from pages of other origins.
    #[serde(default)]
    pub(super) other_origins: Other,
}

/// What becomes of calls from pages of other origins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CorsOtherOrigins")]
pub(super) enum Other {
    /// They pass; the browser keeps the answer from the page.
    #[default]
    Pass,
    /// They are refused.
    Refuse,
}

/// A list for a header field, or everything.
#[derive(Debug)]
pub(super) enum List {
    Any,
    These(Box<str>),
}

fn methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec()
}

fn headers() -> Vec<String> {
    ["Authorization", "Content-Type"].map(str::to_owned).to_vec()
}

const fn max_age() -> Span {
    Span::secs(600)
}

impl Settings {
    /// The origins.
    pub fn origins(&self, at: &Pointer, problems: &mut Problems) -> Origins {
        let at = at.key("origins");
        if self.origins.iter().any(|origin| origin == "*") {
            if self.origins.len() > 1 {
                let what = "`*` stands beside other origins, which it makes needless";
                problems.push(Problem::new(&at, what).hint("keep `*`, or list the origins"));
            }
            if self.credentials {
                let what = "`*` stands beside `credentials`: any page could act for your users";
                let hint = "list the origins that may, or remove `credentials`";
                problems.push(Problem::new(&at, what).hint(hint));
            }
            return Origins::Any;
        }
        if self.origins.is_empty() {
            let what = "no origin is listed";
            problems.push(Problem::new(&at, what).hint("list some, or remove the policy"));
        }
        Origins::listed(&self.origins, &at, problems)
    }

    /// The methods that pages may use.
    pub fn methods(&self, at: &Pointer, problems: &mut Problems) -> List {
        list(&self.methods, &at.key("methods"), problems, "method", |text| {
            Method::new(text.as_bytes()).is_some()
        })
    }

    /// The fields that pages may send.
    pub fn headers(&self, at: &Pointer, problems: &mut Problems) -> List {
        list(&self.headers, &at.key("headers"), problems, "header's name", is_name)
    }

    /// The fields that pages may see.
    pub fn expose(&self, at: &Pointer, problems: &mut Problems) -> Option<Box<str>> {
        let at = at.key("expose");
        match list(&self.expose, &at, problems, "header's name", is_name) {
            List::Any if self.credentials => {
                let what = "with `credentials` browsers take `*` for a field of that name";
                problems.push(Problem::new(&at, what).hint("list the fields"));
                None
            }
            List::Any => Some("*".into()),
            List::These(list) => Some(list).filter(|list| !list.is_empty()),
        }
    }
}

fn is_name(text: &str) -> bool {
    Name::new(text).is_some()
}

/// The list, as a header field has it.
fn list(
    texts: &[String],
    at: &Pointer,
    problems: &mut Problems,
    kind: &str,
    is: impl Fn(&str) -> bool,
) -> List {
    if let [only] = texts
        && only == "*"
    {
        return List::Any;
    }
    for (number, text) in texts.iter().enumerate() {
        if text == "*" || !is(text) {
            let what = format!("`{text}` can't be a {kind} here");
            let hint = "list them one by one, or write `[ \"*\" ]` alone for any";
            problems.push(Problem::new(&at.index(number), what).hint(hint));
        }
    }
    List::These(texts.join(", ").into())
}
