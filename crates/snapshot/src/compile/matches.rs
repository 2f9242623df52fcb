//! What a route matches.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1::{HeaderMatch, HeaderPattern, Match, PathMatch};
use policy::message::{Known, Method, Name};
use smallvec::smallvec;

use super::Findings;
use crate::path::{BadPath, End, PathRegex, Pattern, Segment, canonical, parse_template};
use crate::regex::Regex;
use crate::router::{FieldTest, Patterns, Test};

/// Segments of text at the start of an expression that count as segments.
const REGEX_SEGMENTS: usize = 32;

/// Tests of header fields or of query parameters a route may have.
const TESTS_MAX: usize = 32;

/// A route's path.
pub(super) struct Path {
    /// Two where the API's own path is meant, which may end in a slash.
    pub patterns: Patterns,
    /// Bytes of a request's path that a new prefix takes the place of.
    pub prefix: usize,
}

impl Path {
    /// The names of its parameters.
    pub fn params(&self) -> Arc<[Arc<str>]> {
        self.patterns.first().map(|pattern| pattern.params.clone()).unwrap_or_default()
    }
}

/// The patterns of a route's path below its API's.
pub(super) fn path(
    written: &Match,
    base: &str,
    at: &Pointer,
    findings: &mut Findings,
) -> Option<Path> {
    let at = at.key("path");
    let (path, at) = match &written.path {
        None => (Ok(simple(base, End::Prefix(false))), at),
        Some(PathMatch::Template(text)) => (template(base, text), at),
        Some(PathMatch::Exact { exact }) => (exact_path(base, exact), at.key("exact")),
        Some(PathMatch::Prefix { prefix }) => (prefix_path(base, prefix), at.key("prefix")),
        Some(PathMatch::Regex { regex }) => (regex_path(base, regex), at.key("regex")),
    };
    findings.take(path.map_err(|bad| bad.problem(&at)))
}

/// A path of text only.
fn simple(path: &str, end: End) -> Path {
    let segments = path.split('/').skip(1).map(|text| Segment::Text(text.into())).collect();
    let pattern = Pattern { segments, end, params: Arc::default() };
    Path { patterns: smallvec![pattern], prefix: path.len() }
}

fn exact_path(base: &str, text: &str) -> Result<Path, BadPath> {
    let below = canonical(text)?;
    if below == "/" {
        return Ok(whole(base));
    }
    let path = simple(&format!("{base}{below}"), End::Exact);
    Ok(Path { prefix: base.len(), ..path })
}

/// The API's own path: nothing is below it, whether or not it ends in a slash.
fn whole(base: &str) -> Path {
    let mut path = simple(&format!("{base}/"), End::Exact);
    path.prefix = base.len();
    if !base.is_empty() {
        path.patterns.extend(simple(base, End::Exact).patterns);
    }
    path
}

fn prefix_path(base: &str, text: &str) -> Result<Path, BadPath> {
    let below = canonical(text)?;
    let below = below.strip_suffix('/').unwrap_or(&below);
    Ok(simple(&format!("{base}{below}"), End::Prefix(false)))
}

fn template(base: &str, text: &str) -> Result<Path, BadPath> {
    let parsed = parse_template(text)?;
    if text == "/" {
        return Ok(whole(base));
    }
    let mut path = simple(base, End::Exact);
    for pattern in &mut path.patterns {
        pattern.end = match (parsed.rest, parsed.segments.is_empty()) {
            (false, _) => End::Exact,
            // `/{rest*}` right below the API's path takes all there is, the API's own path, too.
            (true, true) => End::Prefix(true),
            (true, false) => End::Rest,
        };
        pattern.segments.extend_from_slice(&parsed.segments);
        pattern.params = parsed.params.as_slice().into();
    }
    Ok(path)
}

fn regex_path(base: &str, source: &str) -> Result<Path, BadPath> {
    let bad = |what: String| {
        BadPath::new(format!("the expression `{source}` {what}"))
            .hint("the syntax is that of https://docs.rs/regex; the whole path below the API's must match")
    };
    let regex = Regex::whole(source).map_err(bad)?;
    let start = regex.start();
    if !start.is_empty() && !start.starts_with('/') {
        return Err(bad("does not start with `/`, as every path does".into()));
    }
    // Whole segments of text at its start are found by their text, as those of other paths are.
    let whole = start.get(..start.rfind('/').unwrap_or(0)).unwrap_or_default();
    let mut path = simple(base, End::Exact);
    for pattern in &mut path.patterns {
        let text = whole.split('/').skip(1).take(REGEX_SEGMENTS);
        pattern.segments.extend(text.map(|text| Segment::Text(text.into())));
        pattern.params = regex.names().map(|(_, name)| name.into()).collect();
        pattern.end = End::Regex(Arc::new(PathRegex { base: base.len(), regex: regex.clone() }));
    }
    Ok(path)
}

