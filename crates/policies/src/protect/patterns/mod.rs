//! Refuses requests in which something looks like an attack.
//!
//! Path, query and body are searched for what the libraries know, and for patterns of one's own:
//!
//! ```yaml
//! apis:
//!   - name: shop
//!     path: /shop
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - patterns: {}
//!       - id: sensitive
//!         patterns:
//!           libraries: [sql_injection]
//!           patterns: [ { name: card-number, regex: '\b4[0-9]{15}\b' } ]
//!           parts: [query, body]
//!           headers: [Referer]
//!           mode: report
//! ```
//!
//! The libraries are `sql_injection`, `script_injection`, `path_traversal`, `command_injection` and
//! `template_injection`; all of them unless said. They know the plain forms of the common attacks
//! and are made not to take prose, names and addresses for one. This is a net under an API that is
//! written well, not in place of that: who knows what they do gets past it.
//!
//! Names and values are looked at one by one, as they came, and as they are when escapes (`%3C`,
//! `%253C`, `\u003c`) are undone once and twice. Of bodies those in JSON, of forms, in XML and of
//! text are looked into, at most `max` bytes; a longer one is refused with 413, a compressed one
//! with 415. Others pass unseen. Header fields are looked at where `headers` names them.
//!
//! Own patterns are written in the syntax of <https://docs.rs/regex> and run in linear time; case
//! counts unless they begin with `(?i)`. A refusal does not say what was found: the access log's
//! `note` does, by the pattern's name, and never the text. With `mode: report` nothing is refused.
//! That is how it is tried on traffic first.

mod library;
mod texts;

use std::sync::Arc;

use base::{ByteSize, Pointer, Problem, Problems};
use bytes::Bytes;
use policy::message::{Body, Known, Name, Request};
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use regex::{RegexSet, RegexSetBuilder, bytes as octets};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::library::Library;
use crate::mode::Mode;
use crate::protect::body::too_large;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "patterns",
    phase: Phase::Protect,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&MATCHED, &COMPRESSED, &codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static MATCHED: Code = Code {
    name: "pattern_matched",
    status: 400,
    grpc: 3,
    title: "The request looks like an attack",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Operators find the pattern's name in the access log; where it is wrong, they leave its \
           library out for this route.",
};

static COMPRESSED: Code = Code {
    name: "body_compressed",
    status: 415,
    grpc: 3,
    title: "The body is compressed and can't be looked into",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send it without Content-Encoding.",
};

/// Bytes that all expressions together may take in memory.
const REGEX_BYTES: usize = 32 << 20;

/// What is looked for, and where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Patterns")]
struct Settings {
    /// Libraries of patterns; all of them unless said.
    #[serde(default = "libraries")]
    libraries: Vec<Library>,
    /// Patterns of one's own.
    #[serde(default)]
    patterns: Vec<Own>,
    /// Parts of the request that are looked at.
    #[serde(default = "parts")]
    parts: Vec<Part>,
    /// Header fields that are looked at.
    #[serde(default)]
    headers: Vec<String>,
    /// What becomes of a request in which something is found.
    #[serde(default)]
    mode: Mode,
    /// Most bytes of a body, all of which is held back until it was looked at; a longer one is
    /// refused.
    #[serde(default = "max")]
    #[schemars(default = "max")]
    max: ByteSize,
}

/// A pattern of one's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OwnPattern")]
struct Own {
    /// What the access log calls it.
    name: String,
    /// A regular expression that is looked for anywhere in a text.
    regex: String,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PatternPart")]
enum Part {
    /// The path.
    Path,
    /// The query's names and values.
    Query,
    /// The body, if it is text.
    Body,
}

fn libraries() -> Vec<Library> {
    Library::ALL.to_vec()
}

fn parts() -> Vec<Part> {
    vec![Part::Path, Part::Query, Part::Body]
}

const fn max() -> ByteSize {
    ByteSize(256 << 10)
}

/// Looks for patterns.
#[derive(Debug)]
struct Patterns {
    /// What the libraries know. In ASCII, so that texts of any language take the fast way.
    known: octets::RegexSet,
    own: RegexSet,
    /// The names of what is known, then of one's own.
    names: Vec<Box<str>>,
    parts: Vec<Part>,
    headers: Vec<Name>,
    mode: Mode,
    most: usize,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = settings.problems(at);
    let mut headers = Vec::new();
    for (number, text) in settings.headers.iter().enumerate() {
        match Name::new(text) {
            Some(name) => headers.push(name),
            None => problems.push(
                Problem::new(&at.key("headers").index(number), format!("`{text}` is no name"))
                    .hint("a header field's name has letters, digits and `-`"),
            ),
        }
    }
    let sets = (settings.known(), settings.own());
    if !problems.is_empty() {
        return Err(problems);
    }
    match sets {
        (Ok(known), Ok(own)) => Ok(Arc::new(Patterns {
            known,
            own,
            names: settings.names(),
            parts: settings.parts,
            headers,
            mode: settings.mode,
            most: usize::try_from(settings.max.0).unwrap_or(usize::MAX),
        })),
        // Each was right by itself.
        (Err(error), _) | (_, Err(error)) => {
            let what = format!("all patterns together can't be used: {error}");
            Err(vec![Problem::new(at, what).hint("write fewer or shorter ones")])
        }
    }
}

impl Settings {
    fn known(&self) -> Result<octets::RegexSet, regex::Error> {
        let expressions = self.libraries.iter().flat_map(|library| library.expressions());
        octets::RegexSetBuilder::new(expressions)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(REGEX_BYTES)
            .build()
    }

