//! Who a request was authenticated as.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

/// A program that calls APIs for an organization.
#[derive(Debug, Default)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// The organization it belongs to.
    pub organization: Option<String>,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// What conditions may ask for.
    pub labels: BTreeMap<String, String>,
}

/// Who a request was authenticated as. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The application; none where what was shown names none that the document knows.
    pub application: Option<Arc<Application>>,
    /// Which credential it used: a name, never the credential.
    pub credential: Arc<str>,
    /// The policy that said so.
    pub by: &'static str,
    /// What the credential says and allows beyond the application it names.
    pub grant: Option<Arc<Grant>>,
}

/// What a credential says and allows: a token's claims, a user's groups, a key's scopes.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// Whom it speaks of: a token's `sub`, a user's name, a certificate's subject.
    pub subject: Option<Box<str>>,
    /// Who issued it: a token's `iss`.
    pub issuer: Option<Box<str>>,
    /// What it may be used for (RFC 6749 §3.3).
    pub scopes: Vec<Box<str>>,
    /// Groups and roles it gives.
    pub groups: Vec<Box<str>>,
    /// All it says, as it came.
    pub claims: Map<String, Value>,
    /// When it ends, since 1970.
    pub expires: Option<Duration>,
}

impl Caller {
    /// The name of whoever calls: the subject, or else the application's.
    pub fn name(&self) -> Option<&str> {
        let subject = self.grant.as_ref().and_then(|grant| grant.subject.as_deref());
        subject.or_else(|| self.application_name())
    }

    /// The application's name.
    pub fn application_name(&self) -> Option<&str> {
        self.application.as_ref().map(|application| application.name.as_str())
    }

    /// The organization's name.
    pub fn organization(&self) -> Option<&str> {
        self.application.as_ref().and_then(|application| application.organization.as_deref())
    }

    /// What the credential may be used for.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.grant.iter().flat_map(|grant| grant.scopes.iter().map(|scope| &**scope))
    }

    /// The groups of the application and of the credential.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let own = self.application.iter().flat_map(|application| &application.groups);
        let given = self.grant.iter().flat_map(|grant| grant.groups.iter().map(|group| &**group));
        own.map(String::as_str).chain(given)
    }
}
