//! The server that another process runs.

use std::path::Path;

use crate::account::Account;
use crate::cluster::{self, PidFile};
use crate::find::{Installation, find_for};
use crate::passwords::{Passwords, SUPERUSER, Url};
use crate::server::home;
use crate::{Error, Server};

/// A server that another process runs in a data folder.
#[derive(Clone, Debug)]
pub struct Running {
    /// The superuser's address of the database `postgres`.
    pub admin_url: Url,
    /// Programs of its version on this machine, if there are some.
    pub installation: Option<Installation>,
}

impl Server {
    /// The server that runs in this folder now, if another process runs one.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or belongs to somebody else.
    pub fn running(folder: &Path) -> Result<Option<Running>, Error> {
        let (account, home): (Account, _) = home(folder)?;
        let cluster = home.join("cluster");
        let Some(port) = PidFile::read(&cluster)
            .filter(|file| file.ready)
            .and_then(|file| file.port)
        else {
            return Ok(None);
        };
        let passwords = Passwords::load(folder)?;
        let Some(password) = passwords.get(SUPERUSER) else {
            return Ok(None);
        };
        Ok(Some(Running {
            admin_url: Url::new(SUPERUSER, password, port, "postgres"),
            installation: find_for(&account, Some(cluster::major(&cluster)?)),
        }))
    }
}
