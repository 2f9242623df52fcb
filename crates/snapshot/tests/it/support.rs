//! What the tests share: documents from text, requests from a line.

use std::time::Duration;

use base::Problems;
use config::{Memory, Schema, Written};
use gateward_snapshot::{self as snapshot, Found, Inputs, Snapshot};
use policy::Values;
use policy::message::{Method, Request};
use policy::{Carry, Registry};

/// A registry without policies: what these tests are about is not what policies do.
pub static NO_POLICIES: Registry = Registry::new(&[]);

/// 2026-01-01.
pub const NOW: Duration = Duration::from_secs(1_767_225_600);

/// Reads a document; it must be right as far as the first stage can tell.
pub fn read(text: &str) -> Written {
    let around = Memory::default();
    match config::read_text("gateward.yaml", text, &Schema::any_policy(), &around) {
        Ok(written) => written,
        Err(report) => panic!("{report:?}\n{text}"),
    }
}

/// Compiles a document without files and policies.
pub fn compile(text: &str) -> Result<Snapshot, Problems> {
    let around = Memory::default();
    let inputs = Inputs {
        registry: &NO_POLICIES,
        remotes: &gateward_snapshot::Nowhere,
        carry: &Carry::default(),
        around: &around,
        authorities: &Vec::new,
        ledger: None,
        wall: NOW,
        revision: 1,
    };
    snapshot::compile(&read(text), &inputs)
}

/// Compiles APIs, with a listener and an upstream `up` in front of them.
pub fn compile_apis(apis: &str) -> Snapshot {
    let text = format!(
        "version: 1\nlisteners: [ {{ name: web, bind: '127.0.0.1:8080' }} ]\n\
         upstreams: [ {{ name: up, endpoints: [ 'http://127.0.0.1:9001' ] }} ]\napis:\n{apis}"
    );
    compile(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

/// A request from a line: `GET host/path?query`, and header fields.
pub fn request(line: &str, headers: &[(&str, &str)]) -> Request {
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let (host, path) = target.split_at(target.find('/').expect("a path"));
    let mut request =
        Request { method: Method::new(method.as_bytes()).expect("a method"), ..Request::default() };
    request.target.authority.set(host, None);
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    request.target.path.push_str(path);
    request.target.query = query.map(str::to_owned);
    for (name, value) in headers {
        assert!(request.headers.append(name, value), "{name}: {value}");
    }
    request
}

/// What a router says, as text: `name {param=value}`, `405 GET, POST` or `404`.
pub fn found(snapshot: &Snapshot, listener: usize, request: &Request) -> String {
    let mut values = Values::new();
    match snapshot.router.find(listener, request, &mut values) {
        Found::NotFound => "404".into(),
        Found::MethodNotAllowed(allow) => format!("405 {allow}"),
        Found::Route(route) => {
            let path = request.target.path.as_str();
            let named = route.names.params.iter().zip(&values);
            let values = named.map(|(name, (start, end))| {
                format!(" {name}={}", &path[*start as usize..*end as usize])
            });
            format!("{}{}", route.name, values.collect::<String>())
        }
    }
}

/// The schema of a document with every policy there is.
pub fn schema() -> Schema {
    Schema::with_policies(policies::schemas())
}
