//! What the machine gives this process: memory and file descriptors.

use std::fs;
use std::path::{Path, PathBuf};

use config::v1::defaults;

/// Memory of the budget that a connection must have behind it.
const PER_CONNECTION: u64 = 64 << 10;

/// File descriptors that are not for clients' connections; of the others half are, since each may
/// need one to an upstream.
const FILES_KEPT: u64 = 64;

/// What the machine gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Bytes of memory: of the control group where it is limited, else of the machine.
    pub memory: u64,
    /// File descriptors.
    pub files: u64,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        Self { memory: memory(Path::new("/")), files: files() }
    }

    /// The memory budget: what was written, else a share of what there is.
    pub fn budget(&self, written: Option<u64>) -> u64 {
        match written {
            Some(bytes) => bytes,
            None => self.memory / 100 * defaults::memory_percent(),
        }
    }

    /// Connections at once: what was written, else as many as there are files and memory for.
    pub fn connections(&self, written: Option<usize>, budget: u64) -> usize {
        let files = (self.files / 2).saturating_sub(FILES_KEPT).max(1);
        let memory = (budget / PER_CONNECTION).max(1);
        let room = usize::try_from(files.min(memory)).unwrap_or(usize::MAX);
        written.unwrap_or_else(|| room.min(defaults::connections() as usize))
    }
}

/// File descriptors this process may have open.
fn files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a struct of our own, which the call fills.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    if known { limit.rlim_cur } else { 1024 }
}

/// Memory this process can have: the least of the machine's and of what its control groups, v2 or
/// v1, allow. `root` is where the file systems start.
fn memory(root: &Path) -> u64 {
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let machine = text("proc/meminfo");
    let machine = machine.lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?;
        kib.trim().parse::<u64>().ok()
    });
    let groups = text("proc/self/cgroup");
    let groups = groups.lines().filter_map(|line| limit(root, line));
    groups.chain(machine.map(|kib| kib << 10)).min().unwrap_or(u64::MAX)
}

/// What a line of `/proc/self/cgroup` comes to: the least limit of the group and of those above it.
fn limit(root: &Path, line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|one| one == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mount = root.join(mount);
    let mut at: PathBuf = mount.join(group.trim_start_matches('/'));
    let mut least = None;
    // In a container the group's path may be the host's, of which only the mount itself is seen.
    while at.starts_with(&mount) {
        let bytes = fs::read_to_string(at.join(file)).ok();
        let bytes = bytes.and_then(|text| text.trim().parse::<u64>().ok());
        least = [least, bytes].into_iter().flatten().min();
        if !at.pop() {
            break;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_by_files_and_memory_unless_said() {
        let machine = Machine { memory: 1 << 40, files: 1 << 20 };
        assert_eq!(machine.connections(None, 1 << 40), 50_000);
        assert_eq!(Machine { files: 1024, ..machine }.connections(None, 1 << 40), 512 - 64);
        assert_eq!(Machine { files: 64, ..machine }.connections(None, 1 << 40), 1);
        assert_eq!(machine.connections(None, 64 << 20), 1024);
        assert_eq!(machine.connections(Some(70_000), 64 << 20), 70_000);
    }

    #[test]
    fn the_budget_is_three_quarters_of_what_there_is_unless_said() {
        let machine = Machine { memory: 400 << 20, files: 1 };
        assert_eq!(machine.budget(None), 300 << 20);
        assert_eq!(machine.budget(Some(1)), 1);
    }

    #[test]
    fn memory_is_the_least_of_the_machine_and_its_groups() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(memory(root.path()), u64::MAX, "nothing is known");
        write("proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");
        assert_eq!(memory(root.path()), 8 << 30);
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(memory(root.path()), 8 << 30);
        write("sys/fs/cgroup/a/memory.max", "536870912\n");
        assert_eq!(memory(root.path()), 512 << 20, "of the group above");
        write("proc/self/cgroup", "4:cpu,cpuacct:/x\n3:memory:/gone/elsewhere\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
        assert_eq!(memory(root.path()), 256 << 20, "of version 1, seen from a container");
    }

    #[test]
    fn this_machine_has_memory_and_files() {
        let here = Machine::here();
        assert!(here.memory > 64 << 20 && here.memory < u64::MAX, "{here:?}");
        assert!(here.files >= 16, "{here:?}");
    }
}
