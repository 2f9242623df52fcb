//! What a policy that is compiled by itself reaches: files and servers made up by its test.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use config::v1::UpstreamTls;
use policy::{Ledger, Remote};

/// Files by name, and one server; none of either unless the test puts them there.
#[derive(Debug)]
pub struct World {
    /// The files.
    pub files: HashMap<String, Vec<u8>>,
    /// Who answers whatever is called.
    pub remote: Arc<dyn Remote>,
    /// Where counts are kept.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// The time, since 1970.
    pub wall: Duration,
}

impl Default for World {
    fn default() -> Self {
        let wall = Duration::from_secs(1_767_225_600);
        Self { files: HashMap::new(), remote: Arc::new(snapshot::Nowhere), ledger: None, wall }
    }
}

impl policy::World for World {
    fn read(&self, name: &str, what: &str, most: u64, at: &Pointer) -> Result<Vec<u8>, Problem> {
        let found = self.files.get(name).filter(|bytes| bytes.len() as u64 <= most);
        found.cloned().ok_or_else(|| {
            let problem = Problem::new(at, format!("there is no {what} `{name}`"));
            problem.hint(format!("put the {what} there, or correct the path"))
        })
    }

    fn remote(&self, _: &UpstreamTls, _: &Pointer) -> Result<Arc<dyn Remote>, Problems> {
        Ok(self.remote.clone())
    }

    fn ledger(&self) -> Option<Arc<dyn Ledger>> {
        self.ledger.clone()
    }

    fn wall(&self) -> Duration {
        self.wall
    }
}
