//! What each policy costs a request, in nanoseconds: `cargo bench -p gateward-policies`.
//!
//! Prints the fastest of several rounds per hook, which other work on the machine disturbs least,
//! without the cost of making the exchange ready. Numbers are for comparing one build with another
//! on one machine.

mod messages;
mod tokens;

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use base::{Pointer, RequestId};
use gateward_policies::REGISTRY;
use policy::message::{Known, Method, Name};
use policy::{
    Application, Caller, Carry, Compile, Condition, Connection, Directory, Exchange, Grant, Key,
    PlanPart, Policy, RouteFacts, RouteNames, Step, Subscription,
};
use serde_json::{Value, json};

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of `secret`.
const HASH: &str = "$2b$04$DfWKlDnNxfexwK8uF/Xkve9IkGgCgqeM1EnOVMAXzxFztpaWLYdM2";

const ROUNDS: usize = 100;
const CALLS: u32 = 5_000;

fn main() {
    println!("{:<34} {:>9}", "hook", "ns");
    header_names();
    let base = time(ready);
    report("(making the exchange ready)", base);
    authorized();
    for (name, settings) in uses() {
        let bench = Bench::new(name, &settings);
        let mut calls = 0;
        let cost = time(|exchange| {
            ready(exchange);
            bench.run(exchange);
            // Somebody has to take the lines off.
            calls += 1;
            if calls % 512 == 0 {
                bench.drain();
            }
        });
        let settings = settings.to_string();
        report(&format!("{name} {}", settings.get(..24).unwrap_or(&settings)), cost - base);
    }
    many_keys(base);
    many_clients(base);
    credentials(base);
    tokens::report_all(base);
    messages::report_all(base);
    for text in [
        "request.method == \"GET\"",
        "request.path.startsWith(\"/a\") && request.headers[\"accept\"] != \"\"",
        "request.path.matches(\"^/orders/[0-9]+$\")",
    ] {
        let condition = Condition::compile(text).unwrap_or_else(|bad| panic!("{bad}"));
        let cost = time(|exchange| {
            ready(exchange);
            let _ = black_box(condition.holds(exchange));
        });
        report(&format!("when: {}", text.get(..28).unwrap_or(text)), cost - base);
    }
}

/// Policies that are measured by themselves, and their settings.
fn uses() -> Vec<(&'static str, Value)> {
    vec![
        ("ip", json!({ "allow": ["10.0.0.0/8", "192.0.2.0/24"], "deny": ["10.66.0.0/16"] })),
        ("body_size", json!({ "max": "1MiB" })),
        ("api_key", json!({})),
        // What they cost beside the question, which nobody answers here.
        ("introspect", json!({ "endpoint": "http://idp", "header": "x-api-key" })),
        ("external", json!({ "url": "http://authz", "cache": { "ttl": "1h" } })),
        ("opa", json!({ "url": "http://opa", "decision": "a", "cache": { "ttl": "1h" } })),
        ("api_key", json!({ "header": "x-api-key", "query": "key" })),
        ("schedule", json!({ "zone": "Europe/Berlin", "deny": [{ "days": ["sun"] }] })),
        ("rate", json!({ "limit": 1_000_000, "window": "1s", "by": "client" })),
        ("spike", json!({ "limit": 1_000_000_000, "window": "1s", "burst": 1_000_000 })),
        ("bandwidth", json!({ "request": "1GiB", "response": "1GiB" })),
        ("any_of", json!({ "policies": [{ "api_key": { "header": "x-a" } }, { "api_key": {} }] })),
        ("optional", json!({ "policy": { "api_key": {} } })),
        ("anonymous", json!({})),
        (
            "rule",
            json!({ "rules": [
            { "if": "request.method == 'GET' && request.path.startsWith('/orders/')", "then": "all\
            ow" },
        ] }),
        ),
        (
            "cedar",
            json!({ "policies": "permit(principal, action, resource) when { context.path like \"/orders/*\" };" }),
        ),
        (
            "rate",
            json!({ "windows": [
            { "limit": 1_000_000, "window": "1s" }, { "limit": 100_000_000, "window": "1m" },
        ] }),
        ),
        ("header", json!({ "request": { "set": { "X-A": "1" }, "remove": ["x-b"] } })),
        ("identity", json!({})),
        ("identity_jwt", json!({ "issuer": "https://gateway.example.com" })),
        ("access_log", json!({})),
        ("upstream_auth", json!({ "bearer": "abc" })),
        (
            "oidc",
            json!({
                "issuer": "https://idp.example.com", "client_id": "a",
                "redirect_uri": "https://app.example.com/back", "keys": ["0".repeat(32)],
            }),
        ),
    ]
}

