//! What a policy may do, and when.

use std::fmt;

use crate::message::Request;
use crate::{Exchange, Step};

/// One behaviour, compiled. Every hook has a default that does nothing. A policy is shared by all
/// cores: what it counts, it counts in atomics or in shards; state that must outlive a reload comes
/// from [`crate::Carry`].
pub trait Policy: fmt::Debug + Send + Sync {
    /// The request is parsed, normalised and routed; its head is here, its body may still be
    /// coming.
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let _ = exchange;
        Step::next()
    }

    /// The response's head is here, from the upstream, from another policy or from a refusal. It
    /// can be changed. Runs, in reverse order, for the policies whose `on_request` ran.
    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let _ = exchange;
        Step::next()
    }

    /// It is over: the last byte was sent, or somebody left. Runs once per exchange whose
    /// `on_request` ran.
    fn on_end(&self, exchange: &Exchange) {
        let _ = exchange;
    }

    /// Whether `on_request` answers or refuses every CORS preflight ([`Request::preflight`]), so
    /// that none goes on. Then they take the route of the request they ask for, whatever methods it
    /// takes.
    fn answers_preflights(&self) -> bool {
        false
    }

    /// Takes out of `request` what this policy would read a credential from and keep from the
    /// upstream. Called, in place of the hooks, where callers may prove themselves in several ways
    /// and another one let this caller in. Of a field that others use too, only what is its own:
    /// `Authorization` where the scheme is.
    fn hide(&self, request: &mut Request) {
        let _ = request;
    }
}
