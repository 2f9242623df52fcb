//! Which certificate a caller is shown.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Pair;

/// Certificates by the names they are for. Of several for one name, the first that the caller can
/// verify.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`; a wildcard stands for one label (RFC 9525 §6.3).
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For every other name, and for callers that ask for none.
    others: Vec<Arc<CertifiedKey>>,
}

impl Resolver {
    /// A resolver of these certificates. Names that none is for get the first, unless
    /// `reject_unknown`.
    pub fn new(pairs: &[(Arc<CertifiedKey>, &Pair)], reject_unknown: bool) -> Self {
        let mut resolver = Self::default();
        for (key, pair) in pairs {
            for name in &pair.facts.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut resolver.wildcard, suffix),
                    None => (&mut resolver.exact, name.as_str()),
                };
                map.entry(name.to_owned()).or_default().push(key.clone());
            }
        }
        if !reject_unknown {
            // The first, and those for the same names with another kind of key.
            let names = pairs.first().map(|(_, pair)| &pair.facts.names);
            let same = pairs.iter().filter(|(_, pair)| Some(&pair.facts.names) == names);
            resolver.others = same.map(|(key, _)| key.clone()).collect();
        }
        resolver
    }

    /// The certificates for a name, in lower case.
    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let wildcard = |name: &str| self.wildcard.get(name.split_once('.')?.1);
        let found = name.and_then(|name| self.exact.get(name).or_else(|| wildcard(name)));
        found.unwrap_or(&self.others)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let name = name.as_deref().map(|name| name.strip_suffix('.').unwrap_or(name));
        let keys = self.candidates(name);
        let fits =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        keys.iter().find(fits).or(keys.first()).cloned()
    }
}
