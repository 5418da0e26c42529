//! A session broker: it keeps authenticated sessions of PostgreSQL, and lends them to functions that start.
//!
//! Most of a cold start's CPU is the server's: a new process, its caches, and the login. So this broker logs
//! in once and keeps the session. A function connects to the broker's Unix socket, with an ordinary
//! `DATABASE_URL`, and gets a session that is ready. When the function is gone, the session is reset
//! (`ROLLBACK`, `DISCARD ALL`) and lent to the next one. A session belongs to one client at a time, from the
//! client's start to its end, so everything that works on a connection of its own works here.
//!
//! A client whose startup has the option [`TAKES_SESSIONS`](zerocart_postgres::TAKES_SESSIONS) gets the socket of
//! the session, and then talks to the server directly. All functions do (`zerocart_postgres::Local`). What other
//! clients and the server say to each other, the broker passes on.
//!
//! What holds:
//!
//! - **No state of a session reaches the next client.** A session is lent again only if all messages were
//!   whole, all answers came, and the reset succeeded. Otherwise it is closed. Of a client that has the session's
//!   socket, only its last message, Terminate, shows that; so it must close the socket before it sends that. One
//!   thing survives `DISCARD ALL` in PostgreSQL itself: the seed of `random()` (not that of `gen_random_uuid()`).
//! - **A request to cancel hits the statement of the client that asks**, never that of a later client.
//! - **Only this user's processes and root's may connect**, and only with the password of the role, which is
//!   compared in constant time. The password crosses the socket in clear text, which nobody else can read;
//!   that saves the client SCRAM's rounds.
//! - **Sessions are bounded**, for each role and in sum. A client above the bound waits, and then gets
//!   SQLSTATE 53300.
//!
//! # Use
//!
//! Inside a program, such as a test or a benchmark:
//!
//! ```no_run
//! use zerocart_broker::{Broker, Login, Options, Socket};
//! use zerocart_provision::Password;
//!
//! # async fn run(server: std::net::SocketAddr, password: Password) -> std::io::Result<()> {
//! let socket = Socket::temporary()?;
//! let login = Login::new("zerocart_product", password, "zerocart_product");
//! let database_url = socket.url(&login);
//! let broker = Broker::new(socket.listener()?, Options::new(server, vec![login]))?;
//! let serving = tokio::spawn(broker.serve());
//! // … functions run with `DATABASE_URL` = `database_url` …
//! serving.abort();
//! # Ok(()) }
//! ```
//!
//! To have warm sessions from the start, give each [`Login`] the startup parameters that its clients send
//! ([`Login::parameters`]). Without them, sessions are warm from the second client on. As a process of its
//! own: [`Keeper`], and [`run`] in that process.

mod address;
mod broker;
mod client;
mod lease;
mod options;
mod pass;
mod pool;
mod process;
mod relay;
mod scan;
mod server;
mod socket;
mod status;
mod stream;
mod wire;

pub use address::Address;
pub use broker::{Broker, Observer};
pub use options::{Login, Options};
pub use process::{Asker, Event, Keeper, run};
pub use server::APPLICATION_NAME;
pub use socket::Socket;
pub use status::{RoleStatus, Status};
