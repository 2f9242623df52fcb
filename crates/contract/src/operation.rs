//! What a contract says of its operations.

use policy::message::Name;

use crate::{Media, Place, Shape};

/// A method on a path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its `operationId`, where it has one.
    pub id: Option<String>,
    /// The method, in upper case.
    pub method: String,
    /// The path's template, as written.
    pub path: String,
    /// Where it stands.
    pub place: Place,
    /// What it takes outside of the body.
    pub parameters: Vec<Parameter>,
    /// What body it takes; none where the contract has none.
    pub body: Option<Body>,
    /// What it answers.
    pub responses: Vec<Response>,
}

impl Operation {
    /// What people call it: its id, or method and path.
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| format!("{} {}", self.method, self.path))
    }

    /// The path without the query that some documents put behind it, and that query.
    pub fn path_and_query(&self) -> (&str, Option<&str>) {
        match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&self.path, None),
        }
    }

    /// The names of the path's parameters, in their order.
    pub fn path_names(&self) -> Vec<&str> {
        let braces = self.path_and_query().0.split('{').skip(1);
        braces.filter_map(|after| after.split_once('}').map(|(name, _)| name)).collect()
    }
}

/// A body that is taken.
#[derive(Clone, Debug)]
pub struct Body {
    /// Whether there has to be one.
    pub required: bool,
    /// Of which types it may be.
    pub contents: Vec<Content>,
}

/// A body of one media type.
#[derive(Clone, Debug)]
pub struct Content {
    /// The type, or a range of types.
    pub media: Media,
    /// The schema; none where anything goes.
    pub schema: Option<Place>,
    /// What the schema takes, for bodies whose text does not tell types: forms.
    pub shape: Shape,
    /// How fields of a form are written that are not written as usual.
    pub encodings: Vec<Encoding>,
}

/// How a field of a form is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The field.
    pub name: String,
    /// How its value is written.
    pub style: Style,
    /// Whether each item or member of a value is written by itself.
    pub explode: bool,
}

/// A parameter, or a response's header field.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Where in a request it stands.
    pub place: In,
    /// Its name.
    pub name: String,
    /// Its name as a header field's, of those.
    pub field: Option<Name>,
    /// Whether it has to be there.
    pub required: bool,
    /// Whether it may be there without a value (`?flag`).
    pub empty: bool,
    /// How its value is written.
    pub style: Style,
    /// Whether each item or member of a value is written by itself.
    pub explode: bool,
    /// The schema; none where anything goes.
    pub schema: Option<Place>,
    /// What the schema takes: the text of a parameter does not tell types.
    pub shape: Shape,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum In {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header field.
    Header,
    /// In a cookie.
    Cookie,
}

impl In {
    /// The word contracts have for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }

    /// What the word `word` means.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Path, Self::Query, Self::Header, Self::Cookie]
            .into_iter()
            .find(|place| place.word() == word)
    }
}

/// How a value is written (OpenAPI 3.1 §4.8.12.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `a,b`; members as `k,v`, or `k=v` where exploded.
    Simple,
    /// `.a.b`.
    Label,
    /// `;name=a,b`.
    Matrix,
    /// `name=a,b`, or `name=a&name=b`.
    Form,
    /// `name=a%20b`.
    Space,
    /// `name=a%09b`: 2.0 alone has it.
    Tab,
    /// `name=a|b`.
    Pipe,
    /// `name[k]=v`.
    Deep,
    /// JSON.
    Json,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// For which statuses.
    pub statuses: Statuses,
    /// Of which types the body may be; none where the contract says nothing of it.
    pub contents: Vec<Content>,
    /// Header fields it has.
    pub headers: Vec<Parameter>,
}

/// Statuses that a response stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// A hundred of them: 4 for `4XX`.
    Hundred(u16),
    /// All that no other stands for.
    Default,
}

impl Statuses {
    /// What the key `text` of `responses` means.
    pub(crate) fn of(text: &str) -> Option<Self> {
        if text == "default" {
            return Some(Self::Default);
        }
        let hundred = text.strip_suffix("XX").or_else(|| text.strip_suffix("xx"));
        if let Some(hundred) = hundred {
            return hundred.parse().ok().filter(|it| (1..=5).contains(it)).map(Self::Hundred);
        }
        text.parse().ok().filter(|status| (100..=599).contains(status)).map(Self::One)
    }

    /// How exactly it says `status`: 3 by number, 2 by hundred, 1 by default; none where it says
    /// another.
    pub fn matches(self, status: u16) -> Option<u8> {
        match self {
            Self::One(one) => (one == status).then_some(3),
            Self::Hundred(hundred) => (hundred == status / 100).then_some(2),
            Self::Default => Some(1),
        }
    }
}
