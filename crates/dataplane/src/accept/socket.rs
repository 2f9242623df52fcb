//! Listening sockets: one per core for TCP, so that the kernel spreads connections; one for all
//! cores on Unix sockets. They are opened here, or taken over from whoever kept them.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use snapshot::Bind;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::keeper::{Keeper, Role};

/// Connections the kernel holds until they are accepted, per socket.
const BACKLOG: i32 = 4096;

/// A socket that listens, not yet on any runtime.
#[derive(Debug)]
pub(crate) enum Listening {
    /// TCP; accepts without blocking.
    Tcp(std::net::TcpListener),
    /// A Unix socket; accepts without blocking.
    Unix(UnixListener),
}

impl Listening {
    /// Where it listens.
    pub fn address(&self) -> Option<Bind> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(Bind::Tcp),
            Self::Unix(socket) => {
                let address = socket.local_addr().ok()?;
                address.as_pathname().map(|path| Bind::Unix(path.to_owned()))
            }
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A listener's sockets, and whether all of them are kept already.
pub(crate) struct Opened {
    /// At least one for each core.
    pub sockets: Vec<Listening>,
    /// Some of them come from a process before this one, which may have had more cores or fewer.
    pub inherited: bool,
    /// None of them is new.
    pub kept: bool,
}

/// The sockets of an address, at least one for each of `cores`: those that were kept, or new ones.
/// All of them or none.
///
/// # Errors
/// As with [`open`]; what was kept does not listen.
pub(crate) fn take(
    keeper: &dyn Keeper,
    role: Role,
    bind: &Bind,
    cores: usize,
) -> io::Result<Opened> {
    let handed = keeper.take(role, bind);
    if handed.is_empty() {
        return Ok(Opened { sockets: open(bind, cores)?, inherited: false, kept: false });
    }
    adopt(bind, handed, cores)
}

/// Takes sockets over. Where there are fewer than cores, more are opened beside them, or they are
/// shared if they were made to stand alone. Where there are more, all stay: connections wait in
/// each, and closing one would cut them off. [`super::spread`] sees to it that the cores have the
/// same share all the same.
fn adopt(bind: &Bind, handed: Vec<OwnedFd>, cores: usize) -> io::Result<Opened> {
    let mut sockets = Vec::with_capacity(cores.max(handed.len()));
    for socket in handed {
        sockets.push(listening(bind, socket)?);
    }
    let had = sockets.len();
    let mut kept = true;
    while sockets.len() < cores {
        let share = sockets.get(sockets.len() % had).ok_or(ErrorKind::NotConnected)?;
        let shared = SockRef::from(share).reuse_port().unwrap_or(false);
        let more = match (share, share.address()) {
            (Listening::Tcp(_), Some(Bind::Tcp(address))) if shared => {
                kept = false;
                Listening::Tcp(tcp(address)?)
            }
            (Listening::Tcp(socket), _) => Listening::Tcp(socket.try_clone()?),
            (Listening::Unix(socket), _) => Listening::Unix(socket.try_clone()?),
        };
        sockets.push(more);
    }
    Ok(Opened { sockets, inherited: true, kept })
}

/// A socket that was handed over, made one of ours.
fn listening(bind: &Bind, socket: OwnedFd) -> io::Result<Listening> {
    let socket = Socket::from(socket);
    if !socket.is_listener()? {
        let what = format!("a socket was handed over for {bind} that does not listen");
        return Err(io::Error::new(ErrorKind::InvalidInput, what));
    }
    socket.set_nonblocking(true)?;
    match bind {
        Bind::Tcp(_) => {
            socket.set_tcp_nodelay(true)?;
            Ok(Listening::Tcp(socket.into()))
        }
        Bind::Unix(_) => Ok(Listening::Unix(OwnedFd::from(socket).into())),
    }
}

/// Deals an address's sockets out to cores: every core gets its share.
pub(crate) fn deal(sockets: Vec<Listening>, cores: usize) -> Vec<Vec<Listening>> {
    let mut shares: Vec<Vec<Listening>> = (0..cores).map(|_| Vec::new()).collect();
    for (number, socket) in sockets.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(number % cores) {
            share.push(socket);
        }
    }
    shares
}

/// Removes the file that a Unix socket leaves behind.
pub(crate) fn clean_up(bind: &Bind) {
    if let Bind::Unix(path) = bind
        && let Err(error) = fs::remove_file(path)
    {
        tracing::debug!(%error, path = %path.display(), "the socket's file stays");
    }
}

