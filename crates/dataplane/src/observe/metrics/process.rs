//! What the process uses, as the kernel counts it. What a system does not tell is left out.

/// What the process uses.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Process {
    /// Processor time, in seconds.
    pub cpu: Option<f64>,
    /// Memory held in RAM, in bytes.
    pub resident: Option<u64>,
    /// File descriptors open.
    pub fds: Option<u64>,
    /// File descriptors that may be open.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Process {
    /// What it uses now. Takes some system calls: not for the request's way.
    pub fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let fds = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            // The listing itself holds one.
            fds: fds.map(|fds| (fds.count() as u64).saturating_sub(1)),
            max_fds: max_fds(&limits),
            ..Self::of_stat(&stat, system(libc::_SC_CLK_TCK), system(libc::_SC_PAGESIZE))
        }
    }

    /// Out of `/proc/self/stat` (proc(5)), whose fields follow the command's name in parentheses.
    fn of_stat(stat: &str, ticks: u64, page: u64) -> Self {
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        // The first field here is the third of the manual.
        let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
        let cpu = field(14).zip(field(15)).map(|(user, kernel)| user + kernel);
        Self {
            cpu: cpu.map(|cpu| cpu as f64 / ticks.max(1) as f64),
            resident: field(24).map(|pages| pages * page),
            threads: field(20),
            ..Self::default()
        }
    }
}

fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A number the system was built with.
fn system(name: libc::c_int) -> u64 {
    // SAFETY: sysconf only reads a number.
    u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_even_with_a_strange_name_in_them() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 9 1000000 12 1";
        let process = Process::of_stat(stat, 100, 4096);
        let expected = Process {
            cpu: Some(3.0),
            resident: Some(12 * 4096),
            threads: Some(3),
            ..Process::default()
        };
        assert_eq!(process, expected);
        assert_eq!(max_fds("Max open files            1024     524288     files\n"), Some(1024));
        assert_eq!(Process::of_stat("", 100, 4096), Process::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_something() {
        let process = Process::read();
        assert!(process.resident > Some(100_000), "{process:?}");
        assert!(process.fds > Some(2) && process.fds < process.max_fds, "{process:?}");
        assert!(process.threads > Some(0) && process.cpu.is_some(), "{process:?}");
    }
}
