//! How much an operation asks for: fragments are measured once, however often they are spread, so
//! that it takes no longer than the document is long. Without HTTP.

use std::collections::HashMap;

use serde_json::Value;

use super::document::{Amount, Bad, Document, Operation, Selection, What};

/// What is asked for, all of it added up. Numbers that are too large stay at the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    /// Fields inside each other.
    pub depth: u64,
    /// Fields in all.
    pub fields: u64,
    /// Fields with another name.
    pub aliases: u64,
    /// Directives.
    pub directives: u64,
    /// What it costs.
    pub cost: u64,
    /// Whether it asks for the schema.
    pub introspects: bool,
}

/// What fields cost.
#[derive(Debug)]
pub(super) struct Prices {
    /// By their names; 1 unless said.
    pub fields: HashMap<String, u64>,
    /// Arguments that say how many there will be of what is inside.
    pub multipliers: Vec<String>,
}

/// Measures `operation` of `document`, with these variables.
///
/// # Errors
/// A fragment is missing, or fragments are in each other.
pub(super) fn measure(
    document: &Document<'_>,
    operation: &Operation<'_>,
    variables: Option<&Value>,
    prices: &Prices,
) -> Result<Measure, Bad> {
    let known = HashMap::new();
    let mut scale = Scale { document, operation, variables, prices, known, chain: 0 };
    let mut measure = scale.all(&operation.selection)?;
    measure.directives = measure.directives.saturating_add(operation.directives);
    Ok(measure)
}

/// Fragments that spread fragments: no reader has to go deeper.
const CHAIN_MAX: usize = 100;

struct Scale<'m, 't> {
    document: &'m Document<'t>,
    operation: &'m Operation<'t>,
    variables: Option<&'m Value>,
    prices: &'m Prices,
    /// Fragments measured; none for one that is being measured.
    known: HashMap<&'t str, Option<Measure>>,
    /// Fragments that are being measured.
    chain: usize,
}

