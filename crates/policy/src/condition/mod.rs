//! Conditions: the `when:` of a policy, an expression in CEL (the Common Expression Language) that
//! is true or false for an exchange.
//!
//! Compiled once; then only the variables that the expression names are looked up, and texts are
//! borrowed, not copied. What could cost much is refused when it is written: length, depth, and
//! loops inside loops are bounded, patterns of `matches` are literals and compiled ahead. A
//! condition that can't be evaluated is an error, never false: the engine denies.
//!
//! What there is to ask for stands in [`VARIABLES`] and [`FUNCTIONS`].

mod check;
mod claims;
mod cost;
mod expression;
mod facts;
mod language;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod vocabulary;

use std::fmt;

use base::{Pointer, Problem};
use cel::common::types::CelBool;

use crate::Exchange;
use facts::Which;

pub use expression::{Expression, TEXT_BYTES, When};
pub use vocabulary::{FUNCTIONS, Kind, VARIABLES, Variable};

/// A condition, compiled.
pub struct Condition(Expression);

/// Why a condition is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCondition {
    /// What is wrong, one sentence without a full stop.
    pub what: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Condition {
    /// Compiles `text`; refuses what names anything unknown, can't be true or false, or may cost
    /// too much.
    pub fn compile(text: &str) -> Result<Self, BadCondition> {
        if text.trim().is_empty() {
            return Err(BadCondition::new("the condition is empty")
                .hint("write an expression, or leave `when` out"));
        }
        let expression = Expression::compile(text, When::Request)?;
        let what = match expression.kind() {
            Kind::Bool | Kind::Unknown => return Ok(Self(expression)),
            Kind::Other => "no bool",
            kind => kind.words(),
        };
        Err(BadCondition::new(format!("the condition gives {what}, and must be true or false"))
            .hint("compare it with something, as in `request.method == \"GET\"`"))
    }

    /// Whether it holds for `exchange`; an error says, for operators, why that can't be told.
    ///
    /// A header field that came more than once is one value, joined by commas; but so that nobody
    /// gets past a condition by sending a field twice, it also holds if it does for one of the
    /// values alone.
    pub fn holds(&self, exchange: &Exchange) -> Result<bool, String> {
        if self.evaluate(exchange, Which::All)? {
            return Ok(true);
        }
        for number in 0..self.0.repeated(exchange)? {
            if self.evaluate(exchange, Which::One(number))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether it holds for `exchange` however one reads it: of a header field that came more than
    /// once, for all values joined and for each alone. Where it lets somebody through, that is what
    /// to ask: nobody gets a right by sending a second field beside the one that counts.
    pub fn holds_for_all(&self, exchange: &Exchange) -> Result<bool, String> {
        if !self.evaluate(exchange, Which::All)? {
            return Ok(false);
        }
        for number in 0..self.0.repeated(exchange)? {
            if !self.evaluate(exchange, Which::One(number))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn evaluate(&self, exchange: &Exchange, which: Which) -> Result<bool, String> {
        self.0.evaluate(exchange, which, |value| {
            let holds = value.downcast_ref::<CelBool>().map(|holds| *holds.inner());
            holds.ok_or_else(|| format!("gives a {}, not a bool", value.get_type().name()))
        })
    }

    /// The expression, as written.
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.text())
    }
}

impl BadCondition {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, as a problem of the document at `at`.
    pub fn problem(self, at: &Pointer) -> Problem {
        let problem = Problem::new(at, self.what);
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl fmt::Display for BadCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hint {
            Some(hint) => write!(f, "{}; {hint}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for BadCondition {}
