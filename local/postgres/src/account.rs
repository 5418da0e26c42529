//! The account that runs the server's processes, and the folder where it can keep data.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// The parent of the data folders that replace those that the server's account cannot enter.
const ELSEWHERE: &str = "/var/lib/zerocart";

/// The variables of this process that the server's programs get. The others may hold secrets, and
/// `PG*` variables would change what the programs do.
const ENVIRONMENT: [&str; 5] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "TZ",
    "TMPDIR",
];

/// The account of the server's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether this process is root and changes to that account.
    pub(crate) switch: bool,
}

impl Account {
    /// The account for a new cluster: this process's own, or for root `postgres`, else `nobody`.
    pub(crate) fn choose() -> Result<Self, Error> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            return Ok(Self {
                name: format!("with id {uid}"),
                uid,
                gid: rustix::process::getegid().as_raw(),
                switch: false,
            });
        }
        let path = Path::new("/etc/passwd");
        // Not through the C library: a static binary cannot load its name service modules.
        let passwd = fs::read_to_string(path).map_err(Error::io("read", path))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| parse_passwd(&passwd, name))
            .ok_or(Error::NoAccount)
    }

    /// The account for an existing cluster: its owner.
    pub(crate) fn owner_of(cluster: &Path) -> Result<Self, Error> {
        let found = fs::metadata(cluster).map_err(Error::io("read", cluster))?;
        let current = Self::choose()?;
        if current.switch {
            return Ok(Self {
                name: format!("with id {}", found.uid()),
                uid: found.uid(),
                gid: found.gid(),
                switch: true,
            });
        }
        if current.uid != found.uid() {
            return Err(Error::WrongOwner {
                cluster: cluster.to_owned(),
                owner: found.uid(),
                current: current.uid,
            });
        }
        Ok(current)
    }

    /// A command that runs as this account, in that folder, outside of the terminal's process
    /// group.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(
                ENVIRONMENT
                    .iter()
                    .filter_map(|name| inherited(name).map(|value| (name, value))),
            )
            .env("LC_ALL", "C")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // The owner handles Ctrl-C, because the server must stop last.
            .process_group(0);
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether this account can enter a folder. It tries, which respects every rule of the system.
    pub(crate) fn can_enter(&self, folder: &Path) -> bool {
        !self.switch
            || self
                .command("/bin/sh", folder)
                .args(["-c", "exit 0"])
                .status()
                .is_ok_and(|status| status.success())
    }

    /// `folder` if this account can enter it, else a replacement below /var/lib.
    pub(crate) fn reachable(&self, folder: &Path) -> Result<PathBuf, Error> {
        if self.can_enter(folder) {
            return Ok(folder.to_owned());
        }
        let elsewhere = elsewhere(folder);
        make_folder(&elsewhere)?;
        if self.can_enter(&elsewhere) {
            Ok(elsewhere)
        } else {
            Err(Error::Unreachable {
                account: self.name.clone(),
                folder: elsewhere,
            })
        }
    }

    /// Gives a file or folder to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        if self.switch {
            chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("give away", path))?;
        }
        Ok(())
    }
}

/// A variable of this process's own environment.
#[expect(
    clippy::disallowed_methods,
    reason = "not configuration: where programs and libraries are, for the programs that it runs"
)]
pub(crate) fn inherited(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The folder below /var/lib that replaces this one.
pub(crate) fn elsewhere(folder: &Path) -> PathBuf {
    let hash = ring::digest::digest(&ring::digest::SHA256, folder.as_os_str().as_encoded_bytes());
    let name = hash.as_ref()[..8]
        .iter()
        .fold(String::new(), |mut name, byte| {
            // Writing into a String cannot fail.
            write!(name, "{byte:02x}").ok();
            name
        });
    Path::new(ELSEWHERE).join(name)
}

/// Makes a folder that others may enter but not list, with any umask. A folder that exists stays as
/// it is.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match fs::DirBuilder::new().mode(0o711).create(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o711))
            .map_err(Error::io("open", folder)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io("make", folder)(error)),
    }
}

fn parse_passwd(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
            switch: true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad:x:y:z\ntoor:x:0:0::/:\n\
                      postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        let found = parse_passwd(passwd, "postgres").unwrap();
        assert_eq!((found.uid, found.gid, found.switch), (101, 104, true));
        assert_eq!(parse_passwd(passwd, "nobody"), None);
        assert_eq!(parse_passwd(passwd, "bad"), None);
        assert_eq!(parse_passwd(passwd, "toor"), None, "root by another name");
    }

    #[test]
    fn a_closed_folder_is_kept_elsewhere_by_root_only() {
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        make_folder(&closed).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let account = Account::choose().unwrap();
        assert_eq!(account.can_enter(&closed), !account.switch);

        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(account.reachable(&closed).unwrap(), closed);
    }

    #[test]
    fn folders_apart_stay_apart_elsewhere() {
        assert_ne!(
            elsewhere(Path::new("/a-b/c")),
            elsewhere(Path::new("/a/b-c"))
        );
        assert_eq!(elsewhere(Path::new("/a")), elsewhere(Path::new("/a")));
    }
}
