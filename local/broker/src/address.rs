//! Where the server is.

use std::{io, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::stream::Stream;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Address {
    /// Its TCP port.
    pub tcp: SocketAddr,
    /// Its Unix socket, over which a request costs less. Without one, and where it cannot be used, sessions go
    /// over TCP.
    pub socket: Option<PathBuf>,
}

impl From<SocketAddr> for Address {
    fn from(tcp: SocketAddr) -> Self {
        Self { tcp, socket: None }
    }
}

impl Address {
    /// A connection over the Unix socket, if there is one.
    pub(crate) async fn unix(&self) -> Option<Stream> {
        let path = self.socket.as_deref()?;
        let connected = Stream::unix(path).await;
        // While no server runs, there is no socket.
        connected
            .inspect_err(|error| tracing::debug!(%error, "the server's socket does not answer"))
            .ok()
    }

    /// A connection over TCP.
    pub(crate) async fn tcp(&self) -> io::Result<Stream> {
        Stream::tcp(self.tcp).await
    }

    /// A connection, over the Unix socket if possible.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        match self.unix().await {
            Some(stream) => Ok(stream),
            None => self.tcp().await,
        }
    }
}
