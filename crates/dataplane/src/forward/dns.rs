//! Names looked up while running: A, AAAA and SRV, `/etc/hosts` included. An answer is kept for its
//! TTL, held within the upstream's bounds, and for as long as later lookups fail.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use snapshot::Dns;

use super::fleet::Fleet;
use super::members::{Answer, Found, Question};

/// Addresses taken of one answer; more are left out.
const FOUND_MAX: usize = 256;

/// Time a whole lookup may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// First wait after a failed lookup; doubled each time.
const RETRY: Duration = Duration::from_secs(1);

/// Longest wait after failed lookups, whatever the TTL's bounds.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What a lookup gave.
struct Looked {
    found: Vec<Found>,
    ttl: Duration,
}

/// Looks `question` up again and again, and tells `fleet`.
pub(super) async fn follow(fleet: Arc<Fleet>, dns: Dns, question: Question) {
    let mut answer = Answer::default();
    let mut failures = 0;
    loop {
        let looked = tokio::time::timeout(TIMEOUT, look_up(&dns, &question)).await;
        let wait = match looked.unwrap_or_else(|_| Err("no answer from the name servers".into())) {
            Ok(looked) => {
                failures = 0;
                answer = Answer { found: looked.found, problem: None };
                again_after(looked.ttl, &dns)
            }
            Err(problem) => {
                if answer.problem.is_none() {
                    tracing::warn!(name = question.name(), %problem, "a name can't be looked up");
                }
                failures += 1;
                answer.problem = Some(problem.into());
                again_after_failure(failures, &dns)
            }
        };
        fleet.answered(&dns, &question, answer.clone());
        tokio::time::sleep(wait).await;
    }
}

/// A TTL within its bounds, less up to a tenth, so that instances that started together do not all
/// ask together.
fn again_after(ttl: Duration, dns: &Dns) -> Duration {
    ttl.clamp(dns.min_ttl, dns.max_ttl.max(dns.min_ttl)).mul_f64(1.0 - fastrand::f64() / 10.0)
}

fn again_after_failure(failures: u32, dns: &Dns) -> Duration {
    let wait = RETRY.saturating_mul(1 << failures.saturating_sub(1).min(8));
    wait.min(RETRY_MAX).min(dns.max_ttl.max(RETRY)).mul_f64(0.9 + fastrand::f64() / 5.0)
}

async fn look_up(dns: &Dns, question: &Question) -> Result<Looked, String> {
    // Made for each lookup, so that changes of /etc/resolv.conf and /etc/hosts are seen.
    let resolver = resolver(dns)?;
    let mut looked = match question {
        Question::Addresses(name) => addresses(&resolver, name, 0).await?,
        Question::Services(name) => services(&resolver, name).await?,
    };
    looked.found.sort_unstable();
    looked.found.dedup();
    looked.found.truncate(FOUND_MAX);
    Ok(looked)
}

fn resolver(dns: &Dns) -> Result<TokioResolver, String> {
    let problem = |error| format!("the name servers can't be told: {error}");
    if dns.servers.is_empty() {
        return TokioResolver::builder_tokio().and_then(|builder| builder.build()).map_err(problem);
    }
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    };
    let servers = dns.servers.iter().map(server).collect();
    let config = ResolverConfig::from_name_servers(servers);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .build()
        .map_err(problem)
}

async fn addresses(resolver: &TokioResolver, name: &str, port: u16) -> Result<Looked, String> {
    let lookup = resolver.lookup_ip(name).await.map_err(|error| error.to_string())?;
    let ttl = lookup.valid_until().saturating_duration_since(std::time::Instant::now());
    let found = paired(routable(lookup.iter().collect()));
    let address = |(ip, other)| Found {
        tier: 0,
        address: SocketAddr::new(ip, port),
        other,
        weight: 1,
        host: None,
    };
    Ok(Looked { found: found.into_iter().map(address).collect(), ttl })
}

