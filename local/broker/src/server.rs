//! One session of the server: its login, its reset, its end.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use postgres_protocol::{
    authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    message::frontend,
};
use tokio::time::Instant;
use zerocart_provision::Password;

use crate::{
    Address,
    scan::ServerScan,
    stream::Stream,
    wire::{Refusal, message, number},
};

/// The `application_name` of sessions whose client gives none: `pg_stat_activity` shows whose they are.
pub const APPLICATION_NAME: &str = "zerocart-broker";

/// The longest message that the server may send during a login.
const MAX_LOGIN_MESSAGE: usize = 64 * 1024;

/// The longest that a login may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a reset may take. It does nothing that waits for another session.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that the server may take to pass on a request to cancel.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest that the server may take to end a session that is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The SQLSTATE of a server whose pg_hba.conf has no line for a connection, or one that wants no password.
const NO_ENTRY: &str = "28000";

/// The bytes that are read at once where few are expected.
const SMALL: usize = 1024;

/// What sessions are interchangeable: those of one role with the same startup parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) role: String,
    pub(crate) database: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// How the server knows a session that is to be cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    secret: i32,
}

/// A session of the server, logged in.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) stream: Stream,
    pub(crate) scan: ServerScan,
    pub(crate) backend: Backend,
    pub(crate) key: Arc<Key>,
    pub(crate) born: Instant,
    /// Since when it is idle.
    pub(crate) since: Instant,
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// The server's own ErrorResponse, or one that says that there is no server.
    pub(crate) async fn open(
        server: &Address,
        key: Arc<Key>,
        password: &Password,
    ) -> Result<Self, Refusal> {
        let opening = async {
            if let Some(stream) = server.unix().await {
                match log_in(stream, Arc::clone(&key), password).await {
                    // A person who has changed pg_hba.conf may have thought of TCP alone.
                    Err(refusal) if refusal.is_of(NO_ENTRY) => tracing::warn!(
                        role = key.role,
                        "no login at the server's Unix socket, trying TCP: has pg_hba.conf a line \
                         `local all all scram-sha-256`?"
                    ),
                    result => return result,
                }
            }
            let stream = server.tcp().await.map_err(lost)?;
            log_in(stream, key, password).await
        };
        match tokio::time::timeout(LOGIN_TIMEOUT, opening).await {
            Ok(result) => result,
            Err(_) => Err(lost(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Whether an idle session still lives. Messages that a server sends by itself are taken in.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut buffer = [0; SMALL];
        loop {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    self.scan.begin();
                    self.scan.feed(&buffer[..read]);
                    // A notice or a changed parameter may be. Anything else is not expected.
                    if self.scan.failed || self.scan.ready > 0 || !self.scan.is_whole() {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }

    /// Reads, without passing anything on, until `ready` answers have come.
    pub(crate) async fn settle(&mut self, ready: u64) -> io::Result<()> {
        let mut buffer = [0; SMALL];
        while self.scan.ready < ready {
            let read = self.stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.scan.feed(&buffer[..read]);
            if self.scan.broken {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// Makes it as it was after its login. No statement may run.
    ///
    /// # Errors
    ///
    /// It cannot be used again.
    pub(crate) async fn reset(&mut self) -> io::Result<()> {
        if self.try_reset().await? {
            return Ok(());
        }
        // A client that had the session's socket has left a transaction open: only now that is known.
        match self.scan.status != b'I' && self.try_reset().await? {
            true => Ok(()),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Whether it is as it was after its login.
    async fn try_reset(&mut self) -> io::Result<bool> {
        let mut statements = Vec::new();
        let mut count = 1;
        if self.scan.status != b'I' {
            count += 1;
            statements.extend(message(b'Q', b"ROLLBACK\0"));
        }
        // Not in the same message: that would be a transaction, where it is not allowed.
        statements.extend(message(b'Q', b"DISCARD ALL\0"));
        self.scan.begin();
        let resetting = async {
            self.stream.write_all(&statements).await?;
            self.settle(count).await
        };
        tokio::time::timeout(RESET_TIMEOUT, resetting).await??;
        Ok(!self.scan.failed && self.scan.status == b'I' && self.scan.is_whole())
    }

    /// Closes it, also in the middle of a statement, and waits for its end.
    pub(crate) async fn close(self) {
        // A server that does not react is not waited for.
        self.closes_within(CLOSE_TIMEOUT).await;
    }

    /// Says that nothing more is sent. Whether the server then ends the session in this time: it first does what it
    /// has got.
    pub(crate) async fn closes_within(&self, limit: Duration) -> bool {
        let closing = async {
            self.stream.finish()?;
            let mut buffer = [0; SMALL];
            while self.stream.read(&mut buffer).await? > 0 {}
            io::Result::Ok(())
        };
        // Any error is an end, too.
        tokio::time::timeout(limit, closing).await.is_ok()
    }

    /// Ends it in order. The server ends it in any case when the connection is closed.
    pub(crate) fn end(self) {
        let _ = self.stream.try_write(&message(b'X', b""));
    }
}

impl Backend {
    /// Asks the server to cancel what the session runs, and waits until the server has done so.
    ///
    /// # Errors
    ///
    /// It is not known whether it will be cancelled.
    pub(crate) async fn cancel(self, server: &Address) -> io::Result<()> {
        let asking = async {
            let stream = server.connect().await?;
            let mut request = BytesMut::new();
            frontend::cancel_request(self.pid, self.secret, &mut request);
            stream.write_all(&request).await?;
            // The server closes the connection when it has sent the signal.
            match stream.read(&mut [0]).await {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
                Err(error) => Err(error),
            }
        };
        tokio::time::timeout(CANCEL_TIMEOUT, asking).await?
    }
}

/// The error that a client gets while there is no server: SQLSTATE 08006, after which it may try again.
fn lost(error: io::Error) -> Refusal {
    tracing::debug!(%error, "the server does not answer");
    Refusal::new("08006", "the broker cannot reach the server")
}

async fn log_in(stream: Stream, key: Arc<Key>, password: &Password) -> Result<Session, Refusal> {
    let mut out = BytesMut::new();
    let own = [
        ("user", key.role.as_str()),
        ("database", key.database.as_str()),
    ];
    let others = key
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let unnamed = !key.parameters.contains_key("application_name");
    let named = unnamed.then_some(("application_name", APPLICATION_NAME));
    let parameters = own.into_iter().chain(named).chain(others);
    frontend::startup_message(parameters, &mut out).map_err(lost)?;
    let mut scram = None;
    let mut backend = None;
    let mut scan = ServerScan::default();
    loop {
        if !out.is_empty() {
            stream.write_all(&out).await.map_err(lost)?;
            out.clear();
        }
        let whole = login_message(&stream).await.map_err(lost)?;
        scan.feed(&whole);
        let body = &whole[5..];
        match whole[0] {
            // The server's own words: no such database, too many connections, starting up.
            b'E' => return Err(Refusal::Error(whole)),
            b'R' => authenticate(body, password, &mut scram, &mut out).map_err(lost)?,
            b'K' => {
                let (Some(pid), Some(secret)) = (body.get(..4), body.get(4..8)) else {
                    return Err(lost(io::ErrorKind::InvalidData.into()));
                };
                let [pid, secret] = [pid, secret].map(|part| number(part).cast_signed());
                backend = Some(Backend { pid, secret });
            }
            b'Z' => {
                let backend = backend.ok_or_else(|| lost(io::ErrorKind::InvalidData.into()))?;
                let now = Instant::now();
                return Ok(Session {
                    stream,
                    scan,
                    backend,
                    key,
                    born: now,
                    since: now,
                });
            }
            // Parameters, which the scan keeps, and notices.
            _ => {}
        }
    }
}

async fn login_message(stream: &Stream) -> io::Result<Vec<u8>> {
    let mut whole = vec![0; 5];
    stream.read_exact(&mut whole).await?;
    let length = usize::try_from(number(&whole[1..])).unwrap_or(usize::MAX);
    if !(4..=MAX_LOGIN_MESSAGE).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    whole.resize(1 + length, 0);
    stream.read_exact(&mut whole[5..]).await?;
    Ok(whole)
}

/// One step of the login (PostgreSQL documentation, 53.3 SASL Authentication).
fn authenticate(
    body: &[u8],
    password: &Password,
    scram: &mut Option<ScramSha256>,
    out: &mut BytesMut,
) -> io::Result<()> {
    let (kind, data) = body.split_at_checked(4).ok_or(io::ErrorKind::InvalidData)?;
    let running = scram.as_mut().ok_or(io::ErrorKind::InvalidData);
    match number(kind) {
        // AuthenticationOk
        0 => Ok(()),
        // A server of another kind than ours may want it.
        3 => frontend::password_message(password.expose().as_bytes(), out),
        // AuthenticationSASL
        10 => {
            let secret = password.expose().as_bytes();
            let first = ScramSha256::new(secret, ChannelBinding::unsupported());
            frontend::sasl_initial_response(SCRAM_SHA_256, first.message(), out)?;
            *scram = Some(first);
            Ok(())
        }
        11 => {
            let scram = running?;
            scram.update(data)?;
            frontend::sasl_response(scram.message(), out)
        }
        12 => running?.finish(data),
        other => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("the server wants authentication of kind {other}"),
        )),
    }
}
