//! Stored hashes of passwords: what they may be, what they may cost, and whether a password is the
//! one that was hashed.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// Most memory one hash may take, in KiB.
const MEMORY_KIB: u32 = 256 << 10;

/// Most memory passed over in all, in KiB: memory times rounds. About a second of a core.
const WORK_KIB: u32 = 1 << 20;

/// The largest cost of bcrypt: each step more doubles the work; 14 is about a second of a core.
const BCRYPT_COST: u32 = 14;

/// What new hashes cost, some 20 ms of a core.
const NEW_MEMORY_KIB: u32 = 19_456;

/// Rounds of new hashes.
const NEW_ROUNDS: u32 = 2;

/// A hash as it is stored.
#[derive(PartialEq, Eq)]
pub(super) enum Stored {
    /// Argon2id (RFC 9106).
    Argon2id { params: Params, salt: Vec<u8>, hash: Vec<u8> },
    /// bcrypt, as text.
    Bcrypt(String),
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Argon2id { .. } => "Argon2id(***)",
            Self::Bcrypt(_) => "Bcrypt(***)",
        })
    }
}

/// Why a stored hash is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is one that can be guessed at a billion times a second.
    Fast(&'static str),
    /// It is none that is known here.
    Unknown,
    /// Checking it would cost too much.
    Costly,
    /// It is damaged.
    Damaged,
}

impl Unfit {
    /// What is wrong, to go behind `the password's hash`.
    pub fn what(self) -> String {
        match self {
            Self::Fast(name) => format!("is {name}, which is guessed far too fast"),
            Self::Unknown => "is none that is known here".to_owned(),
            Self::Costly => "would cost too much to check".to_owned(),
            Self::Damaged => "is damaged".to_owned(),
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Costly => {
                "use at most 256 MiB (m=262144), m times t of at most 1048576, and bcrypt's cost \
                 of at most 14"
            }
            _ => "make one with `gateward password hash`, or with `htpasswd -nB -C 10 NAME`",
        }
    }
}

impl Stored {
    /// Reads a hash as htpasswd files and password libraries write it.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        if let Some(rest) = text.strip_prefix("$argon2id$") {
            return argon2id(rest);
        }
        if let Some(rest) = ["$2a$", "$2b$", "$2y$"].iter().find_map(|it| text.strip_prefix(it)) {
            return bcrypt(text, rest);
        }
        Err(match text {
            _ if text.starts_with("{SHA}") => Unfit::Fast("an unsalted SHA-1"),
            _ if text.starts_with("{SSHA}") => Unfit::Fast("a SHA-1"),
            _ if text.starts_with("$apr1$") || text.starts_with("$1$") => Unfit::Fast("an MD5"),
            _ if text.starts_with('$') => Unfit::Unknown,
            _ => Unfit::Fast("crypt or plain text"),
        })
    }

    /// Whether `password` is the one. Takes as long as the hash was made to.
    pub fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2id { params, salt, hash } => {
                let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let mut out = vec![0; hash.len()];
                argon.hash_password_into(password, salt, &mut out).is_ok()
                    && verify_slices_are_equal(&out, hash).is_ok()
            }
            // Compares in constant time.
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        }
    }

    /// What tells it from all others.
    pub fn mark(&self) -> &[u8] {
        match self {
            Self::Argon2id { hash, .. } => hash,
            Self::Bcrypt(text) => text.as_bytes(),
        }
    }
}

/// The hash of `password` as `basic` stores it: Argon2id, with the memory and rounds that OWASP
/// names; none where there is no randomness for its salt.
pub fn hash_password(password: &str) -> Option<String> {
    let (mut salt, mut hash) = ([0; 16], [0; 32]);
    aws_lc_rs::rand::fill(&mut salt).ok()?;
    let params = Params::new(NEW_MEMORY_KIB, NEW_ROUNDS, 1, Some(hash.len())).ok()?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.as_bytes(), &salt, &mut hash).ok()?;
    let text = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
    let (salt, hash) = (text(&salt), text(&hash));
    Some(format!("$argon2id$v=19$m={NEW_MEMORY_KIB},t={NEW_ROUNDS},p=1${salt}${hash}"))
}

/// `v=19$m=65536,t=3,p=1$SALT$HASH`.
fn argon2id(rest: &str) -> Result<Stored, Unfit> {
    let mut parts = rest.split('$');
    let mut part = || parts.next().ok_or(Unfit::Damaged);
    if part()? != "v=19" {
        return Err(Unfit::Unknown);
    }
    let (costs, salt, hash) = (part()?, part()?, part()?);
    if parts.next().is_some() {
        return Err(Unfit::Damaged);
    }
    let (mut memory, mut rounds, mut lanes) = (None, None, None);
    for cost in costs.split(',') {
        let (name, number) = cost.split_once('=').ok_or(Unfit::Damaged)?;
        let number: u32 = number.parse().map_err(|_| Unfit::Damaged)?;
        match name {
            "m" => memory = Some(number),
            "t" => rounds = Some(number),
            "p" => lanes = Some(number),
            _ => return Err(Unfit::Damaged),
        }
    }
    let (Some(memory), Some(rounds), Some(lanes)) = (memory, rounds, lanes) else {
        return Err(Unfit::Damaged);
    };
    if memory > MEMORY_KIB || memory.saturating_mul(rounds) > WORK_KIB || lanes > 16 {
        return Err(Unfit::Costly);
    }
    let decoded = |text: &str, sizes: std::ops::RangeInclusive<usize>| {
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok();
        bytes.filter(|bytes| sizes.contains(&bytes.len())).ok_or(Unfit::Damaged)
    };
    let (salt, hash) = (decoded(salt, 8..=64)?, decoded(hash, 16..=64)?);
    let params = Params::new(memory, rounds, lanes, Some(hash.len()));
    Ok(Stored::Argon2id { params: params.map_err(|_| Unfit::Damaged)?, salt, hash })
}

