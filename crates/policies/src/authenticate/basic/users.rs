//! Who may come: users by name, each with the hash of a password. Written in the document or in
//! files as htpasswd makes them.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{Caller, Grant};

use super::hash::Stored;

/// A user.
#[derive(Debug)]
pub(super) struct User {
    /// The password's hash.
    pub stored: Arc<Stored>,
    /// Who they are.
    pub caller: Caller,
}

/// All users.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_name: HashMap<Box<str>, User>,
    /// Every hash there is, for names that nobody has.
    hashes: Vec<Arc<Stored>>,
}

impl Users {
    /// Adds a user; what can't be becomes a problem at `at`.
    pub fn add(
        &mut self,
        name: &str,
        hash: &str,
        mut caller: Caller,
        at: &Pointer,
        problems: &mut Problems,
    ) {
        let named = name.escape_debug();
        if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
            let what = format!("`{named}` can't be the name of a user");
            let hint = "use a name without colons and control characters";
            return problems.push(Problem::new(at, what).hint(hint));
        }
        let stored = match Stored::parse(hash) {
            Ok(stored) => Arc::new(stored),
            Err(unfit) => {
                let what = format!("the hash of `{named}`'s password {}", unfit.what());
                return problems.push(Problem::new(at, what).hint(unfit.hint()));
            }
        };
        let grant = caller.grant.take();
        let grant = grant.map_or_else(Grant::default, |grant| (*grant).clone());
        caller.grant = Some(Arc::new(Grant { subject: Some(name.into()), ..grant }));
        if self.by_name.insert(name.into(), User { stored: stored.clone(), caller }).is_some() {
            let what = format!("there are two users `{named}`");
            problems.push(Problem::new(at, what).hint("give each a name of their own"));
        }
        self.hashes.push(stored);
    }

    /// Adds the users of an htpasswd file: a line `name:hash` each.
    pub fn add_file(
        &mut self,
        text: &str,
        caller: impl Fn(&str) -> Caller,
        at: &Pointer,
        problems: &mut Problems,
    ) {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, hash)) = line.split_once(':') else {
                let what = format!("line {} of the file has no colon", number + 1);
                problems.push(Problem::new(at, what).hint("write `name:hash`, as htpasswd does"));
                continue;
            };
            self.add(name, hash, caller(name), at, problems);
        }
    }

    /// The user of this name.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    /// The hash that is checked for a name that nobody has, out of those that users have, so that
    /// the time it takes tells nothing.
    pub fn decoy(&self, pick: impl FnOnce(usize) -> usize) -> Option<&Arc<Stored>> {
        self.hashes.get(pick(self.hashes.len()))
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$04$DfWKlDnNxfexwK8uF/Xkve9IkGgCgqeM1EnOVMAXzxFztpaWLYdM2";

    fn caller(name: &str) -> Caller {
        Caller { application: None, credential: name.into(), by: "basic", grant: None }
    }

    #[test]
    fn a_file_is_read_as_htpasswd_writes_it() {
        let (mut users, mut problems) = (Users::default(), Problems::new());
        let text = format!("# staff\n\nanna:{HASH}\r\n  b\u{e4}rbel:{HASH}\n");
        users.add_file(&text, caller, &Pointer::root(), &mut problems);
        assert_eq!(problems, []);
        let found = users.get("b\u{e4}rbel").unwrap();
        assert_eq!(found.caller.name(), Some("b\u{e4}rbel"));
        assert!(users.get("anna").is_some() && users.get("Anna").is_none());
        assert!(users.decoy(|count| count - 1).is_some());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_line_by_line() {
        let (mut users, mut problems) = (Users::default(), Problems::new());
        let text = format!("anna\nanna:{HASH}\nanna:{HASH}\ncarl:{{SHA}}abc\n:{HASH}\n");
        users.add_file(&text, caller, &Pointer::root(), &mut problems);
        let said: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            said,
            [
                "line 1 of the file has no colon",
                "there are two users `anna`",
                "the hash of `carl`'s password is an unsalted SHA-1, which is guessed far too fast",
                "`` can't be the name of a user",
            ]
        );
        assert!(!format!("{problems:?}").contains("DfWK"), "no hash is told");
    }
}
