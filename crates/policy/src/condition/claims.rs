//! What a credential claims, as values of the language: texts are borrowed, and what is too much to
//! look at is an error.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Map, Value};

use super::cost::ELEMENTS;

/// Most values in all that are named, however deep.
const VALUES: u64 = 1024;

/// Those of `claims` that `names` names, or all.
pub(super) fn claims<'x>(
    claims: &'x Map<String, Value>,
    names: Option<&[String]>,
) -> Result<CelMap<'x>, String> {
    let mut left = VALUES;
    match names {
        Some(names) => {
            object(names.iter().filter_map(|name| claims.get_key_value(name)), &mut left)
        }
        None => object(claims.iter(), &mut left),
    }
}

fn object<'x>(
    fields: impl Iterator<Item = (&'x String, &'x Value)>,
    left: &mut u64,
) -> Result<CelMap<'x>, String> {
    let mut map: HashMap<CelMapKey<'x>, Box<dyn Val + 'x>> = HashMap::new();
    for (name, field) in fields {
        if map.len() as u64 >= ELEMENTS {
            return Err(too_many());
        }
        map.insert(CelMapKey::String(CelString::from(name.as_str())), value(field, left)?);
    }
    Ok(CelMap::from(map))
}

fn value<'x>(claim: &'x Value, left: &mut u64) -> Result<Box<dyn Val + 'x>, String> {
    *left = left.checked_sub(1).ok_or_else(too_many)?;
    Ok(match claim {
        Value::Null => Box::new(CelNull),
        Value::Bool(yes) => Box::new(CelBool::from(*yes)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::Array(items) if items.len() as u64 > ELEMENTS => return Err(too_many()),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| value(item, left)).collect();
            Box::new(CelList::from(items?))
        }
        Value::Object(fields) => Box::new(object(fields.iter(), left)?),
    })
}

fn too_many() -> String {
    "the credential claims more than is looked at: the expression is not evaluated".to_owned()
}
