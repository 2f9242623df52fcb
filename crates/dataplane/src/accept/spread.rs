//! How the kernel spreads connections over the sockets of an address, where there are more of them
//! than cores: by a three-line program that draws one of the first few.

use std::io;
use std::os::fd::AsRawFd;

use socket2::SockRef;

use super::socket::Listening;

/// New connections go to the first `count` sockets of the address that `one` of them stands at,
/// each as often as the others. What waits in the rest still waits to be accepted.
///
/// Does nothing for sockets that stand alone.
///
/// # Errors
/// The kernel does not take it; then all of them go on getting connections.
pub(crate) fn over(one: &Listening, count: usize) -> io::Result<()> {
    let shared = SockRef::from(one).reuse_port().unwrap_or(false);
    let (Listening::Tcp(socket), true) = (one, shared) else { return Ok(()) };
    let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let mut program = draw(count);
    let program = libc::sock_fprog { len: 3, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, whose length is told, before the call returns.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A number below `count`, by chance.
fn draw(count: u32) -> [libc::sock_filter; 3] {
    let line = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let random = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM).cast_unsigned();
    [
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, random),
        line(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, count),
        line(libc::BPF_RET | libc::BPF_A, 0),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

    use std::net::TcpStream;

    use snapshot::Bind;

    use super::super::socket::open;
    use super::*;

    /// How many connections wait in each of these sockets.
    fn waiting(sockets: &[Listening]) -> Vec<usize> {
        let count = |one: &Listening| match one {
            Listening::Tcp(socket) => std::iter::from_fn(|| socket.accept().ok()).count(),
            Listening::Unix(_) => 0,
        };
        sockets.iter().map(count).collect()
    }

    /// Fewer cores than sockets: from now on connections go to as many sockets as there are cores,
    /// what waits in the others is still there, and it can be taken back.
    ///
    /// Seen to fail: without the program, all three sockets get some of the second hundred.
    #[test]
    fn fa_J06_b_connections_go_where_there_are_cores() {
        let sockets = open(&Bind::Tcp("127.0.0.1:0".parse().unwrap()), 3).unwrap();
        let Some(Bind::Tcp(address)) = sockets[0].address() else { panic!("no address") };
        let connect = |count: usize| -> Vec<TcpStream> {
            (0..count).map(|_| TcpStream::connect(address).unwrap()).collect()
        };
        let before = connect(100);
        over(&sockets[0], 1).unwrap();
        let after = connect(100);
        let all = waiting(&sockets);
        assert_eq!(all.iter().sum::<usize>(), 200, "{all:?}");
        assert!(all[0] > 100 && all[1] > 0 && all[2] > 0, "those before are spread: {all:?}");
        drop((before, after));
        let _held = connect(100);
        assert_eq!(waiting(&sockets), [100, 0, 0]);
        over(&sockets[0], 3).unwrap();
        let _more = connect(100);
        assert!(waiting(&sockets).iter().all(|count| *count > 0));
    }
}
