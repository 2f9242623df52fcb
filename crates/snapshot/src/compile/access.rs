//! Who may call: applications and their keys.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;
use policy::{Application, Directory};

use super::Findings;

/// Compiles the applications. No key may say that a caller is two of them.
pub(super) fn directory(document: &v1::Document, findings: &mut Findings) -> Arc<Directory> {
    let mut directory = Directory::new();
    let mut owners = HashMap::new();
    for (number, written) in document.applications.iter().enumerate() {
        let keys = Pointer::root().key("applications").index(number).key("keys");
        let application = Arc::new(Application {
            name: written.name.clone(),
            organization: written.organization.clone(),
            groups: written.groups.clone(),
            labels: written.labels.clone(),
        });
        directory.add_application(&application);
        for (number, key) in written.keys.iter().enumerate() {
            let at = keys.index(number).key("sha256");
            let Some(sha256) = sha256(&key.sha256) else {
                let problem = Problem::new(&at, "this is no SHA-256: it has 64 hexadecimal digits");
                findings.problem(problem.hint("make it with `printf %s KEY | sha256sum`"));
                continue;
            };
            let id = key.id.clone().unwrap_or_else(|| (number + 1).to_string());
            if directory.add_key(sha256, &application, id.into()) {
                owners.insert(sha256, (at, &written.name));
            } else if let Some((first, owner)) = owners.get(&sha256) {
                let what = match *owner == &written.name {
                    true => format!("application `{}` has this key twice", written.name),
                    false => {
                        format!("applications `{owner}` and `{}` have the same key", written.name)
                    }
                };
                let hint = "give every application keys of its own";
                findings.problem(Problem::new(&at, what).hint(hint).see(first, "the first one"));
            }
        }
    }
    Arc::new(directory)
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
