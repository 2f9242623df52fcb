//! Signed JSON: JWS in compact form (RFC 7515), JWK and JWKS (RFC 7517), their thumbprints (RFC
//! 7638), Ed25519 for both (RFC 8037). Straight on aws-lc-rs, and strict where tokens are forged:
//! each key has one algorithm before any token is looked at, nothing in a token's header names a
//! key but `kid`, JSON has each member once, base64url has one spelling. Knows no HTTP.

mod algorithm;
mod base64url;
mod jwk;
mod key;
mod pem;
mod set;
mod sign;
mod token;

pub(crate) use algorithm::Algorithm;
pub(crate) use jwk::Jwk;
pub(crate) use key::Key;
pub(crate) use set::KeySet;
pub(crate) use sign::{SigningKey, jwks};
pub(crate) use token::{Bad, Token};

pub(crate) use crate::strict_json::object;
pub(crate) use base64url::{decode, encode};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
