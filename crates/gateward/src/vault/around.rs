//! A document's surroundings, with its vault.

use std::env::VarError;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use config::v1::{UpstreamTls, Vault as Settings};
use config::{Surroundings, Wanted};
use snapshot::Inputs;

use super::client::{Client, Proof};
use super::{Vault, key};

/// Other surroundings, with a vault where they have none.
pub struct WithVault<'l> {
    inner: &'l dyn Surroundings,
    vault: &'l Vault,
    inputs: &'l Inputs<'l>,
}

impl<'l> WithVault<'l> {
    /// `inner`, with `vault`.
    pub fn new(inner: &'l dyn Surroundings, vault: &'l Vault, inputs: &'l Inputs<'l>) -> Self {
        vault.begin();
        Self { inner, vault, inputs }
    }

    fn client(&self, settings: &Settings, folder: &Path) -> Result<Client, String> {
        let variable = |name: &str| self.inner.variable(name).ok().filter(|it| !it.is_empty());
        let address = settings.address.clone().or_else(|| variable("VAULT_ADDR"));
        let address =
            address.ok_or("no vault is named: write `secrets.vault.address` or set VAULT_ADDR")?;
        let proof = match (&settings.app_role, &settings.token) {
            (Some(_), Some(_)) => {
                return Err("`secrets.vault` has both a token and an app_role".into());
            }
            (Some(role), None) => Proof::AppRole(role.clone()),
            (None, Some(token)) => Proof::Token(token.clone()),
            (None, None) => {
                let token = variable("VAULT_TOKEN").map(base::Secret::new);
                let hint = "write `secrets.vault.token` or `app_role`, or set VAULT_TOKEN";
                Proof::Token(token.ok_or_else(|| format!("there is no token: {hint}"))?)
            }
        };
        let ca = settings.ca.clone().or_else(|| variable("VAULT_CACERT"));
        let tls = UpstreamTls { ca, ..UpstreamTls::default() };
        let remote = snapshot::remote(&tls, folder, self.inputs).map_err(|problems| {
            let first = problems.into_iter().next();
            first.map_or_else(String::new, |problem| format!("`secrets.vault`: {}", problem.what))
        })?;
        Ok(Client {
            address: address.trim_end_matches('/').to_owned(),
            namespace: settings.namespace.clone().or_else(|| variable("VAULT_NAMESPACE")),
            proof,
            remote,
            within: settings.timeout.get(),
            refresh: settings.refresh.get().max(Duration::from_secs(1)),
            login: Mutex::default(),
            away: Mutex::default(),
        })
    }
}

impl Surroundings for WithVault<'_> {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.inner.variable(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.inner.read(path, limit)
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        self.inner.list(path)
    }

    fn secret(&self, wanted: &Wanted<'_>) -> Result<String, String> {
        let make = || self.client(wanted.vault, wanted.folder);
        let key = key(wanted.vault, wanted.folder);
        self.vault.value(make, &key, wanted.path, wanted.field)
    }
}
