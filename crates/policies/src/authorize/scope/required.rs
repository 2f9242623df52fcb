//! What scopes a request needs.

use policy::message::Method;

/// Scopes that are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    /// One of these, where there are any.
    pub(super) any: Vec<String>,
    /// All of these.
    pub(super) all: Vec<String>,
}

impl Needed {
    /// Whether `granted` has them.
    pub(super) fn met<'s>(&self, granted: impl Iterator<Item = &'s str> + Clone) -> bool {
        let has = |wanted: &String| granted.clone().any(|scope| scope == wanted);
        self.all.iter().all(has) && (self.any.is_empty() || self.any.iter().any(has))
    }

    /// Both lists, as `WWW-Authenticate` tells them (RFC 6750 §3).
    pub(super) fn told(&self) -> String {
        let all = self.all.iter().chain(&self.any).map(String::as_str);
        all.collect::<Vec<_>>().join(" ")
    }
}

/// Scopes by method.
#[derive(Debug)]
pub(super) struct Required {
    /// What methods need that are not named.
    pub(super) others: Needed,
    /// What the others need.
    pub(super) methods: Vec<(Method, Needed)>,
}

impl Required {
    /// What `method` needs. What is needed to read something is needed to ask about it.
    pub(super) fn by(&self, method: Method) -> &Needed {
        let named = |wanted: Method| {
            self.methods.iter().find(|(method, _)| *method == wanted).map(|(_, needed)| needed)
        };
        let head = || (method == Method::Head).then(|| named(Method::Get)).flatten();
        named(method).or_else(head).unwrap_or(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(any: &[&str], all: &[&str]) -> Needed {
        let list = |scopes: &[&str]| scopes.iter().map(|&scope| scope.to_owned()).collect();
        Needed { any: list(any), all: list(all) }
    }

    #[test]
    fn one_of_any_and_all_of_all_are_needed() {
        for (any, all, granted, met) in [
            (&["a", "b"][..], &[][..], &["b"][..], true),
            (&["a", "b"], &[], &["c"], false),
            (&["a", "b"], &[], &[], false),
            (&[], &["a", "b"], &["b", "a", "c"], true),
            (&[], &["a", "b"], &["a"], false),
            (&["a", "b"], &["c"], &["a", "c"], true),
            (&["a", "b"], &["c"], &["a", "b"], false),
            (&[], &[], &[], true),
            (&["a"], &[], &["A"], false),
            (&["a"], &[], &["a "], false),
        ] {
            let found = needed(any, all).met(granted.iter().copied());
            assert_eq!(found, met, "{any:?} {all:?} {granted:?}");
        }
    }

    #[test]
    fn a_method_needs_what_it_says_else_what_the_others_need() {
        let required = Required {
            others: needed(&["others"], &[]),
            methods: vec![
                (Method::Get, needed(&["read"], &[])),
                (Method::Post, needed(&[], &["write"])),
            ],
        };
        assert_eq!(required.by(Method::Get).told(), "read");
        assert_eq!(required.by(Method::Head).told(), "read");
        assert_eq!(required.by(Method::Post).told(), "write");
        assert_eq!(required.by(Method::Delete).told(), "others");
        let head = Required { methods: vec![(Method::Head, needed(&[], &[]))], ..required };
        assert_eq!(head.by(Method::Head).told(), "");
        assert_eq!(head.by(Method::Get).told(), "others");
    }
}
