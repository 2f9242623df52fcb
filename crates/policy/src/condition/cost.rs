//! What evaluating an expression may cost at most, told before it runs: the interpreter has no
//! budget of its own.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, operators};

use super::BadCondition;

/// Most steps an evaluation may take; a step is about 100 ns.
const STEPS: u64 = 10_000;

/// Elements a map or list of the exchange has at most. [`super::facts`] holds to it.
pub(super) const ELEMENTS: u64 = 128;

/// Steps of joining two texts or lists: it copies them.
const JOIN: u64 = 16;

/// Refuses an expression that may take too many steps.
pub(super) fn check(expression: &IdedExpr) -> Result<(), BadCondition> {
    let steps = steps(expression);
    if steps <= STEPS {
        return Ok(());
    }
    Err(BadCondition::new(format!(
        "the expression may take {steps} steps for one request, more than {STEPS}"
    ))
    .hint("put no loop over headers, query or labels inside another; compare with a literal list instead"))
}

/// Steps it takes at most.
fn steps(expression: &IdedExpr) -> u64 {
    let sum = |parts: &[IdedExpr]| parts.iter().map(steps).fold(0, u64::saturating_add);
    let inner = match &expression.expr {
        Expr::Call(call) => {
            let own = if call.func_name == operators::ADD { JOIN } else { 0 };
            let target = call.target.as_deref().map_or(0, steps);
            sum(&call.args).saturating_add(target).saturating_add(own)
        }
        Expr::Comprehension(it) => {
            let once = steps(&it.loop_cond).saturating_add(steps(&it.loop_step));
            let all = elements(&it.iter_range).saturating_mul(once);
            [&it.iter_range, &it.accu_init, &it.result]
                .into_iter()
                .map(steps)
                .fold(all, u64::saturating_add)
        }
        Expr::List(list) => sum(&list.elements),
        Expr::Map(map) => map
            .entries
            .iter()
            .map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => steps(&entry.key).saturating_add(steps(&entry.value)),
                EntryExpr::StructField(field) => steps(&field.value),
            })
            .fold(0, u64::saturating_add),
        Expr::Select(select) => steps(&select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified | Expr::Struct(_) => 0,
    };
    inner.saturating_add(1)
}

/// Elements a list or map has at most.
fn elements(range: &IdedExpr) -> u64 {
    match &range.expr {
        Expr::List(list) => list.elements.len() as u64,
        Expr::Map(map) => map.entries.len() as u64,
        Expr::Comprehension(it) => elements(&it.iter_range),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::ADD, [a, b]) => elements(a).saturating_add(elements(b)),
            (operators::CONDITIONAL, [_, a, b]) => elements(a).max(elements(b)),
            _ => ELEMENTS,
        },
        _ => ELEMENTS,
    }
}
