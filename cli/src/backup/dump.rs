//! Makes a backup.

use std::{
    fs::{self, File, Permissions},
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use zerocart_provision::Names;

use super::{
    BackupArgs, Reached,
    manifest::{Dump, FILE, Manifest, measure},
    programs::Programs,
    reach,
    snapshot::Instants,
};
use crate::{console, domains};

/// `zerocart backup`.
pub(crate) async fn run(args: BackupArgs, data: Option<PathBuf>) -> Result<()> {
    let folder = std::path::absolute(&args.folder)?;
    refuse_what_is_there(&folder)?;
    let parent = folder.parent().context("/ is no folder for a backup")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    // It gets its name only when it is complete.
    let draft = tempfile::Builder::new()
        .prefix(".zerocart-backup-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .with_context(|| format!("cannot make a folder in {}", parent.display()))?;

    let reached = reach(&args.place, data, false).await?;
    let manifest = dump_all(&reached.programs, draft.path()).await;
    Reached::end(reached).await?;
    let manifest = manifest?;

    fs::write(
        draft.path().join(FILE),
        serde_json::to_vec_pretty(&manifest)?,
    )
    .context("cannot write the backup")?;
    for entry in fs::read_dir(draft.path())? {
        let path = entry?.path();
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        File::open(&path)?.sync_all()?;
    }
    // An empty folder is replaced, another one is not.
    fs::rename(draft.path(), &folder)
        .with_context(|| format!("cannot rename the backup to {}", folder.display()))?;
    let _ = draft.keep();
    File::open(parent)?.sync_all()?;
    let bytes: u64 = manifest.dumps.iter().map(|dump| dump.bytes).sum();
    console::say(format_args!(
        "{}: the databases as they were at {}, {} kB. It contains secrets: keep it as safe as them",
        folder.display(),
        manifest.taken_at,
        bytes.div_ceil(1000)
    ));
    Ok(())
}

fn refuse_what_is_there(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot use {}", folder.display()))?,
    };
    if entries.count() > 0 {
        bail!("{} is not empty: name a new folder", folder.display());
    }
    Ok(())
}

async fn dump_all(programs: &Programs, folder: &Path) -> Result<Manifest> {
    let domains = domains::names();
    let names = domains.iter().map(|domain| Names::of(domain));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let who = "SELECT rolsuper, current_setting('server_version') FROM pg_roles
               WHERE rolname = current_user;";
    let first = names.first().context("there is no domain")?;
    let who = programs.sql(&first.database, who).await?;
    let who = who.first().and_then(|line| line.split_once('|'));
    let (superuser, version) = who.context("psql does not say what the server is")?;

    let databases: Vec<_> = names.iter().map(|names| names.database.clone()).collect();
    let instants = Instants::find(programs, &databases).await?;
    let mut dumps = Vec::new();
    for ((domain, names), snapshot) in domains.iter().zip(&names).zip(&instants.ids) {
        let step = Instant::now();
        let file = format!("{}.dump", names.database);
        let path = folder.join(&file);
        let mut dump = programs.command("pg_dump");
        dump.args(["--format", "custom", "--snapshot", snapshot])
            .args(["--dbname", &names.database])
            .stdout(Stdio::from(File::create(&path)?));
        if superuser != "t" {
            dump.args(["--role", &names.owner]);
        }
        let output = dump.spawn().context(programs.cure("pg_dump"))?;
        let output = output
            .wait_with_output()
            .await
            .context("cannot run pg_dump")?;
        programs.checked("pg_dump", output)?;
        let (bytes, sha256) = measure(&path)?;
        console::done(
            format_args!("{}, {bytes} bytes", names.database),
            step.elapsed(),
        );
        dumps.push(Dump {
            domain: (*domain).to_owned(),
            file,
            bytes,
            sha256,
        });
    }
    let manifest = Manifest::new(version.to_owned(), instants.taken_at.clone(), dumps);
    instants.end().await;
    Ok(manifest)
}
