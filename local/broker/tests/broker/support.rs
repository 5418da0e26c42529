//! A server, brokers in front of it, and clients.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::OnceCell,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    CancelToken, Client, Config, Error, NoTls, SimpleQueryMessage, error::SqlState,
};
use zerocart_broker::{Address, Broker, Login, Options, Socket};
use zerocart_local_postgres::{Database, Options as ServerOptions, Server, provision};
use zerocart_postgres::{Local, TAKES_SESSIONS};

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
        Options::new(self.address(), self.logins.clone())
    }

    /// Where the server is: at its Unix socket, too.
    pub(crate) fn address(&self) -> Address {
        let socket = self
            .server
            .socket()
            .expect("a temporary folder has a short path");
        Address {
            tcp: SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port())),
            socket: Some(socket.to_owned()),
        }
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
    /// How its clients talk to the server.
    pub(crate) way: Way,
    logins: Vec<Login>,
    _task: Task,
}

struct Task(JoinHandle<()>);

/// How a client talks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the broker.
    Relayed,
    /// Directly, over the session's socket.
    Passed,
}

impl Served {
    /// A broker of each way.
    pub(crate) fn both(options: &Options) -> [Self; 2] {
        [Way::Relayed, Way::Passed].map(|way| Self {
            way,
            ..Self::new(options.clone())
        })
    }

    /// A broker whose clients talk to the server through it.
    pub(crate) fn new(options: Options) -> Self {
        let socket = Socket::temporary().unwrap();
        let logins = options.logins.clone();
        let broker = Broker::new(socket.listener().unwrap(), options).unwrap();
        Self {
            socket,
            way: Way::Relayed,
            logins,
            _task: Task(tokio::spawn(broker.serve())),
        }
    }

    /// How a function of the first domain connects.
    pub(crate) fn config(&self) -> Config {
        self.config_of(0)
    }

    /// The `DATABASE_URL` of the first domain.
    pub(crate) fn url(&self) -> String {
        self.socket.url(&self.logins[0])
    }

    /// How a function of this domain connects.
    pub(crate) fn config_of(&self, domain: usize) -> Config {
        let mut config: Config = self.socket.url(&self.logins[domain]).parse().unwrap();
        if self.way == Way::Passed {
            config.options(TAKES_SESSIONS);
        }
        config
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.config()).await.unwrap()
    }

    /// A client that sends what it wants, and has said nothing yet.
    pub(crate) async fn raw(&self) -> Raw {
        Raw(Box::new(Local::connect(&self.path()).await.unwrap()))
    }

    /// Asks for what the client of the token runs to be cancelled, and returns when that is done.
    pub(crate) fn cancel(&self, token: &CancelToken) -> impl Future<Output = ()> + 'static {
        let (path, token) = (self.path(), token.clone());
        async move {
            let stream = Local::connect(&path).await.unwrap();
            token.cancel_query_raw(stream, NoTls).await.unwrap();
        }
    }

    fn path(&self) -> PathBuf {
        self.socket.folder().join(".s.PGSQL.5432")
    }

    /// The same, with a session of the first login.
    pub(crate) async fn started(&self) -> Raw {
        let mut raw = self.raw().await;
        raw.send(&self.startup()).await;
        raw.send(&self.password()).await;
        assert!(raw.until(b'Z').await.contains(&b'K'));
        raw
    }

    /// The startup packet of the first login.
    pub(crate) fn startup(&self) -> Vec<u8> {
        let Login { role, database, .. } = &self.logins[0];
        let takes = (self.way == Way::Passed).then_some(("options", TAKES_SESSIONS));
        let parameters = [
            ("user", role.as_str()),
            ("database", database),
            ("client_encoding", "UTF8"),
        ];
        let parameters: Vec<_> = parameters.into_iter().chain(takes).collect();
        startup(3 << 16, &parameters)
    }

    /// The password message of the first login.
    pub(crate) fn password(&self) -> Vec<u8> {
        let password = self.logins[0].password.expose();
        message(b'p', format!("{password}\0").as_bytes())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection to the broker, byte by byte. Dropped, it ends as that of a process that is killed.
pub(crate) struct Raw(Box<dyn Conversation>);

trait Conversation: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Conversation for T {}

impl Raw {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The tags of the messages that come, to the first of this tag, or to the end.
    pub(crate) async fn until(&mut self, tag: u8) -> Vec<u8> {
        self.messages(tag)
            .await
            .iter()
            .map(|(tag, _)| *tag)
            .collect()
    }

    /// The messages that come, to the first of this tag, or to the end.
    pub(crate) async fn messages(&mut self, tag: u8) -> Vec<(u8, Vec<u8>)> {
        let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
        while messages.last().is_none_or(|(last, _)| *last != tag) {
            let Ok(tag) = timeout(PATIENCE, self.0.read_u8())
                .await
                .expect("an answer")
            else {
                break;
            };
            let length = self.0.read_u32().await.unwrap();
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).await.unwrap();
            messages.push((tag, body));
        }
        messages
    }

    /// The SQLSTATE of the error that comes, after which the connection ends.
    pub(crate) async fn refused(&mut self) -> Option<String> {
        let messages = self.messages(0).await;
        let (tag, body) = messages.last()?;
        assert_eq!(*tag, b'E', "{messages:?}");
        let mut fields = body.split(|byte| *byte == 0);
        let code = fields.find_map(|field| field.strip_prefix(b"C"))?;
        Some(String::from_utf8_lossy(code).into_owned())
    }

    pub(crate) async fn byte(&mut self) -> u8 {
        timeout(PATIENCE, self.0.read_u8()).await.unwrap().unwrap()
    }
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &packet(body)[..]].concat()
}

/// Bytes with their length before them.
pub(crate) fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes(), body].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub(crate) fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(format!("{name}\0{value}\0").into_bytes());
    }
    body.push(0);
    packet(&body)
}

/// Connects, as a function does if it takes sessions.
pub(crate) async fn connect(config: &Config) -> Result<Client, Error> {
    let options = config.get_options().unwrap_or_default();
    if !options.ends_with(TAKES_SESSIONS) {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let path = Local::path(config).expect("a broker has a socket");
    let stream = Local::connect(&path).await.expect("the broker listens");
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
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
