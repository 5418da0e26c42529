//! The session broker between functions and PostgreSQL: a process, as the engine has it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use zerocart_broker::{Event, Keeper, Login, Options, Socket};
use zerocart_provision::Password;
use zerocart_test_support::postgres::TestDatabase;

use crate::e2e::engine::binaries;

/// A broker that is started again when it dies.
pub(crate) struct Broker {
    socket: Socket,
    logins: Vec<Login>,
    /// The process that runs now; 0 if there is none.
    pid: Arc<AtomicU32>,
    /// How often it was started.
    starts: Arc<AtomicU32>,
    _keeper: Keeper,
}

impl Broker {
    /// In front of the server of these databases.
    pub(crate) fn start<'a>(databases: impl Iterator<Item = &'a TestDatabase>) -> Self {
        let mut server = None;
        let logins = databases.map(|database| {
            let url: tokio_postgres::Config = database.url().parse().expect("the URL is valid");
            server = Some(SocketAddr::from(([127, 0, 0, 1], url.get_ports()[0])));
            let password = url.get_password().expect("it has a password");
            let password = std::str::from_utf8(password).expect("it is text");
            let role = url.get_user().expect("it has a user");
            let mut login = Login::new(role, Password::new(password), database.name());
            let config = zerocart_postgres::Config::new(database.url().parse().expect("so here"));
            let options = config.session_options();
            login.parameters.insert("options".into(), options);
            login
        });
        let logins: Vec<_> = logins.collect();
        let socket = Socket::temporary().expect("a temporary folder can be made");
        let (pid, starts) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (now, count) = (Arc::clone(&pid), Arc::clone(&starts));
        let keeper = Keeper::start(
            socket.listener().expect("a socket can be cloned"),
            Options::new(server.expect("there are databases"), logins.clone()),
            || {
                let mut command = Command::new(binaries().join("zerocart"));
                command.arg("broker").stderr(Stdio::null());
                command
            },
            move |event| match event {
                Event::Started { pid } => {
                    now.store(pid, Ordering::SeqCst);
                    count.fetch_add(1, Ordering::SeqCst);
                }
                _ => now.store(0, Ordering::SeqCst),
            },
        );
        Self {
            socket,
            logins,
            pid,
            starts,
            _keeper: keeper,
        }
    }

    /// The URL of a database for functions.
    pub(crate) fn url(&self, database: &str) -> String {
        let login = self.logins.iter().find(|login| login.database == database);
        self.socket
            .url(login.expect("the database is one of these"))
    }

    /// The socket.
    pub(crate) fn path(&self) -> PathBuf {
        self.socket.folder().join(".s.PGSQL.5432")
    }

    /// Kills it. Whether there was one.
    pub(crate) fn kill(&self) -> bool {
        let pid = self.pid.swap(0, Ordering::SeqCst).cast_signed();
        // It may just have ended.
        Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }
}
