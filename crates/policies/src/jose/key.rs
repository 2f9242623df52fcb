//! Keys that verify: made ready once, with the one algorithm they have.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};

use super::algorithm::Family;
use super::jwk::Numbers;
use super::{Algorithm, Jwk};

/// A key with its algorithm.
pub(crate) struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    thumbprint: Box<str>,
    verifier: Verifier,
}

#[allow(clippy::large_enum_variant, reason = "there are few, each made once")]
enum Verifier {
    Public(ParsedPublicKey),
    Secret(hmac::Key),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kid = self.kid.as_deref().unwrap_or_default();
        write!(f, "Key({} {kid:?})", self.algorithm.name())
    }
}

impl Key {
    /// `jwk` with the algorithm it names, if that is one of `allowed`; with the first of `allowed`
    /// that fits, if it names none.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub(crate) fn new(jwk: &Jwk, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let fits = |algorithm: &&Algorithm| jwk.numbers.fit(algorithm.family());
        let algorithm = match jwk.alg.as_deref() {
            Some(name) => {
                let named = Algorithm::named(name).filter(|named| fits(&named));
                let named = named.ok_or("its `alg` is not known or not one for such a key")?;
                allowed.contains(&named).then_some(named)
            }
            None => allowed.iter().find(fits).copied(),
        };
        let algorithm = algorithm.ok_or("no algorithm that is allowed here fits it")?;
        let verifier = verifier(&jwk.numbers, algorithm)?;
        let kid = jwk.kid.as_deref().map(Box::from);
        Ok(Self { kid, algorithm, thumbprint: jwk.thumbprint().into(), verifier })
    }

    /// Its id, where it has one.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Its algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its thumbprint (RFC 7638).
    pub(crate) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether `signature` is its own of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
            Verifier::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl Numbers {
    /// Whether they are of this family.
    fn fit(&self, family: Family) -> bool {
        match (self, family) {
            (Self::Rsa { .. }, Family::Rsa) | (Self::Okp(_), Family::Ed25519) => true,
            (Self::Ec { curve, .. }, Family::Ec(wanted, _)) => curve == wanted,
            (Self::Secret(secret), Family::Hmac(least)) => secret.len() >= least,
            _ => false,
        }
    }
}

/// What verifies `algorithm` with these numbers, which fit it.
fn verifier(numbers: &Numbers, algorithm: Algorithm) -> Result<Verifier, &'static str> {
    let unfit = "its numbers are no key";
    let parsed = match numbers {
        Numbers::Rsa { n, e } => {
            rsa_is_sound(n, e)?;
            let (n, e) = (n.as_slice(), e.as_slice());
            let how = algorithm.rsa().ok_or(unfit)?;
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(how)
        }
        Numbers::Ec { x, y, .. } => {
            let Family::Ec(_, size) = algorithm.family() else { return Err(unfit) };
            if x.len() != size || y.len() != size {
                return Err("its coordinates do not have the length of its curve");
            }
            let point = [[4].as_slice(), x, y].concat();
            ParsedPublicKey::new(algorithm.ecdsa().ok_or(unfit)?, point)
        }
        Numbers::Okp(x) if x.len() == 32 => ParsedPublicKey::new(&ED25519, x),
        Numbers::Okp(_) => return Err("it has not the 32 bytes of an Ed25519 key"),
        Numbers::Secret(secret) => {
            let how = algorithm.hmac().ok_or(unfit)?;
            return Ok(Verifier::Secret(hmac::Key::new(how, secret)));
        }
    };
    parsed.map(Verifier::Public).map_err(|_| unfit)
}

/// RSA keys of 2048 to 8192 bits with a usual exponent (RFC 7518 §3.3), not made by the broken
/// generator of CVE-2017-15361.
fn rsa_is_sound(n: &[u8], e: &[u8]) -> Result<(), &'static str> {
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if n.first() == Some(&0) || !(2048..=8192).contains(&bits) {
        return Err("its modulus has not 2048 to 8192 bits");
    }
    let exponent = e.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    if e.len() > 4 || exponent < 3 || exponent % 2 == 0 {
        return Err("its exponent is even, or not between 3 and 2^32");
    }
    if is_roca(n) {
        return Err("it was made by the broken generator of CVE-2017-15361");
    }
    Ok(())
}

/// Whether `n` is a power of 65537 modulo each of the primes that generator multiplied: one in
/// 2^120 of all other keys is.
fn is_roca(n: &[u8]) -> bool {
    let primes = (3..=167_u32).filter(|p| (2..*p).all(|divisor| p % divisor != 0));
    primes.into_iter().all(|prime| {
        let rest = n.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * 65537 % prime;
            power == rest
        })
    })
}
