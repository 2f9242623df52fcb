//! TLS, ready to shake hands: towards callers and towards upstreams. One provider of cryptography,
//! given explicitly.

mod certificate;
mod client;
mod files;
mod resolver;
mod server;
mod tickets;
mod verify;

use std::sync::{Arc, LazyLock};

use config::v1::TlsVersion;
use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};

pub(crate) use client::{Towards, client};
pub(crate) use files::Files;
pub(crate) use server::{Place, server};

/// The one provider of cryptography.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The versions spoken.
fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
    match least {
        TlsVersion::V1_2 => &BOTH,
        TlsVersion::V1_3 => &NEWEST,
    }
}

/// A name for everything in `parts`: the SHA-256, in hexadecimal. No two lists of parts have the
/// same.
fn fingerprint<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    use std::fmt::Write;
    let mut hash = ::aws_lc_rs::digest::Context::new(&::aws_lc_rs::digest::SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
