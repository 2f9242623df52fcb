//! The admin listener: health, metrics, status and reload, for operators only.
//!
//! It has a thread and a runtime of its own, so that it answers however busy the cores are. It
//! speaks HTTP by hyper: it stands beside the request's way, where a well-kept library is worth
//! more than speed.

mod answer;
mod guard;
mod listen;
mod status;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use snapshot::Snapshot;

use crate::observe::Observer;
use crate::status::UpstreamStatus;

pub use listen::{Admin, serve};

/// What a reload comes to: the revision that runs now, or what is wrong with the document.
pub type Reload = Pin<Box<dyn Future<Output = Result<u64, Value>> + Send>>;

/// What is to be told of an instance's past.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Past {
    /// Why it runs by the last good document and not by the one it was given, where it does.
    pub fallback: Option<String>,
    /// Serving processes that crashed, since the supervisor started.
    pub crashed: u64,
    /// Serving processes that were stuck and replaced.
    pub stuck: u64,
    /// How the last of these ended.
    pub last: Option<String>,
}

/// The instance the admin listener shows. It is asked anew for every request, on the admin
/// listener's thread.
pub trait Instance: Send + Sync + 'static {
    /// What observes it.
    fn observer(&self) -> &Observer;

    /// What runs; none before the first document was taken.
    fn snapshot(&self) -> Option<Arc<Snapshot>>;

    /// Whether it takes traffic; if not, why: it starts, it drains.
    ///
    /// # Errors
    /// One line for people.
    fn ready(&self) -> Result<(), String>;

    /// How its upstreams are doing.
    fn upstreams(&self) -> Vec<UpstreamStatus>;

    /// What is to be told of the past: crashes, and whether it runs by an older document.
    fn past(&self) -> Past {
        Past::default()
    }

    /// Reads the document again and takes it over, or leaves everything as it is.
    fn reload(&self) -> Reload;
}

#[cfg(test)]
mod tests;