async fn services(resolver: &TokioResolver, name: &str) -> Result<Looked, String> {
    let lookup = resolver.srv_lookup(name).await.map_err(|error| error.to_string())?;
    let mut ttl = lookup.valid_until().saturating_duration_since(std::time::Instant::now());
    let services: Vec<_> = lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(service) => Some(service),
            _ => None,
        })
        .take(FOUND_MAX)
        .collect();
    let mut ranks: Vec<u16> = services.iter().map(|service| service.priority).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let (mut found, mut problem) = (Vec::new(), None);
    for service in services {
        let host = service.target.to_utf8();
        let tier = ranks.iter().position(|rank| *rank == service.priority).unwrap_or_default();
        match addresses(resolver, &host, service.port).await {
            Ok(looked) => {
                ttl = ttl.min(looked.ttl);
                let host: Arc<str> = host.trim_end_matches('.').into();
                found.extend(looked.found.into_iter().map(|of| Found {
                    tier: tier as u16,
                    // A weight of 0 means a very small chance (RFC 2782).
                    weight: u32::from(service.weight).max(1),
                    host: Some(host.clone()),
                    ..of
                }));
            }
            Err(error) => problem = Some(error),
        }
    }
    match problem {
        Some(problem) if found.is_empty() => Err(problem),
        _ => Ok(Looked { found, ttl }),
    }
}

/// The addresses this machine has a route for, all of them where it has none for any.
fn routable(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let routed: Vec<IpAddr> = addresses.iter().copied().filter(|ip| has_route(*ip)).collect();
    if routed.is_empty() { addresses } else { routed }
}

/// Whether there is a route to `ip`. Connecting a datagram socket sends nothing.
fn has_route(ip: IpAddr) -> bool {
    let own: SocketAddr = match ip {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0; 8], 0).into(),
    };
    UdpSocket::bind(own).and_then(|socket| socket.connect((ip, 9))).is_ok()
}

/// A name with both families of addresses: one family's are the endpoints, each with one of the
/// other's to try where it does not connect. The family with more addresses leads, IPv4 where both
/// have as many: as a rule they are the same machines, and counted twice they would take two
/// shares.
fn paired(mut addresses: Vec<IpAddr>) -> Vec<(IpAddr, Option<IpAddr>)> {
    addresses.sort_unstable();
    addresses.dedup();
    let (four, six): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let (first, other) = if six.len() > four.len() { (six, four) } else { (four, six) };
    let pair = |(at, ip)| (ip, other.get(at % other.len().max(1)).copied());
    first.into_iter().enumerate().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_families_are_one_list_of_endpoints() {
        for (addresses, expected) in [
            (&["10.0.0.2", "10.0.0.1"][..], &[("10.0.0.1", ""), ("10.0.0.2", "")][..]),
            (&["::1", "127.0.0.1"], &[("127.0.0.1", "::1")]),
            (&["::1"], &[("::1", "")]),
            (&["::1", "::2", "10.0.0.1"], &[("::1", "10.0.0.1"), ("::2", "10.0.0.1")]),
            (&["10.0.0.1", "10.0.0.1"], &[("10.0.0.1", "")]),
        ] {
            let parsed = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
            let expected: Vec<(IpAddr, Option<IpAddr>)> = expected
                .iter()
                .map(|(ip, other)| (ip.parse().unwrap(), other.parse().ok()))
                .collect();
            assert_eq!(paired(parsed), expected, "{addresses:?}");
        }
    }

    #[test]
    fn a_ttl_is_held_within_bounds() {
        let seconds = Duration::from_secs;
        let dns = Dns { min_ttl: seconds(10), max_ttl: seconds(100), servers: Vec::new() };
        for (ttl, expected) in [(0, 10), (50, 50), (1_000_000, 100)] {
            for _ in 0..100 {
                let wait = again_after(seconds(ttl), &dns);
                let most = seconds(expected);
                assert!(wait <= most && wait >= most * 9 / 10, "{ttl}: {wait:?}");
            }
        }
        assert!(again_after_failure(1, &dns) < seconds(2));
        assert!(again_after_failure(50, &dns) < seconds(34), "but no storm");
    }

    #[tokio::test]
    async fn the_hosts_file_is_asked_too() {
        let dns =
            Dns { min_ttl: Duration::ZERO, max_ttl: Duration::from_secs(60), servers: Vec::new() };
        let looked = look_up(&dns, &Question::Addresses("localhost".into())).await.unwrap();
        assert!(looked.found.iter().all(|found| found.address.ip().is_loopback()));
        assert!(!looked.found.is_empty());
    }
}
