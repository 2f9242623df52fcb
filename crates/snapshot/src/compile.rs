//! The second stage of a configuration's life: names resolved, certificates read, policies made,
//! routes ordered. Pure: what it knows of the world is in [`Inputs`].

mod access;
mod actions;
mod apis;
mod bind;
mod contracts;
mod endpoint;
mod findings;
mod host;
mod limits;
mod listeners;
mod matches;
mod plans;
mod policies;
mod relays;
mod retry;
mod split;
mod tcp;
mod templates;
mod upstreams;
mod world;

use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use config::{Report, Surroundings, Written};
use policy::{Carry, Ledger, Registry};
use rustls::pki_types::CertificateDer;

use crate::diff::fingerprint;
use crate::snapshot::Fingerprints;
use crate::tls::Files;
use crate::{Chain, Router, Snapshot};
pub use contracts::contract;
pub(crate) use findings::Findings;
pub use world::{Nowhere, Remotes, remote};

/// What compiling is given besides the document.
pub struct Inputs<'a> {
    /// The policies there are.
    pub registry: &'a Registry,
    /// State that outlives snapshots.
    pub carry: &'a Carry,
    /// Makes the ways to servers that policies ask for.
    pub remotes: &'a dyn Remotes,
    /// Certificates, keys and authorities are read through this.
    pub around: &'a dyn Surroundings,
    /// The system's certificate authorities; asked once, when an upstream needs them.
    pub authorities: &'a dyn Fn() -> Vec<CertificateDer<'static>>,
    /// Where policies keep counts that outlive the process, if anywhere.
    pub ledger: Option<&'a Arc<dyn Ledger>>,
    /// Now, since 1970: what has expired by then is warned of.
    pub wall: Duration,
    /// The snapshot's revision.
    pub revision: u64,
}

/// Compiles a document.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(written: &Written, inputs: &Inputs<'_>) -> Result<Snapshot, Problems> {
    let document = &written.document;
    let files = Files { around: inputs.around, folder: &written.folder };
    let mut findings = Findings::default();

    let limits = limits::instance(&document.limits, &mut findings);
    let mut upstreams = upstreams::Upstreams::compile(document, inputs, &files, &mut findings);
    let listeners = listeners::compile(document, inputs, &files, &mut upstreams, &mut findings);
    let admin = listeners::admin(document, &mut findings);
    let world = world::World::new(inputs, &files);
    let directory = access::directory(document, &world, &mut findings);
    let listed = world.digest();
    let mut policies = policies::Policies::new(inputs, &world, &directory);
    let for_all = policies.compile(
        &document.policies,
        &policies::Owner::Document,
        &Pointer::root(),
        &mut findings,
    );
    let plans = plans::compile(document, &mut policies, &mut findings);
    let (routes, rules) = apis::Apis {
        listeners: &listeners,
        upstreams: &mut upstreams,
        policies: &mut policies,
        for_all: &for_all,
        plans: &plans,
        findings: &mut findings,
    }
    .compile(document);
    let traces = listeners::traces(document, &mut findings);

    let router = Router::new(rules);
    conflicts(&router, listeners.len(), written, &mut findings);
    if !findings.problems.is_empty() {
        return Err(findings.problems);
    }
    let policies::Made { identity_headers, log_targets, chores } = policies.finish();
    let seen = world.finish();
    findings.warnings.extend(seen.warnings);
    Ok(Snapshot {
        revision: inputs.revision,
        digest: written.digest.clone(),
        listeners,
        admin,
        limits,
        router,
        apis: apis::versions(&routes),
        routes,
        fallback: Chain::of(&[&for_all]),
        upstreams: upstreams.finish(),
        directory,
        identity_headers,
        log_targets,
        chores,
        policy_files: seen.files,
        traces,
        warnings: findings.warnings,
        fingerprints: Fingerprints {
            policies: fingerprint(&document.policies, seen.digest),
            applications: fingerprint(&access::written(document), listed),
        },
        masked: written.masked().clone(),
    })
}

/// Says which routes stand in each other's way, where the document is whole.
fn conflicts(router: &Router, listeners: usize, written: &Written, findings: &mut Findings) {
    match &written.left_out {
        None => {
            let conflicts = router.conflicts(listeners);
            findings.problems.extend(conflicts.problems);
            findings.warnings.extend(conflicts.warnings);
        }
        // Of what is only a part, neither a name that is missing nor a conflict says anything.
        Some(left_out) => findings
            .problems
            .retain(|problem| !problem.unresolved.as_ref().is_some_and(|name| left_out.has(name))),
    }
}

/// The first stage's `report`, and with it what this stage finds wrong with the rest of the
/// document: neither hides the other.
pub fn complete(report: Report, inputs: &Inputs<'_>) -> Report {
    let found = report.rest().map(|rest| (rest, compile(rest, inputs)));
    match found {
        Some((rest, Err(problems))) if !problems.is_empty() => {
            let more = rest.report(&problems);
            report.and(more)
        }
        _ => report,
    }
}

/// The system's certificate authorities, for [`Inputs::authorities`]. What can't be read is left
/// out.
pub fn system_authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// A name that is not known: what it was to name, the name, and all there are.
fn unknown<'n>(
    at: &Pointer,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Problem {
    let problem = Problem {
        unresolved: Some(name.to_owned()),
        ..Problem::new(at, format!("there is no {what} `{name}`"))
    };
    match base::closest(name, known.clone()) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => {
            let some: Vec<String> = known.take(8).map(|name| format!("`{name}`")).collect();
            problem.hint(match some.as_slice() {
                [] => format!("there is no {what} at all yet"),
                [one] => format!("the only one is {one}"),
                several => format!("there are {}", several.join(", ")),
            })
        }
    }
}
