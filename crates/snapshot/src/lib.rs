//! Stage 2, compiled: a document checked, resolved and made ready to carry traffic. Pure: no
//! socket, no clock; files only through what the caller hands in.
//!
//! Read in this order: [`compile`] (what is done to a document), [`Snapshot`] (what comes of it),
//! [`Router`] (how a request finds its route), [`Forward`] (what is done with it then).

mod compile;

mod tls;

mod path;
mod regex;

mod chain;

mod route;

mod router;

mod rewrite;

mod snapshot;

mod upstream;

mod relay;

mod diff;

pub use compile::{
    Inputs, Nowhere, Remotes, compile, complete, contract, remote, system_authorities,
};
pub use diff::{Changed, Changes, diff};
pub use regex::Regex;
pub use relay::{Relay, RelayTo, ServerNames};
pub use rewrite::UnsafePath;
pub use route::{
    Action, Api, Chain, ChainStep, FixedAnswer, Forward, HostRewrite, Level, Mirror, Part,
    PathRewrite, Redirect, Route, Split, Template, TemplatePart,
};
pub use router::{Allow, Considered, Criterion, Found, Router, Verdict};
pub use snapshot::{
    Bind, ClientAddress, InstanceLimits, Limits, Listener, ListenerTls, Protocols, ProxyProtocol,
    ShownCertificate, Snapshot, Traces,
};
pub use upstream::{
    Balance, Breaker, Dns, Endpoint, EndpointAddress, EndpointScheme, Health, HealthProbe, Outlier,
    Pool, Protocol, Retry, Timeouts, Upstream, UpstreamTls,
};
