//! Stage 3, running: carries traffic by the current snapshot. Folders stand in the order a request
//! meets them.
//!
//! Every core runs the same code on a runtime of its own; nothing on a request's way crosses cores
//! but counters.
//! [`start`] gives a [`Handle`]: with it a document is swapped for another and the whole is
//! drained. A request's life is `serve.rs`, a core's is `worker.rs`.

mod accept;
pub mod admin;
mod buffers;
mod chores;
mod codec;
mod core;
mod deadline;
mod dispatch;
mod enforce;
mod forward;
mod in_place;
mod live;
mod observe;
mod overload;
mod patience;
mod relay;
mod remote;
mod serve;
mod site;
mod status;
pub mod testing;
mod tunnel;
mod worker;

pub use accept::keeper::{Keeper, NoKeeper, Role};
pub use codec::normalize::canonical;
pub use dispatch::find as find_route;
pub use enforce::names::admit_fields;
pub use live::{Handle, Options, Pulse, StartError, prepare, start};
pub use observe::Observer;
pub use observe::reloads::{LastReloads, Refused, Reloads, Taken};
pub use overload::{MemoryMeter, OverloadStatus};
pub use remote::Remotes;
pub use status::{BreakerState, EndpointStatus, UpstreamStatus};

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
