//! A connection to a server on this machine, over a Unix socket.
//!
//! tokio's own sockets are registered for both directions. A Unix socket then wakes its process each time when the
//! other side has read something, as that makes room. So this one is registered for reading alone; a write is tried
//! at once, and waits only where there is no room. A read that leaves a part of its buffer free has taken all, so it
//! is not repeated before the system reports more.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};
use tokio_postgres::{
    Config,
    config::{Host, TargetSessionAttrs},
};

/// The port of a socket's name, where the URL has none.
const DEFAULT_PORT: u16 = 5432;

/// A Unix socket that one task reads and writes.
#[derive(Debug)]
pub(crate) struct Local {
    socket: AsyncFd<UnixStream>,
    /// The same socket, registered for writing, while there is no room.
    room: Option<AsyncFd<UnixStream>>,
}

impl Local {
    /// The socket of the only server that `config` names; none for servers in a network. None, too, where a server
    /// is to be chosen by what it says, which the driver does itself.
    pub(crate) fn path(config: &Config) -> Option<PathBuf> {
        let [Host::Unix(folder)] = config.get_hosts() else {
            return None;
        };
        let port = config.get_ports().first().unwrap_or(&DEFAULT_PORT);
        let any = config.get_target_session_attrs() == TargetSessionAttrs::Any;
        any.then(|| folder.join(format!(".s.PGSQL.{port}")))
    }

    pub(crate) async fn connect(path: &Path) -> io::Result<Self> {
        tokio::net::UnixStream::connect(path)
            .await?
            .into_std()?
            .try_into()
    }
}

impl TryFrom<UnixStream> for Local {
    type Error = io::Error;

    /// Of a socket that does not block.
    fn try_from(socket: UnixStream) -> io::Result<Self> {
        Ok(Self {
            socket: register(socket, Interest::READABLE)?,
            room: None,
        })
    }
}

impl AsyncRead for Local {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            let room = free.len();
            let mut socket = self.socket.get_ref();
            match socket.read(free) {
                Ok(read) => {
                    // Full or at the end, there may be more to learn.
                    if (1..room).contains(&read) {
                        ready.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Local {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            let mut socket = this.socket.get_ref();
            match socket.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let room = match &this.room {
                        Some(room) => room,
                        // The system knows a descriptor by its number, so a copy has an interest of its own.
                        None => this
                            .room
                            .insert(register(socket.try_clone()?, Interest::WRITABLE)?),
                    };
                    ready!(room.poll_write_ready(cx))?.clear_ready();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => {
                    this.room = None;
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe code, for types that name a descriptor that is not theirs: a `UnixStream` \
              cannot"
)]
fn register(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    fn pair() -> (Local, Local) {
        let (one, other) = UnixStream::pair().unwrap();
        for socket in [&one, &other] {
            socket.set_nonblocking(true).unwrap();
        }
        (one.try_into().unwrap(), other.try_into().unwrap())
    }

    #[tokio::test]
    async fn all_bytes_arrive_where_there_is_no_room_for_them() {
        let (mut one, mut other) = pair();
        // More than any buffer of a socket.
        let sent: Vec<u8> = (0..16_000_000_u32).map(|n| n.to_be_bytes()[3]).collect();
        let mut all = Vec::new();
        let writing = async {
            one.write_all(&sent).await.unwrap();
            one.shutdown().await.unwrap();
        };
        let ((), read) = tokio::join!(writing, other.read_to_end(&mut all));
        read.unwrap();
        assert!(all == sent);
        assert!(one.room.is_none());
    }

    #[tokio::test]
    async fn a_read_waits_for_bytes_and_sees_the_end() {
        let (mut one, mut other) = pair();
        let mut buffer = [0; 4];
        for round in 0..3 {
            let waiting = timeout(Duration::ZERO, other.read(&mut buffer)).await;
            assert!(waiting.is_err(), "{round}");
            // A full buffer, and one that is not.
            one.write_all(b"abcdef").await.unwrap();
            assert_eq!(other.read(&mut buffer).await.unwrap(), 4, "{round}");
            assert_eq!(other.read(&mut buffer).await.unwrap(), 2, "{round}");
        }
        one.write_all(b"end").await.unwrap();
        drop(one);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 0);
        assert!(other.write_all(b"lost").await.is_err());
    }

    #[tokio::test]
    async fn what_the_other_side_reads_wakes_nobody() {
        let (mut one, mut other) = pair();
        let mut buffer = [0; 16];
        for _ in 0..3 {
            one.write_all(b"question").await.unwrap();
            assert_eq!(other.read(&mut buffer).await.unwrap(), 8);
            // There is room now: a socket that is registered for writing would wake.
            let ready = timeout(Duration::from_millis(1), one.socket.writable()).await;
            assert!(ready.is_err());
        }
    }

    #[test]
    fn only_a_single_server_on_this_machine_has_a_socket() {
        let path = |url: &str| Local::path(&url.parse().unwrap());
        let socket = |name: &str| Some(PathBuf::from("/run/db").join(name));
        for (url, expected) in [
            ("postgres://u:p@%2Frun%2Fdb/d", socket(".s.PGSQL.5432")),
            ("postgres://u:p@%2Frun%2Fdb:7/d", socket(".s.PGSQL.7")),
            (
                "postgres://u:p@%2Frun%2Fdb/d?target_session_attrs=read-write",
                None,
            ),
            ("postgres://u:p@%2Frun%2Fdb,h/d", None),
            ("postgres://u:p@h:5432/d", None),
        ] {
            assert_eq!(path(url), expected, "{url}");
        }
    }
}
