//! The keys that sign tokens: made at the first start, kept in files that only their owner reads.
//!
//! Each issuer has one file, which is replaced as a whole. After a crash at any moment, each file
//! is either the old one or the new one, and every such pair works.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use zerocart_auth::{Issuer, KeySet};
use zerocart_local_postgres::FileLock;

use crate::layout::Data;

/// The keys of both issuers.
pub(crate) struct Keys {
    /// Signs for people.
    pub(crate) user: KeySet,
    /// Signs for functions. The gateway does not know it.
    pub(crate) service: KeySet,
}

impl Keys {
    /// The keys in the data folder, made now if there are none.
    pub(crate) fn load_or_make(data: &Data) -> Result<Self> {
        Ok(Files::lock(data)?.keys)
    }
}

/// The files of both issuers, which nobody else changes meanwhile.
pub(crate) struct Files {
    folder: PathBuf,
    pub(crate) keys: Keys,
    /// Held until this is dropped.
    _lock: FileLock,
}

impl Files {
    /// Waits until nobody else changes the files, and reads them; makes those that are not there.
    pub(crate) fn lock(data: &Data) -> Result<Self> {
        let folder = data.keys();
        let path = folder.join("lock");
        let lock = private(OpenOptions::new().create(true).truncate(false), &path)?;
        let lock = FileLock::wait(lock);
        let lock = lock.with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self {
            keys: Keys {
                user: load_or_make(&folder.join(name(Issuer::User)))?,
                service: load_or_make(&folder.join(name(Issuer::Service)))?,
            },
            folder,
            _lock: lock,
        })
    }

    /// The keys of one issuer.
    pub(crate) fn of(&mut self, issuer: Issuer) -> &mut KeySet {
        match issuer {
            Issuer::User => &mut self.keys.user,
            Issuer::Service => &mut self.keys.service,
        }
    }

    /// Writes the keys of one issuer.
    pub(crate) fn save(&mut self, issuer: Issuer) -> Result<()> {
        let path = self.folder.join(name(issuer));
        write(&path, self.of(issuer))
    }
}

fn name(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::User => "user.json",
        Issuer::Service => "service.json",
    }
}

fn load_or_make(path: &Path) -> Result<KeySet> {
    match fs::read_to_string(path) {
        Ok(text) => KeySet::from_json(&text)
            .with_context(|| format!("{} does not hold keys", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let keys = KeySet::generate()?;
            write(path, &keys)?;
            Ok(keys)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Written to another file and renamed, so that a crash leaves no incomplete key.
fn write(path: &Path, keys: &KeySet) -> Result<()> {
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let file = private(OpenOptions::new().create_new(true), &draft)?;
    replace(path, &draft, file, keys).with_context(|| format!("cannot write {}", path.display()))
}

fn replace(path: &Path, draft: &Path, mut file: File, keys: &KeySet) -> io::Result<()> {
    file.write_all(keys.to_json().as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    // The new name outlasts a power failure, too.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Opens a file that nobody else may read.
fn private(options: &mut OpenOptions, path: &Path) -> Result<File> {
    options
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::SystemTime};

    use super::*;

    fn data() -> (tempfile::TempDir, Data) {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::new(Some(folder.path().to_owned()), None).unwrap();
        data.create().unwrap();
        (folder, data)
    }

    fn kids(keys: &KeySet) -> Vec<String> {
        let keys = keys.keys();
        keys.iter().map(|key| key.kid().to_owned()).collect()
    }

    #[test]
    fn keys_are_made_once_and_are_their_owners_alone() {
        let (_folder, data) = data();
        let made = Keys::load_or_make(&data).unwrap();
        let read = Keys::load_or_make(&data).unwrap();
        assert_eq!(kids(&made.user), kids(&read.user));
        assert_eq!(kids(&made.service), kids(&read.service));
        assert_ne!(kids(&made.user), kids(&made.service));
        for entry in fs::read_dir(data.keys()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_write_that_died_leaves_the_keys_before_it() {
        let (_folder, data) = data();
        let before = Keys::load_or_make(&data).unwrap();
        let draft = data.keys().join("user.new");
        fs::write(&draft, &before.user.to_json()[..40]).unwrap();
        let after = Keys::load_or_make(&data).unwrap();
        assert_eq!(kids(&after.user), kids(&before.user));

        // And does not stand in the way of the next one.
        let mut files = Files::lock(&data).unwrap();
        files.of(Issuer::User).rotate(SystemTime::now()).unwrap();
        files.save(Issuer::User).unwrap();
        drop(files);
        assert!(!draft.exists());
        let rotated = Keys::load_or_make(&data).unwrap();
        assert_eq!(kids(&rotated.user)[1..], kids(&before.user));
        // The other issuer's file was not written yet: the pair works all the same.
        assert_eq!(kids(&rotated.service), kids(&before.service));
        let verifier = zerocart_auth::Verifier::new(&rotated.user.keys(), &rotated.service.keys());
        assert!(verifier.is_ok());
    }

    #[test]
    fn nobody_else_changes_them_meanwhile() {
        let (_folder, data) = data();
        let files = Files::lock(&data).unwrap();
        let lock = File::open(data.keys().join("lock")).unwrap();
        assert!(lock.try_lock().is_err());
        drop(files);
        assert!(lock.try_lock().is_ok());
    }
}
