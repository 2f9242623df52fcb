//! Secrets that a vault holds: a real one, which is changed, taken away and brought back.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{GATEWARD, Gateway, Peer, curl, header_seen, status, text, until};

/// A vault with a token that may read everything.
struct Vault {
    peer: Peer,
}

impl Vault {
    fn start() -> Self {
        let peer = Peer::python("vault_peer.py", &[]);
        let vault = Self { peer };
        vault.ready();
        vault
    }

    fn ready(&self) {
        let url = self.url("sys/health");
        until("the vault answers", || {
            let mut curl = Command::new("curl");
            text(curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &url])).1 == "200"
        });
        // Version 2 is there, mounted as `secret`.
        let (kind, version) = (json!({ "type": "kv" }), json!({ "version": "1" }));
        let mut mount = kind;
        mount["options"] = version;
        self.write("sys/mounts/old", &mount);
    }

    fn url(&self, place: &str) -> String {
        format!("http://127.0.0.1:{}/v1/{place}", self.peer.port)
    }

    fn write(&self, place: &str, what: &Value) -> Value {
        let what = what.to_string();
        let url = self.url(place);
        let out = curl(&["-f", "-H", "X-Vault-Token: root", "-X", "POST", "-d", &what, &url]);
        serde_json::from_str(&out).unwrap_or_default()
    }

    fn secret(&self, value: &str) {
        self.write("secret/data/team/orders", &json!({ "data": { "key": value, "n": 7 } }));
    }
}

/// A document whose secrets stand in header fields that the upstream gets.
fn document(vault: &str, origin: u16, wanted: &str) -> String {
    format!(
        "secrets: {{ vault: {vault} }}\n\
         apis:\n  - name: orders\n    upstream: \"http://127.0.0.1:{origin}\"\n    policies:\n\
         \x20     - header: {{ request: {{ set: {wanted} }} }}\n"
    )
}

/// What the upstream sees in the field `name`.
fn seen(gateway: &Gateway, name: &str) -> String {
    let out = curl(&[&gateway.url("/echo")]);
    let echo: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}"));
    header_seen(&echo, name).unwrap_or_default()
}

#[test]
fn secrets_come_from_a_vault_and_follow_it() {
    let vault = Vault::start();
    let origin = Peer::origin("orders");
    vault.secret("first-secret");
    vault.write("old/app", &json!({ "key": "of-version-1", "packed": "aGVsbG8td29ybGQ=" }));
    let settings = format!(
        "{{ address: \"http://127.0.0.1:{}\", token: root, refresh: 1s, timeout: 2s }}",
        vault.peer.port
    );
    let wanted = "{ X-A: \"k-${vault:secret/team/orders#key}\", X-N: \"${vault:secret/team/orders#n}\", \
                  X-Old: \"${vault:old/app#key}\", X-Packed: \"${vault:old/app#packed|base64}\" }";
    let document = document(&settings, origin.port, wanted);
    let gateway = Gateway::start(&document);
    for (name, value) in [
        ("x-a", "k-first-secret"),
        ("x-n", "7"),
        ("x-old", "of-version-1"),
        ("x-packed", "hello-world"),
    ] {
        assert_eq!(seen(&gateway, name), value);
    }
    let shown = curl(&[&gateway.admin_url("/config")]);
    assert!(!shown.contains("first-secret") && !shown.contains("\"root\""), "{shown}");

    vault.secret("second-secret");
    until("the changed secret is in use", || seen(&gateway, "x-a") == "k-second-secret");

    let port = vault.peer.port.to_string();
    drop(vault);
    until("it is said that the vault is away", || gateway.log().contains("stays as it was"));
    assert_eq!(seen(&gateway, "x-a"), "k-second-secret");
    gateway.write(&document.replace("X-N", "X-Number"));
    until("another document is taken while the vault is away", || {
        seen(&gateway, "x-number") == "7"
    });
    assert_eq!(seen(&gateway, "x-a"), "k-second-secret", "by what the vault said last");

    let vault = Vault { peer: Peer::python("vault_peer.py", &[&port]) };
    vault.ready();
    vault.write("old/app", &json!({ "key": "of-version-1", "packed": "aGVsbG8td29ybGQ=" }));
    vault.secret("third-secret");
    until("the vault is asked again", || seen(&gateway, "x-a") == "k-third-secret");
    for secret in ["first-secret", "second-secret", "third-secret"] {
        assert!(!gateway.log().contains(secret), "no secret in the log");
    }
}

