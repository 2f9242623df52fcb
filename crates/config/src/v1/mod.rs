//! Version 1 of the document: the types people's YAML, JSON and TOML become.
//!
//! Doc comments here are the manual and the schema's descriptions. Defaults stand in [`defaults`].

mod api;
mod application;
mod contract;
pub mod defaults;
mod document;
mod health;
mod limits;
mod listener;
mod network;
mod paths;
mod plan;
mod policy;
mod retry;
mod secrets;
mod tcp;
mod telemetry;
mod upstream;

pub use api::{
    Api, FixedAnswer, HeaderMatch, HeaderPattern, HostPattern, Match, Mirror, PathMatch,
    PathRewrite, Redirect, Rewrite, Route, RouteTimeouts, UpstreamRef, WeightedUpstream,
};
pub use application::{Application, Key, Organization};
pub use contract::{Contract, ContractResponses, ContractUse, HardPatterns, Strictness, Unknown};
pub use document::{Admin, Document};
pub use health::{Health, HealthKind, Outlier};
pub use limits::{InstanceLimits, Priority};
pub use listener::{
    Certificate, ClientAddress, ClientAddressHeader, ClientCertificateMode, ClientCertificates,
    Listener, ListenerLimits, ListenerTls, Protocol, ProxyProtocol, TlsVersion,
};
pub use paths::{DotSegments, DoubleSlash, EncodedSlash, OddFieldNames, Paths, Semicolon};
pub use plan::{LongLists, Plan, PlanApi, PlanPart, Subscription};
pub use policy::PolicyUse;
pub use retry::{Retry, RetryOn};
pub use secrets::{AppRole, Secrets, Vault};
pub use tcp::{ListenerTcp, ServerNameRoute, TlsPassthrough};
pub use telemetry::{Telemetry, Traces};
pub use upstream::{
    Balance, BalanceBy, Breaker, Dns, Endpoint, EndpointFull, HashOn, Pool, Timeouts, Upstream,
    UpstreamProtocol, UpstreamTls,
};
