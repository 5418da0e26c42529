//! A real PostgreSQL for each test binary, a database for each test.
//!
//! The server is started by the first test that asks, without waiting for the disk, in a temporary
//! folder. A domain's migrations are applied once; each test then gets a copy of the result, which
//! takes a fraction of the time. A guard process stops the server and removes its folder when the
//! test binary ends, also when it is killed: what is in a `static` is never dropped.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Mutex, OnceCell};
use zerocart_local_postgres::{Database, Options, Server, provision};
use zerocart_provision::{Migrations, migrate};

use crate::workspace_root;

static SHARED: OnceCell<TestServer> = OnceCell::const_new();

/// A database of a domain, migrated and empty, that one test has for itself.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    owner_url: String,
    admin_url: String,
}

impl TestDatabase {
    /// A database with the migrations of `migrations/<domain>`, on this test binary's server.
    ///
    /// # Panics
    ///
    /// PostgreSQL cannot be had, or a migration fails: the message says why.
    pub async fn new(domain: &str) -> Self {
        TestServer::shared().await.database(domain).await
    }

    /// Its name, `test_<number>_<domain>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For functions: the role `zerocart_<domain>`, with the rights that the migrations grant.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For what migrations do: the role `zerocart_<domain>_owner`.
    pub fn owner_url(&self) -> &str {
        &self.owner_url
    }

    /// For looking into it from outside: the superuser.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }
}

/// A PostgreSQL server for tests.
#[derive(Debug)]
pub struct TestServer {
    server: Server,
    /// Each domain's migrated database, which tests get copies of, and where its migrations are if they
    /// are not the domain's own.
    originals: Mutex<HashMap<String, (Option<PathBuf>, Database)>>,
    copies: AtomicU32,
}

impl TestServer {
    /// The server that the tests of this binary share; started when it is first asked for.
    ///
    /// # Panics
    ///
    /// PostgreSQL cannot be had: the message says why.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::private).await
    }

    /// A server of one test's own, for tests that stop it. It goes when it is dropped.
    ///
    /// # Panics
    ///
    /// PostgreSQL cannot be had: the message says why.
    pub async fn private() -> Self {
        let mut options = Options::temporary();
        // Fetched once for all test binaries, into the local engine's folder.
        options.programs = Some(workspace_root().join(".zerocart/postgres"));
        let server = Server::start(options)
            .await
            .unwrap_or_else(|error| panic!("no PostgreSQL for tests: {}", chain(&error)));
        Self {
            server,
            originals: Mutex::default(),
            copies: AtomicU32::new(0),
        }
    }

    /// A database with the migrations of `migrations/<domain>`.
    ///
    /// # Panics
    ///
    /// A migration fails: the message names it.
    pub async fn database(&self, domain: &str) -> TestDatabase {
        self.copy(domain, None).await
    }

    /// A database with the migrations of another folder.
    ///
    /// # Panics
    ///
    /// A migration fails, or the domain was asked for with another folder before.
    pub async fn database_from(&self, domain: &str, migrations: &Path) -> TestDatabase {
        self.copy(domain, Some(migrations)).await
    }

    /// The database that a domain has outside of tests, `zerocart_<domain>`: for tests of what works on
    /// all databases of a server. No copy can be made while somebody is connected to it.
    ///
    /// # Panics
    ///
    /// A migration fails: the message names it.
    pub async fn own_database(&self, domain: &str) -> TestDatabase {
        let original = self.original(domain, None).await;
        TestDatabase {
            url: original.url.expose(),
            owner_url: original.owner_url.expose(),
            admin_url: self.server.admin_url(&original.name).expose(),
            name: original.name,
        }
    }

    /// The superuser's address of the server.
    pub fn admin_url(&self) -> String {
        self.server.admin_url("postgres").expose()
    }

    async fn copy(&self, domain: &str, migrations: Option<&Path>) -> TestDatabase {
        let original = self.original(domain, migrations).await;
        let number = self.copies.fetch_add(1, Ordering::Relaxed);
        let copy = self
            .server
            .copy_database(&original, &format!("test_{number}_{domain}"))
            .await
            .unwrap_or_else(|error| panic!("no database for {domain}: {}", chain(&error)));
        TestDatabase {
            url: copy.url.expose(),
            owner_url: copy.owner_url.expose(),
            admin_url: self.server.admin_url(&copy.name).expose(),
            name: copy.name,
        }
    }

    async fn original(&self, domain: &str, folder: Option<&Path>) -> Database {
        // Held while migrations run, because other callers need their result.
        let mut originals = self.originals.lock().await;
        if let Some((from, original)) = originals.get(domain) {
            assert_eq!(
                from.as_deref(),
                folder,
                "one folder of migrations for {domain}"
            );
            return original.clone();
        }
        let original = async {
            let original = provision(&self.server, &[domain]).await?.remove(0);
            let migrations = match folder {
                Some(folder) => Migrations::read(folder)?,
                None => Migrations::embedded(domain).expect("the domain has migrations"),
            };
            migrate(&original.owner_url.address(), &migrations).await?;
            Ok::<_, zerocart_local_postgres::Error>(original)
        };
        let original = original
            .await
            .unwrap_or_else(|error| panic!("no database for {domain}: {}", chain(&error)));
        originals.insert(
            domain.to_owned(),
            (folder.map(Path::to_owned), original.clone()),
        );
        original
    }

    /// Stops the server: every connection breaks, and new ones are refused.
    ///
    /// # Panics
    ///
    /// The system does not tell about the process any more.
    pub async fn stop(&mut self) {
        if let Err(error) = self.server.stop().await {
            panic!("PostgreSQL was not stopped: {}", chain(&error));
        }
    }

    /// Starts it again, on the same port and with the same data.
    ///
    /// # Panics
    ///
    /// It does not start: the message has the end of its log.
    pub async fn start(&mut self) {
        if let Err(error) = self.server.restart().await {
            panic!("PostgreSQL did not start again: {}", chain(&error));
        }
    }

    /// The server's process, `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }
}

/// An error with all of its sources, which `Display` alone leaves out.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| {
            format!("{text}: {source}")
        })
}
