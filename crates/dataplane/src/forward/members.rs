//! Which endpoints an upstream has now: those written as addresses, and every address that a name
//! written has.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use base::Instant;
use snapshot::{Bind, EndpointAddress, EndpointScheme};

use super::endpoint::{Endpoint, Key};

/// Endpoints of one upstream at most, so that a name with thousands of addresses costs no more than
/// this.
const MEMBERS_MAX: usize = 1024;

/// Ranks of services within each tier that is written.
const TIERS: u16 = 256;

/// The endpoints of an upstream.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Them.
    pub list: Vec<Member>,
    /// Whether a name has not been looked up yet, so that there may be more soon.
    pub waiting: bool,
    /// Why a name has no addresses.
    pub problem: Option<Arc<str>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its share.
    pub weight: u32,
    /// Its tier; lower ones first.
    pub tier: u16,
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The addresses of a name.
    Addresses(Arc<str>),
    /// The services of a name (SRV, RFC 2782).
    Services(Arc<str>),
}

impl Question {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Addresses(name) | Self::Services(name) => name,
        }
    }
}

/// What a lookup gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The addresses, in a stable order.
    pub found: Vec<Found>,
    /// Why the last lookup failed, if it did; the addresses are then those of the last that did
    /// not.
    pub problem: Option<Arc<str>>,
}

/// One address a lookup gave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Services: their rank among those of the same name, from 0; else 0.
    pub tier: u16,
    /// The address; the port is 0 where the name does not tell one.
    pub address: SocketAddr,
    /// An address of the other family that the same name has, at the same port.
    pub other: Option<IpAddr>,
    /// Services: their share; else 1.
    pub weight: u32,
    /// Services: their host's name.
    pub host: Option<Arc<str>>,
}

/// What is to be looked up to call `endpoint`, if anything.
pub(crate) fn question(endpoint: &snapshot::Endpoint) -> Option<Question> {
    match &endpoint.address {
        EndpointAddress::Name(name, _) => Some(Question::Addresses(name.clone())),
        EndpointAddress::Srv(name) => Some(Question::Services(name.clone())),
        EndpointAddress::Ip(_) | EndpointAddress::Unix(_) => None,
    }
}

/// The members of `upstream`, by what `answer` says of its names. Endpoints in `known` stay the
/// same, with all that is known of them; `known` becomes those that are members now. New ones ramp
/// up from `added`, where that is given.
pub(crate) fn members(
    upstream: &snapshot::Upstream,
    answer: impl Fn(&Question) -> Option<Answer>,
    known: &mut HashMap<Key, Arc<Endpoint>>,
    added: Option<Instant>,
) -> Members {
    let mut members = Members::default();
    let mut now: HashMap<Key, (usize, Arc<Endpoint>)> = HashMap::new();
    let mut add = |list: &mut Vec<Member>, key: Key, number: usize, weight: u32, tier: u16| {
        if let Some(member) = now.get(&key).and_then(|(at, _)| list.get_mut(*at)) {
            // A name that tells the same service twice: one endpoint with both shares.
            member.weight = member.weight.saturating_add(weight);
            return;
        }
        if list.len() >= MEMBERS_MAX {
            return;
        }
        let old = known.get(&key).cloned();
        let endpoint = old.unwrap_or_else(|| Arc::new(Endpoint::new(key.clone(), added)));
        endpoint.written.store(number, Relaxed);
        now.insert(key, (list.len(), endpoint.clone()));
        list.push(Member { endpoint, weight, tier });
    };
    for (number, written) in upstream.endpoints.iter().enumerate() {
        let scheme = written.scheme;
        let tier = u16::from(written.priority) * TIERS;
        let fixed =
            |at: Bind| Key { scheme, at, other: None, authority: written.authority.clone() };
        match &written.address {
            EndpointAddress::Ip(address) => {
                add(&mut members.list, fixed(Bind::Tcp(*address)), number, written.weight, tier);
            }
            EndpointAddress::Unix(path) => {
                add(
                    &mut members.list,
                    fixed(Bind::Unix(path.clone())),
                    number,
                    written.weight,
                    tier,
                );
            }
            EndpointAddress::Name(..) | EndpointAddress::Srv(_) => {
                let Some(answer) = question(written).and_then(|question| answer(&question)) else {
                    members.waiting = true;
                    continue;
                };
                members.problem = members.problem.take().or(answer.problem);
                for found in answer.found {
                    let weight = written.weight.saturating_mul(found.weight);
                    let key = key(written, scheme, &found);
                    let tier = tier + found.tier.min(TIERS - 1);
                    add(&mut members.list, key, number, weight, tier);
                }
            }
        }
    }
    known.clear();
    known.extend(now.into_iter().map(|(key, (_, endpoint))| (key, endpoint)));
    members
}

fn key(written: &snapshot::Endpoint, scheme: EndpointScheme, found: &Found) -> Key {
    let mut address = found.address;
    if let EndpointAddress::Name(_, port) = &written.address {
        address.set_port(*port);
    }
    let authority = match &found.host {
        Some(host) => format!("{host}:{}", address.port()).into(),
        None => written.authority.clone(),
    };
    let other = found.other.map(|ip| SocketAddr::new(ip, address.port()));
    Key { scheme, at: Bind::Tcp(address), other, authority }
}

#[cfg(test)]
mod tests;
