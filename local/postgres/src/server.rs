//! A PostgreSQL server that runs on this machine.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use zerocart_provision::Password;

use crate::account::{Account, elsewhere, make_folder};
use crate::cluster::{self, POLL};
use crate::fetch::{FETCHED_MAJOR, fetched};
use crate::find::{Installation, find_for};
use crate::guard::{self, Guard};
use crate::launch::{Log, Outcome, Postmaster, free_port, settings};
use crate::lock::FileLock;
use crate::passwords::{Passwords, SUPERUSER, Url};
use crate::socket;
use crate::{Error, Folder, Options, Progress, Source};

/// How many ports are tried if other programs take them between the choice and the start.
const PORT_TRIES: usize = 20;

/// A PostgreSQL server on 127.0.0.1, and at a Unix socket. It is stopped when this value is dropped
/// or this process ends in any way.
#[derive(Debug)]
pub struct Server {
    // Dropped in this order: the process, its guard, the lock of the folder.
    postmaster: Option<Postmaster>,
    guard: Guard,
    installation: Installation,
    account: Account,
    /// Where `cluster/` is.
    home: PathBuf,
    /// The caller's folder.
    folder: PathBuf,
    options: Options,
    port: u16,
    socket: Option<PathBuf>,
    superuser: Password,
    pub(crate) passwords: Mutex<Passwords>,
    _lock: FileLock,
}

impl Server {
    /// Finds or fetches PostgreSQL, makes its cluster at the first start, and starts it.
    ///
    /// A server that a killed process left behind in the folder is stopped first.
    ///
    /// # Errors
    ///
    /// See [`Error`]; among them [`Error::AlreadyRunning`] when another process has the folder,
    /// and [`Error::Start`] with the end of the server's log.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (folder, temporary) = claim_folder(&options.folder)?;
        let lock = lock(&folder)?;
        let (account, home) = home(&folder)?;
        if home != folder {
            options.report.tell(Progress::Elsewhere {
                account: account.name.clone(),
                folder: home.clone(),
            });
        }
        let guard = guard(&folder, &home, temporary)?;

        let cluster = home.join("cluster");
        let existing = cluster.is_dir();
        let major = existing.then(|| cluster::major(&cluster)).transpose()?;
        let installation = installation(&options, &account, &home, major).await?;
        options.report.tell(Progress::Using {
            bin: installation.bin().to_owned(),
            version: installation.version().to_owned(),
        });

        let mut passwords = Passwords::load(&folder)?;
        if existing {
            cluster::clear(&cluster, &options.report).await?;
            if passwords.get(SUPERUSER).is_none() {
                options.report.tell(Progress::RepairingPassword);
                let password = Password::random();
                cluster::set_password(&installation, &account, &cluster, &password).await?;
                // Not before: after a crash in between, the next start must repair this.
                passwords.keep(SUPERUSER, password)?;
            }
        } else {
            options.report.tell(Progress::Initialising {
                cluster: cluster.clone(),
            });
            let password = passwords.get_or_make(SUPERUSER)?;
            cluster::make(&installation, &account, &home, &password, options.durable).await?;
        }
        let superuser = passwords.get_or_make(SUPERUSER)?;