/// What is asked of who calls.
fn authorized() {
    let (caller, route) = (caller(), route());
    let known = |exchange: &mut Exchange| {
        ready(exchange);
        exchange.caller = Some(caller.clone());
        exchange.route = Some(route.clone());
    };
    let base = time(known);
    for (name, settings) in [
        ("acl", json!({ "allow": { "groups": ["a", "b"], "organizations": ["acme"] } })),
        ("scope", json!({ "any": ["orders:write", "orders:read"] })),
        ("subscription", json!({})),
    ] {
        let bench = Bench::new(name, &settings);
        let cost = time(|exchange| {
            known(exchange);
            bench.run(exchange);
        });
        report(name, cost - base);
    }
}

/// Keys that `many_keys` asks for in turn: more than a processor's caches hold.
const TURNS: usize = 100_000;

/// What a key costs that is one of a million: the same one each time, and another each time.
fn many_keys(base: f64) {
    let keys: Vec<String> = (0..1_000_000).map(|number| format!("key-{number:028}")).collect();
    let bench = Bench::with_keys("api_key", &json!({}), &keys);
    for (what, turns) in [("the same", 1), ("in turn", TURNS)] {
        let mut next = 0;
        let cost = time(|exchange| {
            ready(exchange);
            next = (next + 7919) % turns;
            let key = keys.get(next * (keys.len() / turns)).map_or("", String::as_str);
            exchange.request.headers.set(&bench.place, key);
            bench.run(exchange);
        });
        let alone = time(|exchange| {
            ready(exchange);
            exchange.request.headers.set(&bench.place, keys.first().map_or("", String::as_str));
        });
        report(&format!("api_key of 1,000,000, {what}"), cost - alone.max(base));
    }
}

/// Those who show a credential: what it costs to find it good, and the fields it stands in.
fn credentials(base: f64) {
    let user = json!({ "name": "anna", "hash": HASH });
    let secret = "a secret of the case files";
    let public = "MCowBQYDK2VwAyEAeWKkvrL/K+A/hJuiCiFwaOD/4JUMZyfz+3lt5LF8tfY=";
    let signature = |key: Value| json!({ "keys": [key], "nonce": "optional" });
    let input = "sig=(\"@method\" \"@authority\" \"@path\" \"@query\");created=1790000000;\
                 keyid=\"a\"";
    for (name, settings, fields) in [
        ("basic", json!({ "users": [user] }), vec![("authorization", "Basic YW5uYTpzZWNyZXQ=")]),
        (
            "hmac",
            json!({ "keys": [{ "id": "a", "secret": secret }] }),
            vec![
                ("date", "Mon, 21 Sep 2026 14:13:20 GMT"),
                (
                    "signature",
                    "keyId=\"a\",headers=\"(request-target) host date\",\
                     signature=\"i91J3p32oZgdUEEAq9mt5aThktWMrAmXIxvMMp0TDcQ=\"",
                ),
            ],
        ),
        (
            "signature",
            signature(json!({ "id": "a", "algorithm": "hmac-sha256", "secret": secret })),
            vec![
                ("signature-input", input),
                ("signature", "sig=:aXigURpS8B3FGV9D49rtZZ4s9g6lk1Mnr5hlg3MuIl4=:"),
            ],
        ),
        (
            "signature",
            signature(json!({ "id": "a", "algorithm": "ed25519", "public_key": public })),
            vec![
                ("signature-input", input),
                (
                    "signature",
                    "sig=:xUnVSahx/FbEkejBGCB43HfovWgphMU8C8hsSHTU5SEBn1IZ+9NpXxI43xPJDQ7M05+lTb0u\
                    TJ\
                     kzIoK+dznrBA==:",
                ),
            ],
        ),
    ] {
        let bench = Bench::new(name, &settings);
        let show = |exchange: &mut Exchange| {
            ready(exchange);
            exchange.request.method = Method::Get;
            for (name, value) in &fields {
                exchange.request.headers.append(name, value);
            }
        };
        let mut first = exchange();
        show(&mut first);
        settle(bench.policy.on_request(&mut first));
        assert!(first.caller.is_some(), "{name} lets nobody in");
        let cost = time(|exchange| {
            show(exchange);
            bench.run(exchange);
        });
        let settings = settings.to_string();
        report(&format!("{name} {}", settings.get(..24).unwrap_or(&settings)), cost - base);
    }
}

