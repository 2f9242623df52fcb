//! curl, in every protocol it speaks, through the gateway to a real origin.

use serde_json::Value;

use crate::certificates::Authority;
use crate::harness::{Gateway, Peer, curl, status, text};

const TLS: &str = r#"
listeners:
  - name: web
    bind: "127.0.0.1:@WEB@"
    tls:
      certificates:
        - { cert: default.pem, key: default.key }
        - { cert: exact.pem, key: exact.key }
        - { cert: wildcard.pem, key: wildcard.key }
      client_certificates: { mode: request, ca: ca.pem, forward: true }
"#;

fn with_upstream(document: &str, port: u16) -> String {
    format!("{document}\napis: [ {{ name: all, upstream: \"http://127.0.0.1:{port}\" }} ]\n")
}

fn tls_gateway(origin: &Peer) -> Gateway {
    Gateway::start_with(&with_upstream(TLS, origin.port), &[], |dir| {
        let ca = Authority::new(dir, "ca");
        ca.sign(dir, "default", &["default.test"]);
        ca.sign(dir, "exact", &["api.example.test"]);
        ca.sign(dir, "wildcard", &["*.example.test"]);
        ca.sign(dir, "caller", &["caller.test"]);
        Authority::new(dir, "stranger").sign(dir, "impostor", &["caller.test"]);
    })
}

fn echo(gateway: &Gateway, args: &[&str]) -> Value {
    let out = curl(&[args, &[&gateway.url("/echo/a?b=c")]].concat());
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("the origin's answer, not: {out}"))
}

fn header<'v>(said: &'v Value, name: &str) -> Vec<&'v str> {
    let headers = said["headers"].as_array().unwrap().iter();
    let wanted = headers.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
    wanted.map(|pair| pair[1].as_str().unwrap()).collect()
}

#[test]
fn curl_speaks_http_1_and_2_in_clear() {
    let origin = Peer::origin("one");
    let gateway = Gateway::start(&with_upstream("", origin.port));
    for flag in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let said = echo(&gateway, &[flag, "-H", "X-Mine: yes"]);
        assert_eq!(said["target"], "/echo/a?b=c", "{flag}");
        assert_eq!(header(&said, "x-mine"), ["yes"], "{flag}");
        assert_eq!(header(&said, "x-forwarded-for"), ["127.0.0.1"], "{flag}");
        assert_eq!(header(&said, "x-forwarded-proto"), ["http"], "{flag}");
    }
}

#[test]
fn what_clients_say_about_themselves_is_not_believed() {
    let origin = Peer::origin("one");
    let gateway = Gateway::start(&with_upstream("", origin.port));
    let lies = [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "Forwarded: for=6.6.6.6",
        "X-Real-Ip: 6.6.6.6",
    ];
    let args: Vec<&str> = lies.iter().flat_map(|lie| ["-H", *lie]).collect();
    let said = echo(&gateway, &args);
    assert!(!said["headers"].to_string().contains("6.6.6.6"), "{said}");
    assert_eq!(header(&said, "x-forwarded-proto"), ["http"]);
}

