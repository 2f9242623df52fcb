//! What an authorizer decides, whatever it speaks.

use bytes::Bytes;

/// A decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request goes on.
    Allowed(Allowed),
    /// It does not.
    Denied(Denied),
    /// There is none, for this reason.
    Nothing(String),
}

/// What goes with a request that goes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Fields for the upstream, and who the caller is.
    pub(super) request: Vec<Field>,
    /// Fields for the client.
    pub(super) response: Vec<Field>,
    /// Fields that the upstream must not get.
    pub(super) remove: Vec<String>,
}

/// The authorizer's own answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) status: u16,
    pub(super) headers: Vec<Field>,
    pub(super) body: Bytes,
}

/// Name and value.
pub(super) type Field = (String, Vec<u8>);

/// Fields as others take them.
pub(super) fn fields(fields: &[Field]) -> impl Iterator<Item = (&str, &[u8])> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
}

/// The first value of a field, as text.
pub(super) fn text<'f>(fields: &'f [Field], name: &str) -> Option<&'f str> {
    let found = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(&found.1).ok().map(str::trim).filter(|text| !text.is_empty())
}