/// Sees a step through, however long that takes.
fn settle(step: Step<'_>) {
    if let Step::Wait(mut flow) = step {
        while flow.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            std::thread::yield_now();
        }
    }
}

/// A limit with as many keys in use as it tells apart.
fn many_clients(base: f64) {
    const CLIENTS: u32 = 1_000_000;
    for algorithm in ["token_bucket", "fixed_window", "sliding_window"] {
        let settings = json!({
            "limit": 10, "window": "24h", "algorithm": algorithm, "keys": CLIENTS,
        });
        let bench = Bench::new("rate", &settings);
        let mut client: u32 = 0;
        let mut next = || {
            // Coprime to their number: all of them come, and neighbours far apart.
            client = (client + 612_967) % CLIENTS;
            std::net::IpAddr::from((0x0a00_0000 | client).to_be_bytes())
        };
        let mut exchange = exchange();
        for _ in 0..CLIENTS {
            ready(&mut exchange);
            exchange.client = next();
            bench.run(&mut exchange);
        }
        let cost = time(|exchange| {
            ready(exchange);
            exchange.client = next();
            bench.run(exchange);
        });
        report(&format!("rate {algorithm}, 1,000,000 keys"), cost - base);
    }
}

fn report(what: &str, nanos: f64) {
    println!("{what:<34} {nanos:>9.1}");
}

/// A policy with all it needs.
struct Bench {
    policy: Arc<dyn Policy>,
    targets: Vec<Arc<policy::LogTarget>>,
    /// Where keys stand.
    place: Name,
}

impl Bench {
    fn new(name: &str, settings: &Value) -> Self {
        Self::with_keys(name, settings, &[KEY.to_owned()])
    }

    fn with_keys(name: &str, settings: &Value, keys: &[String]) -> Self {
        let mut directory = Directory::new();
        directory.reserve(keys.len());
        for (number, key) in keys.iter().enumerate() {
            let number = directory.add(application(number)).unwrap_or_else(|taken| taken);
            let application = directory.applications()[number].clone();
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
            let _ = directory.add_key(Key::new(sha256, application, "1".into()));
        }
        let mut targets = Vec::new();
        let mut world = testkit::World::default();
        world.files.insert("contract.json".into(), messages::contract().to_string().into_bytes());
        let mut cx = Compile {
            directory: &Arc::new(directory),
            registry: &REGISTRY,
            world: &world,
            carry: &Carry::default(),
            id: name,
            identity_headers: &mut Vec::new(),
            log_targets: &mut targets,
            chores: &mut Vec::new(),
        };
        let kind = REGISTRY.find(name).unwrap_or_else(|| panic!("no policy {name}"));
        let policy = (kind.compile)(settings, &Pointer::root(), &mut cx);
        let place = Name::new("x-api-key").unwrap_or_else(|| panic!("a name"));
        Self { policy: policy.unwrap_or_else(|bad| panic!("{bad:?}")), targets, place }
    }

