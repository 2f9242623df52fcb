//! Who a request was authenticated as.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::refusal::codes;
use crate::{Code, Subscription};

/// A program that calls APIs for an organization. There may be millions of them: what many have in
/// common is shared.
#[derive(Debug, Default)]
pub struct Application {
    /// Its name.
    pub name: Box<str>,
    /// The organization it belongs to.
    pub organization: Option<Arc<str>>,
    /// The groups it is in.
    pub groups: Arc<Vec<Box<str>>>,
    /// What conditions may ask for: its own labels and those of its organization.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The plans it has.
    pub subscriptions: Arc<Vec<Subscription>>,
    /// Whether it is in use.
    pub standing: Standing,
}

/// Whether an application is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    #[default]
    Good,
    /// It is disabled.
    Disabled,
    /// Its organization is disabled.
    OrganizationDisabled,
}

impl Application {
    /// Whether it may call at all. Every policy that authenticates asks this.
    ///
    /// # Errors
    /// Why it may not.
    pub fn may_call(&self) -> Result<(), &'static Code> {
        match self.standing {
            Standing::Good => Ok(()),
            Standing::Disabled => Err(&codes::APPLICATION_DISABLED),
            Standing::OrganizationDisabled => Err(&codes::ORGANIZATION_DISABLED),
        }
    }
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
    /// When it ends, since 1970; none where whoever reads it asks its source each time, as with
    /// keys.
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
        self.application.as_ref().map(|application| &*application.name)
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
        let own = self.application.iter().flat_map(|application| application.groups.iter());
        let given = self.grant.iter().flat_map(|grant| &grant.groups);
        own.chain(given).map(|group| &**group)
    }
}
