//! Scalars and bounds: enums, patterns, formats, least and most.

use base::{ByteSize, Moment, Span};
use ipnet::IpNet;
use serde_json::Value;

use super::words::{self, allowed, one_of, short};
use super::{At, Checker};
use crate::schema::{summary, text};
use crate::tree::{Kind, Node, Origin};

impl<'s> Checker<'s> {
    pub(super) fn scalar(&mut self, node: &Node, schema: &'s Value, at: At<'_>) {
        let converted = match &node.kind {
            Kind::Text(text) if text.origin == Origin::Resolved => {
                convert(&text.value, &words::types(schema))
            }
            _ => None,
        };
        let Some(value) = converted else { return self.bounds(node, schema, at) };
        let kind = match &value {
            Value::Number(number) => Kind::Number(number.clone()),
            Value::Bool(value) => Kind::Bool(*value),
            _ => return,
        };
        self.marks.converted.insert(node.place, value);
        self.bounds(&Node { place: node.place, kind }, schema, at);
    }

    /// Everything `schema` says about `node` but its type and what is inside of it.
    pub(super) fn bounds(&mut self, node: &Node, schema: &'s Value, at: At<'_>) {
        match &node.kind {
            Kind::Text(text) => self.text_bounds(node, &text.value, schema, at),
            Kind::Number(number) => {
                let value = number.as_f64().unwrap_or_default();
                self.number_bounds(node, value, schema, at);
            }
            Kind::List(items) => {
                self.count_bounds(node, items.len(), ["minItems", "maxItems"], schema, at);
                self.unique(items, schema, at);
            }
            Kind::Map(entries) => {
                let words = ["minProperties", "maxProperties"];
                self.count_bounds(node, entries.len(), words, schema, at);
            }
            Kind::Null | Kind::Bool(_) => {}
        }
        let values = allowed(schema);
        let scalar = !matches!(node.kind, Kind::List(_) | Kind::Map(_));
        if scalar && !values.is_empty() && !values.contains(&&node.value(&|_| None)) {
            self.not_allowed(node, &values, at);
        }
    }

    /// Says that `node` is none of `values`.
    pub(super) fn not_allowed(&mut self, node: &Node, values: &[&Value], at: At<'_>) {
        let found = words::found(node, self.written(node));
        let list = one_of(values);
        let names = values.iter().filter_map(|value| value.as_str());
        let hint = node.as_text().and_then(|text| base::closest(text, names));
        let hint = match hint {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write {list}"),
        };
        let what = format!("{} must be {list}; this is {found}", at.name);
        self.fault(node.place, what, Some(hint));
    }

    fn text_bounds(&mut self, node: &Node, value: &str, schema: &'s Value, at: At<'_>) {
        let name = at.name;
        if let Some(format) = text(schema, "format") {
            match wrong_format(format, value) {
                Some(Ok(())) => return,
                Some(Err((what, hint))) => return self.fault(node.place, what, Some(hint)),
                None => {}
            }
        }
        let count = value.chars().count() as u64;
        if schema.get("minLength").and_then(Value::as_u64).is_some_and(|least| count < least) {
            let what = match count {
                0 => format!("{name} is empty"),
                _ => format!("{name} is too short"),
            };
            self.fault(node.place, what, summary(schema).map(Into::into));
        }
        let most = schema.get("maxLength").and_then(Value::as_u64);
        if let Some(most) = most.filter(|most| count > *most) {
            let what = format!("{name} has {count} characters, more than {most}");
            self.fault(node.place, what, summary(schema).map(Into::into));
        }
        let Some(pattern) = text(schema, "pattern") else { return };
        if self.pattern(pattern).is_some_and(|regex| !regex.is_match(value)) {
            let what = format!("{name} is not written as it must be: `{}`", short(value));
            let about = summary(schema).map_or_else(String::new, |about| format!("{about}; "));
            self.fault(node.place, what, Some(format!("{about}it must match {pattern}")));
        }
    }

