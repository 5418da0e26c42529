//! What a broker may do, and for whom.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use zerocart_provision::Password;

use crate::Address;

/// A role that may use the broker. `Debug` does not show its password.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Login {
    /// The role.
    pub role: String,
    /// Its password: the client gives it, and the broker logs in with it.
    pub password: Password,
    /// The database of its warm sessions. A client may name another one, which the server then allows or
    /// refuses.
    pub database: String,
    /// The other startup parameters of its warm sessions. A session is lent to a client that sends the same
    /// ones. Default: `client_encoding=UTF8`, which tokio-postgres sends.
    pub parameters: BTreeMap<String, String>,
    /// The most clients of the role at once. Default: as many as [`Options::max_sessions`].
    pub max_sessions: usize,
}

impl Login {
    /// A login with the defaults.
    pub fn new(role: impl Into<String>, password: Password, database: impl Into<String>) -> Self {
        let encoding = ("client_encoding".to_owned(), "UTF8".to_owned());
        Self {
            role: role.into(),
            password,
            database: database.into(),
            parameters: BTreeMap::from([encoding]),
            max_sessions: usize::MAX,
        }
    }
}

/// What a broker may do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Options {
    /// The server.
    pub server: Address,
    /// The roles that may connect.
    pub logins: Vec<Login>,
    /// The most sessions of all roles together, idle ones included. It must be below the server's
    /// `max_connections`. Default 90.
    pub max_sessions: usize,
    /// The sessions of each login that are made before a client asks, and again when none is left. Default 2.
    pub warm: usize,
    /// The time after which an idle session is closed, if more than [`Options::warm`] are idle. Default 10
    /// minutes: while functions come and go, no session is made.
    pub idle_timeout: Duration,
    /// The age after which a session is not lent again, because the server's caches only grow. Default 1 hour.
    pub max_age: Duration,
    /// The longest that a client waits for a session. Default 2 s.
    pub wait_timeout: Duration,
    /// The longest that a client may take to say who it is. Default 5 s.
    pub startup_timeout: Duration,
    /// The time that a statement of a client that is gone gets to end by itself. After it, the statement is
    /// cancelled and its session closed. Default 1 s.
    pub settle_timeout: Duration,
    /// The most connections of clients, those included that wait or have not said who they are. More wait in
    /// the socket's backlog. Default 1024.
    pub max_clients: usize,
}

impl Options {
    /// The defaults, for a server and roles.
    pub fn new(server: impl Into<Address>, logins: Vec<Login>) -> Self {
        Self {
            server: server.into(),
            logins,
            max_sessions: 90,
            warm: 2,
            idle_timeout: Duration::from_secs(600),
            max_age: Duration::from_secs(3600),
            wait_timeout: Duration::from_secs(2),
            startup_timeout: Duration::from_secs(5),
            settle_timeout: Duration::from_secs(1),
            max_clients: 1024,
        }
    }
}