impl<'t> Scale<'_, 't> {
    fn all(&mut self, selection: &[Selection<'t>]) -> Result<Measure, Bad> {
        let mut sum = Measure::default();
        for one in selection {
            let part = self.one(one)?;
            sum.depth = sum.depth.max(part.depth);
            sum.fields = sum.fields.saturating_add(part.fields);
            sum.aliases = sum.aliases.saturating_add(part.aliases);
            sum.directives =
                sum.directives.saturating_add(part.directives).saturating_add(one.directives);
            sum.cost = sum.cost.saturating_add(part.cost);
            sum.introspects |= part.introspects;
        }
        Ok(sum)
    }

    fn one(&mut self, selection: &Selection<'t>) -> Result<Measure, Bad> {
        match &selection.what {
            What::Inline => self.all(&selection.inner),
            What::Spread(name) => self.fragment(name),
            What::Field { name, aliased, arguments } => {
                let inner = self.all(&selection.inner)?;
                let price = self.prices.fields.get(*name).copied().unwrap_or(1);
                let times = self.times(arguments);
                Ok(Measure {
                    depth: inner.depth.saturating_add(1),
                    fields: inner.fields.saturating_add(1),
                    aliases: inner.aliases.saturating_add((*aliased).into()),
                    directives: inner.directives,
                    cost: inner.cost.saturating_mul(times).saturating_add(price),
                    introspects: inner.introspects || matches!(*name, "__schema" | "__type"),
                })
            }
        }
    }

    fn fragment(&mut self, name: &'t str) -> Result<Measure, Bad> {
        match self.known.get(name) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(Bad::Malformed("fragments are in each other")),
            None => {}
        }
        if self.chain == CHAIN_MAX {
            return Err(Bad::Depth);
        }
        self.known.insert(name, None);
        self.chain += 1;
        let document = self.document;
        let selection = document.fragments.get(name);
        let selection = selection.ok_or(Bad::Malformed("a fragment is missing"))?;
        let measure = self.all(selection)?;
        self.chain -= 1;
        self.known.insert(name, Some(measure));
        Ok(measure)
    }

    /// How many there will be of what is inside a field with these arguments; 1 unless they say.
    fn times(&self, arguments: &[(&str, Amount<'_>)]) -> u64 {
        let named = |name: &str| self.prices.multipliers.iter().any(|known| known == name);
        let said = arguments.iter().filter(|(name, _)| named(name));
        said.map(|(_, amount)| self.amount(*amount)).max().unwrap_or(1).max(1)
    }

    fn amount(&self, amount: Amount<'_>) -> u64 {
        match amount {
            Amount::Number(number) => number,
            Amount::Variable(name) => match self.variables.and_then(|all| all.get(name)) {
                Some(Value::Number(number)) => match number.as_u64() {
                    Some(number) => number,
                    None if number.as_f64().is_some_and(|number| number > 0.0) => u64::MAX,
                    None => 0,
                },
                _ => self.operation.defaults.get(name).copied().unwrap_or(1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::read;
    use super::*;

    fn prices() -> Prices {
        Prices {
            fields: HashMap::from([("search".to_owned(), 10)]),
            multipliers: vec!["first".into(), "last".into()],
        }
    }

    fn measured(text: &str, variables: &Value) -> Result<Measure, Bad> {
        let document = read(text, 10_000, 50)?;
        measure(&document, &document.operations[0], Some(variables), &prices())
    }

    #[test]
    fn what_an_operation_asks_for() {
        for (text, depth, fields, aliases, cost) in [
            ("{ a }", 1, 1, 0, 1),
            (
                "query Q($n: Int = 7) @x { a { b(x: [1, {y: $n}]) c: d @skip(if: true) } }",
                2,
                3,
                1,
                3,
            ),
            ("{ search(first: 50) { id name } }", 2, 3, 0, 10 + 50 * 2),
            ("{ a(first: 3) { b(last: 4) { c } } }", 3, 3, 0, 1 + 3 * (1 + 4)),
            ("query ($n: Int = 7) { a(first: $n) { b } }", 2, 2, 0, 1 + 7),
            ("query ($m: Int) { a(first: $m) { b } }", 2, 2, 0, 1 + 9),
            ("{ a { ...F ... on T { x } ... { y } } } fragment F on T { b { c } }", 3, 5, 0, 5),
            ("{ a(first: 99999999999999999999999) { b } }", 2, 2, 0, u64::MAX),
            ("{ a(first: -5) { b } }", 2, 2, 0, 2),
        ] {
            let measure = measured(text, &json!({ "m": 9 })).unwrap();
            let told = (measure.depth, measure.fields, measure.aliases, measure.cost);
            assert_eq!(told, (depth, fields, aliases, cost), "{text}");
            assert!(!measure.introspects, "{text}");
        }
        assert!(
            measured("{ ...F } fragment F on Q { __schema { types { name } } }", &json!({}))
                .unwrap()
                .introspects
        );
        assert!(!measured("{ __typename }", &json!({})).unwrap().introspects);
    }

    #[test]
    fn a_chain_of_fragments_has_a_bound() {
        let mut text = "{ ...F0 }".to_owned();
        for number in 0..5_000 {
            text += &format!(" fragment F{number} on T {{ ...F{} }}", number + 1);
        }
        let document = read(&text, 100_000, 50).unwrap();
        let measured = measure(&document, &document.operations[0], None, &prices());
        assert_eq!(measured.unwrap_err(), Bad::Depth);
    }

    #[test]
    fn fragments_in_each_other_end() {
        for text in [
            "{ ...A } fragment A on T { a ...A }",
            "{ ...A } fragment A on T { ...B } fragment B on T { b { ...A } }",
            "{ ...None }",
        ] {
            assert!(matches!(measured(text, &json!({})), Err(Bad::Malformed(_))), "{text}");
        }
    }

    /// Each fragment spreads the next twice: 2^60 fields.
    #[test]
    fn fragments_that_double_are_measured_in_the_time_they_take_to_write() {
        let mut text = "{ ...F0 }".to_owned();
        for number in 0..60 {
            let next = number + 1;
            text +=
                &format!(" fragment F{number} on T {{ a {{ ...F{next} }} b: a {{ ...F{next} }} }}");
        }
        text += " fragment F60 on T { x }";
        let measure = measured(&text, &json!({})).unwrap();
        assert!(measure.fields > 1 << 60 && measure.depth == 61, "{measure:?}");
    }
}
