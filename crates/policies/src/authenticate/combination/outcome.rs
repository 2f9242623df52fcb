//! What several policies said, as one refusal.

use policy::Refusal;

/// What is said where several ways to prove who calls were tried, and none was enough.
#[derive(Debug, Default)]
pub(in crate::authenticate) struct Outcome {
    worst: Option<Box<Refusal>>,
    challenges: Vec<Box<str>>,
    note: String,
    close: bool,
}

/// The field that says how a caller can prove itself.
const CHALLENGE: &str = "WWW-Authenticate";

impl Outcome {
    /// Adds what the policy `name` said.
    pub(in crate::authenticate) fn add(&mut self, name: &str, refusal: Box<Refusal>) {
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(name);
        self.note.push_str(": ");
        self.note.push_str(refusal.code.name);
        if let Some(note) = &refusal.note {
            self.note.push_str(" (");
            self.note.push_str(note);
            self.note.push(')');
        }
        self.close |= refusal.close;
        for (name, value) in &refusal.headers {
            if name.eq_ignore_ascii_case(CHALLENGE) && !self.challenges.contains(value) {
                self.challenges.push(value.clone());
            }
        }
        if self.worst.as_ref().is_none_or(|worst| weight(&refusal) > weight(worst)) {
            self.worst = Some(refusal);
        }
    }

    /// Whether nothing was said.
    pub(in crate::authenticate) fn is_empty(&self) -> bool {
        self.worst.is_none()
    }

    /// Whether something was shown, and was wrong or could not be judged.
    pub(in crate::authenticate) fn was_shown(&self) -> bool {
        self.worst.as_ref().is_some_and(|worst| !worst.absent)
    }

    /// The one refusal: the most specific that was said, with every challenge where it is a 401.
    /// None where nothing was said.
    pub(in crate::authenticate) fn refusal(self) -> Option<Box<Refusal>> {
        let mut refusal = self.worst?;
        refusal.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(CHALLENGE));
        if refusal.code.status == 401 && !self.challenges.is_empty() {
            refusal.headers.push((CHALLENGE, self.challenges.join(", ").into()));
        }
        refusal.note = Some(self.note.into());
        refusal.close |= self.close;
        Some(refusal)
    }
}

/// How much a refusal knows: that nothing was shown least; then that what was shown is not valid;
/// then that it is valid and not enough, or that the request itself is wrong; and most that it
/// could not be told.
fn weight(refusal: &Refusal) -> u8 {
    match refusal.code.status {
        _ if refusal.absent => 0,
        401 => 1,
        ..500 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use policy::{Code, Fault};

    use super::*;

    const fn code(name: &'static str, status: u16) -> Code {
        Code {
            name,
            status,
            grpc: 16,
            title: "No",
            proxy_error: "http_request_denied",
            fault: Fault::Caller,
            cure: "None.",
        }
    }

    static MISSING: Code = code("missing", 401);
    static INVALID: Code = code("invalid", 401);
    static SCOPE: Code = code("scope", 403);
    static DOWN: Code = code("down", 503);

    fn said(all: &[(&'static Code, &'static str, bool)]) -> Outcome {
        let mut outcome = Outcome::default();
        for (code, challenge, absent) in all {
            let mut refusal = Refusal::new(code).header("www-authenticate", *challenge);
            refusal.absent = *absent;
            outcome.add(code.name, Box::new(refusal));
        }
        outcome
    }

    #[test]
    fn who_knows_most_is_heard() {
        let (missing, invalid) = ((&MISSING, "A", true), (&INVALID, "B", false));
        let (scope, down) = ((&SCOPE, "C", false), (&DOWN, "D", false));
        for (all, heard) in [
            (vec![missing, invalid], "invalid"),
            (vec![invalid, missing], "invalid"),
            (vec![scope, invalid, missing], "scope"),
            (vec![missing, down, scope], "down"),
            (vec![missing], "missing"),
        ] {
            assert_eq!(said(&all).refusal().unwrap().code.name, heard);
        }
        assert!(Outcome::default().refusal().is_none());
    }

    #[test]
    fn a_401_carries_every_challenge_once_and_nothing_else_carries_one() {
        let all = [(&MISSING, "Bearer", true), (&INVALID, "Basic realm=\"a\"", false)];
        let refusal = said(&[all[0], all[1], all[0]]).refusal().unwrap();
        assert_eq!(refusal.headers.len(), 1);
        assert_eq!(&*refusal.headers[0].1, "Bearer, Basic realm=\"a\"");
        assert!(!refusal.absent);
        let refusal = said(&[(&MISSING, "Bearer", true), (&SCOPE, "Bearer", false)]).refusal();
        assert!(refusal.unwrap().headers.is_empty());
    }

    #[test]
    fn nothing_was_shown_only_where_all_say_so() {
        assert!(!said(&[(&MISSING, "A", true), (&MISSING, "B", true)]).was_shown());
        assert!(said(&[(&MISSING, "A", true), (&INVALID, "B", false)]).was_shown());
        assert!(said(&[(&MISSING, "A", true), (&MISSING, "B", true)]).refusal().unwrap().absent);
    }
}