        let log = folder.join("postgres.log");
        Log::rotate(&log).map_err(Error::io("rename", log))?;
        let mut server = Self {
            postmaster: None,
            guard,
            installation,
            account,
            home,
            folder,
            port: 0,
            socket: None,
            superuser,
            passwords: Mutex::new(passwords),
            _lock: lock,
            options,
        };
        server.launch(server.options.port).await?;
        Ok(server)
    }

    /// Ends all sessions, writes everything out and stops: PostgreSQL's fast shutdown. After 30 s
    /// an immediate one, which the next start repairs.
    ///
    /// # Errors
    ///
    /// The system gives no information about the process.
    pub async fn stop(&mut self) -> Result<(), Error> {
        let Some(postmaster) = self.postmaster.take() else {
            return Ok(());
        };
        let program = self.installation.program("postgres");
        tokio::task::spawn_blocking(move || postmaster.stop(Signal::INT))
            .await
            .map_err(io::Error::from)
            .flatten()
            .map_err(Error::io("stop", program))?;
        self.guard
            .release()
            .map_err(Error::io("tell the guard of", &self.folder))
    }

    /// Stops it if it runs, and starts it again on the same port.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        self.launch(Some(self.port)).await
    }

    /// How the server's process ended by itself, `None` while it runs or is stopped.
    /// [`restart`](Self::restart) starts it again.
    ///
    /// # Errors
    ///
    /// The system gives no information about the process.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        let program = || self.installation.program("postgres");
        match &mut self.postmaster {
            Some(postmaster) => postmaster
                .ended()
                .map_err(|error| Error::io("watch", program())(error)),
            None => Ok(None),
        }
    }

    /// The server's process, `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Postmaster::pid)
    }

    /// Its port on 127.0.0.1, also while it is stopped.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its Unix socket, also while it is stopped: only its account and root may use it, with the
    /// password of a role. `None` if there can be none, which [`Progress::NoSocket`] told.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The programs that it runs.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// PostgreSQL's own data; as root not always in the caller's folder, see
    /// [`Options::folder`].
    pub fn cluster(&self) -> PathBuf {
        self.home.join("cluster")
    }

    /// The file that it logs into.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    /// The superuser's address of a database.
    pub fn admin_url(&self, database: &str) -> Url {
        Url::new(SUPERUSER, &self.superuser, self.port, database)
    }

    async fn launch(&mut self, port: Option<u16>) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.start_limit;
        let cluster = self.cluster();
        let log_path = self.log_path();
        let mut ports_tried = 0;
        let mut with_socket = true;
        loop {
            let port = match port {
                Some(port) => port,
                None => free_port().map_err(Error::io("find a port for", &cluster))?,
            };
            ports_tried += 1;
            self.options.report.tell(Progress::Starting { port });
            let socket = with_socket.then(|| socket::prepare(&self.home, &self.account, port));
            let socket = match socket.transpose() {
                Ok(socket) => socket,
                Err(reason) => {
                    self.options.report.tell(Progress::NoSocket { reason });
                    with_socket = false;
                    None
                }
            };
            let (log, file) = Log::open(&log_path).map_err(Error::io("open", &log_path))?;
            let mut postmaster = self
                .spawn(port, socket.as_deref(), file)
                .map_err(Error::io("run", self.installation.program("postgres")))?;
            let pid = postmaster.pid();
            self.guard
                .watch(pid)
                .map_err(Error::io("tell the guard of", &self.folder))?;
            let outcome = postmaster
                .ready(&cluster, &log, deadline)
                .await
                .map_err(Error::io("watch", &cluster))?;
            let reason = match outcome {
                Outcome::Ready => {
                    self.port = port;
                    self.socket = socket;
                    self.postmaster = Some(postmaster);
                    self.options.report.tell(Progress::Ready { port, pid });
                    return Ok(());
                }
                Outcome::PortTaken if self.may_choose(port) && ports_tried < PORT_TRIES => continue,
                Outcome::NoSocket if socket.is_some() => {
                    let reason = log.tail();
                    self.options.report.tell(Progress::NoSocket { reason });
                    with_socket = false;
                    ports_tried -= 1;
                    continue;
                }
                Outcome::StillInUse if Instant::now() < deadline => {
                    sleep(POLL).await;
                    ports_tried -= 1;
                    continue;
                }
                Outcome::PortTaken => format!("port {port} is in use"),
                Outcome::NoSocket => "it says that it has no Unix socket".to_owned(),
                Outcome::StillInUse => "processes of its last run do not end".to_owned(),
                Outcome::Exited(status) => format!("it ended ({status})"),
                Outcome::Late => {
                    let limit_s = self.options.start_limit.as_secs();
                    format!("it was not ready after {limit_s} s")
                }
            };
            drop(postmaster);
            self.guard.release().ok();
            return Err(Error::Start {
                reason,
                log_path,
                log: log.tail(),
            });
        }
    }

    /// Whether this port was this crate's choice, at this very start.
    fn may_choose(&self, port: u16) -> bool {
        self.options.port != Some(port) && self.port != port
    }

    fn spawn(&self, port: u16, socket: Option<&Path>, log: File) -> io::Result<Postmaster> {
        let durable = self.options.durable;
        let mut command = self
            .account
            .command(self.installation.program("postgres"), &self.home);
        command.arg("-D").arg(self.cluster());
        for setting in settings(port, socket, self.options.max_connections, durable) {
            command.arg("-c").arg(setting);
        }
        command.stdout(log.try_clone()?).stderr(log);
        let on_drop = match self.options.folder {
            Folder::Kept(_) => Signal::INT,
            Folder::Temporary => Signal::QUIT,
        };
        Postmaster::spawn(&mut command, on_drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.postmaster.take());
        // Before the guard is dropped: it would signal a process id that may be another process's
        // by now.
        self.guard.release().ok();
    }
}

