//! Browsers that log in: headless Chromium, a certified provider, and the gateway between them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::harness::{Gateway, Peer, curl, python};

/// What clients of the provider have as their secret.
const SECRET: &str = "a-secret-for-tests-that-is-long-enough";

struct Browser {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    fn start() -> Self {
        let mut command = python("browser.py", &[]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, answers }
    }

    fn tell(&mut self, order: &Value) -> Value {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{order}: the browser said `{line}`"))
    }

    /// Where a tab is after it opened a page.
    fn open(&mut self, tab: u32, url: &str) -> String {
        self.tell(&json!([tab, "open", url])).as_str().unwrap().to_owned()
    }

    fn run(&mut self, tab: u32, script: &str) -> Value {
        self.tell(&json!([tab, "run", script]))
    }

    fn text(&mut self, tab: u32) -> String {
        self.run(tab, "document.body.innerText").as_str().unwrap().to_owned()
    }

    /// Fills in the provider's forms until it sends the browser back. Where the tab is then.
    fn logs_in(&mut self, tab: u32, provider: &str) -> String {
        let script = "document.querySelector('[name=login]') && \
            (document.querySelector('[name=login]').value = 'ann', \
            document.querySelector('[name=password]').value = 'any'); \
            document.querySelector('[type=submit]').click()";
        let mut at = self.run(tab, "location.href").as_str().unwrap().to_owned();
        for _ in 0..4 {
            if !at.starts_with(provider) {
                break;
            }
            at = self.tell(&json!([tab, "submit", script])).as_str().unwrap().to_owned();
        }
        at
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of its orders it takes the browser with it.
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// A gateway whose users log in at a provider of its own.
fn world(more: &Value) -> (Gateway, Peer, Peer) {
    let origin = Peer::origin("one");
    let nothing =
        format!("apis: [ {{ name: all, upstream: \"http://127.0.0.1:{}\" }} ]\n", origin.port);
    let gateway = Gateway::start(&nothing);
    let back = gateway.url("/oidc/back");
    let provider = Peer::node("provider.mjs", &[&back]);
    let mut oidc = json!({
        "issuer": format!("http://127.0.0.1:{}", provider.port),
        "client_id": "web",
        "client_secret": SECRET,
        "redirect_uri": back,
        "logout": "/out",
        "scopes": ["profile", "offline_access"],
        "parameters": { "prompt": "consent" },
        "keys": ["${env:GATEWARD_TEST_SESSIONS:-0123456789abcdef0123456789abcdef}"],
        "cookie": { "secure": false },
    });
    oidc.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let policies = json!([{ "oidc": oidc }, { "identity": { "subject": "X-User" } }]);
    gateway.write(&format!(
        "policies: [ {{ access_log: {{ query: true }} }} ]\n\
         apis: [ {{ name: all, upstream: \"http://127.0.0.1:{}\", policies: {policies} }} ]\n",
        origin.port
    ));
    let (status, body) = gateway.reload();
    assert_eq!(status, "200", "{body}");
    (gateway, provider, origin)
}

#[test]
fn a_browser_logs_in_is_known_and_logs_out() {
    let (gateway, provider, _origin) = world(&json!({ "forward_access_token": true }));
    let issuer = format!("http://127.0.0.1:{}", provider.port);
    let mut browser = Browser::start();
    let at = browser.open(0, &gateway.url("/echo/page?a=b"));
    assert!(at.starts_with(&issuer), "not sent to the provider: {at}");
    assert_eq!(browser.logs_in(0, &issuer), gateway.url("/echo/page?a=b"));
    let said: Value = serde_json::from_str(&browser.text(0)).unwrap();
    let header = |name: &str| {
        let all = said["headers"].as_array().unwrap().iter();
        let mut own = all.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
        own.next().map(|pair| pair[1].as_str().unwrap().to_owned())
    };
    assert_eq!(header("x-user").as_deref(), Some("ann"), "{said}");
    // The provider's own cookies come along: to browsers, ports of one host are one site.
    let gets = header("cookie").unwrap_or_default();
    assert!(!gets.contains("gateward"), "the upstream gets no session: {gets}");
    let token = header("authorization").expect("the access token is passed on");

    let cookies = browser.tell(&json!([0, "cookies"]));
    let cookies = cookies.as_array().unwrap();
    let own: Vec<_> = cookies.iter().filter(|it| it["name"] == "gateward").collect();
    assert_eq!(own.len(), 1, "{cookies:?}");
    assert_eq!((&own[0]["httpOnly"], &own[0]["sameSite"]), (&json!(true), &json!("Lax")));
    assert!(cookies.iter().all(|it| !it["name"].as_str().unwrap().contains("_login_")));
    assert_eq!(browser.run(0, "document.cookie.includes('gateward')"), json!(false));

    // What scripts ask for is answered with the session, and refused without it.
    let asks = "fetch('/echo/data').then(it => it.status)";
    assert_eq!(browser.run(0, asks), json!(200));
    let after = browser.open(0, &gateway.url("/out"));
    assert!(after.starts_with(&issuer), "the provider asks whether to log out: {after}");
    let yes = "document.querySelector('[name=logout]') ? \
        document.querySelector('[name=logout]').click() : \
        document.querySelector('[type=submit]').click()";
    let end = browser.tell(&json!([0, "submit", yes]));
    // Back here, and without a session: to the provider once more.
    assert!(end.as_str().unwrap().starts_with(&issuer), "{end}");
    let own = browser.open(1, &gateway.url("/nothing"));
    assert!(own.starts_with(&issuer), "{own}");
    let log = gateway.access_log() + &gateway.log();
    let sealed = own_value(cookies);
    for secret in [SECRET, token.trim_start_matches("Bearer "), &sealed, "eyJ"] {
        assert!(!log.contains(secret), "{secret} is in a log:\n{log}");
    }
    assert!(log.contains("code=***"), "codes are masked:\n{log}");
}

fn own_value(cookies: &[Value]) -> String {
    let own = cookies.iter().find(|it| it["name"] == "gateward").unwrap();
    own["value"].as_str().unwrap().to_owned()
}

#[test]
fn tabs_log_in_side_by_side_and_scripts_are_told_when_they_must() {
    let (gateway, provider, _origin) = world(&json!({}));
    let issuer = format!("http://127.0.0.1:{}", provider.port);
    let mut browser = Browser::start();
    for (tab, page) in [(0, "/echo/one"), (1, "/echo/two")] {
        assert!(browser.open(tab, &gateway.url(page)).starts_with(&issuer));
    }
    assert_eq!(browser.logs_in(0, &issuer), gateway.url("/echo/one"));
    assert_eq!(browser.logs_in(1, &issuer), gateway.url("/echo/two"));
    let cookies = browser.tell(&json!([1, "cookies"]));
    let sealed = own_value(cookies.as_array().unwrap());
    // The page stays, its session does not.
    let url = gateway.url("/echo/data");
    let shown = |cookie: &str| curl(&["-w", "%{http_code}", "-o", "/dev/null", "-b", cookie, &url]);
    assert_eq!(shown(&format!("gateward={sealed}")), "200");
    let flipped = if sealed.ends_with('A') { "B" } else { "A" };
    let changed = format!("gateward={}{flipped}", &sealed[..sealed.len() - 1]);
    assert_eq!(shown(&changed), "401");
    browser.tell(&json!([0, "forget"]));
    let asks = "fetch('/echo/data').then(async it => [it.status, (await it.json()).code])";
    assert_eq!(browser.run(0, asks), json!([401, "oidc_login_needed"]));

    // The provider goes away: whoever has a session stays in, others can't log in.
    drop(provider);
    assert_eq!(shown(&format!("gateward={sealed}")), "200");
    let page = ["-H", "Accept: text/html", "-w", "%{http_code}", "-o", "/dev/null", &url];
    assert_eq!(curl(&page), "302", "where the provider was is known");
    let other = format!("{}?code=a&state={}", gateway.url("/oidc/back"), "a".repeat(43));
    assert!(curl(&[&other]).contains("oidc_state"));
}
