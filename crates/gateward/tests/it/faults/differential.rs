//! A34: the same raw requests to Gateward, nginx and HAProxy. Where they disagree,
//! `docs/differential.md` says why.
#![allow(non_snake_case, reason = "a test's name starts with its number in docs/faults.md")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testkit::attack::mutate::MARK;
use testkit::attack::oracle::Oracle;
use testkit::attack::raw::{self, Until};
use testkit::port;

use crate::harness::{Gateway, until};

const TABLE: &str = include_str!("../../../../../docs/differential.md");

/// What is sent, by name; [`MARK`] follows each.
const CASES: &[(&str, &[u8])] = &[
    ("a plain request", b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("a body by length", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello"),
    ("a body in chunks", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("HTTP/1.0", b"GET /a HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n"),
    ("an empty line first", b"\r\nGET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("length and chunks", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello"),
    ("the same length twice", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("a list of lengths", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("an empty length", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length:\r\n\r\n"),
    ("a signed length", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: +5\r\n\r\nhello"),
    ("a length with zeros", b"POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0005\r\n\r\nhello"),
    ("an unknown coding", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("a coding of identity", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("chunked twice", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a comma before chunked", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    ("chunks in HTTP/1.0", b"POST /p HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a chunk size with 0x", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
    ("a chunk line ended by LF", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"),
    ("space behind a chunk size", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n"),
    ("an extension without name", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;\r\na\r\n0\r\n\r\n"),
    ("a trailer", b"POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"),
    ("lines ended by LF", b"GET /a HTTP/1.1\nHost: a.test\n\n"),
    ("a NUL in a value", b"GET /a HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n"),
    ("a CR in a value", b"GET /a HTTP/1.1\r\nHost: a.test\r\nX: a\rb\r\n\r\n"),
    ("a control character in a value", b"GET /a HTTP/1.1\r\nHost: a.test\r\nX: a\x01b\r\n\r\n"),
    ("space before the colon", b"GET /a HTTP/1.1\r\nHost: a.test\r\nX : y\r\n\r\n"),
    ("a folded value", b"GET /a HTTP/1.1\r\nHost: a.test\r\nX: a\r\n b\r\n\r\n"),
    ("an empty name", b"GET /a HTTP/1.1\r\nHost: a.test\r\n: y\r\n\r\n"),
    ("a line without colon", b"GET /a HTTP/1.1\r\nHost: a.test\r\nnothing\r\n\r\n"),
    ("a name that is not ASCII", b"GET /a HTTP/1.1\r\nHost: a.test\r\n\xefx: y\r\n\r\n"),
    ("HTTP/1.2", b"GET /a HTTP/1.2\r\nHost: a.test\r\n\r\n"),
    ("HTTP/2.0 in the line", b"GET /a HTTP/2.0\r\nHost: a.test\r\n\r\n"),
    ("a method in lower case", b"get /a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("TRACE", b"TRACE /a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("two spaces in the line", b"GET  /a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("a fragment", b"GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("high bytes in the target", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("a target without slash", b"GET a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("a scheme twice", b"GET http:http://inner/a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("no Host", b"GET /a HTTP/1.1\r\n\r\n"),
    ("two Hosts", b"GET /a HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n"),
    ("an empty Host", b"GET /a HTTP/1.1\r\nHost:\r\n\r\n"),
    ("a user in Host", b"GET /a HTTP/1.1\r\nHost: u@a.test\r\n\r\n"),
    ("another host in the target", b"GET http://b.test/a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("two slashes", b"GET //a//b HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("dot segments", b"GET /a/../b HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("escaped dots", b"GET /a/%2e%2e/b HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("above the root", b"GET /../a HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("an escaped slash", b"GET /a%2fb HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("an escaped NUL", b"GET /a%00b HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("a name with an underscore", b"GET /a HTTP/1.1\r\nHost: a.test\r\nX_Forwarded_For: 1.1.1.1\r\n\r\n"),
    ("an unknown expectation", b"POST /p HTTP/1.1\r\nHost: a.test\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n"),
];

const NGINX: &str = "
daemon off; worker_processes 1; user root;
pid @DIR@/nginx.pid; error_log @DIR@/nginx.log;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path @DIR@/body; proxy_temp_path @DIR@/proxy;
  fastcgi_temp_path @DIR@/fastcgi; uwsgi_temp_path @DIR@/uwsgi; scgi_temp_path @DIR@/scgi;
  client_header_timeout 5s; client_body_timeout 5s;
  server {
    listen 127.0.0.1:@PORT@; server_name a.test;
    location / {
      proxy_pass http://127.0.0.1:@ORIGIN@;
      proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;
    }
  }
}
";

const HAPROXY: &str = "
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
  timeout http-request 5s
frontend web
  bind 127.0.0.1:@PORT@
  default_backend origin
backend origin
  server one 127.0.0.1:@ORIGIN@
";

const GATEWARD: &str = "
listeners: [ { name: web, bind: '127.0.0.1:@WEB@', limits: { header_timeout: 5s, body_idle_timeout: 5s } } ]
apis: [ { name: echo, upstream: 'http://127.0.0.1:@ORIGIN@' } ]
";

/// A peer that ends with the test.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Proxy {
    /// Starts one of the system's proxies by this configuration; where it listens.
    fn start(
        program: &str,
        args: &[&str],
        config: &str,
        dir: &Path,
        origin: u16,
    ) -> (Self, SocketAddr) {
        let port = port::reserved();
        let path = dir.join(format!("{program}.conf"));
        let config = config
            .replace("@DIR@", &dir.display().to_string())
            .replace("@PORT@", &port.to_string())
            .replace("@ORIGIN@", &origin.to_string());
        std::fs::write(&path, config).unwrap();
        let program = ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
            .iter()
            .map(|folder| Path::new(folder).join(program))
            .find(|path| path.exists())
            .unwrap_or_else(|| program.into());
        let child = Command::new(program)
            .args(args)
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx and HAProxy are installed by `cargo xtask test`");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        until("the peer listens", || std::net::TcpStream::connect(address).is_ok());
        (Self(child), address)
    }
}

/// What a proxy did: the statuses it answered with, and what the origin was asked for.
#[derive(PartialEq, Eq)]
struct Outcome {
    statuses: Vec<u16>,
    seen: Vec<String>,
}

impl Outcome {
    async fn of(address: SocketAddr, oracle: &Oracle, bytes: &[u8]) -> Self {
        let told = raw::exchange(address, bytes, Until::End).await;
        let mut seen: Vec<String> = oracle
            .take()
            .iter()
            .map(|seen| {
                let body = String::from_utf8_lossy(&seen.body).escape_debug().to_string();
                format!("{} {} {body}", seen.method, seen.target).trim_end().to_owned()
            })
            .filter(|seen| seen != "GET /mark")
            .collect();
        seen.extend(oracle.forget_wrong().into_iter().map(|wrong| format!("({wrong})")));
        let statuses = told.answers.iter().map(|answer| answer.status).collect();
        Self { statuses, seen }
    }

    /// Whether both mean the same: classes of statuses, and what the origin saw.
    fn agrees(&self, other: &Self) -> bool {
        let class = |one: &Self| one.statuses.iter().map(|status| status / 100).collect::<Vec<_>>();
        class(self) == class(other) && self.seen == other.seen
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let statuses: Vec<String> = self.statuses.iter().map(u16::to_string).collect();
        write!(f, "{}", statuses.join(" "))?;
        if self.seen.is_empty() { Ok(()) } else { write!(f, ": `{}`", self.seen.join("`, `")) }
    }
}

/// Every disagreement is explained, and the table holds no other.
/// Seen to fail: with any row of the table changed or taken out.
#[test]
fn fa_A34_c_nginx_and_haproxy() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let oracles = [Oracle::start().await, Oracle::start().await, Oracle::start().await];
        let port = |at: usize| oracles[at].address.port();
        let gateward = Gateway::start(&GATEWARD.replace("@ORIGIN@", &port(0).to_string()));
        let (_nginx, nginx) = Proxy::start("nginx", &["-c"], NGINX, dir.path(), port(1));
        let (_haproxy, haproxy) =
            Proxy::start("haproxy", &["-db", "-f"], HAPROXY, dir.path(), port(2));
        let addresses = [SocketAddr::from(([127, 0, 0, 1], gateward.port)), nginx, haproxy];
        let mut rows = Vec::new();
        for (name, bytes) in CASES {
            let bytes = [*bytes, MARK.as_bytes()].concat();
            let mut outcomes = Vec::new();
            for (address, oracle) in addresses.iter().zip(&oracles) {
                outcomes.push(Outcome::of(*address, oracle, &bytes).await);
            }
            if outcomes.iter().any(|outcome| !outcome.agrees(&outcomes[0])) {
                let outcomes: Vec<String> = outcomes.iter().map(Outcome::to_string).collect();
                rows.push(format!("| {name} | {} |", outcomes.join(" | ")));
            }
        }
        let section = TABLE.split("\n## ").find(|part| part.starts_with("nginx and HAProxy"));
        let section = section.expect("a section `nginx and HAProxy` in docs/differential.md");
        let told: Vec<&str> =
            section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        let explained = |row: &String| {
            told.iter().any(|line| line.strip_prefix(row.as_str()).is_some_and(|why| why.len() > 5))
        };
        let missing: Vec<&String> = rows.iter().filter(|row| !explained(row)).collect();
        let missing = missing.iter().map(|row| row.as_str()).collect::<Vec<_>>().join("\n");
        assert!(missing.is_empty(), "not explained in docs/differential.md:\n{missing}");
        let known = |line: &&&str| rows.iter().any(|row| line.starts_with(row.as_str()));
        let stale: Vec<&&str> = told.iter().filter(|line| !known(line)).collect();
        assert!(stale.is_empty(), "no disagreement any more: {stale:#?}");
    });
}
