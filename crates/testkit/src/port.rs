//! Ports for tests that need to know one before anything listens there.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below what Linux and macOS give to outgoing connections unless told otherwise, so that none of
/// those takes a port between its choice and its use.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 that is free now and that no other test on this machine is given while this
/// process lives: a lock file stands for each.
///
/// # Panics
/// No lock file can be made, or no port is left.
pub fn reserved() -> u16 {
    let locks = std::env::temp_dir().join("gateward-test-ports");
    std::fs::create_dir_all(&locks).expect("a folder for lock files");
    let start = std::process::id() as usize * 7 % RANGE.len();
    for port in RANGE.cycle().skip(start).take(RANGE.len()) {
        let file = File::create(locks.join(port.to_string())).expect("a lock file");
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => panic!("a lock file can't be locked: {error}"),
        }
        // Kept open, and with it the lock, until the process ends.
        std::mem::forget(file);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is left in {RANGE:?}");
}

/// An address of 127.0.0.1 that refuses connections while this process lives: its port is taken,
/// and nobody listens.
///
/// # Panics
/// The system gives no socket.
pub fn refusing() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address");
    std::mem::forget(socket);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let (one, two) = (reserved(), reserved());
        assert_ne!(one, two);
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, one)).expect("it is free");
    }

    #[test]
    fn a_refusing_address_refuses() {
        let error = std::net::TcpStream::connect(refusing()).expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
