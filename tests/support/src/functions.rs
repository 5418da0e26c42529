//! Functions that run for one test, in its process, on a port of their own.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};
use zerocart_core::{Env, Function};
use zerocart_proto::rpc::Rpc;
use zerocart_runtime::Built;

pub use crate::{
    authority::Authority,
    scripted::{Script, Scripted},
};

/// How long a test waits for something that is about to happen. Never reached by a test that
/// passes, so it may be long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A function that serves on a port of 127.0.0.1, until it is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    _background: JoinSet<()>,
}

impl Running {
    /// Builds `F` from `env` and serves it.
    ///
    /// # Panics
    ///
    /// When the environment is bad.
    pub async fn start<F: Function>(env: impl IntoIterator<Item = (String, String)>) -> Self {
        let built = zerocart_runtime::build::<F>(Env::from_iter(env));
        Self::serve(built.unwrap_or_else(|error| panic!("{}: {error}", F::Rpc::INFO.name))).await
    }

    /// Serves the RPC `R` by `script`.
    ///
    /// # Panics
    ///
    /// When the environment is bad.
    pub async fn scripted<R: Rpc>(
        env: impl IntoIterator<Item = (String, String)>,
        script: Script<R>,
    ) -> Self {
        let env: Vec<_> = env.into_iter().chain([script.into_env()]).collect();
        Self::start::<Scripted<R>>(env).await
    }

    /// Serves what was built.
    ///
    /// # Panics
    ///
    /// When there is no port left.
    pub async fn serve(built: Built) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("there is a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(zerocart_runtime::serve_router(
            listener,
            built.router,
            // A test that drops the function stops it too.
            async move { drop(stopped.await) },
            PATIENCE,
        ));
        Self {
            address,
            stop: Some(stop),
            server,
            _background: built.background.into_iter().collect(),
        }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to stop, as SIGTERM does; what runs goes on.
    pub fn begin_stop(&mut self) {
        self.stop.take();
    }

    /// Stops it, and waits until nothing runs any more.
    ///
    /// # Panics
    ///
    /// When it does not end within [`PATIENCE`].
    pub async fn stopped(mut self) {
        self.begin_stop();
        tokio::time::timeout(2 * PATIENCE, self.server)
            .await
            .expect("a function stops within its drain time")
            .expect("the server does not panic");
    }
}
