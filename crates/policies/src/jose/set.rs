//! Sets of keys (RFC 7517 §5), and which of them a token may mean.

use serde_json::Value;

use super::token::Bad;
use super::{Algorithm, Jwk, Key, object};

/// Most keys of a set.
const KEYS: usize = 100;

/// Keys, each with its algorithm.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// Why the others of the set are not used.
    skipped: Vec<&'static str>,
}

impl KeySet {
    /// Reads a JWK Set. Keys for other things than signatures, and those no algorithm of `allowed`
    /// fits, are left out.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub(crate) fn read(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let set = object(bytes).ok_or("it is no JSON object in which each member stands once")?;
        let Some(Value::Array(items)) = set.get("keys") else {
            return Err("it has no array `keys`, so it is no JWK Set (RFC 7517 §5)");
        };
        if items.len() > KEYS {
            return Err("it has more than 100 keys");
        }
        let mut read = Self::default();
        let mut kinds = [false; 2];
        for item in items {
            let jwk = item.as_object().ok_or("it is no object").and_then(Jwk::of);
            if let Ok(jwk) = &jwk
                && let Some(kind) = kinds.get_mut(usize::from(jwk.is_secret()))
            {
                *kind = true;
            }
            match jwk.and_then(|jwk| Key::new(&jwk, allowed)) {
                Ok(key) => read.add(key)?,
                Err(why) => read.skipped.push(why),
            }
        }
        if kinds == [true; 2] {
            return Err("it has public keys beside secret ones");
        }
        Ok(read)
    }

    /// A set of these.
    ///
    /// # Errors
    /// Two have one name.
    pub(crate) fn of(keys: impl IntoIterator<Item = Key>) -> Result<Self, &'static str> {
        let mut set = Self::default();
        keys.into_iter().try_for_each(|key| set.add(key))?;
        Ok(set)
    }

    fn add(&mut self, key: Key) -> Result<(), &'static str> {
        let twin = |known: &&Key| {
            known.kid().is_some()
                && known.kid() == key.kid()
                && known.algorithm() == key.algorithm()
        };
        match self.keys.iter().find(twin) {
            Some(known) if known.thumbprint() == key.thumbprint() => {}
            Some(_) => return Err("two of its keys have the same `kid` and algorithm"),
            None => self.keys.push(key),
        }
        Ok(())
    }

    /// The keys.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Why the others of the set are not used, one reason each.
    pub(crate) fn skipped(&self) -> &[&'static str] {
        &self.skipped
    }

    /// The keys a token with this header may be signed with: those of its `kid` and those without
    /// one, if their algorithm is the token's.
    ///
    /// # Errors
    /// There is none, or none of this algorithm.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &Key>, Bad> {
        let named = move |key: &&Key| kid.is_none() || key.kid().is_none() || key.kid() == kid;
        let fit = move |key: &&Key| named(key) && key.algorithm() == algorithm;
        match self.keys.iter().any(|key| fit(&key)) {
            true => Ok(self.keys.iter().filter(fit)),
            // A token without `kid` asks for no key, so another fetch would not find it.
            false if kid.is_none() && !self.keys.is_empty() => Err(Bad::Algorithm),
            false if self.keys.iter().any(|key| named(&key)) => Err(Bad::Algorithm),
            false => Err(Bad::UnknownKey),
        }
    }
}
