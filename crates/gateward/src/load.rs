//! From a path to a snapshot: the first two stages of a configuration's life.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Machine, Report, Schema, Written};
use policy::Carry;
use snapshot::{Inputs, Snapshot};

/// Reads and compiles documents, again and again, with the state that outlives them.
#[derive(Debug)]
pub struct Loader {
    schema: Schema,
    carry: Carry,
    revision: u64,
}

/// A document that was read and compiled.
#[derive(Debug)]
pub struct Loaded {
    /// As written: for saying where problems stand.
    pub written: Written,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Every file it was made from, certificates too.
    pub files: Vec<PathBuf>,
}

impl Loader {
    /// A loader whose first snapshot has revision 1.
    pub fn new() -> Self {
        Self { schema: schema(), carry: Carry::default(), revision: 1 }
    }

    /// Reads and compiles the document at `path`. Touches nothing that runs.
    ///
    /// # Errors
    /// Everything that is wrong with it, each problem where it stands.
    pub fn load(&self, path: &Path) -> Result<Loaded, Report> {
        let written = config::read(path, &self.schema, &Machine)?;
        let inputs = Inputs {
            registry: &policies::REGISTRY,
            carry: &self.carry,
            around: &Machine,
            authorities: &snapshot::system_authorities,
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            revision: self.revision,
        };
        match snapshot::compile(&written, &inputs) {
            Ok(snapshot) => {
                let mut files = written.depends.clone();
                files.extend(certificate_files(&snapshot));
                Ok(Loaded { written, snapshot, files })
            }
            Err(problems) => Err(written.report(&problems)),
        }
    }

    /// The snapshot loaded last is running: the next one is the next revision, and what only its
    /// predecessors kept is forgotten.
    pub fn taken(&mut self) {
        self.revision += 1;
        self.carry.sweep();
    }
}

/// The schema of documents, every policy included.
pub fn schema() -> Schema {
    Schema::with_policies(policies::schemas())
}

fn certificate_files(snapshot: &Snapshot) -> impl Iterator<Item = PathBuf> {
    let listeners = snapshot.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let upstreams = snapshot.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
    let files = listeners.map(|tls| &tls.files).chain(upstreams.map(|tls| &tls.files));
    files.flatten().cloned()
}
