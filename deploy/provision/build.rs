//! Puts `migrations/` into the crate, so that a deployment needs no repository around it.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

#[path = "src/versions.rs"]
mod versions;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script its folders in variables"
)]
fn folder(variable: &str) -> Result<PathBuf, Box<dyn Error>> {
    let value = env::var_os(variable);
    Ok(value
        .ok_or_else(|| format!("cargo sets {variable}"))?
        .into())
}

fn names(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|name| format!("{}: not UTF-8", name.display()))?);
    }
    names.sort();
    Ok(names)
}

fn main() -> Result<(), Box<dyn Error>> {
    let migrations = folder("CARGO_MANIFEST_DIR")?.join("../../migrations");
    let migrations = fs::canonicalize(migrations)?;
    println!("cargo::rerun-if-changed={}", migrations.display());
    let mut text = String::from("const EMBEDDED: &[(&str, &[EmbeddedFile])] = &[\n");
    for domain in names(&migrations)? {
        let folder = migrations.join(&domain);
        if !folder.is_dir() {
            continue;
        }
        let files = names(&folder)?.into_iter();
        let files = files
            .filter(|name| name.ends_with(".sql"))
            .map(|name| format!("migrations/{domain}/{name}"));
        let files =
            versions::versions(files).map_err(|(file, problem)| format!("{file}: {problem}"))?;
        writeln!(text, "    ({domain:?}, &[")?;
        for (version, file) in files {
            let name = file.rsplit('/').next().unwrap_or(&file);
            let path = folder.join(name);
            writeln!(
                text,
                "        ({version}, {file:?}, include_str!({path:?})),"
            )?;
        }
        text.push_str("    ]),\n");
    }
    text.push_str("];\n");
    fs::write(folder("OUT_DIR")?.join("migrations.rs"), text)?;
    Ok(())
}
