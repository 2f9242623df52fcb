//! Who may call: organizations, applications and their keys, plans, and who subscribes to them.
//! There may be a million of them, so what is looked at once is not kept.

mod common;
mod lines;
mod origin;
mod plans;
mod subscriptions;

use std::collections::HashMap;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;
use policy::{Application, Directory, Key, Standing, World};

use super::{Findings, unknown};
use common::Common;
use origin::{List, Origin};
use subscriptions::Subscriptions;

/// Most problems of one file that are told: what is wrong with thousands of lines is wrong with the
/// program that wrote them.
const TOLD_MAX: usize = 50;

/// Most bytes of a name, and of a scope.
const NAME_BYTES: usize = 256;

/// Compiles who may call. No key may say that a caller is two applications.
pub(super) fn directory(
    document: &v1::Document,
    world: &dyn World,
    findings: &mut Findings,
) -> Arc<Directory> {
    let mut access = Access {
        organizations: document.organizations.iter().map(|one| (&*one.name, one)).collect(),
        subscriptions: Subscriptions::compile(document, world, findings),
        common: Common::default(),
        directory: Directory::new(),
        applications: Vec::new(),
        keys: Vec::new(),
        findings,
    };
    for organization in &document.organizations {
        let name = access.common.text(&organization.name);
        access.directory.add_organization(name);
    }
    document.plans.iter().for_each(|plan| access.directory.add_plan(&plan.name));
    for (number, application) in document.applications.iter().enumerate() {
        access.application(application, Origin::written(List::Applications, number));
    }
    let at = Pointer::root().key("long_lists").key("applications");
    for (number, name) in document.long_lists.applications.iter().enumerate() {
        let bytes = world.read(name, "list of applications", lines::BYTES_MAX, &at.index(number));
        if let Some(bytes) = access.findings.take(bytes) {
            access.list(number, &bytes);
        }
    }
    let directory = access.directory.finish();
    access.subscriptions.finish(&directory, access.findings);
    Arc::new(directory)
}

/// All that a document itself says of who may call.
pub(super) fn written(document: &v1::Document) -> impl serde::Serialize {
    let v1::Document { organizations, applications, plans, subscriptions, .. } = document;
    (organizations, applications, plans, subscriptions)
}

/// Makes the directory.
struct Access<'a> {
    organizations: HashMap<&'a str, &'a v1::Organization>,
    subscriptions: Subscriptions,
    common: Common,
    directory: Directory,
    /// Where each application stands, by its number in the directory.
    applications: Vec<Origin>,
    /// The same of the keys, with the number that a key has in its application.
    keys: Vec<(Origin, u32)>,
    findings: &'a mut Findings,
}

impl<'a> Access<'a> {
    /// Adds the applications of a long list.
    fn list(&mut self, file: usize, bytes: &[u8]) {
        let before = self.findings.problems.len();
        let more = lines::count(bytes);
        self.directory.reserve(more);
        self.applications.reserve(more);
        self.keys.reserve(more);
        for (line, item) in lines::items::<v1::Application>(bytes) {
            let origin = Origin::line(List::Applications, file, line);
            match item {
                Ok(application) => self.application(&application, origin),
                Err(what) => self.findings.problem(lines::problem(origin, &what)),
            }
            if self.findings.problems.len() - before >= TOLD_MAX {
                return;
            }
        }
    }

    fn application(&mut self, written: &v1::Application, origin: Origin) {
        if written.name.is_empty() || written.name.len() > NAME_BYTES {
            let what = format!("an application's name has 1 to {NAME_BYTES} bytes");
            let problem = origin.problem(&["name"], what);
            return self.findings.problem(problem.hint("give it a name of that length"));
        }
        let organization = self.organization(written, origin);
        let enabled = organization.is_none_or(|organization| organization.enabled);
        let inherited = organization.map(|organization| &organization.labels);
        let application = Application {
            name: written.name.as_str().into(),
            organization: written.organization.as_ref().map(|name| self.common.text(name)),
            groups: self.common.groups(&written.groups),
            labels: self.common.labels(&written.labels, inherited),
            subscriptions: self.subscriptions.of(&written.name),
            standing: match (written.enabled, enabled) {
                (false, _) => Standing::Disabled,
                (true, false) => Standing::OrganizationDisabled,
                (true, true) => Standing::Good,
            },
        };
        let number = match self.directory.add(application) {
            Ok(number) => number,
            Err(first) => return self.named_twice(&written.name, origin, first),
        };
        self.applications.push(origin);
        for (place, key) in written.keys.iter().enumerate() {
            self.key(key, number, origin, place);
        }
    }

