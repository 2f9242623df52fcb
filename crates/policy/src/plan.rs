//! What applications may call: plans, and subscriptions to them.

use std::sync::Arc;
use std::time::Duration;

use crate::RouteFacts;
use crate::message::Method;

/// What an application that subscribes to it may call.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: Box<str>,
    /// Whether its subscriptions count.
    pub enabled: bool,
    /// What is in it.
    pub parts: Box<[PlanPart]>,
}

/// An API in a plan, or a part of it.
#[derive(Debug, PartialEq, Eq)]
pub struct PlanPart {
    /// The API's name.
    pub api: Box<str>,
    /// The version; every one where there is none.
    pub version: Option<Box<str>>,
    /// Names of routes; every one where there is none.
    pub routes: Box<[Box<str>]>,
    /// Methods; every one where there is none.
    pub methods: Box<[Method]>,
}

/// That an application has a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Whether it counts.
    pub enabled: bool,
    /// When it ends, in seconds since 1970.
    pub until: Option<u64>,
}

/// What a plan has of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cover {
    /// Not its API, or not this version of it.
    Nothing,
    /// The API, but not this route or method.
    Api,
    /// All of it.
    Request,
}

impl Plan {
    /// What it has of a request for `route` by `method`.
    pub fn cover(&self, route: &RouteFacts, method: Method) -> Cover {
        let parts = self.parts.iter().map(|part| part.cover(route, method));
        parts.max().unwrap_or(Cover::Nothing)
    }
}

impl PlanPart {
    fn cover(&self, route: &RouteFacts, method: Method) -> Cover {
        let version = self.version.as_deref();
        if *self.api != *route.api() || version.is_some_and(|it| route.version() != Some(it)) {
            return Cover::Nothing;
        }
        let routed =
            self.routes.is_empty() || self.routes.iter().any(|name| **name == *route.route());
        let asked = self.methods.is_empty()
            || self.methods.contains(&method)
            || (method == Method::Head && self.methods.contains(&Method::Get));
        if routed && asked { Cover::Request } else { Cover::Api }
    }
}

impl Subscription {
    /// Whether it has ended at `now`, which is since 1970.
    pub fn has_ended(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now.as_secs() >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RouteNames;

    fn route(api: &str, version: Option<&str>, route: &str) -> RouteFacts {
        let names = RouteNames {
            api: api.into(),
            version: version.map(Into::into),
            route: route.into(),
            ..RouteNames::default()
        };
        RouteFacts { number: 0, names: Arc::new(names), values: Default::default() }
    }

    fn part(version: Option<&str>, routes: &[&str], methods: &[Method]) -> PlanPart {
        PlanPart {
            api: "orders".into(),
            version: version.map(Into::into),
            routes: routes.iter().map(|&name| name.into()).collect(),
            methods: methods.into(),
        }
    }

    fn cover(parts: Vec<PlanPart>, route: &RouteFacts, method: Method) -> Cover {
        Plan { name: "gold".into(), enabled: true, parts: parts.into() }.cover(route, method)
    }

    #[test]
    fn a_plan_has_what_its_parts_have_and_nothing_else() {
        let (list, other) =
            (route("orders", Some("v1"), "list"), route("users", Some("v1"), "list"));
        for (part, covered) in [
            (part(None, &[], &[]), Cover::Request),
            (part(Some("v1"), &[], &[]), Cover::Request),
            (part(Some("v2"), &[], &[]), Cover::Nothing),
            (part(None, &["list"], &[]), Cover::Request),
            (part(None, &["one"], &[]), Cover::Api),
            (part(None, &[], &[Method::Get]), Cover::Request),
            (part(None, &[], &[Method::Post]), Cover::Api),
        ] {
            let what = format!("{part:?}");
            let parts = vec![part];
            let plan = Plan { name: "gold".into(), enabled: true, parts: parts.into() };
            assert_eq!(plan.cover(&list, Method::Get), covered, "{what}");
            assert_eq!(plan.cover(&other, Method::Get), Cover::Nothing, "{what}");
        }
        assert_eq!(cover(Vec::new(), &list, Method::Get), Cover::Nothing);
    }

    #[test]
    fn parts_add_up_and_a_get_is_worth_a_head() {
        let list = route("orders", None, "list");
        let parts = || vec![part(None, &["one"], &[]), part(None, &["list"], &[Method::Get])];
        assert_eq!(cover(parts(), &list, Method::Head), Cover::Request);
        assert_eq!(cover(parts(), &list, Method::Post), Cover::Api);
        assert_eq!(cover(vec![part(Some("v1"), &[], &[])], &list, Method::Get), Cover::Nothing);
    }

    #[test]
    fn a_subscription_ends_with_the_second_it_says() {
        let plan = Arc::new(Plan { name: "gold".into(), enabled: true, parts: Box::default() });
        let subscription = Subscription { plan, enabled: true, until: Some(100) };
        assert!(!subscription.has_ended(Duration::from_millis(99_999)));
        assert!(subscription.has_ended(Duration::from_secs(100)));
        let endless = Subscription { until: None, ..subscription };
        assert!(!endless.has_ended(Duration::MAX));
    }
}