/// The folder's real path, and the right to remove it if it is temporary.
fn claim_folder(folder: &Folder) -> Result<(PathBuf, Option<TempDir>), Error> {
    let (path, temporary) = match folder {
        Folder::Kept(path) => {
            make_folder(&std::path::absolute(path).map_err(Error::io("find", path))?)?;
            (path.clone(), None)
        }
        Folder::Temporary => {
            let made = tempfile::Builder::new().prefix("zerocart-").tempdir();
            let made = made.map_err(Error::io("make a folder in", std::env::temp_dir()))?;
            let path = made.path().to_owned();
            fs::set_permissions(&path, Permissions::from_mode(0o711))
                .map_err(Error::io("open", &path))?;
            (path, Some(made))
        }
    };
    let path = fs::canonicalize(&path).map_err(Error::io("find", path))?;
    Ok((path, temporary))
}

/// Takes the folder for this process; the system gives it back when the process ends.
fn lock(folder: &Path) -> Result<FileLock, Error> {
    let path = folder.join("postgres.lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message of the error.
            file.read_to_string(&mut holder).ok();
            return Err(Error::AlreadyRunning {
                pid: holder.trim().parse().ok(),
                folder: folder.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
    }
    let mut lock = FileLock(file);
    lock.0
        .set_len(0)
        .and_then(|()| writeln!(lock.0, "{}", std::process::id()))
        .map_err(Error::io("write", path))?;
    Ok(lock)
}

/// The account of the server, and the folder of its data: the one that was used before, else one
/// that the account can use.
pub(crate) fn home(folder: &Path) -> Result<(Account, PathBuf), Error> {
    for home in [folder.to_owned(), elsewhere(folder)] {
        let cluster = home.join("cluster");
        if cluster.is_dir() {
            let account = Account::owner_of(&cluster)?;
            return if account.can_enter(&home) {
                Ok((account, home))
            } else {
                Err(Error::Unreachable {
                    account: account.name,
                    folder: home,
                })
            };
        }
    }
    let account = Account::choose()?;
    let home = account.reachable(folder)?;
    Ok((account, home))
}

/// The guard. From here on, it removes a temporary folder.
fn guard(folder: &Path, home: &Path, temporary: Option<TempDir>) -> Result<Guard, Error> {
    let started = match temporary {
        None => Guard::new(guard::Signal::Interrupt, &[]),
        Some(temporary) => {
            let mut remove = vec![folder.to_owned()];
            if home != folder {
                remove.push(home.to_owned());
            }
            Guard::new(guard::Signal::Quit, &remove).inspect(|_| drop(temporary.keep()))
        }
    };
    started.map_err(Error::io("start a guard for", folder))
}

/// The programs to use; of this major version if there is a cluster already.
async fn installation(
    options: &Options,
    account: &Account,
    home: &Path,
    major: Option<u32>,
) -> Result<Installation, Error> {
    match &options.source {
        Source::At(bin) => {
            let unusable = |reason| Error::Unusable {
                bin: bin.clone(),
                reason,
            };
            let found = Installation::probe(bin, account).map_err(unusable)?;
            match major {
                Some(major) if major != found.major() => Err(unusable(format!(
                    "the data is of version {major}, the programs of {}",
                    found.version()
                ))),
                _ => Ok(found),
            }
        }
        Source::Auto | Source::Fetched => {
            if matches!(options.source, Source::Auto)
                && let Some(found) = find_for(account, major)
            {
                return Ok(found);
            }
            let default = home.join("postgres");
            let folder = options.programs.as_ref().unwrap_or(&default);
            fetched(
                folder,
                account,
                major.unwrap_or(FETCHED_MAJOR),
                &options.report,
            )
            .await
        }
    }
}
