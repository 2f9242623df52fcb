//! What the kernel tells of processes, and which core is whose.

use std::fs;
use std::mem;

use crate::Result;

/// Cores: the proxy's own, and those of load and origin.
#[derive(Clone, Debug)]
pub struct Cores {
    pub proxy: Vec<usize>,
    pub others: Vec<usize>,
}

impl Cores {
    /// The last core is the proxy's, the others are for the rest.
    pub fn split() -> Result<Self> {
        let count = std::thread::available_parallelism().map_err(|error| error.to_string())?.get();
        if count < 2 {
            return Err("needs two cores: one for the proxy, one for load and origin".into());
        }
        Ok(Self { proxy: vec![count - 1], others: (0..count - 1).collect() })
    }
}

/// Keeps the calling thread, and what it starts, on these cores.
pub fn pin(cores: &[usize]) -> std::io::Result<()> {
    // SAFETY: an all-zero set is a valid empty one.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for core in cores {
        // SAFETY: `core` is below CPU_SETSIZE, being one of this machine's cores.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // SAFETY: `set` lives through the call and its size is given.
    let done = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Raises the number of files this process and its children may have open; the number they got.
pub fn raise_files(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours and lives through the calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        let all = libc::rlimit { rlim_cur: wanted, rlim_max: wanted.max(limit.rlim_max) };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &all) != 0 {
            // Only root may go above the hard limit.
            limit.rlim_cur = limit.rlim_max.min(wanted);
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
    }
    limit.rlim_cur
}

/// A process and all below it.
pub fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(pid) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
        next += 1;
    }
    family
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; the parent is the second word after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// CPU time a process and all below it have used, in nanoseconds.
pub fn cpu_ns(pid: u32) -> u64 {
    let threads = family(pid).into_iter().filter_map(|pid| {
        Some(fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().map(|thread| thread.path()))
    });
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.join("schedstat")).ok())
        .filter_map(|times| times.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// A line of `/proc/PID/status` that is a number of KiB, summed over a process and all below it.
fn status_kib(pid: u32, name: &str) -> u64 {
    let line = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    family(pid).into_iter().filter_map(line).sum()
}

/// Memory in use now, in KiB.
pub fn memory_kib(pid: u32) -> u64 {
    status_kib(pid, "VmRSS")
}

/// Most memory ever in use, in KiB.
pub fn peak_kib(pid: u32) -> u64 {
    status_kib(pid, "VmHWM")
}

/// Forgets the peak, so that the next one is of what comes.
pub fn reset_peak(pid: u32) {
    for pid in family(pid) {
        // Where it is not allowed the peak stays that of the whole life, which is never too good.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// What the numbers were measured on.
pub fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = read("/proc/meminfo");
    let memory: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    format!(
        "{}, {cores} cores, {} GiB, Linux {}",
        model.map_or("unknown CPU", |(_, name)| name),
        memory >> 20,
        read("/proc/sys/kernel/osrelease").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let family = family(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&child.id()));
        assert!(cpu_ns(std::process::id()) > 0);
        assert!(memory_kib(std::process::id()) > 0);
    }
}
