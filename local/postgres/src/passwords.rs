//! Passwords: random, kept in one file that only its owner can read, never shown.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zerocart_provision::{Address, Password};

use crate::Error;

/// The name of the superuser.
pub(crate) const SUPERUSER: &str = "postgres";

/// A database's address with its password, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    role: String,
    password: Password,
    port: u16,
    database: String,
}

impl Url {
    pub(crate) fn new(role: &str, password: &Password, port: u16, database: &str) -> Self {
        Self {
            role: role.to_owned(),
            password: password.clone(),
            port,
            database: database.to_owned(),
        }
    }

    /// The address with its password: `postgres://role:password@127.0.0.1:port/database`.
    pub fn expose(&self) -> String {
        // All four parts are letters, digits and _: nothing needs an escape.
        format!(
            "postgres://{}:{}@127.0.0.1:{}/{}",
            self.role,
            self.password.expose(),
            self.port,
            self.database
        )
    }

    /// The role.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The role's password.
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// The same as an address.
    pub fn address(&self) -> Address {
        Address::new(&self.expose(), None).expect("the URL was made of good parts")
    }

    /// Another database of the same server.
    pub(crate) fn database(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "postgres://{}:***@127.0.0.1:{}/{}",
            self.role, self.port, self.database
        )
    }
}

/// Every role's password, in the form of the file.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Kept {
    roles: BTreeMap<String, Password>,
}

/// The password file of one data folder.
#[derive(Debug)]
pub(crate) struct Passwords {
    path: PathBuf,
    kept: Kept,
}

impl Passwords {
    pub(crate) fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("passwords.json");
        let kept = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| Error::PasswordFile {
                path: path.clone(),
                source,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        Ok(Self { path, kept })
    }

    /// This role's password, if it has one.
    pub(crate) fn get(&self, role: &str) -> Option<&Password> {
        self.kept.roles.get(role)
    }

    /// This role's password; made and kept when it has none.
    pub(crate) fn get_or_make(&mut self, role: &str) -> Result<Password, Error> {
        if let Some(password) = self.get(role) {
            return Ok(password.clone());
        }
        let password = Password::random();
        self.keep(role, password.clone())?;
        Ok(password)
    }

    /// Writes a role's password into the file.
    pub(crate) fn keep(&mut self, role: &str, password: Password) -> Result<(), Error> {
        self.kept.roles.insert(role.to_owned(), password);
        self.save()
    }

    /// Replaces the file as a whole: a crash leaves the old one or the new one.
    fn save(&self) -> Result<(), Error> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let text = serde_json::to_vec_pretty(&self.kept).map_err(|source| Error::PasswordFile {
            path: self.path.clone(),
            source,
        })?;
        // tempfile makes it with mode 0600.
        let mut file =
            tempfile::NamedTempFile::new_in(folder).map_err(Error::io("write into", folder))?;
        file.write_all(&text)
            .and_then(|()| file.as_file().sync_all())
            .map_err(Error::io("write", &self.path))?;
        file.persist(&self.path)
            .map_err(|error| Error::io("write", &self.path)(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_survives_in_a_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let first = Passwords::load(folder.path())
            .unwrap()
            .get_or_make("zerocart_user")
            .unwrap();

        let mut again = Passwords::load(folder.path()).unwrap();
        assert_eq!(again.get("zerocart_user"), Some(&first));
        assert_ne!(again.get_or_make("zerocart_product").unwrap(), first);

        let mode = fs::metadata(folder.path().join("passwords.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{again:?}").contains(first.expose()));
    }

    #[test]
    fn a_damaged_file_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords.json");
        fs::write(&path, "{").unwrap();
        let error = Passwords::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("passwords.json"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }

    #[test]
    fn debug_hides_the_password() {
        let url = Url::new(
            "zerocart_user",
            &Password::new("s3cret"),
            5432,
            "zerocart_user",
        );
        assert_eq!(
            url.expose(),
            "postgres://zerocart_user:s3cret@127.0.0.1:5432/zerocart_user"
        );
        assert!(!format!("{url:?}").contains("s3cret"));
    }
}
