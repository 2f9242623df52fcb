//! What policies reach of the world while they are compiled.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use config::v1;
use policy::{Answer, Call, Ledger, Remote, Unanswered};

use super::{Findings, Inputs};
use crate::UpstreamTls;
use crate::tls::{self, Files, Towards};

/// Makes ways to servers beside the request's way.
pub trait Remotes {
    /// A way to servers, trusted as `tls` says.
    fn to(&self, tls: UpstreamTls) -> Arc<dyn Remote>;
}

/// Where no server is ever called.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl Remotes for Nowhere {
    fn to(&self, _: UpstreamTls) -> Arc<dyn Remote> {
        Arc::new(Self)
    }
}

impl Remote for Nowhere {
    fn call(&self, _: Call) -> Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>> {
        let nothing = Unanswered::Unreachable("no server is called from here".into());
        Box::pin(std::future::ready(Err(nothing)))
    }
}

/// A way to servers that no policy calls, trusted as `tls` says; files in it start at `folder`.
///
/// # Errors
/// Everything that is wrong with `tls`.
pub fn remote(
    tls: &v1::UpstreamTls,
    folder: &Path,
    inputs: &Inputs<'_>,
) -> Result<Arc<dyn Remote>, Problems> {
    let files = Files { around: inputs.around, folder };
    policy::World::remote(&World::new(inputs, &files), tls, &Pointer::root())
}

/// Files and servers, and what was made of them.
pub(super) struct World<'a> {
    inputs: &'a Inputs<'a>,
    files: &'a Files<'a>,
    /// Files that were read, for watching.
    read: RefCell<Vec<PathBuf>>,
    /// Stands for what they hold.
    digest: Cell<u64>,
    warnings: RefCell<Problems>,
}

/// What is left of a world when all policies are compiled.
pub(super) struct Seen {
    pub files: Vec<PathBuf>,
    pub digest: u64,
    pub warnings: Problems,
}

impl<'a> World<'a> {
    pub fn new(inputs: &'a Inputs<'a>, files: &'a Files<'a>) -> Self {
        let (read, warnings) = (RefCell::default(), RefCell::default());
        Self { inputs, files, read, digest: Cell::new(0), warnings }
    }

    /// Stands for what the files hold that were read since this was asked last.
    pub fn digest(&self) -> u64 {
        self.digest.replace(0)
    }

    pub fn finish(self) -> Seen {
        let warnings = self.warnings.into_inner();
        Seen { files: self.read.into_inner(), digest: self.digest.get(), warnings }
    }
}

impl policy::World for World<'_> {
    fn read(&self, name: &str, what: &str, most: u64, at: &Pointer) -> Result<Vec<u8>, Problem> {
        let path = self.files.path(name);
        if !self.read.borrow().contains(&path) {
            self.read.borrow_mut().push(path);
        }
        let bytes = self.files.read_most(name, what, most, at)?;
        let mut hasher = DefaultHasher::new();
        (self.digest.get(), name, &bytes).hash(&mut hasher);
        self.digest.set(hasher.finish());
        Ok(bytes)
    }

    fn remote(&self, tls: &v1::UpstreamTls, at: &Pointer) -> Result<Arc<dyn Remote>, Problems> {
        let mut findings = Findings::default();
        let tls = tls::client(tls, Towards::Server, at, self.files, self.inputs, &mut findings);
        self.warnings.borrow_mut().extend(findings.warnings);
        let Some(tls) = tls else { return Err(findings.problems) };
        self.read.borrow_mut().extend(tls.files.iter().cloned());
        Ok(self.inputs.remotes.to(tls))
    }

    fn ledger(&self) -> Option<Arc<dyn Ledger>> {
        self.inputs.ledger.cloned()
    }

    fn wall(&self) -> Duration {
        self.inputs.wall
    }
}
