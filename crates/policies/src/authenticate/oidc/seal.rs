//! Sealed texts: nobody but the gateway can read them or make one (AES-256-GCM). Knows no HTTP.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hkdf, rand};

use crate::jose::{decode, encode};

/// Least bytes of the text a key is made of.
pub(super) const LEAST: usize = 32;

/// Bytes of a key's id, and of a nonce.
const ID: usize = 4;
const NONCE: usize = 12;

/// Keys, of which the first seals and all open.
pub(super) struct Seal {
    keys: Vec<([u8; ID], LessSafeKey)>,
    /// Whose seals they are: another client's are not opened, though its keys were the same.
    owner: Vec<u8>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

impl Seal {
    /// Keys made of these texts, for a client of an issuer; none where there is no key.
    pub(super) fn new<'t>(
        texts: impl IntoIterator<Item = &'t str>,
        issuer: &str,
        client: &str,
    ) -> Option<Self> {
        let keys: Option<Vec<_>> = texts.into_iter().map(key).collect();
        let keys = keys.filter(|keys| !keys.is_empty())?;
        let mut owner = Vec::new();
        for part in [issuer, client] {
            owner.extend_from_slice(&(part.len() as u64).to_le_bytes());
            owner.extend_from_slice(part.as_bytes());
        }
        Some(Self { keys, owner })
    }

    /// Seals `text` for one purpose; none where there is no randomness.
    pub(super) fn seal(&self, purpose: &str, text: &[u8]) -> Option<String> {
        let (id, key) = self.keys.first()?;
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = text.to_vec();
        let aad = Aad::from(self.context(purpose));
        let bound = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(bound, aad, &mut sealed).ok()?;
        Some(encode([&id[..], &nonce, &sealed].concat()))
    }

    /// What was sealed for this purpose by a key that is known.
    pub(super) fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let bytes = decode(sealed)?;
        let (id, rest) = bytes.split_first_chunk::<ID>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == id)?;
        let mut text = rest.to_vec();
        let aad = Aad::from(self.context(purpose));
        let length = key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut text);
        let length = length.ok()?.len();
        text.truncate(length);
        Some(text)
    }

    fn context(&self, purpose: &str) -> Vec<u8> {
        [purpose.as_bytes(), b"\0", &self.owner].concat()
    }
}

/// The key made of a text, and its id.
fn key(text: &str) -> Option<([u8; ID], LessSafeKey)> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gateward oidc 1");
    let mut bytes = [0; 32];
    salt.extract(text.as_bytes())
        .expand(&[b"session"], hkdf::HKDF_SHA256)
        .and_then(|made| made.fill(&mut bytes))
        .ok()?;
    let id = digest(&SHA256, &bytes).as_ref().first_chunk().copied()?;
    let key = UnboundKey::new(&AES_256_GCM, &bytes).ok()?;
    Some((id, LessSafeKey::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(texts: &[&str]) -> Seal {
        Seal::new(texts.iter().copied(), "https://idp.example", "web").unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_for_its_purpose_alone() {
        let one = seal(&["a"]);
        let sealed = one.seal("login", b"text").unwrap();
        assert_eq!(one.open("login", &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(one.open("session", &sealed), None);
        assert_ne!(one.seal("login", b"text").unwrap(), sealed, "never the same nonce");
        for bad in ["", "AAAA", "not base64url!", &sealed[..sealed.len() - 4]] {
            assert_eq!(one.open("login", bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_replaced_without_ending_what_they_sealed() {
        let (old, both, new) = (seal(&["a"]), seal(&["b", "a"]), seal(&["b"]));
        let sealed = old.seal("s", b"text").unwrap();
        assert!(both.open("s", &sealed).is_some());
        assert!(new.open("s", &sealed).is_none());
        assert!(new.open("s", &both.seal("s", b"text").unwrap()).is_some());
    }
}