/// `10$` and 53 characters.
fn bcrypt(text: &str, rest: &str) -> Result<Stored, Unfit> {
    let (cost, tail) = rest.split_once('$').ok_or(Unfit::Damaged)?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || tail.len() != 53 || !tail.bytes().all(known) {
        return Err(Unfit::Damaged);
    }
    match cost.parse::<u32>() {
        Ok(4..=BCRYPT_COST) => {}
        Ok(0..=31) if cost > "14" => return Err(Unfit::Costly),
        _ => return Err(Unfit::Damaged),
    }
    // Whatever the parser of the library would not take is known now, and not when someone calls.
    text.parse::<bcrypt::HashParts>().map_err(|_| Unfit::Damaged)?;
    Ok(Stored::Bcrypt(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_others_made_are_known() {
        // By crypt(3), as htpasswd does it, by Python's bcrypt, and by argon2-cffi.
        for (hash, password) in [
            ("$2y$05$EWt02iVCc66gjEhVlsoJ8OJ.tLK8oDZxxJ1ZNbBPYlsIB2JDmwknq", "secret"),
            ("$2b$05$lkk86PC/k195IjDG9XsrMe3yHrF5o0xGQQdSsfSgV9LtxN03wlY/G", "p\u{e4}ssword"),
            (
                "$argon2id$v=19$m=64,t=1,p=1$qVlfiPaqOAB1+EdANQgE3w$\
                 WhgEN6Sn1pnryu2mn/fIMI32spkW76Hl+GnVwpexDvA",
                "secret",
            ),
            (
                "$argon2id$v=19$m=1024,t=2,p=2$pRDYxVsgx7FWgRrIZDm0ZQ$\
                 yr+odjxev/fEr4S+LBC1CYYZcGNmjUbayw7WgtscYko",
                "p\u{e4}ssword",
            ),
        ] {
            let stored = Stored::parse(hash).unwrap();
            assert!(stored.is_of(password.as_bytes()), "{hash}");
            assert!(!stored.is_of(b"Secret") && !stored.is_of(b""), "{hash}");
            assert!(format!("{stored:?}").ends_with("(***)"));
        }
    }

    #[test]
    fn a_new_hash_is_one_that_is_taken() {
        let hash = hash_password("gr\u{fc}n").unwrap();
        let stored = Stored::parse(&hash).unwrap();
        assert!(stored.is_of("gr\u{fc}n".as_bytes()) && !stored.is_of(b"green"), "{hash}");
        assert_ne!(hash, hash_password("gr\u{fc}n").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn fast_and_damaged_hashes_are_refused() {
        let salt_and_hash = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for (hash, unfit) in [
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", Unfit::Fast("an unsalted SHA-1")),
            ("$apr1$abc$def", Unfit::Fast("an MD5")),
            ("secret", Unfit::Fast("crypt or plain text")),
            ("", Unfit::Fast("crypt or plain text")),
            ("$6$abc$def", Unfit::Unknown),
            ("$argon2i$v=19$m=65536,t=2,p=1$", Unfit::Unknown),
            ("$argon2id$v=16$m=65536,t=2,p=1$a$b", Unfit::Unknown),
            ("$argon2id$v=19$m=65536,t=2$a$b", Unfit::Damaged),
            ("$argon2id$v=19$m=65536,t=2,p=1$a$b", Unfit::Damaged),
            (&format!("$argon2id$v=19$m=262145,t=1,p=1${salt_and_hash}"), Unfit::Costly),
            (&format!("$argon2id$v=19$m=65536,t=17,p=1${salt_and_hash}"), Unfit::Costly),
            (
                &format!("$argon2id$v=19$m=4294967295,t=4294967295,p=1${salt_and_hash}"),
                Unfit::Costly,
            ),
            (&format!("$argon2id$v=19$m=1,t=1,p=1${salt_and_hash}"), Unfit::Damaged),
            ("$2y$05$EWt02iVCc66gjEhVlsoJ8", Unfit::Damaged),
            ("$2y$31$EWt02iVCc66gjEhVlsoJ8OvsPnd/2PRY61yxj9TwqISnj5KuwGy5S", Unfit::Costly),
            ("$2y$+5$EWt02iVCc66gjEhVlsoJ8OvsPnd/2PRY61yxj9TwqISnj5KuwGy5S", Unfit::Damaged),
            ("$2y$99$EWt02iVCc66gjEhVlsoJ8OvsPnd/2PRY61yxj9TwqISnj5KuwGy5S", Unfit::Damaged),
        ] {
            assert_eq!(Stored::parse(hash), Err(unfit), "{hash}");
        }
        let good = format!("$argon2id$v=19$m=65536,t=2,p=1${salt_and_hash}");
        assert!(Stored::parse(&good).is_ok());
    }
}
