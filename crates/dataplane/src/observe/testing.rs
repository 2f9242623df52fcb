//! What the tests of observing share: a snapshot from text, a core that runs by it, an exchange
//! that passed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use config::{Memory, Schema};
use policy::message::{Body, Method, Status};
use policy::{Carry, Connection, Exchange, RouteFacts, RouteNames};
use snapshot::{Inputs, Snapshot};

use super::Observer;
use crate::core::{Core, Running};

/// 2026-01-01.
pub(crate) const NOW: Duration = Duration::from_secs(1_767_225_600);

/// A listener, an upstream with two endpoints, an API with two routes.
pub(crate) const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:8080' } ]
upstreams:
  - { name: orders, endpoints: [ 'http://10.0.0.7:9001', 'http://10.0.0.8:9001' ] }
apis:
  - name: orders
    version: v1
    path: /orders
    upstream: orders
    routes:
      - match: { methods: [GET], path: '/{id}' }
      - name: rest
";

/// What `${env:SECRET}` is; the SHA-256 of some key.
pub(crate) const SECRET: &str = "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de";

/// Compiles a document with the real policies.
pub(crate) fn compile(text: &str) -> Arc<Snapshot> {
    compile_with(text, &Carry::default())
}

/// The same, with what an earlier snapshot left.
pub(crate) fn compile_with(text: &str, carry: &Carry) -> Arc<Snapshot> {
    let around = Memory::default().set("SECRET", SECRET);
    let written = config::read_text("gateward.yaml", text, &Schema::any_policy(), &around)
        .unwrap_or_else(|report| panic!("{}", report.render(false)));
    let inputs = Inputs {
        registry: &policies::REGISTRY,
        remotes: &snapshot::Nowhere,
        carry,
        around: &around,
        authorities: &Vec::new,
        ledger: None,
        wall: NOW,
        revision: 7,
    };
    let compiled = snapshot::compile(&written, &inputs);
    Arc::new(compiled.unwrap_or_else(|problems| panic!("{problems:#?}")))
}

/// A core on a clock that stands still, and what it runs by.
pub(crate) fn core(observer: &Observer, snapshot: &Arc<Snapshot>) -> (Core, Rc<Running>) {
    let observed = observer.follow(snapshot).unwrap();
    let running = Rc::new(Running { snapshot: snapshot.clone(), observed, upstreams: Vec::new() });
    (Core::new(0, observer.clock.clone(), running.clone()), running)
}

/// An observer of two cores whose clock stands still.
pub(crate) fn observer() -> Arc<Observer> {
    Observer::new(2, Clock::fixed(NOW))
}

/// A connection to the listener `web`.
pub(crate) fn connection() -> Arc<Connection> {
    Arc::new(Connection {
        listener: "web".into(),
        peer: Some("192.0.2.1:50000".parse().unwrap()),
        local: Some("192.0.2.9:8080".parse().unwrap()),
        tls: None,
    })
}

/// `GET /orders/42` on its way through route number `route` of [`DOCUMENT`], answered with
/// `status`.
pub(crate) fn exchange(route: Option<usize>, status: u16) -> Exchange {
    let mut x = Exchange::new(connection(), 0);
    x.wall = NOW;
    x.request.method = Method::Get;
    x.request.target.path = "/orders/42".into();
    x.request.target.query = Some("token=hunter2".into());
    x.request.target.authority.set("api.example.com", None);
    x.request.body = Body::Empty;
    x.route = route.map(|number| RouteFacts {
        number,
        names: Arc::new(RouteNames {
            api: "orders".into(),
            version: Some("v1".into()),
            route: if number == 0 { "GET /{id}".into() } else { "rest".into() },
            params: Arc::default(),
            operation: None,
        }),
        values: [].into_iter().collect(),
    });
    x.response.status = Status::new(status).unwrap();
    x.complete = true;
    x
}
