//! A connection to a server on this machine, over a Unix socket.
//!
//! tokio's own sockets are registered for both directions. A Unix socket then wakes its process each time when the
//! other side has read something, as that makes room. So this one is registered for reading alone; a write is tried
//! at once, and waits only where there is no room. A read that leaves a part of its buffer free has taken all, so it
//! is not repeated before the system reports more.
//!
//! # A session that is passed
//!
//! The other side may be a broker that has a session of the server. A client whose startup has the option
//! [`TAKES_SESSIONS`] takes the session's own socket: the broker sends it with the last byte of the login
//! (`SCM_RIGHTS`). From there on client and server exchange their messages directly. The connection to the broker
//! stays, and its end is the end of the session. The client's last message, Terminate, goes to the broker alone: the
//! session lives on. A client that ends without it may have sent a part of a message, so the broker closes its
//! session. A server that is no broker takes the option for a setting that means nothing to it.

use std::{
    io::{self, IoSliceMut, Write},
    mem::{self, MaybeUninit},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    io::{Errno, retry_on_intr},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg},
};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};
use tokio_postgres::{
    Config,
    config::{Host, TargetSessionAttrs},
};

/// The startup option with which a client tells a broker that it takes a session's own socket.
pub const TAKES_SESSIONS: &str = "-c zerocart.takes_sessions=on";

/// The port of a socket's name, where the URL has none.
const DEFAULT_PORT: u16 = 5432;

/// The message with which a client ends (PostgreSQL documentation, 53.7 Message Formats).
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// A connection to a server on this machine, or to a broker, that one task reads and writes.
#[derive(Debug)]
pub struct Local {
    /// To the server; to a broker until it passes a session.
    socket: AsyncFd<UnixStream>,
    /// To the broker that has passed the session.
    broker: Option<AsyncFd<UnixStream>>,
    /// The same socket, registered for writing, while there is no room.
    room: Option<AsyncFd<UnixStream>>,
    /// The last write took all that it was given, so the next one begins with a message.
    whole: bool,
}

impl Local {
    /// The socket of the only server that `config` names; none for servers in a network. None, too, where a server
    /// is to be chosen by what it says, which the driver does itself.
    pub fn path(config: &Config) -> Option<PathBuf> {
        let [Host::Unix(folder)] = config.get_hosts() else {
            return None;
        };
        let port = config.get_ports().first().unwrap_or(&DEFAULT_PORT);
        let any = config.get_target_session_attrs() == TargetSessionAttrs::Any;
        any.then(|| folder.join(format!(".s.PGSQL.{port}")))
    }

    /// Connects to the socket at `path`.
    ///
    /// # Errors
    ///
    /// Nobody listens there, or this user may not connect.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        tokio::net::UnixStream::connect(path)
            .await?
            .into_std()?
            .try_into()
    }

    /// Whether the broker is gone that has passed the session.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(broker) = &self.broker else {
            return Poll::Pending;
        };
        loop {
            let Ok(mut ready) = ready!(broker.poll_read_ready(cx)) else {
                return Poll::Ready(());
            };
            let read = retry_on_intr(|| rustix::io::read(broker, &mut [0; 1]));
            if read != Err(Errno::AGAIN) {
                // A broker has nothing more to say.
                return Poll::Ready(());
            }
            ready.clear_ready();
        }
    }
}

/// No program that this process starts may have the socket of a session.
#[cfg(target_os = "linux")]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();

/// Reads what has come, and the socket of a session that has come with it.
fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Option<UnixStream>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with_it = RecvAncillaryBuffer::new(&mut space);
    let buffers = &mut [IoSliceMut::new(buffer)];
    let received = recvmsg(socket, buffers, &mut with_it, RECEIVE_FLAGS)?;
    let session = with_it.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "no file descriptor is free for a session of the database",
        ));
    }
    #[cfg(not(target_os = "linux"))]
    if let Some(session) = &session {
        rustix::io::fcntl_setfd(session, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((received.bytes, session.map(UnixStream::from)))
}

impl TryFrom<UnixStream> for Local {
    type Error = io::Error;

    /// Of a socket that does not block.
    fn try_from(socket: UnixStream) -> io::Result<Self> {
        Ok(Self {
            socket: register(socket, Interest::READABLE)?,
            broker: None,
            room: None,
            whole: true,
        })
    }
}

impl AsyncRead for Local {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(ready) = this.socket.poll_read_ready(cx) else {
                // What has come is read first, and then there is no session any more.
                return this.poll_gone(cx).map(Ok);
            };
            let mut ready = ready?;
            let free = buffer.initialize_unfilled();
            let room = free.len();
            let received = match this.broker {
                None => receive(this.socket.get_ref(), free),
                Some(_) => rustix::io::read(&this.socket, free)
                    .map(|read| (read, None))
                    .map_err(io::Error::from),
            };
            match received {
                Ok((read, session)) => {
                    // Full or at the end, there may be more to learn. Only Linux gives a session together with what
                    // has come before it.
                    let took_all = cfg!(target_os = "linux") || this.broker.is_some();
                    if took_all && (1..room).contains(&read) {
                        ready.clear_ready();
                    }
                    if let Some(session) = session {
                        let session = register(session, Interest::READABLE)?;
                        this.broker = Some(mem::replace(&mut this.socket, session));
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
        if this.whole
            && bytes == TERMINATE
            && let Some(broker) = this.broker.take()
        {
            // The next client may have the session as soon as the broker knows, so this closes it before.
            this.room = None;
            this.socket = broker;
        }
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
                    this.whole = matches!(written, Ok(n) if n == bytes.len());
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown of the session's socket would end the session, which the broker may lend again.
        let own = self.broker.as_ref().unwrap_or(&self.socket);
        Poll::Ready(own.get_ref().shutdown(Shutdown::Write))
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
