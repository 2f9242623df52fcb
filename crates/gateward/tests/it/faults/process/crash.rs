//! A serving process that dies.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::fs;
use std::process::{Child, Command};

use super::{fixed, replaced, status};
use crate::harness::{GATEWARD, Gateway, PATIENCE, Peer, curl, signal, until};
use crate::traffic::Traffic;

/// Killed under load, three times: no connection is refused, and every idempotent call that is made
/// again gets its answer, from a process that follows by itself.
///
/// Seen to fail: with the supervisor keeping no sockets (`Kept::keep` does nothing), a connection
/// is refused while nobody serves.
#[test]
fn fa_J11_a_serving_process_that_is_killed_under_load_is_replaced_with_the_listeners_open() {
    let origin = Peer::origin("one");
    let up = format!("apis: [ {{ name: all, upstream: \"http://127.0.0.1:{}\" }} ]\n", origin.port);
    let gateway = Gateway::start(&up);
    let retry = u32::try_from(PATIENCE.as_secs()).unwrap();
    let loads = ["kept", "fresh"].map(|kind| Traffic::start(kind, gateway.port, "/name", 4, retry));
    let mut before = gateway.serving();
    for _ in 0..3 {
        signal("KILL", before);
        before = replaced(&gateway, before);
    }
    // While nobody serves, and nobody can start who would: connections wait, none is refused.
    signal("STOP", gateway.id().into());
    signal("KILL", before);
    until("it is dead", || is_dead(before));
    let waits = std::net::TcpStream::connect(("127.0.0.1", gateway.port));
    signal("CONT", gateway.id().into());
    drop(waits.expect("it listens"));
    replaced(&gateway, before);
    for load in loads {
        load.stop_unharmed();
    }
    let name = fs::read_to_string(format!("/proc/{}/comm", gateway.serving())).unwrap();
    assert_eq!(name.trim(), "gateward", "operators find it by its name");
    let past = &gateway.status()["past"];
    assert_eq!((&past["crashed"], &past["stuck"]), (&4.into(), &0.into()), "{past}");
    assert!(past["last"].as_str().unwrap().contains("signal 9"), "{past}");
}

/// Unix sockets are kept as well: through a crash, through an upgrade, until the end, which removes
/// their files.
///
/// Seen to fail: with the supervisor keeping no sockets (`Kept::keep` does nothing), the next
/// process opens another socket at the path, and an upgrade finds it in use.
#[test]
fn fa_J11_f_unix_sockets_are_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let shown = path.display();
    let document =
        format!("listeners: [ {{ name: web, bind: \"unix:{shown}\" }} ]\n{ADMIN}{}", fixed("one"));
    let mut gateway = Gateway::start(&document);
    let ask = || curl(&["--unix-socket", &shown.to_string(), "http://localhost/"]);
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
    let (before, first) = (gateway.serving(), inode());
    assert_eq!(ask(), "one");
    signal("KILL", before);
    replaced(&gateway, before);
    assert_eq!(ask(), "one");
    let (code, said) = super::upgrade::upgrade(&gateway, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(ask(), "one");
    assert_eq!(inode(), first, "it is the same socket");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), 0);
    assert!(!path.exists(), "its file is gone");
}

/// An admin listener for documents that have listeners of their own.
const ADMIN: &str = "admin: { bind: \"127.0.0.1:@ADMIN@\" }\n";

/// Whether a process has ended to its last thread, though nobody has taken note.
fn is_dead(process: u64) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    threads == 1 && state.contains(") Z ")
}

/// Killed while the document on disk is broken: the next process serves the last good one, says so
/// in the log, in `/status` and in a metric, and takes the document over once it is mended.
///
/// Seen to fail: without `Loader::first` asking the store, the next process refuses the document,
/// and the one after it, and nothing is served.
#[test]
fn fa_J11_b_a_document_that_broke_meanwhile_gives_way_to_the_last_good_one() {
    let gateway = Gateway::start(&fixed("good"));
    let before = gateway.serving();
    gateway.write("apis: [ { name: a, upsteam: http://127.0.0.1:1 } ]\n");
    until("the document is refused", || gateway.log().contains("was refused"));
    signal("KILL", before);
    assert_eq!(curl(&["--max-time", "60", &gateway.url("/")]), "good");
    replaced(&gateway, before);
    let fallback = gateway.status()["past"]["fallback"].to_string();
    assert!(fallback.contains("upsteam"), "{fallback}");
    let metrics = curl(&[&gateway.admin_url("/metrics")]);
    assert!(metrics.contains("\ngateward_document_fallback 1\n"), "{metrics}");
    assert!(gateway.log().contains("the last good one is"), "{}", gateway.log());
    gateway.write(&fixed("mended"));
    until("the mended one is taken over", || curl(&[&gateway.url("/")]) == "mended");
    assert!(gateway.status()["past"]["fallback"].is_null());
}

