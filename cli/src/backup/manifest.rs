//! What a backup says about itself.

use std::{fs, io, io::Read, path::Path};

use anyhow::{Context, Result, bail};
use ring::digest::{Context as Hash, SHA256};
use serde::{Deserialize, Serialize};

/// The name of the file.
pub(super) const FILE: &str = "backup.json";

/// The form of backups that this version writes and reads.
const FORM: u32 = 1;

/// The file `backup.json`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Manifest {
    /// The form of the backup.
    pub(super) form: u32,
    /// The version of zerocart that made it.
    pub(super) zerocart: String,
    /// The version of the server.
    pub(super) postgresql: String,
    /// The instant of all dumps, RFC 3339.
    pub(super) taken_at: String,
    /// The dumps.
    pub(super) dumps: Vec<Dump>,
}

/// One dump, in pg_dump's custom format.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Dump {
    pub(super) domain: String,
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(postgresql: String, taken_at: String, dumps: Vec<Dump>) -> Self {
        Self {
            form: FORM,
            zerocart: env!("CARGO_PKG_VERSION").to_owned(),
            postgresql,
            taken_at,
            dumps,
        }
    }

    /// Reads the manifest of a backup of these domains, and compares every file with it.
    pub(super) fn check(folder: &Path, domains: &[&str]) -> Result<Self> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
                "{} is no backup of zerocart: it has no {FILE}",
                folder.display()
            ),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let manifest: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        if manifest.form != FORM {
            bail!(
                "{} is a backup of form {}, made by zerocart {}; this version reads form {FORM}",
                folder.display(),
                manifest.form,
                manifest.zerocart
            );
        }
        for domain in domains {
            let dumps = manifest.dumps.iter();
            if dumps.filter(|dump| dump.domain == *domain).count() != 1 {
                bail!(
                    "{} must name one dump of the domain {domain}",
                    path.display()
                );
            }
        }
        for dump in &manifest.dumps {
            if !domains.contains(&&*dump.domain) || dump.file.contains('/') {
                bail!("{} names {}, which is no dump", path.display(), dump.file);
            }
            let path = folder.join(&dump.file);
            let (bytes, sha256) =
                measure(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if (bytes, &sha256) != (dump.bytes, &dump.sha256) {
                bail!(
                    "{} is damaged: it is not what {FILE} says. Nothing was changed; use another backup",
                    path.display()
                );
            }
        }
        Ok(manifest)
    }
}

/// The size and the SHA-256 of a file.
pub(super) fn measure(path: &Path) -> io::Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let (mut hash, mut bytes, mut buffer) = (Hash::new(&SHA256), 0, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    let digest = hash.finish();
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok((bytes, hex.collect()))
}
