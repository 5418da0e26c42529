//! Packs the built dashboard into the program: `dashboard/dist`, or a page that says how to build it.

#[path = "src/pack.rs"]
mod pack;

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment"
)]
fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let dist = here.join("../../dashboard/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/pack.rs");
    println!("cargo::rerun-if-changed=unbuilt");
    println!("cargo::rerun-if-changed={}", dist.display());
    let folder = if dist.join("index.html").is_file() {
        dist
    } else {
        watch(&dist);
        here.join("unbuilt")
    };
    let mut list = "&[\n".to_owned();
    for (at, file) in pack::folder(&folder)?.iter().enumerate() {
        let pack::Packed {
            path, kind, tag, ..
        } = file;
        let include = |coding: &str, bytes: &[u8]| -> Result<String> {
            let name = format!("{at}.{coding}");
            fs::write(out.join(&name), bytes)?;
            Ok(format!("include_bytes!({name:?})"))
        };
        let coded = |coding: &str, bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => include(coding, bytes).map(|include| format!("Some({include})")),
            None => Ok("None".to_owned()),
        };
        writeln!(
            list,
            "    File {{ path: {path:?}, kind: {kind:?}, tag: {tag:?}, plain: {}, brotli: {}, gzip: {} }},",
            include("plain", &file.plain)?,
            coded("br", &file.brotli)?,
            coded("gz", &file.gzip)?,
        )?;
    }
    list.push(']');
    fs::write(out.join("files.rs"), list).context("the list of files")
}

/// Makes the folder, if nobody has, so that cargo sees when somebody builds the dashboard into it: a path that
/// does not exist makes cargo build this package again each time. Its time is old, because cargo compares it
/// with the start of this script. Where the folder cannot be made, building again is all that is lost.
fn watch(dist: &Path) {
    if !dist.is_dir() && fs::create_dir_all(dist).is_ok() {
        let made = File::open(dist).and_then(|folder| folder.set_modified(SystemTime::UNIX_EPOCH));
        if let Err(error) = made {
            println!("cargo::warning={}: {error}", dist.display());
        }
    }
}
