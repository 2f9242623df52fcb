//! Servers beside the request's way: identity providers, deciders, vaults. They are called from
//! any core; connections live on one thread of their own, so that none of a core's turns go into
//! them. A library does the work: what counts here is that nothing grows and nothing leaks.

mod connector;
mod driver;
#[cfg(test)]
mod tests;
mod way;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use policy::Remote;
use snapshot::UpstreamTls;

use driver::Driver;
use way::Way;

/// Makes ways to servers. Starts its thread when the first call is made.
#[derive(Default)]
pub struct Remotes {
    driver: Arc<Driver>,
    /// Those in use, so that a new snapshot goes on with the old one's connections.
    ways: Mutex<Vec<Weak<Way>>>,
}

impl snapshot::Remotes for Remotes {
    fn to(&self, tls: UpstreamTls) -> Arc<dyn Remote> {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.retain(|way| way.strong_count() > 0);
        let mut known = ways.iter().filter_map(Weak::upgrade);
        if let Some(way) = known.find(|way| way.identity == tls.identity) {
            return way;
        }
        let way = Arc::new(Way::new(tls, self.driver.clone()));
        ways.push(Arc::downgrade(&way));
        way
    }
}

impl fmt::Debug for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remotes")
    }
}
