//! Walks through JSON and stops at the first bound that it breaks. Keeps nothing of it but hashes
//! of the names in the objects that are open. Knows no HTTP.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use rustc_hash::FxBuildHasher;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

/// Names of an object that are compared one by one; beyond that there is a table.
const FEW: usize = 16;

/// What JSON may be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Objects and lists inside each other.
    pub depth: u8,
    /// Members of an object.
    pub members: usize,
    /// Items of a list.
    pub items: usize,
    /// Values in all, objects and lists among them.
    pub values: usize,
    /// Bytes of a member's name.
    pub name: usize,
    /// Bytes of a string.
    pub string: usize,
    /// Whether an object may have a member twice.
    pub repeated: bool,
}

/// Why JSON is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It breaks a bound: which, and what that is.
    Bound(Broken, usize),
    /// It is no JSON: why.
    Form(String),
}

/// A bound that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Depth,
    Members,
    Items,
    Values,
    Name,
    String,
    Repeated,
}

/// Looks whether `json` is within `bounds`. `hasher` is keyed: nobody outside can make names whose
/// hashes meet.
///
/// # Errors
/// The first bound that is broken; or that it is no JSON.
pub(super) fn check(json: &[u8], bounds: &Bounds, hasher: &RandomState) -> Result<(), Bad> {
    let walk = Walk { bounds, hasher, values: Cell::new(0), broken: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = At(&walk, bounds.depth).deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| match walk.broken.get() {
        Some((broken, bound)) => Bad::Bound(broken, bound),
        None => Bad::Form(error.to_string()),
    })
}

struct Walk<'w> {
    bounds: &'w Bounds,
    hasher: &'w RandomState,
    values: Cell<usize>,
    broken: Cell<Option<(Broken, usize)>>,
}

impl Walk<'_> {
    /// Stops where `count` is more than `bound`.
    fn hold<E: Error>(&self, count: usize, bound: usize, what: Broken) -> Result<(), E> {
        if count <= bound {
            return Ok(());
        }
        self.broken.set(Some((what, bound)));
        Err(E::custom("a bound is broken"))
    }

    fn value<E: Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.hold(self.values.get(), self.bounds.values, Broken::Values)
    }
}

/// A value, with as many objects and lists around what is in it as are still allowed.
#[derive(Clone, Copy)]
struct At<'w>(&'w Walk<'w>, u8);

