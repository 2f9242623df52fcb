//! A name server that answers as a test tells it, over UDP and TCP: nothing, failures, late, too
//! much, in circles, or in another's name.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::port;

/// Longest answer over UDP; of a longer one only the head goes, and the question comes again over
/// TCP.
const UDP_MAX: usize = 512;

/// What it says about a name.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These addresses, good for this many seconds.
    Addresses(Vec<Ipv4Addr>, u32),
    /// That it goes by another name.
    Alias(&'static str),
    /// That there is no such name.
    NoName,
    /// That it can't tell.
    Failure,
    /// Nothing.
    Silence,
    /// Another reply, after this time.
    Late(Duration, Box<Reply>),
    /// First these addresses in answers to questions nobody asked, then another reply.
    Forged(Vec<Ipv4Addr>, Box<Reply>),
}

type Plan = dyn Fn(&str, usize) -> Reply + Send + Sync;

/// A running name server. Lives on the runtime it was started on.
pub struct NameServer {
    /// Where it is asked.
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    /// Starts one. `plan` is told the name and how many questions came before; it answers those for
    /// IPv4 addresses, of other kinds there are none.
    pub async fn start(plan: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let plan: Arc<Plan> = Arc::new(plan);
        let asked = Arc::new(AtomicUsize::new(0));
        let (address, udp, tcp) = loop {
            let address: SocketAddr = (Ipv4Addr::LOCALHOST, port::reserved()).into();
            // A port is reserved for TCP: another may have it for UDP.
            let both = (UdpSocket::bind(address).await, TcpListener::bind(address).await);
            if let (Ok(udp), Ok(tcp)) = both {
                break (address, udp, tcp);
            }
        };
        let (udp, counted, shared) = (Arc::new(udp), asked.clone(), plan.clone());
        tokio::spawn(async move {
            let mut packet = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut packet).await {
                let Some(question) = Question::read(&packet[..length]) else { continue };
                let reply = shared(&question.name, counted.fetch_add(1, SeqCst));
                let udp = udp.clone();
                tokio::spawn(async move {
                    for answer in question.answers(reply, UDP_MAX).await {
                        let _ = udp.send_to(&answer, from).await;
                    }
                });
            }
        });
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                tokio::spawn(by_tcp(stream, counted.clone(), plan.clone()));
            }
        });
        Self { address, asked }
    }

    /// Questions it was asked, of any kind.
    pub fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

async fn by_tcp(mut stream: TcpStream, asked: Arc<AtomicUsize>, plan: Arc<Plan>) {
    while let Ok(length) = stream.read_u16().await {
        let mut packet = vec![0; usize::from(length)];
        if stream.read_exact(&mut packet).await.is_err() {
            return;
        }
        let Some(question) = Question::read(&packet) else { return };
        let reply = plan(&question.name, asked.fetch_add(1, SeqCst));
        for answer in question.answers(reply, usize::from(u16::MAX)).await {
            let length = u16::try_from(answer.len()).expect("it fits");
            let sent = [&length.to_be_bytes()[..], &answer].concat();
            if stream.write_all(&sent).await.is_err() {
                return;
            }
        }
    }
}

/// A question, as it came.
struct Question {
    id: [u8; 2],
    name: String,
    /// The question's part of the packet.
    bytes: Vec<u8>,
    /// Whether it asks for IPv4 addresses.
    is_a: bool,
}

impl Question {
    fn read(packet: &[u8]) -> Option<Self> {
        let (mut at, mut name) = (12, String::new());
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            name.push_str(std::str::from_utf8(packet.get(at..at + length)?).ok()?);
            name.push('.');
            at += length;
        }
        let is_a = packet.get(at..at + 2)? == [0, 1];
        let bytes = packet.get(12..at + 4)?.to_vec();
        Some(Self { id: [packet[0], packet[1]], name, bytes, is_a })
    }

    /// The packets that answer it.
    async fn answers(&self, reply: Reply, most: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut reply = reply;
        loop {
            match reply {
                Reply::Late(by, then) => {
                    tokio::time::sleep(by).await;
                    reply = *then;
                }
                Reply::Forged(addresses, then) => {
                    let [high, low] = self.id;
                    packets.push(self.packet([high, low ^ 1], 0, &a(&addresses, 60), most));
                    let name = [&[5][..], b"other", &[0, 0, 1, 0, 1]].concat();
                    let other = Self { id: self.id, name: String::new(), bytes: name, is_a: true };
                    packets.push(other.packet(self.id, 0, &a(&addresses, 60), most));
                    reply = *then;
                }
                Reply::Silence => return packets,
                Reply::NoName => {
                    return [packets, vec![self.packet(self.id, 3, &[], most)]].concat();
                }
                Reply::Failure => {
                    return [packets, vec![self.packet(self.id, 2, &[], most)]].concat();
                }
                Reply::Addresses(addresses, ttl) => {
                    let records = if self.is_a { a(&addresses, ttl) } else { Vec::new() };
                    packets.push(self.packet(self.id, 0, &records, most));
                    return packets;
                }
                Reply::Alias(name) => {
                    packets.push(self.packet(self.id, 0, &[record(5, 60, &encoded(name))], most));
                    return packets;
                }
            }
        }
    }

    fn packet(&self, id: [u8; 2], code: u8, records: &[Vec<u8>], most: usize) -> Vec<u8> {
        let length: usize = 12 + self.bytes.len() + records.iter().map(Vec::len).sum::<usize>();
        let cut = length > most;
        let records = if cut { &[] } else { records };
        let count = u16::try_from(records.len()).expect("it fits").to_be_bytes();
        // A response, authoritative, recursion desired and available; truncated where it is.
        let flags = [0x85 | if cut { 2 } else { 0 }, 0x80 | code];
        let mut packet = [&id[..], &flags, &[0, 1], &count, &[0, 0, 0, 0]].concat();
        packet.extend(&self.bytes);
        packet.extend(records.concat());
        packet
    }
}

/// Records of these addresses.
fn a(addresses: &[Ipv4Addr], ttl: u32) -> Vec<Vec<u8>> {
    addresses.iter().map(|address| record(1, ttl, &address.octets())).collect()
}

/// A record of the name that was asked for.
fn record(kind: u8, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("it fits").to_be_bytes();
    [&[0xc0, 12, 0, kind, 0, 1][..], &ttl.to_be_bytes(), &length, data].concat()
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.trim_end_matches('.').split('.');
    let labels = labels.flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
