//! What an answer of a server is found by, and how long it is kept.

use aws_lc_rs::digest::{Context, SHA256};
use base::{Pointer, Problem, Problems, Span};
use policy::message::Name;
use policy::{Caller, Exchange, RouteFacts};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Key;

/// Most answers that may be kept.
const MOST: usize = 1_000_000;

/// How long a decision is used again, and for which requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "DecisionCache")]
pub(crate) struct Kept {
    /// How long a decision is used again; `0s`: never.
    pub(crate) ttl: Span,
    /// What requests have in common that share a decision; all that the decider is told, unless
    /// this is given. What is left out here must not matter to the decider.
    by: Option<Vec<Written>>,
    /// Most decisions kept; of those that let nobody in a fourth of that.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) entries: usize,
}

/// A part of a request that decisions are told apart by.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DecisionBy")]
pub(crate) enum Written {
    /// The method.
    Method,
    /// The host.
    Host,
    /// The path.
    Path,
    /// The query.
    Query,
    /// The client's address.
    Client,
    /// Who the request was authenticated as so far.
    Caller,
    /// The API, its version and the route.
    Route,
    /// The values of a header field.
    Header(String),
}

impl Default for Kept {
    fn default() -> Self {
        Self { ttl: Span::secs(0), by: None, entries: 10_000 }
    }
}

/// What requests have in common that share a decision.
#[derive(Debug)]
pub(crate) enum By {
    /// All that the decider is told.
    All,
    /// These parts.
    Parts(Vec<Part>),
}

/// A part, compiled.
#[derive(Debug)]
pub(crate) enum Part {
    Fixed(Written),
    Header(Name),
}

/// A key in the making. Parts can't run into each other.
pub(crate) struct Keyed(Context);

impl Keyed {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// With `part`.
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// With a part that may be missing.
    pub(crate) fn add_some(&mut self, part: Option<&[u8]>) {
        self.0.update(&[u8::from(part.is_some())]);
        self.add(part.unwrap_or_default());
    }