/// Opens a listener's sockets, one for each of `cores`. All of them or none.
///
/// # Errors
/// The address is in use, is not this machine's, may not be used.
pub(crate) fn open(bind: &Bind, cores: usize) -> io::Result<Vec<Listening>> {
    match bind {
        Bind::Tcp(address) => {
            refuse_if_taken(*address)?;
            let mut address = *address;
            let mut sockets = Vec::with_capacity(cores);
            for _ in 0..cores {
                let socket = tcp(address)?;
                // Port 0 is any: the first socket's is the others'.
                address = socket.local_addr()?;
                sockets.push(Listening::Tcp(socket));
            }
            Ok(sockets)
        }
        Bind::Unix(path) => {
            let socket = unix(path)?;
            let mut sockets = Vec::with_capacity(cores);
            for _ in 1..cores {
                sockets.push(Listening::Unix(socket.try_clone()?));
            }
            sockets.push(Listening::Unix(socket));
            Ok(sockets)
        }
    }
}

/// Sockets that share a port need its other owners' leave, which any process of the same user
/// gives: without this, a second gateway started by mistake would take half of the first one's
/// connections.
fn refuse_if_taken(address: SocketAddr) -> io::Result<()> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        probe.set_only_v6(true)?;
    }
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())
}

fn tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses, and two listeners if both are wanted.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket file that nobody listens on any more is a leftover and gives way; any other file stays.
fn unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_leftover(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
    .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
}

fn is_leftover(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(sockets: &[Listening]) -> SocketAddr {
        match &sockets[0] {
            Listening::Tcp(socket) => socket.local_addr().unwrap(),
            Listening::Unix(_) => panic!("a Unix socket"),
        }
    }

    #[test]
    fn every_core_gets_a_socket_of_the_same_address() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let sockets = open(&Bind::Tcp(address.parse().unwrap()), 3).unwrap();
            assert_eq!(sockets.len(), 3);
            assert_ne!(port(&sockets).port(), 0);
            assert!(std::net::TcpStream::connect(port(&sockets)).is_ok());
        }
    }

    #[test]
    fn an_address_that_is_taken_is_refused_even_by_one_that_shares() {
        let first = open(&Bind::Tcp("127.0.0.1:0".parse().unwrap()), 2).unwrap();
        let error = open(&Bind::Tcp(port(&first)), 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(first);
    }

    /// A keeper that has these sockets for whoever asks first.
    struct Has(std::sync::Mutex<Vec<OwnedFd>>);

    impl Keeper for Has {
        fn take(&self, _: Role, _: &Bind) -> Vec<OwnedFd> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn keep(&self, _: Role, _: &Bind, _: &[BorrowedFd<'_>]) {}

        fn release(&self, _: Role, _: &Bind) {}
    }

    /// Takes over what `had` sockets were opened for, for `cores`: how many there are then, and
    /// whether all of them were kept.
    fn taken(had: Vec<OwnedFd>, bind: &Bind, cores: usize) -> (usize, bool) {
        let keeper = Has(std::sync::Mutex::new(had));
        let opened = take(&keeper, Role::Listener, bind, cores).unwrap();
        let shares = deal(opened.sockets, cores);
        assert!(shares.iter().all(|share| !share.is_empty()), "every core accepts");
        (shares.iter().map(Vec::len).sum(), opened.kept)
    }

    #[test]
    fn sockets_that_were_kept_are_taken_over_and_none_is_closed() {
        let any = Bind::Tcp("127.0.0.1:0".parse().unwrap());
        for (cores, expected) in [(2, (3, true)), (3, (3, true)), (5, (5, false))] {
            let sockets = open(&any, 3).unwrap();
            let had = sockets.iter().map(|one| one.as_fd().try_clone_to_owned().unwrap()).collect();
            assert_eq!(taken(had, &Bind::Tcp(port(&sockets)), cores), expected, "{cores}");
        }
    }

    #[test]
    fn a_socket_that_stands_alone_is_shared_by_all_cores() {
        let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bind = Bind::Tcp(alone.local_addr().unwrap());
        assert_eq!(taken(vec![alone.into()], &bind, 3), (3, true));
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let keeper = Has(std::sync::Mutex::new(vec![silent.into()]));
        assert!(take(&keeper, Role::Listener, &bind, 1).is_err(), "it does not listen");
    }

    #[test]
    fn a_leftover_unix_socket_gives_way_but_nothing_else_does() {
        let dir = std::env::temp_dir().join(format!("gateward-socket-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.sock");
        let bind = Bind::Unix(path.clone());
        let sockets = open(&bind, 2).unwrap();
        assert_eq!(sockets.len(), 2);
        assert_eq!(open(&bind, 1).unwrap_err().kind(), ErrorKind::AddrInUse, "it is listened on");
        drop(sockets);
        assert!(open(&bind, 1).is_ok(), "a leftover");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(open(&bind, 1).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_dir_all(&dir).unwrap();
    }
}
