//! The keys that sign tokens: made at the first start, kept in files that only their owner reads.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use zerocart_auth::KeySet;

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
        let folder = data.keys();
        Ok(Self {
            user: load_or_make(&folder.join("user.json"))?,
            service: load_or_make(&folder.join("service.json"))?,
        })
    }
}

fn load_or_make(path: &Path) -> Result<KeySet> {
    match fs::read_to_string(path) {
        Ok(text) => KeySet::from_json(&text)
            .with_context(|| format!("{} does not hold keys", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let keys = KeySet::generate()?;
            // Written beside and moved: a start that dies here leaves no half a key.
            let draft = path.with_extension("new");
            let _ = fs::remove_file(&draft);
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)
                .with_context(|| format!("cannot write {}", draft.display()))?;
            file.write_all(keys.to_json().as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(keys)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
