//! Which route a request takes, and the answers given without an upstream.

mod answer;

use std::sync::Arc;

use policy::{Exchange, Refusal, RouteFacts, Values, codes};
use snapshot::{Found, Route, Snapshot};

pub(crate) use answer::{redirect, respond};

/// Finds the route of the exchange's request on listener number `listener`, and notes it in the
/// exchange.
///
/// # Errors
/// No route takes it.
pub fn find<'s>(
    snapshot: &'s Snapshot,
    listener: usize,
    x: &mut Exchange,
) -> Result<&'s Arc<Route>, Refusal> {
    let mut values = Values::new();
    match snapshot.router.find(listener, &x.request, &mut values) {
        Found::Route(route) => {
            x.route = Some(RouteFacts { number: route.number, names: route.names.clone(), values });
            Ok(route)
        }
        Found::MethodNotAllowed(allow) => {
            Err(Refusal::new(&codes::METHOD_NOT_ALLOWED).header("Allow", allow.to_string()))
        }
        Found::NotFound => Err(Refusal::new(&codes::ROUTE_NOT_FOUND)),
    }
}
