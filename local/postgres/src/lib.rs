//! PostgreSQL for one machine: found or fetched, started and provisioned.
//!
//! [`Server::start`] returns a running server on 127.0.0.1 whose data is in a folder of the caller. It also
//! listens at a Unix socket ([`Server::socket`]), for a program of the same user or of root that sends it much.
//! [`provision`] makes the database and the two roles of every domain, with `zerocart-provision`, which
//! also applies migrations. It works as a normal user and as root. PostgreSQL refuses to run as root, so for
//! root the server's processes run as another user (see [`Options::folder`]).
//!
//! No server outlives its owner: dropping a [`Server`] stops it, and a [`Guard`] stops it when this
//! process is killed.

mod account;
mod cluster;
mod error;
mod fetch;
mod find;
mod guard;
mod launch;
mod lock;
mod options;
mod passwords;
mod provision;
mod running;
mod server;
mod socket;

pub use error::Error;
pub use fetch::FETCHED_MAJOR;
pub use find::{Installation, OLDEST_MAJOR, find};
pub use guard::{Guard, Signal};
pub use lock::FileLock;
pub use options::{Folder, Options, Progress, Reporter, Source};
pub use passwords::Url;
pub use provision::{Database, provision};
pub use running::Running;
pub use server::Server;