#[test]
fn an_app_role_logs_in() {
    let vault = Vault::start();
    let origin = Peer::origin("orders");
    vault.secret("first-secret");
    vault.write("sys/auth/approle", &json!({ "type": "approle" }));
    let rules = "path \"secret/data/team/*\" { capabilities = [\"read\"] }";
    vault.write("sys/policies/acl/reader", &json!({ "policy": rules }));
    // Its tokens end soon, so that another one has to be got.
    let role = json!({ "token_policies": "reader", "token_ttl": "2s", "token_max_ttl": "2s" });
    vault.write("auth/approle/role/gateward", &role);
    let url = vault.url("auth/approle/role/gateward/role-id");
    let id: Value = serde_json::from_str(&curl(&["-H", "X-Vault-Token: root", &url])).unwrap();
    let secret = vault.write("auth/approle/role/gateward/secret-id", &json!({}));
    let settings = format!(
        "{{ address: \"http://127.0.0.1:{}\", refresh: 1s, app_role: {{ role_id: {}, secret_id: {} }} }}",
        vault.peer.port, id["data"]["role_id"], secret["data"]["secret_id"]
    );
    let wanted = "{ X-A: \"${vault:secret/team/orders#key}\" }";
    let gateway = Gateway::start(&document(&settings, origin.port, wanted));
    assert_eq!(seen(&gateway, "x-a"), "first-secret");
    std::thread::sleep(std::time::Duration::from_secs(3));
    vault.secret("second-secret");
    until("the changed secret is in use", || seen(&gateway, "x-a") == "second-secret");
}

#[test]
fn what_can_not_be_read_refuses_the_document() {
    let vault = Vault::start();
    vault.secret("first-secret");
    let good = format!("{{ address: \"http://127.0.0.1:{}\", token: root }}", vault.peer.port);
    let check = |settings: &str, wanted: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateward.yaml");
        let wanted = format!("{{ X-A: \"${{vault:{wanted}}}\" }}");
        let listeners = "version: 1\nlisteners: [ { name: web, bind: 127.0.0.1:0 } ]\n";
        let document = format!("{listeners}{}", document(settings, 1, &wanted));
        std::fs::write(&path, document).unwrap();
        let mut command = Command::new(GATEWARD);
        command.arg("check").arg(&path);
        let (code, out, err) = text(command.env_remove("VAULT_ADDR").env_remove("VAULT_TOKEN"));
        assert!(!format!("{out}{err}").contains("first-secret"), "{out}{err}");
        (code, format!("{out}{err}"))
    };
    assert_eq!(check(&good, "secret/team/orders#key").0, 0);
    let away = "{ address: \"http://127.0.0.1:1\", token: root }";
    let wrong = good.replace("root", "no-such-token");
    for (settings, wanted, why) in [
        (good.as_str(), "secret/team/orders#none", "no such field"),
        (&good, "secret/team/none#key", "no such secret"),
        (&good, "secret/../sys/raw#key", "names no field of a secret"),
        (&good, "secret/team/orders", "names no field of a secret"),
        (&good, "secret/team/orders#key|base64", "is not base64"),
        (&wrong, "secret/team/orders#key", "the vault answered 403"),
        (away, "secret/team/orders#key", "can't be reached"),
        ("{ address: \"file:///etc\", token: root }", "secret/a#b", "the URL can't be called"),
        ("{ token: root }", "secret/a#b", "no vault is named"),
        ("{ address: \"http://127.0.0.1:1\" }", "secret/a#b", "there is no token"),
        ("{ address: 7 }", "secret/a#b", "secrets"),
    ] {
        let (code, said) = check(settings, wanted);
        assert_ne!(code, 0, "{settings} {wanted}");
        assert!(said.contains(why), "{settings} {wanted}: {said}");
    }
    assert_eq!(status(&[&vault.url("sys/health")]), "200");
}
