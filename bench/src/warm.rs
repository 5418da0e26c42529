//! The local engine's broker of sessions, as a process of its own.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};
use zerocart_broker::{Address, Keeper, Login, Options, Socket};
use zerocart_local_postgres::{Database, Server};
use zerocart_postgres::Config;

/// The subcommand that is the broker.
pub(crate) const COMMAND: &str = "broker";

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A broker that runs.
pub(crate) struct Warm {
    socket: Socket,
    keeper: Keeper,
    pid: Arc<AtomicU32>,
    /// By domain.
    logins: Vec<(String, Login)>,
}

impl Warm {
    /// One for the roles of these databases.
    pub(crate) async fn start(server: &Server, databases: &[Database]) -> Result<Self> {
        let socket = Socket::temporary().context("no socket for the broker")?;
        let login = |database: &Database| -> Result<(String, Login)> {
            let (role, password) = (database.url.role(), database.url.password().clone());
            let mut login = Login::new(role, password, &database.name);
            // As a function sends it, so that it gets a session that is warm.
            let options = Config::new(socket.url(&login).parse()?).session_options();
            login.parameters.insert("options".to_owned(), options);
            Ok((database.domain.clone(), login))
        };
        let logins: Vec<_> = databases.iter().map(login).collect::<Result<_>>()?;
        // As the engine does it.
        let server = Address {
            tcp: SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())),
            socket: server.socket().map(Path::to_owned),
        };
        let all = logins.iter().map(|(_, login)| login.clone()).collect();
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let command = move || {
            let mut command = Command::new(&program);
            // It must not end up in a table.
            command.arg(COMMAND).stderr(Stdio::null());
            command
        };
        let pid = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&pid);
        let keeper = Keeper::start(
            socket.listener()?,
            Options::new(server, all),
            command,
            move |event| {
                if let zerocart_broker::Event::Started { pid } = event {
                    told.store(pid, Ordering::Relaxed);
                }
            },
        );
        let deadline = Instant::now() + START_LIMIT;
        while pid.load(Ordering::Relaxed) == 0 {
            if Instant::now() > deadline {
                bail!("the broker of sessions does not start");
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(Self {
            socket,
            keeper,
            pid,
            logins,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// The database URL of the functions of a domain.
    pub(crate) fn url(&self, domain: &str) -> Result<String> {
        let login = self.logins.iter().find(|(name, _)| name == domain);
        let (_, login) = login.with_context(|| format!("no login for {domain}"))?;
        Ok(self.socket.url(login))
    }

    /// The ports from which it is connected to the server over TCP. None where the system does not tell.
    pub(crate) fn server_ports(&self) -> Vec<u16> {
        let folder = format!("/proc/{}/fd", self.pid());
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let sockets = files.filter_map(|file| inode(&file.path()));
        let sockets: HashSet<String> = sockets.collect();
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        local_ports(&table, &sockets)
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.keeper.stop().await;
    }
}

/// The number of a socket, from the link of its file descriptor: `socket:[12345]`.
fn inode(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    let number = target.to_str()?.strip_prefix("socket:[")?;
    Some(number.strip_suffix(']')?.to_owned())
}

/// The local ports of these sockets, from the table of proc_net_tcp(5).
fn local_ports(table: &str, sockets: &HashSet<String>) -> Vec<u16> {
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.split_once(':')?;
        let wanted = sockets.contains(*fields.get(9)?);
        wanted.then(|| u16::from_str_radix(port, 16).ok())?
    };
    table.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_sockets_are_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n\
                     1: 0100007F:C001 0100007F:1538 01 00000000:00000000 00:00000000 00000000 0 0 78 1\n";
        let sockets = HashSet::from(["78".to_owned()]);
        assert_eq!(local_ports(table, &sockets), [0xC001]);
        assert!(local_ports(table, &HashSet::new()).is_empty());
    }
}
