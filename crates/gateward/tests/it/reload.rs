//! Reloading and stopping.

use crate::harness::{Gateway, Peer, curl, status, until};

fn fixed(body: &str) -> String {
    format!("apis: [ {{ name: a, routes: [ {{ respond: {{ body: {body} }} }} ] }} ]\n")
}

#[test]
fn a_change_of_the_file_a_signal_and_a_call_reload() {
    let gateway = Gateway::start(&fixed("one"));
    assert_eq!(curl(&[&gateway.url("/")]), "one");
    gateway.write(&fixed("two"));
    until("the file's change is taken over", || curl(&[&gateway.url("/")]) == "two");

    let quiet = Gateway::start_with(&fixed("one"), &["--no-watch"], |_| {});
    quiet.write(&fixed("two"));
    quiet.signal("HUP");
    until("SIGHUP reloads", || curl(&[&quiet.url("/")]) == "two");
    quiet.write(&fixed("three"));
    assert_eq!(quiet.reload().0, "200");
    assert_eq!(curl(&[&quiet.url("/")]), "three");
}

#[test]
fn a_bad_document_changes_nothing_and_says_why() {
    let gateway = Gateway::start(&fixed("one"));
    let revision = gateway.status()["revision"].clone();
    gateway.write("apis: [ { name: a, upsteam: http://127.0.0.1:1 } ]\n");
    let (answer, body) = gateway.reload();
    assert_eq!(answer, "422", "{body}");
    assert!(body.contains("upsteam") && body.contains("upstream"), "{body}");
    assert_eq!(curl(&[&gateway.url("/")]), "one");
    let status = gateway.status();
    assert_eq!(status["revision"], revision);
    assert!(gateway.log().contains("upsteam"), "{}", gateway.log());
}

#[test]
fn a_listener_that_cannot_be_opened_refuses_the_whole_document() {
    let gateway = Gateway::start(&fixed("one"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let listeners = format!(
        "listeners: [ {{ name: web, bind: \"127.0.0.1:@WEB@\" }}, {{ name: more, bind: \"127.0.0.1:{port}\" }} ]\n"
    );
    gateway.write(&format!("{listeners}{}", fixed("two")));
    let (answer, body) = gateway.reload();
    assert_eq!(answer, "422", "{body}");
    assert!(body.contains(&port.to_string()), "{body}");
    assert_eq!(curl(&[&gateway.url("/")]), "one");
}

#[test]
fn listeners_come_and_go() {
    let gateway = Gateway::start(&fixed("one"));
    let port = testkit::port::reserved();
    let listeners = format!(
        "listeners: [ {{ name: web, bind: \"127.0.0.1:@WEB@\" }}, {{ name: more, bind: \"127.0.0.1:{port}\" }} ]\n"
    );
    gateway.write(&format!("{listeners}{}", fixed("two")));
    assert_eq!(gateway.reload().0, "200");
    let more = format!("http://127.0.0.1:{port}/");
    assert_eq!(curl(&[&more]), "two");
    gateway.write(&fixed("three"));
    assert_eq!(gateway.reload().0, "200");
    until("the listener is gone", || std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert_eq!(curl(&[&gateway.url("/")]), "three");
}

#[test]
fn limits_count_on_across_a_reload() {
    let limited = |body: &str| {
        format!("{}policies: [ {{ rate: {{ limit: 2, window: 1h, by: client }} }} ]\n", fixed(body))
    };
    let gateway = Gateway::start(&limited("one"));
    assert_eq!(status(&[&gateway.url("/")]), "200");
    assert_eq!(status(&[&gateway.url("/")]), "200");
    gateway.write(&limited("two"));
    assert_eq!(gateway.reload().0, "200");
    assert_eq!(status(&[&gateway.url("/")]), "429");
}

#[test]
fn sigterm_lets_what_runs_finish_and_ends_with_0() {
    let origin = Peer::origin("one");
    let mut gateway = Gateway::start(&format!(
        "apis: [ {{ name: all, upstream: \"http://127.0.0.1:{}\" }} ]\n",
        origin.port
    ));
    let url = gateway.url("/events");
    let reader = std::thread::spawn(move || curl(&["-N", &url]));
    until("the stream runs", || gateway.status()["upstreams"].to_string().contains("\"active\":1"));
    gateway.signal("TERM");
    until("new connections are refused", || {
        std::net::TcpStream::connect(("127.0.0.1", gateway.port)).is_err()
    });
    for _ in 0..3 {
        curl(&[&format!("http://127.0.0.1:{}/next", origin.port)]);
    }
    assert_eq!(reader.join().unwrap(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    assert_eq!(gateway.wait(), 0);
}
