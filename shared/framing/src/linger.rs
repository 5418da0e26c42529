//! Ends of connections at which no answer is lost.

use std::{
    io,
    net::{self, Shutdown},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use tokio::{io::AsyncReadExt, net::TcpStream};

/// How long the end of the other side is waited for.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A second handle of a connection, for the time after a server has written everything.
///
/// A socket that is closed answers what still comes (an update of a window, the begin of a request) with a reset. A
/// client that meets the reset in writing loses the answers that it has not read yet.
#[derive(Debug)]
pub struct Linger(io::Result<OwnedFd>);

impl Linger {
    /// For a connection that a server is about to take.
    pub fn of(stream: &TcpStream) -> Self {
        Self(stream.as_fd().try_clone_to_owned())
    }

    /// Reads, and throws away, what comes until the other side has ended, for up to a second.
    pub async fn end(self) {
        // Without a second handle, and after a reset, there is nothing to wait for.
        let _ = tokio::time::timeout(TIMEOUT, read_to_end(self.0)).await;
    }
}

async fn read_to_end(last: io::Result<OwnedFd>) -> io::Result<()> {
    let last = net::TcpStream::from(last?);
    last.shutdown(Shutdown::Write)?;
    let mut last = TcpStream::from_std(last)?;
    let mut rest = [0; 1024];
    while last.read(&mut rest).await? > 0 {}
    Ok(())
}
