//! What is known of a client's connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use zerocart_framing::Framing;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Counts connections, from 1.
    pub(crate) serial: u64,
    requests: AtomicU64,
    /// Finds requests whose length can be read in two ways.
    pub(crate) framing: Framing,
}

impl Connection {
    /// A connection that was just accepted.
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, serial: u64, framing: Framing) -> Self {
        Self {
            peer,
            local,
            serial,
            requests: AtomicU64::new(0),
            framing,
        }
    }

    /// Counts a request of this connection, from 1.
    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let peer = SocketAddr::from(([127, 0, 0, 2], 40_000));
        let local = SocketAddr::from(([127, 0, 0, 1], 8000));
        Self::new(peer, local, 1, Framing::default())
    }
}