    fn own(&self) -> Result<RegexSet, regex::Error> {
        let expressions = self.patterns.iter().map(|own| &own.regex);
        RegexSetBuilder::new(expressions).size_limit(REGEX_BYTES).build()
    }

    /// What the expressions are called, in their order.
    fn names(&self) -> Vec<Box<str>> {
        let known = self.libraries.iter().flat_map(|library| {
            let numbers = 1..=library.expressions().len();
            numbers.map(|number| format!("{}/{number}", library.name()).into())
        });
        known.chain(self.patterns.iter().map(|own| own.name.as_str().into())).collect()
    }

    fn problems(&self, at: &Pointer) -> Problems {
        let mut problems = Problems::new();
        if self.libraries.is_empty() && self.patterns.is_empty() {
            let hint = "name a library, or write a pattern of your own";
            problems.push(Problem::new(at, "nothing is looked for").hint(hint));
        }
        if self.parts.is_empty() && self.headers.is_empty() {
            let hint = "name `path`, `query` or `body`, or header fields";
            problems.push(Problem::new(&at.key("parts"), "nothing is looked at").hint(hint));
        }
        if self.max.0 == 0 {
            let what = "no body has at most 0 bytes";
            problems.push(Problem::new(&at.key("max"), what).hint("leave `body` out of `parts`"));
        }
        for (number, own) in self.patterns.iter().enumerate() {
            let at = at.key("patterns").index(number);
            if own.name.is_empty() || own.name.len() > 64 || own.name.contains(char::is_control) {
                let what = "a pattern's name has 1 to 64 bytes of text";
                problems.push(Problem::new(&at.key("name"), what).hint("logs show it"));
            }
            let built = RegexSetBuilder::new([&own.regex]).size_limit(REGEX_BYTES / 32).build();
            match built {
                Err(error) => {
                    let last = error.to_string();
                    let last = last.lines().last().unwrap_or_default().trim();
                    let what = format!("the expression `{}` can't be used: {last}", own.regex);
                    let hint = "the syntax is that of https://docs.rs/regex";
                    problems.push(Problem::new(&at.key("regex"), what).hint(hint));
                }
                Ok(set) if set.is_match("") => {
                    let what = format!("the expression `{}` is found in every text", own.regex);
                    let hint = "let it ask for something";
                    problems.push(Problem::new(&at.key("regex"), what).hint(hint));
                }
                Ok(_) => {}
            }
        }
        problems
    }
}

impl Policy for Patterns {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let request = &exchange.request;
        if let Err(refusal) = self.head(request) {
            return Step::Done(self.mode.settle(exchange, Err(refusal)));
        }
        let Some(kind) = self.body(request) else { return Step::next() };
        let said = match (&request.body, request.body.remaining()) {
            _ if request.headers.has(Known::ContentEncoding) => Err(Refusal::new(&COMPRESSED)),
            (_, Some(length)) if length > self.most as u64 => Err(too_large(self.most)),
            (Body::Full(bytes), _) => self.look_into(kind, &bytes.clone()),
            _ => return self.wait(kind, exchange),
        };
        Step::Done(self.mode.settle(exchange, said))
    }
}

/// How the texts of a body are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Form,
    Text,
}

impl Patterns {
    /// Looks at what comes before the body.
    fn head(&self, request: &Request) -> Result<(), Refusal> {
        let mut found = None;
        let mut look = |text: &str| self.look(text, &mut found);
        let query = request.target.query.as_deref().filter(|_| self.parts.contains(&Part::Query));
        let path = self.parts.contains(&Part::Path).then_some(request.target.path.as_str());
        let there = path.is_some_and(|path| texts::forms(path, false, &mut look))
            || query.is_some_and(|query| texts::pairs(query, &mut look))
            || self.headers.iter().any(|name| {
                let mut lines = request.headers.all(name);
                lines.any(|line| texts::forms(&String::from_utf8_lossy(line), false, &mut look))
            });
        self.settle(there, found)
    }

