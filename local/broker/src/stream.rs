//! A connection, with as few system calls as a relay needs.
//!
//! tokio's own sockets are registered for both directions. A Unix socket then wakes its process each time when
//! the other side has read something, as that makes room. So a connection is registered for reading alone; a
//! write is tried at once, and waits only where there is no room. A read that leaves a part of its buffer free
//! has taken all, so it is not repeated before the system reports more.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    io::{Errno, retry_on_intr},
    net::{
        RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, recv, send,
        sendmsg,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::{TcpStream, UnixStream},
};

/// A connection that one task reads and writes through a shared reference.
///
/// Whether a socket blocks is a property that it has for all processes that have it. The client of a session could
/// change it, so no call here relies on it.
#[derive(Debug)]
pub(crate) struct Stream(AsyncFd<OwnedFd>);

impl Stream {
    pub(crate) async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::new(stream.into_std()?.into())
    }

    pub(crate) async fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await?.try_into()
    }

    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        register(socket, Interest::READABLE).map(Self)
    }

    /// The socket, which wakes nobody here any more.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.0.into_inner()
    }

    /// One byte, and a socket with it (`SCM_RIGHTS`). A single byte cannot arrive in parts.
    pub(crate) async fn pass(&self, byte: u8, socket: BorrowedFd<'_>) -> io::Result<()> {
        let (bytes, sockets) = ([byte], [socket]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        loop {
            let mut with_it = SendAncillaryBuffer::new(&mut space);
            with_it.push(SendAncillaryMessage::ScmRights(&sockets));
            match sendmsg(
                &self.0,
                &[IoSlice::new(&bytes)],
                &mut with_it,
                SendFlags::empty(),
            ) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) => self.writable().await?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Some bytes; none at the end. Nothing is lost if the future is dropped.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((read, _)) => {
                    // Full or at the end, there may be more to learn.
                    if (1..buffer.len()).contains(&read) {
                        ready.clear_ready();
                    }
                    return Ok(read);
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What has come already; none at the end.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, _) = retry_on_intr(|| recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT))?;
        Ok(read)
    }

    /// All bytes. If the future is dropped, a part may have been written.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// As many bytes as there is room for.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
        Ok(retry_on_intr(|| send(&self.0, bytes, flags))?)
    }

    /// Waits until there is room.
    async fn writable(&self) -> io::Result<()> {
        // The system knows a descriptor by its number, so a copy has an interest of its own.
        let copy = self.0.get_ref().try_clone()?;
        let copy = register(copy, Interest::WRITABLE)?;
        copy.writable().await.map(drop)
    }

    /// Exactly as many bytes as the buffer has.
    pub(crate) async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => buffer = &mut buffer[read..],
            }
        }
        Ok(())
    }

    /// Tells the other side that nothing more is sent.
    pub(crate) fn finish(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.0, Shutdown::Write)?)
    }
}

impl TryFrom<UnixStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        Self::new(stream.into_std()?.into())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe code, for types that name a descriptor that is not theirs: an `OwnedFd` cannot"
)]
fn register(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, interest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn pair() -> (Stream, Stream) {
        let (one, other) = UnixStream::pair().unwrap();
        (one.try_into().unwrap(), other.try_into().unwrap())
    }

    #[tokio::test]
    async fn all_bytes_arrive_where_there_is_no_room_for_them() {
        let (one, other) = pair();
        // More than any buffer of a socket.
        let sent: Vec<u8> = (0..16_000_000_u32).map(|n| n.to_be_bytes()[3]).collect();
        let writing = async {
            one.write_all(&sent).await.unwrap();
            one.finish().unwrap();
        };
        let reading = async {
            let mut all = Vec::new();
            let mut buffer = vec![0; 10_000];
            loop {
                match other.read(&mut buffer).await.unwrap() {
                    0 => return all,
                    read => all.extend_from_slice(&buffer[..read]),
                }
            }
        };
        let ((), all) = tokio::join!(writing, reading);
        assert!(all == sent);
    }

    #[tokio::test]
    async fn a_read_waits_for_bytes_and_a_dropped_one_loses_none() {
        let (one, other) = pair();
        let mut buffer = [0; 4];
        for round in 0..3 {
            let waiting = timeout(Duration::ZERO, other.read(&mut buffer)).await;
            assert!(waiting.is_err(), "{round}");
            // A full buffer, and one that is not.
            one.write_all(b"abcdef").await.unwrap();
            assert_eq!(other.read(&mut buffer).await.unwrap(), 4, "{round}");
            assert_eq!(other.read(&mut buffer).await.unwrap(), 2, "{round}");
        }
        one.write_all(b"last").await.unwrap();
        drop(one);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 0);
        assert!(other.write_all(b"lost").await.is_err());
    }
}
