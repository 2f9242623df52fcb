//! Whether one of an application's subscriptions has a request in it.

use std::time::Duration;

use policy::message::Method;
use policy::{Cover, RouteFacts, Subscription};

/// How far it is from having it. The further down, the nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// No plan it subscribes to has the API, or this version of it.
    NotSubscribed,
    /// One has, but not this route or method.
    NotInPlan,
    /// One has all of it, but the subscription waits for approval or is suspended.
    Disabled,
    /// The subscription has ended.
    Ended,
    /// The plan is switched off.
    PlanDisabled,
    /// It has.
    Active,
}

/// How the nearest of them stands, and which it is: of several that are as near, the first.
pub(super) fn standing<'s>(
    subscriptions: impl Iterator<Item = &'s Subscription>,
    route: &RouteFacts,
    method: Method,
    now: Duration,
) -> (Standing, Option<&'s Subscription>) {
    let mut nearest = (Standing::NotSubscribed, None);
    for one in subscriptions {
        let stands = of(one, route, method, now);
        if stands > nearest.0 {
            nearest = (stands, Some(one));
        }
    }
    nearest
}

fn of(one: &Subscription, route: &RouteFacts, method: Method, now: Duration) -> Standing {
    match one.plan.cover(route, method) {
        Cover::Nothing => Standing::NotSubscribed,
        Cover::Api => Standing::NotInPlan,
        Cover::Request if !one.enabled => Standing::Disabled,
        Cover::Request if one.has_ended(now) => Standing::Ended,
        Cover::Request if !one.plan.enabled => Standing::PlanDisabled,
        Cover::Request => Standing::Active,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::{Plan, PlanPart, RouteNames};

    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn to(api: &str, methods: &[Method], enabled: bool) -> Subscription {
        let part = PlanPart {
            api: api.into(),
            version: None,
            routes: Box::default(),
            methods: methods.into(),
        };
        let plan = Plan { name: "gold".into(), enabled, parts: [part].into() };
        Subscription { plan: Arc::new(plan), enabled: true, until: None }
    }

    fn stands(subscriptions: &[Subscription]) -> Standing {
        let names = RouteNames { api: "orders".into(), ..RouteNames::default() };
        let route = RouteFacts { number: 0, names: Arc::new(names), values: Default::default() };
        standing(subscriptions.iter(), &route, Method::Get, NOW).0
    }

    #[test]
    fn every_way_not_to_have_it_is_told_apart() {
        let active = to("orders", &[], true);
        let disabled = Subscription { enabled: false, ..active.clone() };
        let ended = Subscription { until: Some(1000), ..active.clone() };
        for (one, expected) in [
            (to("users", &[], true), Standing::NotSubscribed),
            (to("orders", &[Method::Post], true), Standing::NotInPlan),
            (disabled, Standing::Disabled),
            (ended, Standing::Ended),
            (to("orders", &[], false), Standing::PlanDisabled),
            (Subscription { until: Some(1001), ..active.clone() }, Standing::Active),
            (active.clone(), Standing::Active),
        ] {
            assert_eq!(stands(std::slice::from_ref(&one)), expected, "{one:?}");
            let both = [one, active.clone()];
            assert_eq!(stands(&both), Standing::Active, "one that is active is enough");
        }
        assert_eq!(stands(&[]), Standing::NotSubscribed);
        let two = [to("users", &[], true), to("orders", &[Method::Post], true)];
        assert_eq!(stands(&two), Standing::NotInPlan, "the nearest one is told of");
    }
}
