//! What a policy is: the contract between the engine and the policies. Knows no socket and no
//! codec.
//!
//! Read in this order: [`Policy`] (what one may do, and when), [`Step`] (what it answers),
//! [`Exchange`] (what it sees), [`Refusal`] (how it says no), [`PolicyKind`] (how it becomes part
//! of Gateward), [`Compile`] (how its settings become a policy), [`Remote`] (how it asks other
//! servers).

mod caller;
mod compile;
pub mod condition;
mod credential;
mod directory;
mod exchange;
mod issued;
mod kind;
mod ledger;
mod log;
pub mod message;
mod phase;
mod plan;
#[allow(clippy::module_inception)]
mod policy;
mod refusal;
mod remote;
mod step;
mod timer;

pub use caller::{Application, Caller, Grant, Standing};
pub use compile::{Carry, Compile, World};
pub use condition::Condition;
pub use credential::{Credential, Outgoing, Renewal};
pub use directory::{Directory, Key, KeyState};
pub use exchange::{
    ClientCertificate, Connection, Exchange, RateReport, RouteFacts, RouteNames, Times, Tls,
    TraceContext, UpstreamFacts, Values,
};
pub use issued::{Issued, issue};
pub use kind::{CompileFn, PolicyKind, Posture, Registry, Stage};
pub use ledger::{Ledger, Settling, Used};
pub use log::{LogDestination, LogTarget};
pub use phase::Phase;
pub use plan::{Cover, Plan, PlanPart, Subscription};
pub use policy::Policy;
pub use refusal::{Code, Fault, Refusal, Violation, codes};
pub use remote::{Answer, Call, Chore, Remote, Unanswered};
pub use step::{Flow, Step};
pub use timer::{Timer, Timers};
