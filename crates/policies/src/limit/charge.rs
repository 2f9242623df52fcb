//! What a request costs: told before, and corrected once there is a response.

use base::{Pointer, Problem};
use policy::condition::{Expression, When};
use policy::{Exchange, Refusal, codes};
use schemars::JsonSchema;
use serde::Deserialize;

/// The most a request costs. What says more is taken for this.
const MOST: u64 = 1_000_000_000;

/// What a request costs, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "RateCost")]
pub(in crate::limit) enum Cost {
    /// Always the same.
    Number(u64),
    /// What an expression in CEL gives.
    Cel(String),
}

impl Default for Cost {
    fn default() -> Self {
        Self::Number(1)
    }
}

/// What a request costs.
#[derive(Debug)]
pub(in crate::limit) enum Charge {
    Always(u64),
    Each(Expression),
}

impl Cost {
    /// The same, checked.
    pub(in crate::limit) fn compile(&self, at: &Pointer) -> Result<Charge, Problem> {
        match self {
            Self::Number(cost) if *cost > MOST => {
                let what = format!("a request can't cost {cost}");
                Err(Problem::new(at, what).hint(format!("write 0 to {MOST}")))
            }
            Self::Number(cost) => Ok(Charge::Always(*cost)),
            Self::Cel(text) => Expression::compile_number(text, When::Request)
                .map(Charge::Each)
                .map_err(|bad| bad.problem(at)),
        }
    }
}

/// An expression that says what a request cost once there is a response.
pub(in crate::limit) fn settle(text: &str, at: &Pointer) -> Result<Expression, Problem> {
    Expression::compile_number(text, When::Response).map_err(|bad| bad.problem(at))
}

impl Charge {
    /// What `exchange` costs. Where that can't be told, it is refused.
    pub(in crate::limit) fn of(&self, exchange: &Exchange) -> Result<u64, Refusal> {
        match self {
            Self::Always(cost) => Ok(*cost),
            Self::Each(expression) => due(expression, exchange)
                .map_err(|why| Refusal::new(&codes::CONDITION_FAILED).note(why)),
        }
    }
}

/// What `exchange` cost by `expression`.
pub(in crate::limit) fn due(expression: &Expression, exchange: &Exchange) -> Result<u64, String> {
    expression.number(exchange).map(|cost| cost.min(MOST))
}
