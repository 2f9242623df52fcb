//! Conditions in CEL. Whatever compiles is evaluated for two exchanges, and gives the same twice,
//! the opposite when it is negated, and the same in brackets; a refusal says why.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use policy::message::{Body, Method};
use policy::{Application, Caller, Condition, Connection, Exchange, RouteFacts, RouteNames, Tls};

static CONNECTION: LazyLock<Arc<Connection>> = LazyLock::new(|| {
    Arc::new(Connection {
        listener: "secure".into(),
        peer: "192.0.2.7:4711".parse().ok(),
        local: None,
        tls: Some(Tls {
            version: "1.3",
            cipher: "x".into(),
            server_name: Some("api.example.com".into()),
            client: None,
        }),
    })
});

/// An expression.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let condition = match Condition::compile(text) {
        Ok(condition) => condition,
        Err(bad) => {
            assert!(!bad.what.is_empty(), "refused without a reason");
            assert!(
                bad.what.len() <= 4 * policy::condition::TEXT_BYTES,
                "a reason without a bound"
            );
            return;
        }
    };
    assert_eq!(condition.text(), text);
    for exchange in [bare(), full()] {
        let holds = condition.holds(&exchange);
        assert_eq!(holds.is_ok(), condition.holds(&exchange).is_ok(), "told once and not twice");
        let expected = holds.ok();
        for (written, negates) in [(format!("!({text}\n)"), true), (format!("({text}\n)"), false)] {
            // A bracket may be one too many, or a word too long.
            let Ok(other) = Condition::compile(&written) else { continue };
            let held = other.holds(&exchange).ok();
            assert_eq!(held, expected.map(|holds| holds != negates), "{written}");
        }
    }
}

/// Nobody is known, nothing is there.
fn bare() -> Exchange {
    Exchange::new(CONNECTION.clone(), 0)
}

fn full() -> Exchange {
    let mut exchange = bare();
    let request = &mut exchange.request;
    request.method = Method::Get;
    request.target.authority.set("api.example.com", Some(8443));
    request.target.path = "/orders/42".into();
    request.target.query = Some("a=1&b=x%20y&a=2&flag&broken=%zz".into());
    request.headers.append("X-Plan", "gold");
    request.headers.append("Accept", "a/b");
    request.headers.append("accept", "c/d");
    request.body = Body::from("12345");
    exchange.route = Some(RouteFacts {
        number: 0,
        names: Arc::new(RouteNames {
            api: "orders".into(),
            version: Some("v1".into()),
            route: "one".into(),
            params: ["id".into()].into(),
            operation: None,
        }),
        values: [(8, 10)].into_iter().collect(),
    });
    exchange.caller = Some(Caller {
        application: Some(Arc::new(Application {
            name: "shop".into(),
            organization: Some("acme".into()),
            labels: BTreeMap::from([("tier".into(), "gold".into())]).into(),
            ..Application::default()
        })),
        grant: None,
        credential: "key-1".into(),
        by: "api_key",
    });
    exchange
}
