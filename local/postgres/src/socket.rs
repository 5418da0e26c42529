//! The Unix socket of a server, beside its port: a request over it costs less than one over TCP.
//!
//! It is in a folder of its own that only the server's account and root may enter. `pg_hba.conf` asks for the
//! password there, too: `initdb` wrote lines of the kind `local` into it since the first version of this crate.
//! Where there can be no socket, the server listens on its port alone.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::account::Account;

/// The longest path of a Unix socket on every system (macOS; `sun_path` of unix(7) has 108 bytes on Linux).
const MAX_PATH: usize = 103;

/// How PostgreSQL begins the names of a socket and its lock file.
const PREFIX: &str = ".s.PGSQL.";

/// The socket that a server at this port will have, in a folder that is ready for it.
///
/// The caller holds the lock of the data folder, and no server uses the cluster. So sockets that are there
/// are those of servers that were killed. They are removed: PostgreSQL does not start where the lock file
/// of such a socket names a process that lives, as another one may by now.
///
/// # Errors
///
/// Why there can be none, for people.
pub(crate) fn prepare(home: &Path, account: &Account, port: u16) -> Result<PathBuf, String> {
    let folder = home.join("socket");
    let socket = folder.join(format!("{PREFIX}{port}"));
    let length = socket.as_os_str().len();
    if length > MAX_PATH {
        return Err(format!(
            "the path {} has {length} bytes, and a socket's has at most {MAX_PATH}: use a data folder with a \
             shorter path",
            socket.display()
        ));
    }
    if socket.to_str().is_none() {
        return Err(format!("the path {} is not UTF-8", socket.display()));
    }
    make(&folder, account).map_err(|reason| format!("{}: {reason}", folder.display()))?;
    Ok(socket)
}

fn make(folder: &Path, account: &Account) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(said(error)),
        _ => {}
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(said)?;
    account.own(folder).map_err(|error| error.to_string())?;
    for entry in fs::read_dir(folder).map_err(said)? {
        let entry = entry.map_err(said)?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path()).map_err(said)?;
        }
    }
    Ok(())
}

/// The settings of a server with this socket, or without one.
pub(crate) fn settings(socket: Option<&Path>) -> Vec<String> {
    let folder = socket.and_then(Path::parent).and_then(Path::to_str);
    match folder {
        None => vec!["unix_socket_directories=".to_owned()],
        Some(folder) => vec![
            // A list, whose entries may be quoted.
            format!(
                "unix_socket_directories=\"{}\"",
                folder.replace('"', "\"\"")
            ),
            "unix_socket_permissions=0700".to_owned(),
        ],
    }
}

/// Whether a server said that it ended because of its socket.
pub(crate) fn is_reason(log: &str) -> bool {
    log.lines().any(|line| {
        line.contains("FATAL") && (line.contains("Unix-domain socket") || line.contains(PREFIX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_folder_is_for_the_servers_account_alone_and_has_no_old_sockets() {
        let home = tempfile::tempdir().unwrap();
        let account = Account::choose().unwrap();
        let folder = home.path().join("socket");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        for name in [".s.PGSQL.1", ".s.PGSQL.1.lock", "other"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let socket = prepare(home.path(), &account, 4711).unwrap();
        assert_eq!(socket, folder.join(".s.PGSQL.4711"));
        let found = fs::metadata(&folder).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o700);
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&found), account.uid);
        let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn the_reason_for_no_socket_names_what_is_wrong() {
        let home = tempfile::tempdir().unwrap();
        let account = Account::choose().unwrap();
        let long = home.path().join("a".repeat(100));
        let reason = prepare(&long, &account, 4711).unwrap_err();
        assert!(reason.contains("at most 103"), "{reason}");
        assert!(!long.exists());
        fs::write(home.path().join("socket"), "no folder").unwrap();
        let reason = prepare(home.path(), &account, 4711).unwrap_err();
        assert!(reason.contains("/socket: "), "{reason}");
    }

    #[test]
    fn a_folder_with_a_quote_stays_one_folder() {
        let quoted = settings(Some(Path::new("/a, \"b\"/.s.PGSQL.1")));
        assert_eq!(quoted[0], "unix_socket_directories=\"/a, \"\"b\"\"\"");
        assert_eq!(settings(None), ["unix_socket_directories="]);
    }

    #[test]
    fn only_what_the_server_ended_for_is_a_reason() {
        for (line, reason) in [
            ("FATAL:  could not create any Unix-domain sockets", true),
            (
                "FATAL:  could not create lock file \"/a/.s.PGSQL.1.lock\": Permission denied",
                true,
            ),
            ("LOG:  listening on Unix socket \"/a/.s.PGSQL.1\"", false),
            ("FATAL:  could not create any TCP/IP sockets", false),
        ] {
            assert_eq!(is_reason(line), reason, "{line}");
        }
    }
}