impl At<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth = usize::from(self.0.bounds.depth);
        match self.1.checked_sub(1) {
            Some(left) => Ok(Self(self.0, left)),
            None => self.0.hold(depth + 1, depth, Broken::Depth).map(|()| self),
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.0.value()?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.hold(text.len(), self.0.bounds.string, Broken::String)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut items = 0;
        while from.next_element_seed(inner)?.is_some() {
            items += 1;
            self.0.hold(items, self.0.bounds.items, Broken::Items)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let (mut members, mut names) = (0, Names::default());
        while let Some(new) = from.next_key_seed(Name(self.0, &mut names))? {
            members += 1;
            self.0.hold(members, self.0.bounds.members, Broken::Members)?;
            if !new && !self.0.bounds.repeated {
                self.0.hold(1, 0, Broken::Repeated)?;
            }
            from.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// Hashes of the names of an object.
#[derive(Default)]
struct Names {
    few: SmallVec<[u64; FEW]>,
    many: HashSet<u64, FxBuildHasher>,
}

impl Names {
    /// Whether `name` is a new one.
    fn add(&mut self, name: u64) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

/// A member's name; gives whether it is a new one.
struct Name<'n>(&'n Walk<'n>, &'n mut Names);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        self.0.hold(name.len(), self.0.bounds.name, Broken::Name)?;
        Ok(self.1.add(self.0.hasher.hash_one(name)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;

    const WIDE: Bounds = Bounds {
        depth: 100,
        members: 1 << 20,
        items: 1 << 20,
        values: 1 << 20,
        name: 1 << 20,
        string: 1 << 20,
        repeated: false,
    };

    fn checked(json: &str, bounds: &Bounds) -> Result<(), Bad> {
        check(json.as_bytes(), bounds, &RandomState::new())
    }

    #[test]
    fn each_bound_holds_to_the_last_and_stops_at_the_next() {
        let three = Bounds { depth: 3, members: 3, items: 3, name: 3, string: 3, ..WIDE };
        for (good, bad, broken) in [
            ("[[[1]]]", "[[[[1]]]]", Broken::Depth),
            (r#"{"a":[{}]}"#, r#"{"a":[{"b":{}}]}"#, Broken::Depth),
            (r#"{"a":1,"b":1,"c":1}"#, r#"{"a":1,"b":1,"c":1,"d":1}"#, Broken::Members),
            ("[1,2,3]", "[1,2,3,4]", Broken::Items),
            (r#"{"abc":1}"#, r#"{"abcd":1}"#, Broken::Name),
            (r#""abc""#, r#""abcd""#, Broken::String),
            (r#""\u0061\u0062c""#, r#""\u0061\u0062cd""#, Broken::String),
        ] {
            assert_eq!(checked(good, &three), Ok(()), "{good}");
            assert_eq!(checked(bad, &three), Err(Bad::Bound(broken, 3)), "{bad}");
        }
        let few = Bounds { values: 3, ..WIDE };
        assert_eq!(checked("[1,2]", &few), Ok(()));
        assert_eq!(checked("[1,2,3]", &few), Err(Bad::Bound(Broken::Values, 3)));
    }

    #[test]
    fn a_name_stands_once_however_it_is_written() {
        for bad in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":1,"a":2}}]"#] {
            assert_eq!(checked(bad, &WIDE), Err(Bad::Bound(Broken::Repeated, 0)), "{bad}");
            assert_eq!(checked(bad, &Bounds { repeated: true, ..WIDE }), Ok(()), "{bad}");
        }
        assert_eq!(checked(r#"[{"a":1},{"a":{"a":2}}]"#, &WIDE), Ok(()));
        let many = |last: &str| {
            let names: Vec<_> = (0..100).map(|number| format!("\"{number}\":0")).collect();
            format!("{{{},\"{last}\":0}}", names.join(","))
        };
        assert_eq!(checked(&many("new"), &WIDE), Ok(()));
        for old in ["0", "15", "16", "99"] {
            assert_eq!(checked(&many(old), &WIDE), Err(Bad::Bound(Broken::Repeated, 0)), "{old}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_as_that() {
        for bad in ["", "[1,]", "{'a':1}", "[1] 2", "NaN", "01", "1e999", "\u{feff}{}"] {
            assert!(matches!(checked(bad, &WIDE), Err(Bad::Form(_))), "{bad}");
        }
        assert!(matches!(check(b"\"\xff\"", &WIDE, &RandomState::new()), Err(Bad::Form(_))));
    }

    /// F14: neither depth nor number nor length takes the stack or the memory along.
    #[test]
    fn extremes_end_at_the_first_bound() {
        let bounds = Bounds { depth: 20, members: 100, items: 1000, string: 10_000, ..WIDE };
        let deep = "[".repeat(1_000_000);
        assert_eq!(checked(&deep, &bounds), Err(Bad::Bound(Broken::Depth, 20)));
        let objects = "{\"a\":".repeat(10_000);
        assert_eq!(checked(&objects, &bounds), Err(Bad::Bound(Broken::Depth, 20)));
        let wide: String = (0..1_000_000).map(|number| format!("\"{number}\":0,")).collect();
        assert_eq!(checked(&format!("{{{wide}"), &bounds), Err(Bad::Bound(Broken::Members, 100)));
        let long = format!("\"{}\"", "x".repeat(10 << 20));
        assert_eq!(checked(&long, &bounds), Err(Bad::Bound(Broken::String, 10_000)));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,3}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// How deep a value is, and how many values it is.
    fn measure(value: &Value) -> (usize, usize) {
        let inner: Vec<(usize, usize)> = match value {
            Value::Array(items) => items.iter().map(measure).collect(),
            Value::Object(members) => members.values().map(measure).collect(),
            _ => return (0, 1),
        };
        let depth = inner.iter().map(|(depth, _)| *depth).max().unwrap_or(0);
        (depth + 1, inner.iter().map(|(_, values)| values).sum::<usize>() + 1)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_reader_that_keeps_everything(value in values()) {
            let text = value.to_string();
            let (depth, count) = measure(&value);
            prop_assert_eq!(checked(&text, &WIDE), Ok(()));
            let tight = Bounds { depth: depth as u8, values: count, ..WIDE };
            prop_assert_eq!(checked(&text, &tight), Ok(()));
            let less = Bounds { values: count - 1, ..tight };
            prop_assert_eq!(checked(&text, &less), Err(Bad::Bound(Broken::Values, count - 1)));
            if depth > 0 {
                let less = Bounds { depth: depth as u8 - 1, ..tight };
                prop_assert_eq!(
                    checked(&text, &less),
                    Err(Bad::Bound(Broken::Depth, depth - 1))
                );
            }
        }

        #[test]
        fn any_bytes_are_json_or_not_as_others_have_it(bytes in "[\\[\\]{},:\"0-9a-z ]{0,40}") {
            let form = checked(&bytes, &Bounds { repeated: true, ..WIDE });
            prop_assert_eq!(form.is_ok(), serde_json::from_str::<IgnoredAny>(&bytes).is_ok());
        }
    }
}
