//! Bulkheads: how much may run at once towards an upstream, all cores together. What is too much is
//! refused at once, so that one slow upstream does not take the memory and time of the others.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

use super::endpoint::Endpoint;
use super::fleet::State;
use crate::codec::Permit;

/// What runs towards an upstream now.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Requests that were let in and whose response has not ended.
    pub running: AtomicUsize,
    /// Requests that wait for a connection.
    pub pending: AtomicUsize,
    /// Copies of requests (see `mirror.rs`).
    pub copies: AtomicUsize,
    /// Connections, busy or idle.
    pub connections: AtomicUsize,
    /// Wakes a request that waits for a connection's place.
    pub freed: Notify,
    /// Refused because there was too much already, since the start.
    pub refused: AtomicU64,
}

/// Which of the counts a [`Place`] is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// [`Load::running`].
    Running,
    /// [`Load::pending`].
    Pending,
    /// [`Load::copies`].
    Copies,
}

/// A place among what runs; given up when dropped.
pub(crate) struct Place<L: AsRef<Load>> {
    load: Rc<L>,
    count: Count,
}

impl Load {
    fn count(&self, count: Count) -> &AtomicUsize {
        match count {
            Count::Running => &self.running,
            Count::Pending => &self.pending,
            Count::Copies => &self.copies,
        }
    }
}

impl<L: AsRef<Load>> Place<L> {
    /// Takes a place, if fewer than `most` are taken.
    pub fn take(load: &Rc<L>, count: Count, most: usize) -> Option<Self> {
        let counter = load.as_ref().as_ref().count(count);
        // Added first and taken back, so that the usual case is one instruction. Near the bound a
        // neighbour may so be refused that just fitted.
        if counter.fetch_add(1, Relaxed) < most {
            return Some(Self { load: load.clone(), count });
        }
        counter.fetch_sub(1, Relaxed);
        load.as_ref().as_ref().refused.fetch_add(1, Relaxed);
        None
    }
}

impl<L: AsRef<Load>> Drop for Place<L> {
    fn drop(&mut self) {
        self.load.as_ref().as_ref().count(self.count).fetch_sub(1, Relaxed);
    }
}

/// A place among the connections of an upstream, if fewer than `most` are taken.
pub(crate) fn connection(
    state: &Arc<State>,
    endpoint: &Arc<Endpoint>,
    most: usize,
) -> Option<Permit> {
    if state.load.connections.fetch_add(1, Relaxed) >= most {
        state.load.connections.fetch_sub(1, Relaxed);
        return None;
    }
    endpoint.connections.fetch_add(1, Relaxed);
    Some(Permit::holding(Open { state: state.clone(), endpoint: endpoint.clone() }))
}

/// A connection that counts.
struct Open {
    state: Arc<State>,
    endpoint: Arc<Endpoint>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.endpoint.connections.fetch_sub(1, Relaxed);
        self.state.load.connections.fetch_sub(1, Relaxed);
        self.state.load.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use snapshot::Bind;
    use snapshot::EndpointScheme;

    use super::*;
    use crate::forward::endpoint::Key;

    struct Owner(Load);

    impl AsRef<Load> for Owner {
        fn as_ref(&self) -> &Load {
            &self.0
        }
    }

    #[test]
    fn places_are_bounded_counted_apart_and_given_back() {
        let owner = Rc::new(Owner(Load::default()));
        let taken: Vec<_> =
            (0..2).map(|_| Place::take(&owner, Count::Running, 2).unwrap()).collect();
        assert!(Place::take(&owner, Count::Running, 2).is_none());
        assert!(Place::take(&owner, Count::Pending, 2).is_some(), "another count");
        assert_eq!(owner.0.refused.load(Relaxed), 1);
        drop(taken);
        assert_eq!(owner.0.running.load(Relaxed), 0);
        assert!(Place::take(&owner, Count::Running, 2).is_some());
    }

    #[test]
    fn connections_are_bounded_and_counted_by_endpoint() {
        let at = Bind::Tcp("127.0.0.1:1".parse().unwrap());
        let key =
            Key { scheme: EndpointScheme::Http, at, other: None, authority: "127.0.0.1:1".into() };
        let (state, endpoint) = (Arc::new(State::default()), Arc::new(Endpoint::new(key, None)));
        let first = connection(&state, &endpoint, 1);
        assert!(first.is_some());
        assert!(connection(&state, &endpoint, 1).is_none());
        assert_eq!(endpoint.connections.load(Relaxed), 1);
        drop(first);
        assert_eq!(endpoint.connections.load(Relaxed), 0);
        assert!(connection(&state, &endpoint, 1).is_some());
    }
}
