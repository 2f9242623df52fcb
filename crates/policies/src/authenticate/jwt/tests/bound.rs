//! Tokens that are bound to a certificate (RFC 8705 §3).

use policy::{ClientCertificate, Connection, Tls};

use super::*;

/// The code that `token` is refused with over a connection whose client showed a certificate of
/// this SHA-256, or none.
fn over(world: &World, token: &str, shown: Option<[u8; 32]>) -> &'static str {
    let mut exchange = harness::exchange();
    exchange.wall = Duration::from_secs(NOW);
    exchange.request.headers.append("authorization", format!("Bearer {token}"));
    let client = shown.map(|sha256| {
        let (subject, field) = (String::new(), String::new());
        Arc::new(ClientCertificate { subject, names: vec![], sha256, der: vec![], field })
    });
    let tls = Tls { version: "1.3", cipher: "x".into(), server_name: None, client };
    let (listener, peer, local) = ("web".into(), None, None);
    exchange.connection = Arc::new(Connection { listener, peer, local, tls: Some(tls) });
    match refusal(world.policy.on_request(&mut exchange)) {
        Some(refusal) => {
            assert!(exchange.caller.is_none(), "refused, and let in");
            refusal.code.name
        }
        None => "let in",
    }
}

/// Seen to fail: with `shows_certificate` always true, or true of any certificate, the other was
/// let in; with a `cnf` that says nothing known taken for none, the one of a wrong type was.
#[test]
fn a_token_bound_to_a_certificate_is_good_with_that_one_alone() {
    let world = World::new(json!({}));
    let (right, mut other) = ([7; 32], [7; 32]);
    other[31] = 8;
    let bound = |cnf: Value| world.token(json!({ "cnf": cnf }));
    let token = bound(json!({ "x5t#S256": encode(right) }));
    // A second time, when it is told from memory who shows it.
    for _ in 0..2 {
        assert_eq!(over(&world, &token, Some(right)), "let in");
        assert_eq!(over(&world, &token, Some(other)), "jwt_binding", "another");
        assert_eq!(over(&world, &token, None), "jwt_binding", "none");
        assert_eq!(world.shows(&token), "jwt_binding", "not even TLS");
    }
    let padded = format!("{}=", encode(right));
    for cnf in [
        json!({ "x5t#S256": padded }),
        json!({ "x5t#S256": encode(right).to_lowercase() }),
        json!({ "x5t#S256": encode(&right[..31]) }),
        json!({ "x5t#S256": "" }),
        json!({ "x5t#S256": [encode(right)] }),
        json!({ "x5t": encode(right) }),
        json!({}),
        json!(encode(right)),
        json!(null),
    ] {
        assert_eq!(over(&world, &bound(cnf.clone()), Some(right)), "jwt_binding", "{cnf}");
    }
    assert_eq!(over(&world, &world.token(json!({})), Some(right)), "let in", "bound to nothing");
}

#[test]
fn a_token_that_is_bound_to_nothing_is_refused_where_it_has_to_be() {
    let mut world = World::new(json!({}));
    let issuer = json!({
        "issuer": ISSUER, "keys": { "url": "https://idp.example/keys" }, "audiences": ["api"],
    });
    let settings = json!({ "issuers": [issuer], "bound": "certificate" });
    world.policy = world.bench.compile(&KIND, &settings).unwrap();
    assert_eq!(over(&world, &world.token(json!({})), Some([7; 32])), "jwt_binding");
    let token = world.token(json!({ "cnf": { "x5t#S256": encode([7; 32]) } }));
    assert_eq!(over(&world, &token, Some([7; 32])), "let in");
}
