//! A serving process that lives and does nothing.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::fs;

use super::{fixed, replaced};
use crate::harness::{Gateway, curl, signal, until};

/// A serving process that is stopped is found and replaced, while connections wait; the one that is
/// ended does not come back.
///
/// Seen to fail: with `Server::look` always content, nobody serves again.
#[test]
fn fa_J14_a_stopped_process_is_replaced() {
    let gateway = Gateway::start(&fixed("one"));
    let before = gateway.serving();
    signal("STOP", before);
    // It waits in the listener until there is somebody to answer.
    assert_eq!(curl(&["--max-time", "60", &gateway.url("/")]), "one");
    replaced(&gateway, before);
    assert!(gateway.log().contains("said nothing for 5 s"), "{}", gateway.log());
    assert_eq!(gateway.status()["past"]["stuck"], 1);
    assert!(!fs::exists(format!("/proc/{before}/exe")).unwrap());
}

/// A core whose tasks get no turn is named, and the process replaced, though every other thread of
/// it is well: the admin listener answers, the pulse is told.
///
/// Seen to fail: with beats that say nothing of the cores (`Server::beat` ignored), the process
/// stays and half of the connections hang.
#[test]
fn fa_J15_a_core_that_is_stuck_is_named_and_the_process_replaced() {
    let gateway = Gateway::start(&fixed("one"));
    let before = gateway.serving();
    let core = thread(before, "gateward-core-1");
    let held = std::thread::spawn(move || hold(core));
    until("the core is named", || gateway.log().contains("core 1 was stuck for 5 s"));
    replaced(&gateway, before);
    held.join().unwrap();
    for _ in 0..10 {
        assert_eq!(curl(&[&gateway.url("/")]), "one");
    }
    let past = gateway.status()["past"].to_string();
    assert!(past.contains("core 1 was stuck"), "{past}");
}

/// A thread of a process, by its name.
fn thread(process: u64, name: &str) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let named = tasks.filter(|task| {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        comm.trim() == name
    });
    let all: Vec<i32> =
        named.map(|task| task.file_name().to_str().unwrap().parse().unwrap()).collect();
    assert_eq!(all.len(), 1, "{name}");
    all[0]
}

/// Stops one thread of another process, as a debugger does, until that process is killed.
fn hold(thread: i32) {
    // SAFETY: it concerns another process alone; every pointer is null or of a local.
    unsafe {
        let none = std::ptr::null_mut::<libc::c_void>();
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, none, none), 0, "may it be traced?");
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
        let mut status = 0;
        loop {
            let ended = libc::waitpid(thread, &raw mut status, libc::__WALL);
            if ended < 0 || libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                return;
            }
        }
    }
}