#[test]
fn bodies_of_all_sizes_arrive_whole() {
    let origin = Peer::origin("one");
    let gateway = Gateway::start(&with_upstream("", origin.port));
    for (size, sha256) in [
        (0_usize, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        (100_000, "d69e68988157833272305aaf21f453c800346e8a3640db6578e260215542e5d4"),
    ] {
        let file = gateway.dir().join("body");
        std::fs::write(&file, "x".repeat(size)).unwrap();
        let data = format!("@{}", file.display());
        for extra in
            [vec![], vec!["-H", "Transfer-Encoding: chunked"], vec!["--http2-prior-knowledge"]]
        {
            let said = echo(
                &gateway,
                &[extra.as_slice(), &["-X", "POST", "--data-binary", &data]].concat(),
            );
            assert_eq!(said["body"]["length"], size, "{extra:?}");
            assert_eq!(said["body"]["sha256"], sha256, "{extra:?}");
        }
    }
}

#[test]
fn tls_offers_http_2_and_the_certificate_that_fits() {
    let origin = Peer::origin("one");
    let gateway = tls_gateway(&origin);
    let ca = gateway.dir().join("ca.pem").display().to_string();
    for (name, flag, version, tls) in [
        ("default.test", "--http2", "2", "--tlsv1.3"),
        ("api.example.test", "--http2", "2", "--tlsv1.2"),
        ("other.example.test", "--http1.1", "1.1", "--tlsv1.3"),
    ] {
        let to = format!("{name}:{}:127.0.0.1", gateway.port);
        let url = format!("https://{name}:{}/name", gateway.port);
        let out =
            curl(&["--cacert", &ca, "--resolve", &to, flag, tls, "-w", "%{http_version}", &url]);
        assert_eq!(out, format!("one /name\n{version}"), "{name}");
    }
}

#[test]
fn a_caller_may_show_a_certificate_but_not_a_strangers() {
    let origin = Peer::origin("one");
    let gateway = tls_gateway(&origin);
    let file = |name: &str| gateway.dir().join(name).display().to_string();
    let (to, url) = (
        format!("default.test:{}:127.0.0.1", gateway.port),
        format!("https://default.test:{}/", gateway.port),
    );
    let (ca, caller, key) = (file("ca.pem"), file("caller.pem"), file("caller.key"));
    let base = ["--cacert", &ca, "--resolve", &to];
    assert_eq!(status(&[&base[..], &[&url]].concat()), "200", "none is asked for but not needed");
    assert_eq!(status(&[&base[..], &["--cert", &caller, "--key", &key, &url]].concat()), "200");
    let lie = ["-H", "Client-Cert: :Zm9yZ2Vk:"];
    let echo = format!("{url}echo");
    let told = curl(&[&base[..], &lie, &["--cert", &caller, "--key", &key, &echo]].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    let fields = header(&told, "client-cert");
    assert!(matches!(fields[..], [field] if field.starts_with(":MII")), "{fields:?}");
    let told: Value = serde_json::from_str(&curl(&[&base[..], &lie, &[&echo]].concat())).unwrap();
    assert_eq!(header(&told, "client-cert"), [""; 0], "a caller's own word");
    let (impostor, key) = (file("impostor.pem"), file("impostor.key"));
    let mut command = std::process::Command::new("curl");
    command
        .args(["-sS", "--max-time", "10"])
        .args(base)
        .args(["--cert", &impostor, "--key", &key, &url]);
    let (code, out, _) = text(&mut command);
    assert_ne!(code, 0, "a stranger's certificate was taken: {out}");
}

#[test]
fn certificates_are_read_again_without_closing_the_listener() {
    let origin = Peer::origin("one");
    let gateway = tls_gateway(&origin);
    let ca = gateway.dir().join("ca.pem").display().to_string();
    let (to, url) = (
        format!("default.test:{}:127.0.0.1", gateway.port),
        format!("https://default.test:{}/", gateway.port),
    );
    assert_eq!(status(&["--cacert", &ca, "--resolve", &to, &url]), "200");
    Authority::new(gateway.dir(), "new-ca").sign(gateway.dir(), "default", &["default.test"]);
    let (answer, body) = gateway.reload();
    assert_eq!(answer, "200", "{body}");
    let new = gateway.dir().join("new-ca.pem").display().to_string();
    assert_eq!(status(&["--cacert", &new, "--resolve", &to, &url]), "200");
}

#[test]
fn upstreams_are_verified() {
    let origin = Peer::origin("one");
    let back = tls_gateway(&origin);
    let ca = back.dir().join("ca.pem").display().to_string();
    let upstream = |tls: &str| {
        format!(
            "upstreams: [ {{ name: back, endpoints: [\"https://127.0.0.1:{}\"], tls: {{ {tls} }} }} ]\n\
             apis: [ {{ name: all, upstream: back }} ]\n",
            back.port
        )
    };
    for (tls, expected) in [
        (format!("ca: \"{ca}\", server_name: default.test"), "200"),
        (format!("ca: \"{ca}\", server_name: wrong.test"), "502"),
        ("server_name: default.test".to_owned(), "502"),
        ("verify: false".to_owned(), "200"),
    ] {
        let front = Gateway::start(&upstream(&tls));
        assert_eq!(status(&[&front.url("/name")]), expected, "{tls}");
    }
}