    fn number_bounds(&mut self, node: &Node, value: f64, schema: &'s Value, at: At<'_>) {
        let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
        let (least, most) = match text(schema, "format") {
            Some("uint8") => (0.0, f64::from(u8::MAX)),
            Some("uint16") => (0.0, f64::from(u16::MAX)),
            Some("uint32") => (0.0, f64::from(u32::MAX)),
            Some("uint" | "uint64" | "gateward-size") => (0.0, f64::MAX),
            Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
            _ => (f64::MIN, f64::MAX),
        };
        let least = bound("minimum").map_or(least, |b| b.max(least));
        let most = bound("maximum").map_or(most, |b| b.min(most));
        let wrong = if value < least {
            format!("at least {least}")
        } else if value > most {
            format!("at most {most}")
        } else if let Some(b) = bound("exclusiveMinimum").filter(|b| value <= *b) {
            format!("more than {b}")
        } else if let Some(b) = bound("exclusiveMaximum").filter(|b| value >= *b) {
            format!("less than {b}")
        } else {
            return;
        };
        let found = words::found(node, self.written(node));
        let what = format!("{} must be {wrong}; this is {found}", at.name);
        self.fault(node.place, what, summary(schema).map(Into::into));
    }

    fn count_bounds(
        &mut self,
        node: &Node,
        count: usize,
        [least, most]: [&str; 2],
        schema: &'s Value,
        at: At<'_>,
    ) {
        let bound = |word: &str| schema.get(word).and_then(Value::as_u64);
        let count = count as u64;
        let what = match (bound(least), bound(most)) {
            (Some(_), _) if count == 0 && bound(least) > Some(0) => format!("{} is empty", at.name),
            (Some(least), _) if count < least => format!("{} must have {least} or more", at.name),
            (_, Some(most)) if count > most => format!("{} must have {most} or fewer", at.name),
            _ => return,
        };
        self.fault(node.place, what, summary(schema).map(Into::into));
    }

    fn unique(&mut self, items: &[Node], schema: &'s Value, at: At<'_>) {
        if schema.get("uniqueItems") != Some(&Value::Bool(true)) {
            return;
        }
        let mut seen = std::collections::HashMap::new();
        for item in items {
            let value = item.value(&|_| None).to_string();
            if let Some(first) = seen.insert(value, item.place) {
                let fault =
                    crate::fault::Fault::new(item.place, format!("{} comes twice", at.name))
                        .hint("keep one of them")
                        .see(first, "first written here");
                self.faults.push(fault);
            }
        }
    }
}

/// What is wrong and what to write instead, by a format of ours; nothing where the format is not
/// ours.
fn wrong_format(format: &str, value: &str) -> Option<Result<(), (String, String)>> {
    let split = |error: String| match error.split_once("; ") {
        Some((what, hint)) => (what.to_owned(), hint.to_owned()),
        None => (error, String::new()),
    };
    match format {
        "gateward-duration" => Some(value.parse::<Span>().map(drop).map_err(split)),
        "gateward-moment" => Some(value.parse::<Moment>().map(drop).map_err(split)),
        "gateward-size" => Some(value.parse::<ByteSize>().map(drop).map_err(split)),
        "gateward-network" => Some(value.parse::<IpNet>().map(drop).map_err(|_| {
            let hint = match value.parse::<std::net::IpAddr>() {
                Ok(address) => format!("write {}", IpNet::from(address)),
                Err(_) => "write an address and the length of its prefix, as in 10.0.0.0/8".into(),
            };
            (format!("`{}` is not a network", short(value)), hint)
        })),
        _ => None,
    }
}

/// What `text`, which `${…}` made, stands for where only `types` are taken.
pub(super) fn convert(text: &str, types: &[&str]) -> Option<Value> {
    if types.is_empty() || types.contains(&"string") {
        return None;
    }
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    let fits = match &value {
        Value::Bool(_) => types.contains(&"boolean"),
        Value::Number(number) => {
            types.contains(&"number") || (types.contains(&"integer") && !number.is_f64())
        }
        _ => false,
    };
    fits.then_some(value)
}