    fn run(&self, exchange: &mut Exchange) {
        done(self.policy.on_request(black_box(exchange)));
        done(self.policy.on_response(black_box(exchange)));
        self.policy.on_end(black_box(exchange));
    }

    fn drain(&self) {
        let mut out = Vec::new();
        for target in &self.targets {
            target.drain(&mut out);
        }
    }
}

/// Sees a step through; nothing here waits for anybody.
fn done(step: Step<'_>) {
    if let Step::Wait(mut flow) = black_box(step) {
        let polled = flow.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(black_box(polled).is_ready(), "the policy waits");
    }
}

/// Nanoseconds of one call of `work`, in the fastest round.
fn time(work: impl FnMut(&mut Exchange)) -> f64 {
    rounds(ROUNDS, CALLS, work)
}

/// The same of work that takes long.
fn time_slow(work: impl FnMut(&mut Exchange)) -> f64 {
    rounds(ROUNDS / 5, CALLS / 10, work)
}

fn rounds(rounds: usize, calls: u32, mut work: impl FnMut(&mut Exchange)) -> f64 {
    let mut exchange = exchange();
    let rounds = (0..rounds).map(|_| {
        let start = Instant::now();
        for _ in 0..calls {
            work(&mut exchange);
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn exchange() -> Exchange {
    let connection = Connection {
        listener: "web".into(),
        peer: "192.0.2.7:4711".parse().ok(),
        local: None,
        tls: None,
    };
    Exchange::new(Arc::new(connection), 0)
}

/// An application with a plan for what is asked for.
fn application(number: usize) -> Application {
    let part = PlanPart {
        api: "orders".into(),
        version: None,
        routes: Box::default(),
        methods: Box::default(),
    };
    let plan = policy::Plan { name: "gold".into(), enabled: true, parts: [part].into() };
    let subscription = Subscription { plan: Arc::new(plan), enabled: true, until: None };
    Application {
        name: format!("application-{number:07}").into(),
        organization: Some("acme".into()),
        subscriptions: vec![subscription].into(),
        ..Application::default()
    }
}

/// Who calls, for the policies that ask what it may.
fn caller() -> Caller {
    let scopes = vec!["users:read".into(), "orders:read".into()];
    Caller {
        application: Some(Arc::new(application(0))),
        credential: "1".into(),
        by: "jwt",
        grant: Some(Arc::new(Grant { scopes, ..Grant::default() })),
    }
}

fn route() -> RouteFacts {
    let names = RouteNames { api: "orders".into(), route: "/{id}".into(), ..RouteNames::default() };
    RouteFacts { number: 0, names: Arc::new(names), values: Default::default() }
}

/// Makes `exchange` the next request.
fn ready(exchange: &mut Exchange) {
    exchange.clear();
    exchange.id = RequestId::new(std::time::Duration::from_secs(1_790_000_000));
    exchange.wall = std::time::Duration::from_secs(1_790_000_000);
    exchange.started = base::Instant::from_nanos(exchange.started.as_nanos() + 10_000);
    exchange.request.target.path.push_str("/orders/42");
    exchange.request.target.authority.set("api.example.com", None);
    for (name, value) in [
        ("accept", "*/*"),
        ("user-agent", "curl/8.10.1"),
        ("x-api-key", KEY),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-b", "1"),
    ] {
        exchange.request.headers.append(name, value);
    }
    exchange.complete = true;
    exchange.route = None::<RouteFacts>;
}

fn header_names() {
    let names: Vec<&[u8]> = vec![
        b"Host",
        b"User-Agent",
        b"Accept",
        b"X-Api-Key",
        b"Content-Length",
        b"X-Forwarded-For",
    ];
    let cost = time(|_| {
        for name in &names {
            black_box(Known::of(black_box(name)));
        }
    });
    report("Known::of", cost / names.len() as f64);
}
