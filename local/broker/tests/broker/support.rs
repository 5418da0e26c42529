//! A server, brokers in front of it, and clients.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::OnceCell, task::JoinHandle};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, error::SqlState};
use zerocart_broker::{Broker, Login, Options, Socket};
use zerocart_local_postgres::{Database, Options as ServerOptions, Server, provision};

/// The longest that anything may take that is about to happen; never reached by a test that passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const DOMAINS: [&str; 2] = ["user", "order"];

/// A server, with databases of two domains. It goes when it is dropped.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) logins: Vec<Login>,
}

static SHARED: OnceCell<Arc<World>> = OnceCell::const_new();

impl World {
    /// That of all tests that do not stop it.
    pub(crate) async fn shared() -> Arc<Self> {
        let world = SHARED.get_or_init(|| async { Arc::new(Self::own().await) });
        Arc::clone(world.await)
    }

    pub(crate) async fn own() -> Self {
        let server = Server::start(ServerOptions::temporary()).await.unwrap();
        let databases = provision(&server, &DOMAINS).await.unwrap();
        let logins = databases.iter().map(login).collect();
        Self { server, logins }
    }

    /// Options of a broker, of which tests change some.
    pub(crate) fn options(&self) -> Options {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port()));
        Options::new(server, self.logins.clone())
    }

    /// A session of the superuser, past the broker.
    pub(crate) async fn admin(&self) -> Client {
        connect(
            &self
                .server
                .admin_url("zerocart_user")
                .expose()
                .parse()
                .unwrap(),
        )
        .await
        .unwrap()
    }
}

fn login(database: &Database) -> Login {
    Login::new(
        &database.name,
        database.url.password().clone(),
        &database.name,
    )
}

/// A broker in this process, until this is dropped.
pub(crate) struct Served {
    pub(crate) socket: Socket,
    logins: Vec<Login>,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) fn new(options: Options) -> Self {
        let socket = Socket::temporary().unwrap();
        let logins = options.logins.clone();
        let broker = Broker::new(socket.listener().unwrap(), options).unwrap();
        Self {
            socket,
            logins,
            task: tokio::spawn(broker.serve()),
        }
    }

    /// How a function of the first domain connects.
    pub(crate) fn config(&self) -> Config {
        self.socket.url(&self.logins[0]).parse().unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.config()).await.unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        path_in(self.socket.folder())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn path_in(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

pub(crate) async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The first value of the last row, as text.
pub(crate) async fn ask(client: &Client, sql: &str) -> Option<String> {
    let messages = client.simple_query(sql).await.unwrap();
    let mut rows = messages.iter().rev().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    rows.next().flatten()
}

pub(crate) async fn backend(client: &Client) -> String {
    ask(client, "SELECT pg_backend_pid()").await.unwrap()
}

pub(crate) fn code(error: &Error) -> SqlState {
    error
        .code()
        .unwrap_or_else(|| panic!("not an answer: {error:?}"))
        .clone()
}

/// Waits until it gives something.
pub(crate) async fn until<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(value) = done().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}
