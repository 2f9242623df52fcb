//! Where something stands in the files of a contract.

use std::fmt;

use serde_json::Value;

/// A file of a contract, and a JSON Pointer (RFC 6901) into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file, by its number among the contract's: 0 is the one that was named.
    pub file: usize,
    /// Where in it; empty for all of it.
    pub pointer: String,
}

impl Place {
    /// The member `key` of what stands here.
    pub(crate) fn key(&self, key: &str) -> Self {
        let mut pointer = self.pointer.clone();
        step(&mut pointer, key);
        Self { file: self.file, pointer }
    }

    /// The item `index` of what stands here.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.pointer.is_empty() { "/" } else { &self.pointer })
    }
}

/// Adds the member `key` to a pointer.
fn step(pointer: &mut String, key: &str) {
    pointer.push('/');
    for c in key.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// A value of a contract, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Found<'f> {
    pub value: &'f Value,
    pub place: Place,
}

impl<'f> Found<'f> {
    /// Its member `key`.
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key)?;
        Some(Self { value, place: self.place.key(key) })
    }

    /// Its members.
    pub fn members(&self) -> impl Iterator<Item = (&'f str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        let place = self.place.clone();
        members.map(move |(key, value)| (key.as_str(), Self { value, place: place.key(key) }))
    }

    /// Its items.
    pub fn items(&self) -> impl Iterator<Item = Self> {
        let items = self.value.as_array().into_iter().flatten();
        let place = self.place.clone();
        items.enumerate().map(move |(at, value)| Self { value, place: place.index(at) })
    }

    /// Its member `key`, a text.
    pub fn text(&self, key: &str) -> Option<&'f str> {
        self.value.get(key)?.as_str()
    }

    /// Its member `key`, true or false; false where there is none.
    pub fn flag(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool).unwrap_or_default()
    }
}