/// A cold start with a broken document serves the last good one, or refuses where that is asked
/// for.
///
/// Seen to fail: with `--no-fallback` left unlooked at, the first start serves; without the store
/// being asked, the second one does not.
#[test]
fn fa_J11_c_a_cold_start_with_a_broken_document_serves_the_last_good_one_or_refuses() {
    let mut gateway = Gateway::start(&fixed("good"));
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), 0);
    gateway.write("apis: [ { name: a, upsteam: http://127.0.0.1:1 } ]\n");
    let again = || {
        let mut command = Command::new(GATEWARD);
        command.args(["run", "--lead", "0", "--config"]).arg(gateway.document());
        command.arg("--state").arg(gateway.dir().join("state"));
        command
    };
    let log = gateway.dir().join("second");
    let run = |mut command: Command| {
        Ended(command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap())
    };
    let mut refuses = again();
    refuses.arg("--no-fallback");
    let mut refuses = run(refuses);
    until("it refuses to start", || refuses.0.try_wait().unwrap().is_some());
    assert_eq!(refuses.0.wait().unwrap().code(), Some(3));
    assert!(fs::read_to_string(&log).unwrap().contains("upsteam"));
    let mut second = run(again());
    until("it serves", || status(&gateway).is_some());
    assert_eq!(curl(&[&gateway.url("/")]), "good");
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("the last good one is") && said.contains("upsteam"), "{said}");
    signal("TERM", second.0.id().into());
    assert_eq!(second.0.wait().unwrap().code(), Some(0));
}

/// A child that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// A document that brings three serving processes down is taken back for the one before it, is not
/// taken again as it is, and gives way to the next one that is written.
///
/// Seen to fail: with nothing condemned (`CRASHES_MAX` at `usize::MAX`), the fourth process serves
/// the poison again.
#[test]
fn fa_J13_a_document_that_brings_processes_down_is_taken_back() {
    let gateway = Gateway::start_with(&fixed("good"), &["--no-watch"], |_| {});
    gateway.write(&fixed("poison"));
    assert_eq!(gateway.reload().0, "200");
    let mut before = gateway.serving();
    for _ in 0..3 {
        assert_eq!(curl(&[&gateway.url("/")]), "poison");
        signal("KILL", before);
        before = replaced(&gateway, before);
    }
    assert_eq!(curl(&[&gateway.url("/")]), "good");
    let past = gateway.status()["past"].to_string();
    assert!(past.contains("brought three serving processes down"), "{past}");
    let (code, body) = gateway.reload();
    assert_eq!(code, "422", "{body}");
    assert!(body.contains("brought three serving processes down"), "{body}");
    assert_eq!(curl(&[&gateway.url("/")]), "good");
    gateway.write(&fixed("better"));
    assert_eq!(gateway.reload().0, "200");
    assert_eq!(curl(&[&gateway.url("/")]), "better");
    let kept = stored(&gateway);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().all(|text| !text.contains("poison")), "{kept:?}");
}

/// The documents in a gateway's state directory.
fn stored(gateway: &Gateway) -> Vec<String> {
    let files = fs::read_dir(gateway.dir().join("state")).unwrap().flatten();
    let good = files.filter(|file| file.file_name().to_string_lossy().ends_with(".good"));
    good.map(|file| fs::read_to_string(file.path()).unwrap()).collect()
}

/// Secrets that a document names are not in what is kept of it.
///
/// Seen to fail: with the values of `${…}` written in place of the references, as a document is
/// after its expansion, the secret is in the file.
#[test]
fn fa_J12_b_no_secret_that_is_named_is_stored() {
    let gateway = Gateway::start_with(
        "apis: [ { name: a, routes: [ { respond: { body: \"${file:secret}\" } } ] } ]\n",
        &[],
        |dir| fs::write(dir.join("secret"), "open sesame").unwrap(),
    );
    assert_eq!(curl(&[&gateway.url("/")]), "open sesame");
    until("the document is stored", || stored(&gateway).len() == 1);
    let text = &stored(&gateway)[0];
    assert!(text.contains("${file:secret}") && !text.contains("sesame"), "{text}");
}

/// A state directory that can't be written to stops nothing: traffic, reloads and restarts go on,
/// and the log says what is missing.
///
/// Seen to fail: with `Store::save` panicking where the disk takes nothing, the reload fails.
#[test]
fn fa_J12_c_a_disk_that_takes_nothing_stops_nothing() {
    let gateway = Gateway::start_with(&fixed("one"), &["--no-watch"], |_| {});
    let state = gateway.dir().join("state");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "not a directory").unwrap();
    gateway.write(&fixed("two"));
    assert_eq!(gateway.reload().0, "200");
    assert_eq!(curl(&[&gateway.url("/")]), "two");
    assert!(gateway.log().contains("is not kept as the last good one"), "{}", gateway.log());
    let before = gateway.serving();
    signal("KILL", before);
    replaced(&gateway, before);
    assert_eq!(curl(&[&gateway.url("/")]), "two");
}

/// A serving process whose supervisor is killed does not go on unnoticed: it ends in order.
///
/// Seen to fail: with the end of the link ignored in `Commands::next`, the listener stays open for
/// ever.
#[test]
fn fa_J11_d_a_serving_process_does_not_outlive_its_supervisor() {
    let gateway = Gateway::start(&fixed("one"));
    signal("KILL", gateway.id().into());
    until("the listener is closed", || {
        std::net::TcpStream::connect(("127.0.0.1", gateway.port)).is_err()
    });
    assert!(gateway.log().contains("the supervisor is gone"), "{}", gateway.log());
    assert!(status(&gateway).is_none() || status(&gateway).unwrap()["ready"] == false);
}
