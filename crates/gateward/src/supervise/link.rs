//! Messages and sockets between the supervisor and a serving process, over a pair of Unix sockets.
//! One message is one packet: JSON, and the descriptors that belong to it.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a message. Texts in it are cut long before.
const BYTES_MAX: usize = 64 << 10;

/// Descriptors that one packet carries (the kernel's own bound is 253).
pub const SOCKETS_MAX: usize = 128;

/// Time for the other side to take a message: it does nothing slow, unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// One end.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// A message, and what came with it.
pub type Received<T> = (T, Vec<OwnedFd>);

impl Link {
    /// Both ends.
    ///
    /// # Errors
    /// The system gives no socket.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (near, far) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
        Ok((Self(near), Self(far)))
    }

    /// An end that was inherited.
    ///
    /// # Errors
    /// It is no socket.
    pub fn inherited(fd: OwnedFd) -> io::Result<Self> {
        rustix::net::sockopt::set_socket_timeout(
            &fd,
            rustix::net::sockopt::Timeout::Send,
            Some(PATIENCE),
        )?;
        Ok(Self(fd))
    }

    /// Sends a message, with these descriptors.
    ///
    /// # Errors
    /// The other end is gone, or takes nothing for too long.
    pub fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(message, fds, SendFlags::NOSIGNAL)
    }

    /// The same, but fails with [`ErrorKind::WouldBlock`] where it would have to wait.
    ///
    /// # Errors
    /// As above.
    pub fn try_send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(message, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_with(
        &self,
        message: &impl Serialize,
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > BYTES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(ErrorKind::InvalidInput.into());
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message; none if the other end is gone. Waits for it.
    ///
    /// # Errors
    /// It can't be read, or is of no known kind.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<Received<T>>> {
        self.receive_with(RecvFlags::CMSG_CLOEXEC)
    }

    /// The same, but fails with [`ErrorKind::WouldBlock`] where it would have to wait.
    ///
    /// # Errors
    /// As above.
    pub fn try_receive<T: DeserializeOwned>(&self) -> io::Result<Option<Received<T>>> {
        self.receive_with(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
    }

    fn receive_with<T: DeserializeOwned>(
        &self,
        flags: RecvFlags,
    ) -> io::Result<Option<Received<T>>> {
        let mut bytes = vec![0; BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
                Ok(got) => break got.bytes,
                Err(rustix::io::Errno::INTR) => {}
                // An end that was killed with bytes unread resets.
                Err(rustix::io::Errno::CONNRESET) => break 0,
                Err(error) => return Err(error.into()),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(came) = message {
                fds.extend(came);
            }
        }
        Ok(Some((serde_json::from_slice(bytes.get(..length).unwrap_or_default())?, fds)))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> Self {
        link.0
    }
}

impl From<OwnedFd> for Link {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_bring_their_sockets() {
        let (near, far) = Link::pair().unwrap();
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        near.send(&"one", &[listening.as_fd()]).unwrap();
        near.send(&"two", &[]).unwrap();
        drop(listening);
        let (one, mut fds) = far.receive::<String>().unwrap().unwrap();
        assert_eq!((one.as_str(), fds.len()), ("one", 1));
        TcpStream::connect(address).unwrap().write_all(b"x").unwrap();
        let listening = TcpListener::from(fds.pop().unwrap());
        assert!(listening.accept().is_ok(), "the connection waited");
        assert_eq!(far.receive::<String>().unwrap().unwrap().0, "two");
        assert_eq!(far.try_receive::<String>().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(near);
        assert!(far.receive::<String>().unwrap().is_none());
    }
}
