//! The socket at which functions find the broker.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

use crate::Login;

/// The name that clients of PostgreSQL look for in a folder, with their default port.
const NAME: &str = ".s.PGSQL.5432";

/// The longest path of a Unix socket on every system (macOS; `sun_path` of unix(7) has 108 bytes on Linux).
const MAX_PATH: usize = 103;

/// A listening socket in a folder that only this user may enter.
///
/// It exists apart from the broker: while a broker starts again, clients wait in the socket's backlog. The
/// file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Socket {
    /// A socket in this folder, which is made, or in a temporary one if the path is too long for a socket.
    ///
    /// A socket that a killed process left there is replaced, so the caller must own the folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or used.
    pub fn bind(folder: &Path) -> io::Result<Self> {
        if folder.join(NAME).as_os_str().len() > MAX_PATH {
            return Self::temporary();
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // It may have existed before.
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        Self::listen(folder.to_owned(), None)
    }

    /// A socket in a folder of its own, which is removed with it.
    ///
    /// # Errors
    ///
    /// No temporary folder can be made.
    pub fn temporary() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("zerocart-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        Self::listen(folder.path().to_owned(), Some(folder))
    }

    fn listen(folder: PathBuf, temporary: Option<TempDir>) -> io::Result<Self> {
        let path = folder.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            listener: UnixListener::bind(path)?,
            folder,
            _temporary: temporary,
        })
    }

    /// The listening socket, for a broker.
    ///
    /// # Errors
    ///
    /// No file descriptor is left.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    /// The folder, for programs such as psql: `psql -h <folder>`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The `DATABASE_URL` of a login here. It holds the password.
    pub fn url(&self, login: &Login) -> String {
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        format!(
            "postgres://{}:{}@{}/{}",
            escaped(&login.role),
            escaped(login.password.expose()),
            escaped(&self.folder.to_string_lossy()),
            escaped(&login.database)
        )
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If it is gone already, that is what is wanted.
        let _ = fs::remove_file(self.folder.join(NAME));
    }
}

#[cfg(test)]
mod tests {
    use zerocart_provision::Password;

    use super::*;

    #[test]
    fn nobody_else_may_enter_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("run");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let socket = Socket::bind(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(folder.join(NAME).exists());
        // What a killed process left is replaced.
        std::mem::forget(socket);
        let socket = Socket::bind(&folder).unwrap();
        drop(socket);
        assert!(!folder.join(NAME).exists());
    }

    #[test]
    fn a_path_that_is_too_long_becomes_a_temporary_one() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a".repeat(120));
        let socket = Socket::bind(&deep).unwrap();
        let folder = socket.folder().to_owned();
        assert!(folder.join(NAME).as_os_str().len() <= MAX_PATH);
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(socket);
        assert!(!folder.exists() && !deep.exists());
    }

    #[test]
    fn its_url_escapes_what_a_url_cannot_hold() {
        let socket = Socket::temporary().unwrap();
        let login = Login::new("a_b", Password::new("p@ss/word"), "d");
        let url = socket.url(&login);
        assert!(
            url.starts_with("postgres://a%5Fb:p%40ss%2Fword@%2F"),
            "{url}"
        );
        assert!(url.ends_with("/d"), "{url}");
    }
}
