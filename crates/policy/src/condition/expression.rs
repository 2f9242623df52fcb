//! An expression and what it gives for an exchange: a truth, a number, or what tells it apart.

use std::fmt;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use cel::{Context, IdedExpr, Value};

use super::check::{self, Needs};
use super::facts::{View, Which};
use super::vocabulary::Kind;
use super::{BadCondition, cost, language};
use crate::Exchange;

/// Most values of a field that are looked at one by one.
const REPEATED_MAX: usize = 16;

/// Most bytes of an expression.
pub const TEXT_BYTES: usize = 2048;

/// When an expression is evaluated, and so what it can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When the request came.
    Request,
    /// When there is a response, too.
    Response,
}

/// An expression in CEL, compiled.
pub struct Expression {
    text: Box<str>,
    expression: IdedExpr,
    pub(super) needs: Needs,
    kind: Kind,
}

impl Expression {
    /// Compiles `text`; refuses what names anything unknown or may cost too much.
    pub fn compile(text: &str, when: When) -> Result<Self, BadCondition> {
        if text.len() > TEXT_BYTES {
            let what = format!("the expression has {} bytes, more than {TEXT_BYTES}", text.len());
            return Err(BadCondition::new(what).hint("split it over several policies"));
        }
        let mut expression = language::parse(text)?;
        let (needs, kind) = check::check(&mut expression, when)?;
        cost::check(&expression)?;
        Ok(Self { text: text.into(), expression, needs, kind })
    }

    /// Compiles one that gives a number, for [`Self::number`].
    pub fn compile_number(text: &str, when: When) -> Result<Self, BadCondition> {
        let expression = Self::compile(text, when)?;
        match expression.kind {
            Kind::Number | Kind::Unknown => Ok(expression),
            kind => {
                let what = format!("the expression gives {}, and must give a number", kind.words());
                Err(BadCondition::new(what)
                    .hint("write a number, or turn a text into one, as in `int(\"5\")`"))
            }
        }
    }

    /// Compiles one that tells exchanges apart, for [`Self::write`].
    pub fn compile_key(text: &str) -> Result<Self, BadCondition> {
        let expression = Self::compile(text, When::Request)?;
        match expression.kind {
            Kind::Map | Kind::Values => {
                let what = "the expression gives a map, which has no order to be compared by";
                Err(BadCondition::new(what)
                    .hint("name what of it counts, as in `request.headers[\"x-tenant\"]`"))
            }
            _ => Ok(expression),
        }
    }

    /// What it gives, as far as that is known before it is evaluated.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The expression, as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number it gives for `exchange`, with what is behind the point rounded up; an error says,
    /// for operators, why there is none. Numbers below zero are an error.
    pub fn number(&self, exchange: &Exchange) -> Result<u64, String> {
        self.evaluate(exchange, Which::All, |value| {
            let number = if let Some(int) = value.downcast_ref::<CelInt>() {
                u64::try_from(*int.inner()).ok()
            } else if let Some(uint) = value.downcast_ref::<CelUInt>() {
                Some(*uint.inner())
            } else if let Some(double) = value.downcast_ref::<CelDouble>() {
                Some(*double.inner()).filter(|double| *double >= 0.0).map(|d| d.ceil() as u64)
            } else {
                return Err(format!("gives a {}, not a number", value.get_type().name()));
            };
            number.ok_or_else(|| "gives a number below zero".to_owned())
        })
    }

    /// Writes what it gives for `exchange`, so that different values are written differently:
    /// texts, numbers, truths and lists of them. False where it, or something in its list, is null.
    /// An error says, for operators, why it can't be told.
    pub fn write(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Result<bool, String> {
        self.evaluate(exchange, Which::All, |value| write(value, out))
    }

    /// How often the field came that came most often of those that are named; 0 if none came twice.
    pub(super) fn repeated(&self, exchange: &Exchange) -> Result<usize, String> {
        let most = self.needs.repeated(&exchange.request.headers);
        if most > REPEATED_MAX {
            return Err(format!("`{}`: a field came {most} times", self.text));
        }
        Ok(most)
    }

    /// What `read` makes of the value it has for `exchange`.
    pub(super) fn evaluate<T>(
        &self,
        exchange: &Exchange,
        which: Which,
        read: impl FnOnce(&dyn Val) -> Result<T, String>,
    ) -> Result<T, String> {
        let view = View::of(exchange, &self.needs, which)?;
        let mut context = Context::with_env(language::environment());
        context.set_variable_resolver(&view);
        let value = Value::resolve_val(&self.expression, &context)
            .map_err(|error| format!("`{}`: {error}", self.text))?;
        read(&*value).map_err(|why| format!("`{}`: {why}", self.text))
    }
}

/// Writes a value behind a letter for its type and, where it has no fixed length, its length.
fn write(value: &dyn Val, out: &mut Vec<u8>) -> Result<bool, String> {
    let mut sized = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend((bytes.len() as u64).to_le_bytes());
        out.extend(bytes);
    };
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(false);
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        sized(b's', text.inner().as_bytes());
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        sized(b'b', bytes.inner());
    } else if let Some(int) = value.downcast_ref::<CelInt>() {
        sized(b'i', &int.inner().to_le_bytes());
    } else if let Some(uint) = value.downcast_ref::<CelUInt>() {
        sized(b'u', &uint.inner().to_le_bytes());
    } else if let Some(double) = value.downcast_ref::<CelDouble>() {
        sized(b'd', &double.inner().to_le_bytes());
    } else if let Some(truth) = value.downcast_ref::<CelBool>() {
        sized(b't', &[u8::from(*truth.inner())]);
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        sized(b'l', &list.inner().len().to_le_bytes());
        let mut whole = true;
        for one in list.inner() {
            whole &= write(&**one, out)?;
        }
        return Ok(whole);
    } else {
        return Err(format!("gives a {}, which tells nobody apart", value.get_type().name()));
    }
    Ok(true)
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.text)
    }
}
