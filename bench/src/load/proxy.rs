//! A proxy in front of PostgreSQL that counts: round trips, and bytes in each direction.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task::JoinHandle,
};

/// What has gone through so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Times that a client sent something and then waited for the server.
    pub(crate) trips: u64,
    pub(crate) to_server: u64,
    pub(crate) to_client: u64,
}

#[derive(Debug, Default)]
struct Counters {
    trips: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// A port that leads to a server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// One in front of `target`.
    pub(crate) async fn start<A>(target: A) -> Result<Self>
    where
        A: ToSocketAddrs + Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen for a proxy")?;
        let port = listener.local_addr()?.port();
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, counters) = (target.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass(client, server, &counters).await;
                    }
                });
            }
        });
        Ok(Self {
            port,
            counters,
            accepting,
        })
    }

    /// What has gone through so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            trips: self.counters.trips.load(Ordering::Relaxed),
            to_server: self.counters.to_server.load(Ordering::Relaxed),
            to_client: self.counters.to_client.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Passes bytes both ways until one side ends.
async fn pass(client: TcpStream, server: TcpStream, counters: &Counters) {
    let waits = AtomicBool::new(false);
    // Without it, a small packet may wait for the answer to the last one. A slower connection counts the same.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let asks = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = match from_client.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => n,
            };
            if !waits.swap(true, Ordering::Relaxed) {
                counters.trips.fetch_add(1, Ordering::Relaxed);
            }
            counters.to_server.fetch_add(n as u64, Ordering::Relaxed);
            if to_server.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = match from_server.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => n,
            };
            waits.store(false, Ordering::Relaxed);
            counters.to_client.fetch_add(n as u64, Ordering::Relaxed);
            if to_client.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asks => {}
        () = answers => {}
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            trips: self.trips - before.trips,
            to_server: self.to_server - before.to_server,
            to_client: self.to_client - before.to_client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trip_is_a_question_and_its_answer() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let mut buffer = [0; 4];
            // Each four bytes are one question.
            while stream.read_exact(&mut buffer).await.is_ok() {
                stream.write_all(b"fine").await.unwrap();
            }
        });
        let proxy = Proxy::start(target).await.unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap();
        for _ in 0..3 {
            client.write_all(b"how?").await.unwrap();
            client.read_exact(&mut [0; 4]).await.unwrap();
        }
        let expected = Counts {
            trips: 3,
            to_server: 12,
            to_client: 12,
        };
        assert_eq!(proxy.counts(), expected);
        assert_eq!((expected - expected).trips, 0);
    }
}
