//! From a path to a snapshot: the first two stages of a configuration's life.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Machine, Report, Schema, Surroundings, Written};
use dataplane::Remotes;
use policy::{Carry, Ledger};
use snapshot::{Inputs, Snapshot};

use crate::lastgood::{Store, WithSaved};
use crate::supervise::Start;
use crate::vault::{Vault, WithVault};

/// Reads and compiles documents, again and again, with the state that outlives them.
#[derive(Debug)]
pub struct Loader {
    schema: Schema,
    carry: Carry,
    remotes: Remotes,
    vault: Arc<Vault>,
    ledger: Option<Arc<dyn Ledger>>,
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

/// What an instance starts by.
#[derive(Debug)]
pub struct First {
    /// The document.
    pub loaded: Loaded,
    /// Why it is not the one it was given, where it is not.
    pub fallback: Option<String>,
    /// What to watch, so that the cure of that is seen.
    pub files: Vec<PathBuf>,
}

impl Loader {
    /// A loader whose first snapshot has revision 1.
    pub fn new() -> Self {
        Self::starting_at(1)
    }

    /// A loader whose first snapshot has this revision.
    pub fn starting_at(revision: u64) -> Self {
        Self {
            schema: schema(),
            carry: Carry::default(),
            remotes: Remotes::default(),
            vault: Arc::default(),
            ledger: None,
            revision,
        }
    }

    /// The same, with a place for counts that outlive the process.
    pub fn with_ledger(self, ledger: Option<Arc<dyn Ledger>>) -> Self {
        Self { ledger, ..self }
    }

    /// What to start by: the document at `path`; or, where that is broken or brought serving
    /// processes down, the last good one in `store`. At the first start of all, a broken document
    /// is refused unless `fallback`.
    ///
    /// # Errors
    /// Everything that is wrong with the document, where there is no better one.
    pub fn first(
        &self,
        path: &Path,
        store: Option<&Store>,
        start: &Start,
        fallback: bool,
    ) -> Result<First, Report> {
        let avoided = |loaded: &Loaded| start.avoid.contains(&loaded.written.digest);
        let given = self.load(path);
        let (why, mut watch) = match &given {
            Ok(loaded) if avoided(loaded) => (
                "it brought three serving processes down within a minute".to_owned(),
                loaded.files.clone(),
            ),
            Ok(_) => return given.map(First::as_given),
            Err(_) if start.cold && !fallback => return given.map(First::as_given),
            Err(report) => (report.render(false), report.depends().to_vec()),
        };
        for saved in store.map(Store::kept).unwrap_or_default() {
            match self.load_around(path, &WithSaved(&saved)) {
                Ok(loaded) if avoided(&loaded) => {
                    store.into_iter().for_each(|store| store.forget(&saved))
                }
                Ok(loaded) => {
                    let why = why.trim_end();
                    tracing::error!("the document is not used, the last good one is\n{why}");
                    watch.extend(loaded.files.iter().cloned());
                    return Ok(First { loaded, fallback: Some(why.into()), files: watch });
                }
                Err(report) => {
                    let why = report.render(false);
                    tracing::error!("a last good document is refused\n{why}");
                }
            }
        }
        given.map(First::as_given).inspect(|_| tracing::error!("{why}; but there is no other"))
    }

    /// Reads and compiles the document at `path`. Touches nothing that runs.
    ///
    /// # Errors
    /// Everything that is wrong with it, each problem where it stands.
    pub fn load(&self, path: &Path) -> Result<Loaded, Report> {
        self.load_around(path, &Machine)
    }

    /// The same, with other ways to servers than the real ones.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn load_with(
        &self,
        path: &Path,
        remotes: &dyn snapshot::Remotes,
    ) -> Result<Loaded, Report> {
        self.compile(path, &Machine, &self.inputs(remotes))
    }

    fn load_around(&self, path: &Path, around: &dyn Surroundings) -> Result<Loaded, Report> {
        self.compile(path, around, &self.inputs(&self.remotes))
    }

    fn compile(
        &self,
        path: &Path,
        around: &dyn Surroundings,
        inputs: &Inputs<'_>,
    ) -> Result<Loaded, Report> {
        // Whatever policies call: what a document refers to is read.
        let own = self.inputs(&self.remotes);
        let around = WithVault::new(around, &self.vault, &own);
        let written = config::read(path, &self.schema, &around)
            .map_err(|report| snapshot::complete(report, inputs))?;
        match snapshot::compile(&written, inputs) {
            Ok(snapshot) => {
                let mut files = written.depends.clone();
                files.extend(certificate_files(&snapshot));
                files.extend(snapshot.policy_files.iter().cloned());
                Ok(Loaded { written, snapshot, files })
            }
            Err(problems) => Err(written.report(&problems)),
        }
    }

    /// Reads and compiles a document that is not in a file; paths in it start where the process
    /// stands.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn load_text(&self, name: &str, text: &str) -> Result<Snapshot, Report> {
        let written = config::read_text(name, text, &self.schema, &Machine)?;
        let compiled = snapshot::compile(&written, &self.inputs(&self.remotes));
        compiled.map_err(|problems| written.report(&problems))
    }

    /// What `make` makes with what documents are compiled with.
    pub fn with_inputs<T>(&self, make: impl FnOnce(&Inputs<'_>) -> T) -> T {
        make(&self.inputs(&self.remotes))
    }

    /// The secrets of a vault that documents refer to.
    pub fn vault(&self) -> Arc<Vault> {
        self.vault.clone()
    }

    fn inputs<'a>(&'a self, remotes: &'a dyn snapshot::Remotes) -> Inputs<'a> {
        Inputs {
            registry: &policies::REGISTRY,
            remotes,
            carry: &self.carry,
            around: &Machine,
            authorities: &snapshot::system_authorities,
            ledger: self.ledger.as_ref(),
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            revision: self.revision,
        }
    }

    /// The snapshot loaded last is running: the next one is the next revision, and what only its
    /// predecessors kept is forgotten.
    pub fn taken(&mut self) {
        self.revision += 1;
        self.carry.sweep();
        self.vault.settle();
    }
}

impl First {
    fn as_given(loaded: Loaded) -> Self {
        let files = loaded.files.clone();
        Self { loaded, fallback: None, files }
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
