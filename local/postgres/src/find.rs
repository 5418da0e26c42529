//! Looks for PostgreSQL's programs on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::Error;
use crate::account::{Account, inherited};

/// The oldest major version that is used: initdb has `--no-instructions` since 14.
pub const OLDEST_MAJOR: u32 = 14;

/// Where packages put the programs, as (parent, prefix of the version's folder, rest).
const PLACES: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/opt/local/lib", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// PostgreSQL's programs in one folder. They were tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    bin: PathBuf,
    version: String,
    major: u32,
}

impl Installation {
    /// The folder with `initdb` and `postgres`, without symbolic links.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The version as PostgreSQL says it, such as `17.2`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The major version. A server cannot use the data of another major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The programs in a folder, if `account` can run them; else why not.
    pub(crate) fn probe(bin: &Path, account: &Account) -> Result<Self, String> {
        let bin = fs::canonicalize(bin).map_err(|error| error.to_string())?;
        for name in ["initdb", "postgres"] {
            if !bin.join(name).is_file() {
                return Err(format!("there is no `{name}` in it"));
            }
        }
        let output = account
            .command(bin.join("postgres"), Path::new("/"))
            .arg("--version")
            .stdout(Stdio::piped())
            .output()
            .map_err(|error| format!("`postgres --version`: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (version, major) = parse_version(&said)
            .ok_or_else(|| format!("`postgres --version` said `{}`", said.trim()))?;
        if major < OLDEST_MAJOR {
            return Err(format!("version {version} is older than {OLDEST_MAJOR}"));
        }
        Ok(Self {
            bin,
            version,
            major,
        })
    }
}

/// The PostgreSQL that [`Server::start`](crate::Server::start) would use: the first on PATH, else
/// the newest in the places where packages put it. `None`: it would fetch one.
///
/// # Errors
///
/// Root, without an account that could run it.
pub fn find() -> Result<Option<Installation>, Error> {
    Ok(find_for(&Account::choose()?, None))
}

/// The programs that `account` can run, of that major version if one is given.
pub(crate) fn find_for(account: &Account, major: Option<u32>) -> Option<Installation> {
    let path = inherited("PATH").unwrap_or_default();
    let fits = |found: &Installation| major.is_none_or(|major| found.major == major);
    on_path(std::env::split_paths(&path))
        .filter_map(|bin| Installation::probe(&bin, account).ok())
        .find(fits)
        .or_else(|| newest(in_places(), account, major))
}

/// The newest of these folders' programs.
pub(crate) fn newest(
    folders: impl IntoIterator<Item = PathBuf>,
    account: &Account,
    major: Option<u32>,
) -> Option<Installation> {
    folders
        .into_iter()
        .filter_map(|bin| Installation::probe(&bin, account).ok())
        .filter(|found| major.is_none_or(|major| found.major == major))
        .max_by_key(|found| numbers(&found.version))
}

/// For each folder of PATH: the real folder of its `postgres` or `initdb`, then the folder itself.
///
/// PATH often holds symbolic links to a few of the programs only.
fn on_path(folders: impl Iterator<Item = PathBuf>) -> impl Iterator<Item = PathBuf> {
    folders
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| {
            let real = ["postgres", "initdb"]
                .into_iter()
                .filter_map(|name| fs::canonicalize(folder.join(name)).ok())
                .filter_map(|program| program.parent().map(Path::to_owned))
                .collect::<Vec<_>>();
            let also = (!real.is_empty()).then_some(folder);
            real.into_iter().chain(also)
        })
}

fn in_places() -> impl Iterator<Item = PathBuf> {
    PLACES.into_iter().flat_map(|(parent, prefix, rest)| {
        fs::read_dir(parent)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(move |entry| entry.path().join(rest))
    })
}

/// `postgres (PostgreSQL) 15.13 (Debian …)` → (`15.13`, 15).
fn parse_version(said: &str) -> Option<(String, u32)> {
    let version = said
        .strip_prefix("postgres (PostgreSQL) ")?
        .split_whitespace()
        .next()?;
    let major = *numbers(version).first()?;
    Some((version.to_owned(), major))
}

/// `15.13` → [15, 13], which sorts as versions do; a beta has its major version only.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map_while(|part| {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            part[..digits].parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    /// Programs that print a version and do nothing else.
    fn programs(folder: &Path, version: &str) -> PathBuf {
        crate::account::make_folder(folder).unwrap();
        let script = folder.join("script");
        fs::write(
            &script,
            format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"),
        )
        .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["initdb", "postgres"] {
            // Another process writes the file. A file that this process has open for writing, and
            // that a fork of another thread inherits, cannot be executed.
            let copied = Command::new("cp")
                .arg("-p")
                .arg(&script)
                .arg(folder.join(name))
                .status();
            assert!(copied.unwrap().success());
        }
        fs::canonicalize(folder).unwrap()
    }

    fn open_tempdir() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn versions() {
        for (said, version, major) in [
            (
                "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n",
                "15.13",
                15,
            ),
            ("postgres (PostgreSQL) 18.6\n", "18.6", 18),
            ("postgres (PostgreSQL) 19beta1\n", "19beta1", 19),
        ] {
            assert_eq!(parse_version(said), Some((version.to_owned(), major)));
        }
        assert_eq!(parse_version("postgres: command not found"), None);
        assert!(numbers("9.6") < numbers("14.1") && numbers("14.9") < numbers("14.10"));
    }

    #[test]
    fn a_symbolic_link_on_path_leads_to_the_real_folder() {
        let account = Account::choose().unwrap();
        let root = open_tempdir();
        let real = programs(&root.path().join("lib/17/bin"), "17.2");
        let path = root.path().join("bin");
        fs::create_dir(&path).unwrap();
        symlink(real.join("postgres"), path.join("postgres")).unwrap();

        let found = on_path([root.path().join("nothing"), path].into_iter())
            .find_map(|bin| Installation::probe(&bin, &account).ok())
            .unwrap();
        assert_eq!(found.bin(), real);
        assert_eq!((found.version(), found.major()), ("17.2", 17));
    }

    #[test]
    fn the_newest_of_the_wanted_major_version() {
        let account = Account::choose().unwrap();
        let root = open_tempdir();
        let folders = ["16.9", "16.10", "17.1", "13.4"]
            .map(|version| programs(&root.path().join(version), version));

        let version = |major| {
            newest(folders.clone(), &account, major).map(|found| found.version().to_owned())
        };
        assert_eq!(version(None).as_deref(), Some("17.1"));
        assert_eq!(version(Some(16)).as_deref(), Some("16.10"));
        assert_eq!(version(Some(13)), None, "too old to be used");
        assert_eq!(version(Some(18)), None);
    }

    #[test]
    fn half_an_installation_says_what_is_missing() {
        let root = open_tempdir();
        let bin = programs(&root.path().join("bin"), "17.2");
        fs::remove_file(bin.join("initdb")).unwrap();
        let reason = Installation::probe(&bin, &Account::choose().unwrap()).unwrap_err();
        assert!(reason.contains("initdb"), "{reason}");
    }
}
