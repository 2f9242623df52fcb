//! wrk and h2load: started, and what they print read.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::bound;
use crate::Result;
use crate::command::output;

/// What a load saw.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    pub requests: f64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub failed: f64,
}

/// Requests on their way at once.
const CONCURRENT: u32 = 64;

/// What to send.
#[derive(Clone, Default)]
pub struct Request<'a> {
    pub url: String,
    pub headers: Vec<String>,
    /// A wrk script that varies the requests.
    pub script: Option<&'a Path>,
}

/// HTTP/1.1 as fast as it is answered, over 64 connections.
pub fn wrk(request: &Request<'_>, seconds: u32, cores: &[usize]) -> Result<Seen> {
    wrk_over(CONCURRENT, request, seconds, cores)
}

/// The same over so many.
pub fn wrk_over(
    connections: u32,
    request: &Request<'_>,
    seconds: u32,
    cores: &[usize],
) -> Result<Seen> {
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads=1", "--latency", "--timeout=10s"])
        .arg(format!("--connections={connections}"))
        .arg(format!("--duration={seconds}s"));
    for header in &request.headers {
        wrk.args(["--header", header]);
    }
    if let Some(script) = request.script {
        wrk.arg("--script").arg(script);
    }
    bound(wrk.arg(&request.url), cores);
    let said = output(&mut wrk)?;
    read_wrk(&said).ok_or_else(|| format!("wrk said what is not understood: {said}"))
}

/// How h2load sends.
#[derive(Clone, Copy)]
pub enum Pace {
    /// HTTP/2 as fast as it is answered: 8 connections with 8 streams each.
    Http2,
    /// HTTP/1.1 at a fixed rate per second, over 64 connections.
    Http1At(u32),
}

/// Load by h2load; `scratch` is a folder for its log.
pub fn h2load(
    request: &Request<'_>,
    pace: Pace,
    seconds: u32,
    cores: &[usize],
    scratch: &Path,
) -> Result<Seen> {
    let log = scratch.join("h2load.log");
    // h2load adds to a log that exists.
    let _ = fs::remove_file(&log);
    let mut h2load = Command::new("h2load");
    h2load.args(["--threads=1"]);
    h2load.arg(format!("--duration={seconds}s")).arg(format!("--log-file={}", log.display()));
    match pace {
        Pace::Http2 => h2load.args(["--clients=8", "--max-concurrent-streams=8"]),
        Pace::Http1At(rate) => h2load
            .arg("--h1")
            .arg(format!("--clients={CONCURRENT}"))
            .arg(format!("--rps={}", rate / CONCURRENT)),
    };
    for header in &request.headers {
        h2load.args(["--header", header]);
    }
    bound(h2load.arg(&request.url), cores);
    let said = output(&mut h2load)?;
    let log = fs::read_to_string(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    read_h2load(&said, &log).ok_or_else(|| format!("h2load said what is not understood: {said}"))
}

fn read_wrk(said: &str) -> Option<Seen> {
    let word = |line: &str, at: usize| line.split_whitespace().nth(at).map(str::to_owned);
    let after = |mark: &str| said.lines().find_map(|line| line.trim().strip_prefix(mark));
    let errors = after("Socket errors:").map_or(0.0, |line| {
        line.split([' ', ',']).filter_map(|word| word.parse::<f64>().ok()).sum()
    });
    let refused =
        after("Non-2xx or 3xx responses:").map_or(Some(0.0), |n| n.trim().parse().ok())?;
    let requests = said.lines().find(|line| line.contains(" requests in "))?;
    Some(Seen {
        requests: word(requests, 0)?.parse().ok()?,
        per_second: after("Requests/sec:")?.trim().parse().ok()?,
        p50_us: microseconds(after("50%")?.trim())?,
        p99_us: microseconds(after("99%")?.trim())?,
        failed: errors + refused,
    })
}

/// `1.20ms` and the like.
fn microseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}

fn read_h2load(said: &str, log: &str) -> Option<Seen> {
    let finished = said.lines().find(|line| line.starts_with("finished in "))?;
    let per_second = finished.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok()?;
    let requests = said.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |what: &str| -> Option<f64> {
        requests.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    let statuses = said.lines().find_map(|line| line.strip_prefix("status codes: "))?;
    let good: f64 = statuses.split(" 2xx").next()?.trim().parse().ok()?;
    let done = count("done")?;
    let failed = count("failed")? + count("errored")? + count("timeout")?;
    let mut times: Vec<u64> =
        log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()).collect();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).map(|us| *us as f64);
    Some(Seen {
        requests: done,
        per_second,
        p50_us: at(0.50)?,
        p99_us: at(0.99)?,
        failed: failed.max(done - good),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_understood() {
        let said = "Running 5s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  200.00us   9.00ms   90.00%
  Latency Distribution
     50%    1.20ms
     99%  900.00us
  250000 requests in 5.00s, 50.00MB read
  Socket errors: connect 1, read 2, write 0, timeout 3
  Non-2xx or 3xx responses: 10
Requests/sec:  50000.00
";
        let expected = Seen {
            requests: 250_000.0,
            per_second: 50_000.0,
            p50_us: 1200.0,
            p99_us: 900.0,
            failed: 16.0,
        };
        assert_eq!(read_wrk(said), Some(expected));
        assert_eq!(read_wrk("unable to connect"), None);
    }

    #[test]
    fn h2load_is_understood() {
        let said = "finished in 5.00s, 40000.00 req/s, 5.00MB/s
requests: 200000 total, 200064 started, 200000 done, 199990 succeeded, 4 failed, 3 errored, 2 timeout
status codes: 199990 2xx, 0 3xx, 0 4xx, 10 5xx
";
        let log = "1\t200\t300\n2\t200\t100\n3\t200\t200\n";
        let expected = Seen {
            requests: 200_000.0,
            per_second: 40_000.0,
            p50_us: 200.0,
            p99_us: 300.0,
            failed: 10.0,
        };
        assert_eq!(read_h2load(said, log), Some(expected));
    }
}
