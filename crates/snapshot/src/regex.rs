//! Regular expressions that people write into documents: linear time, bounded memory, and matching
//! that does not allocate for its groups.

use std::fmt;
use std::sync::Arc;

use regex_automata::meta;
use regex_automata::util::interpolate;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

/// Bytes a compiled expression may take.
const SIZE_MAX: usize = 1 << 20;

/// Groups an expression may have.
pub(crate) const GROUPS_MAX: usize = 16;

/// Room for where the groups start and end, the whole match first.
type Slots = [Option<NonMaxUsize>; 2 * (GROUPS_MAX + 1)];

/// A compiled expression. Two are equal when they were written alike.
#[derive(Clone)]
pub struct Regex {
    source: Arc<str>,
    compiled: meta::Regex,
    /// The text every match begins with.
    start: Arc<str>,
}

impl Regex {
    /// An expression that must match the whole of a text.
    pub(crate) fn whole(source: &str) -> Result<Self, String> {
        let hir = parse(source)?;
        let start = literal_start(&hir);
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        Self::build(source, &whole, &start)
    }

    /// An expression that is looked for anywhere in a text.
    pub(crate) fn anywhere(source: &str) -> Result<Self, String> {
        Self::build(source, &parse(source)?, "")
    }

    fn build(source: &str, hir: &Hir, start: &str) -> Result<Self, String> {
        // Header values and paths are bytes; an expression that matches within a character does no
        // harm.
        let config = meta::Config::new().nfa_size_limit(Some(SIZE_MAX)).utf8_empty(false);
        let compiled = meta::Builder::new()
            .configure(config)
            .build_from_hir(hir)
            .map_err(|_| "is too large once compiled (more than 1 MiB)".to_owned())?;
        if compiled.captures_len() > GROUPS_MAX + 1 {
            return Err(format!(
                "has more than {GROUPS_MAX} groups; use (?:…) where none is needed"
            ));
        }
        Ok(Self { source: source.into(), compiled, start: start.into() })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text every match begins with; empty where there is none.
    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    /// Whether it matches.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.compiled.is_match(Input::new(text))
    }

    /// Its named groups, with their numbers, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.compiled.group_info().pattern_names(regex_automata::PatternID::ZERO);
        names.enumerate().filter_map(|(number, name)| Some((number, name?)))
    }

    /// Matches the whole of `text` and hands the range of every named group to `found`; of one that
    /// took no part, the empty range at the start. False, and nothing handed over, where it does
    /// not match.
    pub(crate) fn groups(&self, text: &str, mut found: impl FnMut(usize, usize)) -> bool {
        let mut slots: Slots = [None; 2 * (GROUPS_MAX + 1)];
        let input = Input::new(text).anchored(Anchored::Yes);
        if self.compiled.search_slots(&input, &mut slots).is_none() {
            return false;
        }
        for (number, _) in self.names() {
            let (start, end) = range(&slots, number).unwrap_or_default();
            found(start, end);
        }
        true
    }

    /// Appends `text` to `out` with the first match replaced by `to`, in which `$1` and `$name`
    /// stand for groups.
    pub(crate) fn replace(&self, text: &str, to: &str, out: &mut String) {
        let mut slots: Slots = [None; 2 * (GROUPS_MAX + 1)];
        self.compiled.search_slots(&Input::new(text), &mut slots);
        let Some((start, end)) = range(&slots, 0) else {
            return out.push_str(text);
        };
        out.push_str(text.get(..start).unwrap_or_default());
        let append = |group: usize, out: &mut String| {
            let value = range(&slots, group).and_then(|(start, end)| text.get(start..end));
            out.push_str(value.unwrap_or_default());
        };
        interpolate::string(to, append, |name| self.number(name), out);
        out.push_str(text.get(end..).unwrap_or_default());
    }

    /// The first group named in `to` that this expression does not have.
    pub(crate) fn unknown_group(&self, to: &str) -> Option<String> {
        let unknown = std::cell::RefCell::new(None);
        let append = |group: usize, _: &mut String| {
            if group >= self.compiled.captures_len() {
                unknown.borrow_mut().get_or_insert(group.to_string());
            }
        };
        let number = |name: &str| {
            let number = self.number(name);
            if number.is_none() {
                unknown.borrow_mut().get_or_insert(name.to_owned());
            }
            number
        };
        interpolate::string(to, append, number, &mut String::new());
        unknown.into_inner()
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.names().find(|(_, known)| *known == name).map(|(number, _)| number)
    }
}

fn range(slots: &Slots, group: usize) -> Option<(usize, usize)> {
    let start = (*slots.get(2 * group)?)?;
    let end = (*slots.get(2 * group + 1)?)?;
    Some((start.get(), end.get()))
}

fn parse(source: &str) -> Result<Hir, String> {
    ParserBuilder::new().utf8(false).nest_limit(64).build().parse(source).map_err(|error| {
        // The first lines draw the expression with a caret below; the document's own diagnostic
        // does that.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!("does not compile: {}", last.strip_prefix("error: ").unwrap_or(last))
    })
}

/// The text every match begins with.
fn literal_start(hir: &Hir) -> String {
    let literal = match hir.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Concat(parts) => match parts.first().map(Hir::kind) {
            Some(HirKind::Literal(literal)) => Some(&literal.0),
            _ => None,
        },
        _ => None,
    };
    literal.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default().to_owned()
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Regex {}

impl std::hash::Hash for Regex {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match_whatever_the_expression_looks_like() {
        for (source, text, matches) in [
            ("[0-9]+", "42", true),
            ("[0-9]+", "42a", false),
            ("[0-9]+", "a42", false),
            ("a|b", "ab", false),
            ("a|b", "b", true),
            ("(?x) a # a comment", "a", true),
            ("", "", true),
        ] {
            let regex = Regex::whole(source).unwrap();
            assert_eq!(regex.is_match(text.as_bytes()), matches, "{source} on {text}");
        }
    }

    #[test]
    fn what_does_not_compile_is_said_in_one_line() {
        for (source, what) in [
            ("(a", "does not compile: unclosed group"),
            ("a{1000}{1000}", "is too large once compiled (more than 1 MiB)"),
            ("(?=a)", "does not compile: look-around"),
            ("(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)", "has more than 16 groups"),
            ("a)|(b", "does not compile: unopened group"),
        ] {
            let error = Regex::whole(source).unwrap_err();
            assert!(error.starts_with(what), "{source}: {error}");
        }
    }

    #[test]
    fn the_first_match_is_replaced_with_its_groups() {
        for (source, to, text, becomes) in [
            ("^/v([0-9]+)/", "/$1/", "/v2/a/v3/", "/2/a/v3/"),
            ("(?<a>x)(?<b>y)", "${b}${a}", "/xyxy", "/yxxy"),
            ("z", "-", "/xy", "/xy"),
        ] {
            let mut out = String::new();
            Regex::anywhere(source).unwrap().replace(text, to, &mut out);
            assert_eq!(out, becomes);
        }
        let regex = Regex::anywhere("(?<a>x)(y)").unwrap();
        assert_eq!(regex.unknown_group("$a$1$2$0"), None);
        assert_eq!(regex.unknown_group("$a$b").as_deref(), Some("b"));
        assert_eq!(regex.unknown_group("$3").as_deref(), Some("3"));
    }
}
