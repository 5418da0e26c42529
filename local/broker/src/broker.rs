//! Accepts connections.

use std::{io, os::unix::net::UnixListener, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use crate::{Options, Status, client, pool::Pool};

/// The pause after a connection could not be accepted, which is when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves clients at a socket.
#[derive(Debug)]
pub struct Broker {
    listener: tokio::net::UnixListener,
    pool: Arc<Pool>,
}

/// Tells about the sessions of a broker. Clones are the same.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Pool>);

impl Observer {
    /// The sessions now.
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

impl Broker {
    /// A broker at this socket ([`Socket::listener`](crate::Socket::listener)). It must be made inside a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// The socket cannot be used.
    pub fn new(listener: UnixListener, options: Options) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: tokio::net::UnixListener::from_std(listener)?,
            pool: Arc::new(Pool::new(options)),
        })
    }

    /// What can be asked for the sessions while the broker serves.
    pub fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.pool))
    }

    /// Serves for ever. If the future is dropped, all connections are closed.
    pub async fn serve(self) {
        let mut tasks = JoinSet::new();
        let pool = Arc::clone(&self.pool);
        tasks.spawn(async move { pool.maintain().await });
        let places = Arc::new(Semaphore::new(
            self.pool.options.max_clients.min(Semaphore::MAX_PERMITS),
        ));
        loop {
            tokio::select! {
                client = accept(&self.listener, &places) => {
                    let (client, place) = client;
                    let pool = Arc::clone(&self.pool);
                    tasks.spawn(async move {
                        client::serve(client, pool).await;
                        drop(place);
                    });
                }
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection's task failed");
                    }
                }
            }
        }
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &tokio::net::UnixListener,
    places: &Arc<Semaphore>,
) -> (tokio::net::UnixStream, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("the places are never closed");
    loop {
        match listener.accept().await {
            Ok((client, _)) => return (client, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
