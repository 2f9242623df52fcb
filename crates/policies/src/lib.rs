//! The policies. This file is the table: one `mod` line and one list line per policy, in the order
//! they run. Everything else about a policy stands in its own folder; how to add one is told in
//! `docs/add-a-policy.md`.

mod asked;
mod digits;
mod jose;
mod manual;
mod schema;
mod secret_names;
mod structured;

/// What is recorded, around everything.
mod watch {
    pub(crate) mod access_log;
}
/// Before anyone is known.
mod admit {
    pub(crate) mod body_size;
    pub(crate) mod ip;
}
/// Who is calling.
mod authenticate {
    pub(crate) mod api_key;
    pub(crate) mod external;
    pub(crate) mod introspect;
    pub(crate) mod shown;
}
/// What they may do.
mod authorize {
    pub(crate) mod opa;
}
/// How much.
mod limit {
    pub(crate) mod rate;
}
/// What changes as it passes.
mod transform {
    pub(crate) mod header;
}

/// Every policy there is.
pub static REGISTRY: policy::Registry = policy::Registry::new(&[
    &watch::access_log::KIND,        // a JSON line per exchange
    &admit::ip::KIND,                // who may come, by address
    &admit::body_size::KIND,         // how long a body may be
    &authenticate::api_key::KIND,    // who has this key
    &authenticate::introspect::KIND, // whose token the server says is active
    &authenticate::external::KIND,   // whom an authorizer of yours lets in
    &authorize::opa::KIND,           // what rules in Rego allow
    &limit::rate::KIND,              // how many calls in a window
    &transform::header::KIND,        // set, add, remove header fields
]);

pub use schema::schemas;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod compliance;
#[cfg(test)]
mod harness;