    /// Whether the body is looked into, and how.
    fn body(&self, request: &Request) -> Option<Kind> {
        if !self.parts.contains(&Part::Body) || request.body.is_empty() {
            return None;
        }
        let kind = request.headers.get(Known::ContentType).unwrap_or_default();
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let kind = kind.to_ascii_lowercase();
        match kind.as_slice() {
            b"application/json" => Some(Kind::Json),
            b"application/x-www-form-urlencoded" => Some(Kind::Form),
            b"application/xml" | b"application/graphql" => Some(Kind::Text),
            kind if kind.ends_with(b"+json") => Some(Kind::Json),
            kind if kind.ends_with(b"+xml") || kind.starts_with(b"text/") => Some(Kind::Text),
            _ => None,
        }
    }

    fn wait<'a>(&'a self, kind: Kind, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(async move {
            let said = match exchange.request.body.hold(self.most).await {
                Ok(held) if held.whole => self.look_into(kind, &held.bytes),
                Ok(_) => Err(too_large(self.most)),
                Err(broken) => return Flow::Refuse(Box::new(broken.into())),
            };
            self.mode.settle(exchange, said)
        }))
    }

    fn look_into(&self, kind: Kind, bytes: &Bytes) -> Result<(), Refusal> {
        let mut found = None;
        let mut look = |text: &str| self.look(text, &mut found);
        let there = match kind {
            Kind::Json => texts::json(bytes, &mut look),
            Kind::Form => texts::pairs(&String::from_utf8_lossy(bytes), &mut look),
            Kind::Text => texts::forms(&String::from_utf8_lossy(bytes), false, &mut look),
        };
        self.settle(there, found)
    }

    /// Whether a pattern is in `text`; which one is left in `found`.
    fn look(&self, text: &str, found: &mut Option<usize>) -> bool {
        // Most texts have none, and this is cheaper than asking which.
        if self.known.is_match(text.as_bytes()) {
            *found = self.known.matches(text.as_bytes()).iter().next();
            return true;
        }
        if self.own.is_match(text) {
            let number = self.own.matches(text).iter().next();
            *found = number.map(|number| self.known.len() + number);
            return true;
        }
        false
    }

    fn settle(&self, there: bool, found: Option<usize>) -> Result<(), Refusal> {
        if !there {
            return Ok(());
        }
        let name = found.and_then(|number| self.names.get(number)).map_or("", |name| name);
        Err(Refusal::new(&MATCHED).note(format!("pattern `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The libraries that find something in `text`.
    fn found(text: &str) -> Vec<&'static str> {
        let finds = |library: &&Library| {
            let settings: Settings =
                serde_json::from_value(serde_json::json!({ "libraries": [library.name()] }))
                    .unwrap();
            let set = settings.known().unwrap();
            texts::forms(text, true, &mut |form| set.is_match(form.as_bytes()))
        };
        Library::ALL.iter().filter(finds).map(|library| library.name()).collect()
    }

    #[test]
    fn every_attack_is_found_by_its_library() {
        for (library, attacks) in [
            ("sql_injection", include_str!("attacks/sql_injection.txt")),
            ("script_injection", include_str!("attacks/script_injection.txt")),
            ("path_traversal", include_str!("attacks/path_traversal.txt")),
            ("command_injection", include_str!("attacks/command_injection.txt")),
            ("template_injection", include_str!("attacks/template_injection.txt")),
        ] {
            let missed: Vec<_> =
                attacks.lines().filter(|line| !found(line).contains(&library)).collect();
            assert!(missed.is_empty(), "{library} misses {missed:#?}");
            assert!(attacks.lines().count() >= 15, "{library}");
        }
    }

    #[test]
    fn nothing_harmless_is_taken_for_an_attack() {
        let texts = include_str!("attacks/harmless.txt");
        let wrong: Vec<_> = texts
            .lines()
            .map(|line| (line, found(line)))
            .filter(|(_, libraries)| !libraries.is_empty())
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(texts.lines().count() >= 60);
    }

    #[test]
    fn every_expression_is_found_in_some_attack() {
        let all = concat!(
            include_str!("attacks/sql_injection.txt"),
            include_str!("attacks/script_injection.txt"),
            include_str!("attacks/path_traversal.txt"),
            include_str!("attacks/command_injection.txt"),
            include_str!("attacks/template_injection.txt"),
        );
        for text in Library::ALL.iter().flat_map(|library| library.expressions()) {
            let regex = regex::Regex::new(&format!("(?i){text}")).unwrap();
            let used =
                all.lines().any(|line| texts::forms(line, true, &mut |form| regex.is_match(form)));
            assert!(used, "no attack needs {text}");
        }
    }
}
