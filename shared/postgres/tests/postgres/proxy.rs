//! A server of the tests' own before PostgreSQL, which fails as it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It is closed at once.
    Closed,
    /// The server refuses it with this SQLSTATE.
    Refused(&'static str),
    /// It goes through to PostgreSQL.
    Passed,
    /// It goes through, until the client says this: the server gets it and does it, but its answer
    /// never comes back.
    CutAt(&'static str),
    /// It goes through, until the server has done this.
    LostAt(&'static str),
}

/// The proxy; connections without a fate of their own are passed.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    accepted: Arc<AtomicUsize>,
    turns: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn before(url: &str, fates: impl IntoIterator<Item = Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            fates: Arc::new(Mutex::new(fates.into_iter().collect())),
            accepted: Arc::default(),
            turns: Arc::default(),
        };
        let config: tokio_postgres::Config = url.parse().unwrap();
        let upstream = ("127.0.0.1", config.get_ports()[0]);
        let accepting = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                accepting.accepted.fetch_add(1, Ordering::SeqCst);
                let fate = accepting.fates.lock().unwrap().pop_front();
                let fate = fate.unwrap_or(Fate::Passed);
                tokio::spawn(serve(client, upstream, fate, accepting.turns.clone()));
            }
        });
        proxy
    }

    /// The same database, through this proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (_, path) = rest.split_once('/').unwrap();
        format!("{before}@{}/{path}", self.address)
    }

    /// How often a client has waited for the server, since this was last asked.
    pub(crate) fn round_trips(&self) -> usize {
        self.turns.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn serve(mut client: TcpStream, upstream: (&str, u16), fate: Fate, turns: Arc<AtomicUsize>) {
    // The startup message says its own length; a server that does not read it resets the
    // connection, and the refusal is lost.
    let mut length = [0; 4];
    client.read_exact(&mut length).await.unwrap();
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut startup).await.unwrap();
    match fate {
        Fate::Closed => {}
        Fate::Refused(code) => client.write_all(&refusal(code)).await.unwrap(),
        Fate::Passed | Fate::CutAt(_) | Fate::LostAt(_) => {
            let mut server = TcpStream::connect(upstream).await.unwrap();
            server.write_all(&length).await.unwrap();
            server.write_all(&startup).await.unwrap();
            relay(client, server, fate, turns).await;
        }
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, fate: Fate, turns: Arc<AtomicUsize>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut asked, mut cut) = (false, false);
    loop {
        tokio::select! {
            read = client.read(&mut up), if !cut => {
                let sent = &up[..read.unwrap_or(0)];
                if sent.is_empty() || server.write_all(sent).await.is_err() {
                    return;
                }
                cut = matches!(fate, Fate::CutAt(word) if says(sent, word));
                if !asked {
                    turns.fetch_add(1, Ordering::SeqCst);
                    asked = true;
                }
            }
            read = server.read(&mut down) => {
                let answered = &down[..read.unwrap_or(0)];
                let done = match fate {
                    Fate::CutAt(word) => cut && says(answered, word),
                    Fate::LostAt(word) => says(answered, word),
                    _ => false,
                };
                if answered.is_empty() || done {
                    return;
                }
                if !cut && client.write_all(answered).await.is_err() {
                    return;
                }
                asked = false;
            }
        }
    }
}

/// Both a query and the tag of its answer end with NUL.
fn says(bytes: &[u8], word: &str) -> bool {
    let word = [word.as_bytes(), b"\0"].concat();
    bytes.windows(word.len()).any(|window| window == word)
}

/// An ErrorResponse (PostgreSQL's documentation, "Message Formats").
fn refusal(code: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [
        ('S', "FATAL"),
        ('V', "FATAL"),
        ('C', code),
        ('M', "refused"),
    ] {
        fields.push(name as u8);
        fields.extend(value.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let mut message = vec![b'E'];
    message.extend((fields.len() as u32 + 4).to_be_bytes());
    message.extend(fields);
    message
}
