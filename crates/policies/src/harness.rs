//! Drives policies in unit tests without an engine.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use base::{Clock, Instant, Pointer, Problems};
use futures_util::FutureExt;
use policy::{
    Application, Carry, Compile, Connection, Directory, Exchange, Flow, Key, Policy, PolicyKind,
    Refusal, Step, Timer, Timers,
};
use serde_json::Value;

/// What policies are compiled with.
#[derive(Default)]
pub(crate) struct Bench {
    pub(crate) directory: Arc<Directory>,
    pub(crate) world: testkit::World,
    pub(crate) carry: Carry,
    pub(crate) identity_headers: Vec<String>,
    pub(crate) log_targets: Vec<Arc<policy::LogTarget>>,
    pub(crate) chores: Vec<Arc<dyn policy::Chore>>,
}

impl Bench {
    /// A directory with the key of this SHA-256.
    pub(crate) fn with_key(sha256: [u8; 32]) -> Self {
        let mut directory = Directory::new();
        let application = Application {
            name: "shop".into(),
            organization: Some("acme".into()),
            ..Application::default()
        };
        let number = directory.add(application).unwrap();
        let application = directory.applications()[number].clone();
        directory.add_key(Key::new(sha256, application, "1".into())).unwrap();
        Self { directory: Arc::new(directory), ..Self::default() }
    }

    /// A directory with these applications and none of their keys.
    pub(crate) fn with_applications(written: &[config::v1::Application]) -> Self {
        let mut directory = Directory::new();
        for one in written {
            let application = Application {
                name: one.name.as_str().into(),
                organization: one.organization.as_deref().map(Into::into),
                ..Application::default()
            };
            let _ = directory.add(application);
        }
        Self { directory: Arc::new(directory), ..Self::default() }
    }

    /// The policy `kind` with these settings.
    pub(crate) fn compile(
        &mut self,
        kind: &PolicyKind,
        settings: &Value,
    ) -> Result<Arc<dyn Policy>, Problems> {
        self.with_id(kind.name, |cx| (kind.compile)(settings, &Pointer::root(), cx))
    }

    /// What `make` makes with what policies are compiled with.
    pub(crate) fn with<T>(&mut self, make: impl FnOnce(&mut Compile<'_>) -> T) -> T {
        self.with_id("test", make)
    }

    fn with_id<T>(&mut self, id: &str, make: impl FnOnce(&mut Compile<'_>) -> T) -> T {
        let mut cx = Compile {
            directory: &self.directory,
            registry: &crate::REGISTRY,
            world: &self.world,
            carry: &self.carry,
            id,
            identity_headers: &mut self.identity_headers,
            log_targets: &mut self.log_targets,
            chores: &mut self.chores,
        };
        make(&mut cx)
    }
}

/// An exchange on a plain connection.
pub(crate) fn exchange() -> Exchange {
    let connection = Connection {
        listener: "web".into(),
        peer: "192.0.2.7:4711".parse().ok(),
        local: None,
        tls: None,
    };
    let mut exchange = Exchange::new(Arc::new(connection), 0);
    exchange.request.target.path = "/".into();
    exchange
}

/// Timers that are looked at whenever somebody polls.
#[derive(Clone, Debug)]
pub(crate) struct Hands(pub(crate) Clock);

/// A moment on it.
struct Moment(Clock, Instant);

impl Timers for Hands {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn timer(self: Rc<Self>, at: Instant) -> Box<dyn Timer> {
        Box::new(Moment(self.0.clone(), at))
    }
}

impl Timer for Moment {
    fn set(&mut self, at: Instant) {
        self.1 = at;
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.0.now() >= self.1 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What a step says; it waits for nothing but servers that answer at once.
pub(crate) fn flow(step: Step<'_>) -> Flow {
    match step {
        Step::Done(flow) => flow,
        Step::Wait(flow) => flow.now_or_never().expect("the policy waits"),
    }
}

/// The refusal that a step says.
pub(crate) fn refusal(step: Step<'_>) -> Option<Box<Refusal>> {
    match flow(step) {
        Flow::Refuse(refusal) => Some(refusal),
        Flow::Continue | Flow::Reply(_) => None,
    }
}