/// Methods, from a list of their names.
pub(super) fn methods(
    written: &[String],
    list: &Pointer,
    findings: &mut Findings,
) -> Box<[Method]> {
    let mut methods = Vec::with_capacity(written.len());
    for (number, text) in written.iter().enumerate() {
        let at = list.index(number);
        let problem = |what: &str| Problem::new(&at, format!("`{text}` {what}"));
        let upper = text.to_ascii_uppercase();
        let problem = match Method::new(text.as_bytes()) {
            None => problem("is no method").hint("a method is one word, as in `GET`"),
            Some(Method::Other(_)) if is_common(&upper) => {
                problem("is no method: case counts").hint(format!("write `{upper}`"))
            }
            Some(Method::Connect | Method::Trace) => {
                problem("is refused by the gateway before it is routed").hint("remove it")
            }
            Some(method) if methods.contains(&method) => {
                problem("stands here twice").hint("remove one of them")
            }
            Some(method) => {
                methods.push(method);
                continue;
            }
        };
        findings.problem(problem);
    }
    methods.into()
}

fn is_common(upper: &str) -> bool {
    Method::new(upper.as_bytes()).is_some_and(|method| !matches!(method, Method::Other(_)))
}

/// A route's header fields, by name.
pub(super) fn headers(
    written: &Match,
    at: &Pointer,
    findings: &mut Findings,
) -> Box<[FieldTest<Name>]> {
    let at = at.key("headers");
    check_count(&written.headers, "header fields", &at, findings);
    let mut tests: Vec<FieldTest<Name>> = Vec::with_capacity(written.headers.len());
    for (text, wanted) in &written.headers {
        let at = at.key(text.as_str());
        let problem = match Name::new(text) {
            None => Problem::key(&at, format!("`{text}` is no name of a header field"))
                .hint("a name has letters, digits and `-`"),
            Some(name) if name == Known::Host.into() => {
                Problem::key(&at, "the host is not matched as a header field")
                    .hint("use `hosts` of the API")
            }
            Some(name) if tests.iter().any(|test| test.name == name) => {
                Problem::key(&at, format!("`{text}` stands here twice: case does not count"))
                    .hint("remove one of them")
            }
            Some(name) => {
                let test = findings.take(test(wanted, &at));
                tests.extend(test.map(|test| FieldTest { name, test }));
                continue;
            }
        };
        findings.problem(problem);
    }
    tests.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    tests.into()
}

/// A route's query parameters, by name.
pub(super) fn query(
    written: &Match,
    at: &Pointer,
    findings: &mut Findings,
) -> Box<[FieldTest<Box<str>>]> {
    let at = at.key("query");
    check_count(&written.query, "query parameters", &at, findings);
    let tests = written.query.iter().filter_map(|(name, wanted)| {
        let test = findings.take(test(wanted, &at.key(name.as_str())))?;
        Some(FieldTest { name: name.as_str().into(), test })
    });
    tests.collect()
}

fn check_count<T>(tests: &BTreeMap<String, T>, what: &str, at: &Pointer, findings: &mut Findings) {
    if tests.len() > TESTS_MAX {
        let what = format!("a route asks for {TESTS_MAX} {what} at most");
        findings.problem(Problem::new(at, what));
    }
}

fn test(wanted: &HeaderMatch, at: &Pointer) -> Result<Test, Problem> {
    Ok(match wanted {
        HeaderMatch::Value(value) => Test::Is(value.as_bytes().into()),
        HeaderMatch::Pattern(HeaderPattern::Present(true)) => Test::Present,
        HeaderMatch::Pattern(HeaderPattern::Present(false)) => Test::Absent,
        HeaderMatch::Pattern(HeaderPattern::Regex(source)) => {
            let regex = Regex::whole(source).map_err(|what| {
                Problem::new(&at.key("regex"), format!("the expression `{source}` {what}"))
                    .hint("the syntax is that of https://docs.rs/regex; the whole value must match")
            })?;
            Test::Matches(regex)
        }
    })
}
