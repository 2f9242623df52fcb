//! Which route a request takes, and the answers given without an upstream.

mod answer;

use std::sync::Arc;

use policy::{Exchange, Refusal, RouteFacts, codes};
use snapshot::{Found, Params, Route, Snapshot};

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
    let mut params = Params::new();
    match snapshot.router.find(listener, &x.request, &mut params) {
        Found::Route(route) => {
            x.route = Some(RouteFacts {
                number: route.number,
                api: route.api.name.clone(),
                version: route.api.version.clone(),
                route: route.name.clone(),
                params,
            });
            Ok(route)
        }
        Found::MethodNotAllowed(allow) => {
            Err(Refusal::new(&codes::METHOD_NOT_ALLOWED).header("Allow", allow.to_string()))
        }
        Found::NotFound => Err(Refusal::new(&codes::ROUTE_NOT_FOUND)),
    }
}