    /// The key.
    pub(crate) fn finish(self) -> Key {
        let digest = self.0.finish();
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Kept {
    /// By what decisions are told apart; what is wrong becomes problems.
    pub(crate) fn by(&self, at: &Pointer, problems: &mut Problems) -> By {
        if !(1..=MOST).contains(&self.entries) {
            let what = format!("{} decisions can't be kept", self.entries);
            problems.push(Problem::new(&at.key("entries"), what).hint("write 1 to 1000000"));
        }
        let Some(written) = &self.by else { return By::All };
        let at = at.key("by");
        if written.is_empty() {
            let what = "all requests would share one decision";
            problems.push(Problem::new(&at, what).hint("write what tells them apart: `[caller]`"));
        }
        let mut parts = Vec::with_capacity(written.len());
        for (number, part) in written.iter().enumerate() {
            parts.push(match part {
                Written::Header(name) => match Name::new(name) {
                    Some(name) => Part::Header(name),
                    None => {
                        let what = format!("`{name}` can't be a header's name");
                        let hint = "use letters, digits and `-`, as in `x-tenant`";
                        problems.push(Problem::new(&at.index(number), what).hint(hint));
                        continue;
                    }
                },
                fixed => Part::Fixed(fixed.clone()),
            });
        }
        By::Parts(parts)
    }
}

impl By {
    /// The key of a request; `all` adds what the decider is told, where that is what counts.
    pub(crate) fn key(&self, x: &Exchange, all: impl FnOnce(&mut Keyed)) -> Key {
        let mut keyed = Keyed::new();
        match self {
            Self::All => all(&mut keyed),
            Self::Parts(parts) => parts.iter().for_each(|part| part.add(x, &mut keyed)),
        }
        keyed.finish()
    }
}

impl Part {
    fn add(&self, x: &Exchange, keyed: &mut Keyed) {
        let target = &x.request.target;
        match self {
            Self::Header(name) => {
                let values = x.request.headers.all(name);
                keyed.add(&(x.request.headers.all(name).count() as u64).to_le_bytes());
                values.for_each(|value| keyed.add(value));
            }
            Self::Fixed(Written::Method) => keyed.add(x.request.method.as_str().as_bytes()),
            Self::Fixed(Written::Host) => keyed.add(target.authority.as_str().as_bytes()),
            Self::Fixed(Written::Path) => keyed.add(target.path.as_bytes()),
            Self::Fixed(Written::Query) => {
                keyed.add_some(target.query.as_deref().map(str::as_bytes));
            }
            Self::Fixed(Written::Client) => keyed.add(x.client.to_string().as_bytes()),
            Self::Fixed(Written::Caller) => add_caller(x.caller.as_ref(), keyed),
            Self::Fixed(Written::Route) => {
                let route = x.route.as_ref();
                keyed.add_some(route.map(|route| route.api().as_bytes()));
                let version = route.and_then(RouteFacts::version);
                keyed.add_some(version.map(|version| version.as_bytes()));
                keyed.add_some(route.map(|route| route.route().as_bytes()));
            }
            // Has a name, and is the part above.
            Self::Fixed(Written::Header(_)) => {}
        }
    }
}

/// Adds who calls, with all that the credential says: two tokens of one subject may allow different
/// things.
fn add_caller(caller: Option<&Caller>, keyed: &mut Keyed) {
    keyed.add_some(caller.map(|caller| caller.by.as_bytes()));
    let Some(caller) = caller else { return };
    keyed.add(caller.credential.as_bytes());
    keyed.add_some(caller.application_name().map(str::as_bytes));
    let grant = caller.grant.as_ref();
    let subject = grant.and_then(|grant| grant.subject.as_deref());
    let issuer = grant.and_then(|grant| grant.issuer.as_deref());
    keyed.add_some(subject.map(str::as_bytes));
    keyed.add_some(issuer.map(str::as_bytes));
    for lists in [caller.scopes().collect::<Vec<_>>(), caller.groups().collect()] {
        keyed.add(&(lists.len() as u64).to_le_bytes());
        lists.iter().for_each(|word| keyed.add(word.as_bytes()));
    }
    let claims = grant.and_then(|grant| serde_json::to_vec(&grant.claims).ok());
    keyed.add_some(claims.as_deref());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::Grant;

    use super::*;
    use crate::harness::exchange;

    fn key(by: &[Written], x: &Exchange) -> Key {
        let kept = Kept { by: Some(by.to_vec()), ..Kept::default() };
        let mut problems = Problems::new();
        let by = kept.by(&Pointer::root(), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        by.key(x, |_| panic!("not by all"))
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: &[&str]| {
            let mut keyed = Keyed::new();
            parts.iter().for_each(|part| keyed.add(part.as_bytes()));
            keyed.finish()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["ab"]), of(&["ab", ""]));
    }

    #[test]
    fn each_part_tells_requests_apart_and_no_other() {
        let base = exchange();
        let by = [Written::Path, Written::Header("x-a".into()), Written::Query];
        let same = key(&by, &base);
        let mut other = exchange();
        other.client = [9, 9, 9, 9].into();
        other.request.headers.append("x-b", "1");
        assert_eq!(key(&by, &other), same, "what is not named does not count");
        for change in [
            (|x: &mut Exchange| x.request.target.path = "/b".into()) as fn(&mut Exchange),
            |x| x.request.target.query = Some(String::new()),
            |x| {
                x.request.headers.append("x-a", "");
            },
        ] {
            let mut other = exchange();
            change(&mut other);
            assert_ne!(key(&by, &other), same);
        }
        let (mut one, mut two) = (exchange(), exchange());
        one.request.headers.append("x-a", "1, 2");
        two.request.headers.append("x-a", "1");
        two.request.headers.append("x-a", "2");
        assert_ne!(key(&by, &one), key(&by, &two));
    }

    #[test]
    fn two_tokens_of_one_subject_are_two_callers() {
        let with = |scope: &str| {
            let mut x = exchange();
            let grant = Grant { scopes: vec![scope.into()], ..Grant::default() };
            let grant = Some(Arc::new(grant));
            x.caller = Some(Caller { application: None, credential: "a".into(), by: "b", grant });
            key(&[Written::Caller], &x)
        };
        assert_eq!(with("read"), with("read"));
        assert_ne!(with("read"), with("write"));
        assert_ne!(with("read"), key(&[Written::Caller], &exchange()));
    }
}
