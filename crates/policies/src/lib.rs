//! The policies. This file is the table: one `mod` line and one list line per policy, in the order
//! they run. Everything else about a policy stands in its own folder; how to add one is told in
//! `docs/add-a-policy.md`.

mod asked;
mod digits;
mod expressions;
mod identity;
mod jose;
mod jwks;
mod manual;
mod mode;
mod ring;
mod schema;
mod secret_names;
mod strict_json;
mod structured;
mod zones;

/// What is recorded, around everything.
mod watch {
    pub(crate) mod access_log;
}
/// Before anyone is known.
mod admit {
    mod networks;
    mod origins;

    pub(crate) mod body_size;
    pub(crate) mod bot;
    pub(crate) mod cors;
    pub(crate) mod csrf;
    pub(crate) mod https_only;
    pub(crate) mod ip;
    pub(crate) mod maintenance;
    pub(crate) mod method;
    pub(crate) mod security_headers;
}
/// Who is calling.
mod authenticate {
    mod application;
    mod digest;
    mod shown;

    mod combination;

    pub(crate) mod all_of;
    pub(crate) mod anonymous;
    pub(crate) mod any_of;
    pub(crate) mod api_key;
    pub(crate) mod basic;
    pub(crate) mod external;
    pub(crate) mod hmac;
    pub(crate) mod introspect;
    pub(crate) mod jwt;
    pub(crate) mod mtls;
    pub(crate) mod oidc;
    pub(crate) mod optional;
    pub(crate) mod signature;
}
/// May they.
mod authorize {
    mod caller;

    pub(crate) mod acl;
    pub(crate) mod cedar;
    pub(crate) mod opa;
    pub(crate) mod rule;
    pub(crate) mod schedule;
    pub(crate) mod scope;
    pub(crate) mod subscription;
}
/// How much.
mod limit {
    mod by;
    mod charge;
    mod keyed;
    mod report;

    pub(crate) mod bandwidth;
    pub(crate) mod concurrency;
    pub(crate) mod quota;
    pub(crate) mod rate;
    pub(crate) mod spike;
}
/// What is malformed or hostile.
mod protect {
    mod body;
    mod validator;

    pub(crate) mod contract;
    pub(crate) mod graphql;
    pub(crate) mod json_threat;
    pub(crate) mod patterns;
    pub(crate) mod schema;
    pub(crate) mod xml_threat;
}
/// Answers without the upstream.
mod reply {
    pub(crate) mod jwks;
}
/// What changes as it passes.
mod transform {
    pub(crate) mod header;
    pub(crate) mod identity;
    pub(crate) mod identity_jwt;
}

/// How the upstream is called.
mod upstream {
    pub(crate) mod upstream_auth;
}

/// Every policy there is.
pub static REGISTRY: policy::Registry = policy::Registry::new(&[
    &watch::access_log::KIND,        // a JSON line per exchange
    &admit::https_only::KIND,        // only by TLS
    &admit::security_headers::KIND,  // what browsers protect their users by
    &admit::cors::KIND,              // which web pages may call
    &admit::maintenance::KIND,       // closed for a while
    &admit::method::KIND,            // which methods are taken
    &admit::csrf::KIND,              // whose pages may change something
    &admit::bot::KIND,               // which programs may call
    &admit::ip::KIND,                // who may come, by address
    &admit::body_size::KIND,         // how long a body may be
    &authenticate::api_key::KIND,    // who has this key
    &authenticate::basic::KIND,      // who knows this password
    &authenticate::jwt::KIND,        // who has a signed token
    &authenticate::mtls::KIND,       // who has this certificate
    &authenticate::oidc::KIND,       // who logged in in a browser
    &authenticate::hmac::KIND,       // who signs with this secret
    &authenticate::signature::KIND,  // who signs with this key
    &authenticate::introspect::KIND, // whose token a server calls active
    &authenticate::external::KIND,   // whom an authorizer of yours lets in
    &authenticate::any_of::KIND,     // one of several ways
    &authenticate::all_of::KIND,     // several ways at once
    &authenticate::optional::KIND,   // or not at all
    &authenticate::anonymous::KIND,  // a name for strangers
    &authorize::acl::KIND,           // which applications, groups, organizations
    &authorize::scope::KIND,         // what the credential may be used for
    &authorize::subscription::KIND,  // whether a plan has this
    &authorize::schedule::KIND,      // when
    &authorize::rule::KIND,          // rules in CEL
    &authorize::cedar::KIND,         // policies in Cedar
    &authorize::opa::KIND,           // rules in Rego
    &limit::rate::KIND,              // how many calls in a window
    &limit::quota::KIND,             // how much in a month
    &limit::concurrency::KIND,       // how many calls at once
    &limit::spike::KIND,             // how evenly they come
    &limit::bandwidth::KIND,         // how many bytes a second
    &protect::json_threat::KIND,     // JSON within bounds
    &protect::xml_threat::KIND,      // XML within bounds, and without a DTD
    &protect::schema::KIND,          // bodies that fit a JSON Schema
    &protect::contract::KIND,        // what an OpenAPI document has
    &protect::graphql::KIND,         // how much a query may ask for
    &protect::patterns::KIND,        // what looks like an attack
    &reply::jwks::KIND,              // the keys that identity_jwt signs with
    &transform::header::KIND,        // set, add, remove header fields
    &transform::identity::KIND,      // who calls, for the upstream
    &transform::identity_jwt::KIND,  // the same, signed
    &upstream::upstream_auth::KIND,  // what the gateway shows the upstream
]);

pub use authenticate::basic::hash::hash_password;
pub use schema::schemas;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod compliance;
#[cfg(test)]
mod harness;
