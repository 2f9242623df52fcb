//! Documents compiled. Compiling one twice gives the same; what is refused says where; and the
//! router's trees find for every route's own path what asking every rule by itself finds.

use std::sync::LazyLock;
use std::time::Duration;

use config::{Memory, Written};
use dataplane::testing::parsers::canonical;
use policy::Carry;
use policy::Values;
use policy::message::{Method, Request, Scheme};
use snapshot::{Found, Inputs, Snapshot, Verdict, compile, complete, diff};

use super::documents::{check, read};

/// Bytes of a text; longer ones teach nothing more.
const TEXT_MAX: usize = 16 << 10;

/// When documents are compiled: 2026-01-02 03:04:05 UTC.
const WALL: Duration = Duration::from_secs(1_767_323_045);

/// A document in YAML.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if text.len() > TEXT_MAX {
        return;
    }
    let written = match read("fuzz.yaml", text) {
        Ok(written) => written,
        Err(report) => return check(&complete(report, &inputs(&Carry::default())), text),
    };
    let snapshot = match compiled(&written) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            return check(&written.report(&problems), text);
        }
    };
    if !snapshot.warnings.is_empty() {
        check(&written.report(&snapshot.warnings), text);
    }
    let again = compiled(&written).expect("what compiles once compiles twice");
    assert!(diff(&snapshot, &again).is_empty(), "{}", diff(&snapshot, &again));
    assert_eq!(snapshot.routes.len(), again.routes.len());
    route(&snapshot);
}

fn compiled(written: &Written) -> Result<Snapshot, Vec<base::Problem>> {
    compile(written, &inputs(&Carry::default()))
}

fn inputs(carry: &Carry) -> Inputs<'_> {
    static NOTHING: LazyLock<Memory> = LazyLock::new(Memory::default);
    Inputs {
        registry: &policies::REGISTRY,
        remotes: &snapshot::Nowhere,
        carry,
        around: &*NOTHING,
        authorities: &Vec::new,
        ledger: None,
        wall: WALL,
        revision: 1,
    }
}

/// A request for every route's path on every host, and some for none.
fn route(snapshot: &Snapshot) {
    let listeners = snapshot.listeners.len().min(2);
    let any = request("a.test", "/");
    let considered = snapshot.router.explain(0, &any);
    let paths = considered.iter().map(|one| one.path.replace(['{', '}', '*'], ""));
    let mut paths: Vec<String> = paths.take(24).collect();
    paths.extend(["/".to_owned(), "/a/b/c".to_owned()]);
    let mut hosts = vec!["a.test".to_owned(), "none.example".to_owned()];
    for one in &considered {
        if let Verdict::Host(names) = &one.verdict {
            hosts.extend(names.iter().map(|name| name.replace('*', "sub")));
        }
    }
    hosts.sort();
    hosts.dedup();
    hosts.truncate(8);
    for listener in 0..listeners {
        for host in &hosts {
            for path in &paths {
                ask(snapshot, listener, request(host, path));
            }
        }
    }
}

/// Asks for `request`, and for some that tests of routes tell from it.
fn ask(snapshot: &Snapshot, listener: usize, mut request: Request) {
    same(snapshot, listener, &request);
    request.headers.append("x-a", "b");
    same(snapshot, listener, &request);
    request.target.query = Some("c=d&q".into());
    same(snapshot, listener, &request);
    request.method = Method::Post;
    same(snapshot, listener, &request);
    let path = &mut request.target.path;
    path.push_str(if path.ends_with('/') { "more" } else { "/more" });
    same(snapshot, listener, &request);
}

fn request(host: &str, path: &str) -> Request {
    let taken = canonical(Method::Get, path.as_bytes(), host.as_bytes(), Scheme::Http);
    taken.unwrap_or_else(|_| {
        let plain = canonical(Method::Get, b"/", b"a.test", Scheme::Http);
        plain.expect("a plain request is taken")
    })
}

fn same(snapshot: &Snapshot, listener: usize, request: &Request) {
    let mut params = Values::new();
    let found = match snapshot.router.find(listener, request, &mut params) {
        Found::Route(route) => Some(route),
        Found::NotFound | Found::MethodNotAllowed(_) => None,
    };
    let considered = snapshot.router.explain(listener, request);
    let takes = considered.iter().find(|one| one.verdict == Verdict::Takes);
    let (found, takes) = (found.map(|it| it.number), takes.map(|one| one.route.number));
    assert_eq!(found, takes, "{} {}", request.target.authority.as_str(), request.target.path);
    let length = request.target.path.len();
    for (start, end) in &params {
        assert!(start <= end && *end as usize <= length, "a parameter is outside");
    }
}
