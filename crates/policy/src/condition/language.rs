//! The language itself: the `cel` crate, with the functions we add and without what could cost
//! much.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelString, Type};
use cel::common::value::{StaticVal, Val};
use cel::{DeclarationError, Env, IdedExpr};
use regex::Regex;

use super::BadCondition;

/// Most levels of brackets and calls inside each other.
const NESTING: u16 = 24;

/// Bytes a compiled pattern of `matches` may take.
const PATTERN_BYTES: usize = 256 << 10;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // Fails only where a name is declared twice, which the tests would see: calls would be refused.
    let _ = env.add_extension(functions);
    Arc::new(env)
});

/// The functions and types there are.
pub(super) fn environment() -> Arc<Env> {
    ENVIRONMENT.clone()
}

/// Reads `text`.
pub(super) fn parse(text: &str) -> Result<IdedExpr, BadCondition> {
    environment().parser().max_recursion_depth(NESTING).parse(text).map_err(|errors| {
        let Some(first) = errors.errors.into_iter().next() else {
            return BadCondition::new("this is no expression");
        };
        let (line, column) = first.pos;
        let place = match line {
            ..=1 => format!("at character {}", column.max(0) + 1),
            line => format!("in its line {line}, at character {}", column.max(0) + 1),
        };
        let hint = if text.contains("has(") && first.msg.contains("has") {
            "has() takes a name behind a dot; others are asked for as \"x-name\" in request.headers"
        } else {
            "expressions are written in CEL, as in \
             `request.method == \"GET\" && request.path.startsWith(\"/a\")`"
        };
        let what = first.msg.trim();
        BadCondition::new(format!("the expression can't be read {place}: {what}")).hint(hint)
    })
}

fn functions(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_member_overload!(env, fn matches: (CelString<'_>, Pattern) -> CelBool, id = "string_matches_pattern")?;
    cel::add_member_overload!(env, fn lower_ascii: (CelString<'_>) -> CelString<'_>)?;
    cel::add_member_overload!(env, fn upper_ascii: (CelString<'_>) -> CelString<'_>)
}

fn matches(text: &CelString<'_>, pattern: &Pattern) -> CelBool {
    CelBool::from(pattern.0.is_match(text.inner()))
}

fn lower_ascii(text: &CelString<'_>) -> CelString<'static> {
    CelString::from(text.inner().to_ascii_lowercase())
}

fn upper_ascii(text: &CelString<'_>) -> CelString<'static> {
    CelString::from(text.inner().to_ascii_uppercase())
}

/// A pattern of `matches`, compiled ahead.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

static PATTERN: Type = Type::new_unspecified_type("gateward.pattern");

impl Pattern {
    /// Compiles `text`, in the syntax of the regex crate: linear time, no look-around.
    pub(super) fn new(text: &str) -> Result<Self, BadCondition> {
        regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().map(Self).map_err(
            |error| {
                BadCondition::new(format!("the pattern of `matches` is wrong: {error}"))
                    .hint("see https://docs.rs/regex/#syntax; look-around and back-references are not there")
            },
        )
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}
