//! What systemd gives and hears.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{fixed, replaced};
use crate::harness::{GATEWARD, Gateway, PATIENCE, curl, signal};

/// A socket that systemd opened is taken over by its address, kept across a crash and shared by all
/// cores; and systemd hears what happens.
///
/// Seen to fail: with the sockets of `LISTEN_FDS` left unlooked at, the start fails: the address is
/// in use.
#[test]
fn fa_J11_e_a_socket_of_systemd_is_taken_over_and_systemd_is_told() {
    let opened = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = opened.local_addr().unwrap().port();
    let hears = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(hears.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let given = opened.as_raw_fd();
    let program = |_: &std::path::Path| {
        // The number of the process is not known before it is there.
        let mut command = Command::new("bash");
        let script = format!("exec 3<&{given}; export LISTEN_PID=$$; exec \"$0\" \"$@\"");
        command.args(["-c", &script, GATEWARD]);
        command.env("LISTEN_FDS", "1").env("NOTIFY_SOCKET", hears.path().join("notify"));
        // SAFETY: between fork and exec it only lets a descriptor through.
        unsafe {
            command.pre_exec(move || match libc::fcntl(given, libc::F_SETFD, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        command
    };
    let document = format!(
        "listeners: [ {{ name: web, bind: \"127.0.0.1:{port}\" }} ]\nadmin: {{ bind: \"127.0.0.1:@ADMIN@\" }}\n{}",
        fixed("one")
    );
    let mut gateway = Gateway::start_by(program, &document, &["--no-watch"], |_| {});
    let url = format!("http://127.0.0.1:{port}/");
    let heard = |what: &str| {
        let mut bytes = [0; 512];
        loop {
            let length = notify.recv(&mut bytes).unwrap_or_else(|_| panic!("{what} was not told"));
            if String::from_utf8_lossy(&bytes[..length]).contains(what) {
                return;
            }
        }
    };
    heard("READY=1");
    for _ in 0..10 {
        assert_eq!(curl(&[&url]), "one");
    }
    let before = gateway.serving();
    signal("KILL", before);
    drop(TcpStream::connect(("127.0.0.1", port)).expect("it listens"));
    replaced(&gateway, before);
    heard("READY=1");
    assert_eq!(curl(&[&url]), "one");
    gateway.signal("HUP");
    heard("RELOADING=1");
    heard("READY=1");
    gateway.signal("TERM");
    heard("STOPPING=1");
    assert_eq!(gateway.wait(), 0);
}
