//! The life of a configuration, on one screen: asked for → read → compiled → swapped in → reported.

use std::path::PathBuf;
use std::sync::Arc;

use config::Report;
use serde_json::{Value, json};
use snapshot::diff;
use tokio::sync::{mpsc, oneshot};

use crate::instance::Instance;
use crate::load::Loader;
use crate::pages;
use crate::watch::Files;

/// What is wrong with a document that nothing is wrong with but what came of it.
const CRASHED: &str = "this document brought three serving processes down within a minute; change it, \
                       or restart the gateway to try it again";

/// Why a document is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A file or a secret in a vault changed.
    Change,
    /// SIGHUP.
    Signal,
    /// `POST /reload`.
    Call,
}

/// What came of it: the revision that runs now, or what is wrong with the document.
pub type Outcome = Result<u64, Value>;

/// Somebody asks for a reload.
#[derive(Debug)]
pub struct Ask {
    /// Why.
    pub reason: Reason,
    /// Who wants to know what came of it.
    pub answer: Option<oneshot::Sender<Outcome>>,
}

/// Follows a document while the gateway runs by it.
pub struct Follower {
    /// The document.
    pub path: PathBuf,
    /// What reads and compiles it.
    pub loader: Loader,
    /// What runs by it.
    pub instance: Arc<Instance>,
    /// The files it depends on, where they are watched.
    pub files: Option<Files>,
    /// Where reloads are asked for.
    pub asked: mpsc::Receiver<Ask>,
}

impl Follower {
    /// Takes over every new document, until nobody can ask for one any more.
    pub async fn follow(mut self) {
        let vault = self.loader.vault();
        loop {
            let ask = tokio::select! {
                ask = self.asked.recv() => ask,
                () = changed(&mut self.files) => Some(Ask { reason: Reason::Change, answer: None }),
                () = vault.changed() => Some(Ask { reason: Reason::Change, answer: None }),
            };
            let Some(ask) = ask else { return };
            let outcome = self.take(ask.reason);
            self.instance.reloaded();
            if let Some(answer) = ask.answer {
                // Who asked may have left; the log has it all the same.
                let _ = answer.send(outcome);
            }
        }
    }

    /// One document, from its files to the cores. Nothing changes unless all of it holds.
    fn take(&mut self, reason: Reason) -> Outcome {
        if let Some(files) = &mut self.files {
            files.mark();
        }
        let loaded = match self.loader.load(&self.path) {
            Ok(loaded) => loaded,
            Err(report) => return Err(self.refuse(reason, &report)),
        };
        if let Some(files) = &mut self.files {
            files.set(&loaded.files);
        }
        if self.instance.avoids(&loaded.written.digest) {
            return Err(self.note_refusal(reason, CRASHED, json!([{ "what": CRASHED }])));
        }
        let (old, new) = (self.instance.handle().snapshot(), Arc::new(loaded.snapshot));
        let changes = diff(&old, &new);
        if reason == Reason::Change && changes.is_empty() {
            self.instance.same_again();
            return Ok(old.revision);
        }
        if let Err(what) = self.instance.open_admin(new.admin.as_ref()) {
            return Err(self.note_refusal(reason, &what, json!([{ "what": what }])));
        }
        pages::gather(&new);
        if let Err(problems) = self.instance.handle().swap(new.clone()) {
            // What runs keeps its admin listener; it was open a moment ago.
            let _ = self.instance.open_admin(old.admin.as_ref());
            return Err(self.refuse(reason, &loaded.written.report(&problems)));
        }
        self.loader.taken();
        self.instance.took(&loaded.written, new.revision);
        tracing::info!(revision = new.revision, ?reason, "reloaded: {changes}");
        Ok(new.revision)
    }

    /// Keeps watching what the document depends on, so that the cure is seen.
    fn refuse(&mut self, reason: Reason, report: &Report) -> Value {
        if let Some(files) = &mut self.files {
            files.add(report.depends());
        }
        self.note_refusal(reason, &report.render(false), report.to_json())
    }

    fn note_refusal(&self, reason: Reason, text: &str, problems: Value) -> Value {
        let text = text.trim_end();
        tracing::error!(?reason, "the document was refused; what runs keeps running\n{text}");
        self.instance.handle().observer().refused(problems.clone());
        problems
    }
}

async fn changed(files: &mut Option<Files>) {
    match files {
        Some(files) => files.changed().await,
        None => std::future::pending().await,
    }
}