    /// The organization that the application names, where organizations are written.
    fn organization(
        &mut self,
        written: &v1::Application,
        origin: Origin,
    ) -> Option<&'a v1::Organization> {
        let name = written.organization.as_deref().filter(|_| !self.organizations.is_empty())?;
        let found = self.organizations.get(name).copied();
        if found.is_none() {
            let at = origin.below(&["organization"]);
            let problem = unknown(&at, "organization", name, self.organizations.keys().copied());
            self.findings.problem(Problem { what: origin.told(&problem.what), ..problem });
        }
        found
    }

    /// Two of the document's own are told of where the document is read.
    fn named_twice(&mut self, name: &str, origin: Origin, first: usize) {
        let problem = origin.problem(&["name"], format!("there are two applications `{name}`"));
        let problem = problem.hint("give one of them another name");
        self.findings.problem(match self.applications.get(first) {
            Some(first) => first.first(&["name"], problem),
            None => problem,
        });
    }

    fn key(&mut self, key: &v1::Key, number: usize, origin: Origin, place: usize) {
        let steps = place.to_string();
        let steps = ["keys", &steps, "sha256"];
        let Some(sha256) = sha256(&key.sha256) else {
            let what = "this is no SHA-256: it has 64 hexadecimal digits";
            let hint = "make it with `printf %s KEY | sha256sum`";
            return self.findings.problem(origin.problem(&steps, what).hint(hint));
        };
        let [keys, one, _] = steps;
        if let (Some(from), Some(until)) = (key.not_before, key.expires)
            && from >= until
        {
            let problem = origin.problem(&[keys, one, "expires"], "the key ends before it begins");
            self.findings.problem(problem.hint("let `expires` be later than `not_before`"));
        }
        if let Some(bad) = key.scopes.iter().position(|scope| !is_scope(scope)) {
            let at = [keys, one, "scopes", &bad.to_string()];
            let what = "a scope is one word of visible ASCII without `\"` and `\\`";
            let hint = "write one list item for each, as in `[orders:read, orders:write]`";
            self.findings.problem(origin.problem(&at, what).hint(hint));
        }
        let Some(application) = self.directory.applications().get(number).cloned() else { return };
        let id = match &key.id {
            Some(id) => self.common.text(id),
            None => self.common.text(&(place + 1).to_string()),
        };
        let grant = self.common.grant(&key.scopes);
        let seconds = |moment: Option<base::Moment>| moment.map(base::Moment::as_secs);
        let made = Key::new(sha256, application.clone(), id)
            .granting(grant)
            .within(seconds(key.not_before), seconds(key.expires));
        let made = if key.enabled { made } else { made.disabled() };
        match self.directory.add_key(made) {
            Ok(_) => self.keys.push((origin, place as u32)),
            Err(first) => self.key_twice(&application, origin, &steps, first),
        }
    }

    fn key_twice(
        &mut self,
        application: &Arc<Application>,
        origin: Origin,
        steps: &[&str],
        first: usize,
    ) {
        let name = &application.name;
        let owner = self.directory.keys().get(first).map(Key::application);
        let what = match owner.filter(|owner| !Arc::ptr_eq(owner, application)) {
            None => format!("application `{name}` has this key twice"),
            Some(owner) => format!("applications `{}` and `{name}` have the same key", owner.name),
        };
        let problem = origin.problem(steps, what).hint("give every application keys of its own");
        self.findings.problem(match self.keys.get(first) {
            Some((first, place)) => first.first(&["keys", &place.to_string(), "sha256"], problem),
            None => problem,
        });
    }
}

/// Whether `text` is a scope (RFC 6749 §3.3).
fn is_scope(text: &str) -> bool {
    let good = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(good)
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = crate::path::unescape(digits)?;
    }
    Some(out)
}
