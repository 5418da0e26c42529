//! A checkout of the project that is built: this one, or an earlier commit beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::binaries::{folder, workspace_root};

/// The manifests and the programs of one commit.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// With `knative/` and `kong/`.
    pub(crate) root: PathBuf,
    /// With the programs.
    pub(crate) programs: PathBuf,
}

impl Checkout {
    /// The one of this program.
    pub(crate) fn this() -> Result<Self> {
        Ok(Self {
            root: workspace_root(),
            programs: folder()?,
        })
    }

    /// The one of `--against`.
    ///
    /// # Errors
    ///
    /// When the folder is no checkout, or is not built.
    pub(crate) fn against(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root)?;
        if !root.join("kong/kong.yml").is_file() || !root.join("knative/services").is_dir() {
            bail!(
                "--against {}: this is no checkout of zerocart (it has no kong/kong.yml and knative/services)",
                root.display()
            );
        }
        // Cargo names a folder after the target, if it was given one. A commit may be older than this profile.
        let own = folder()?;
        let same = own.strip_prefix(workspace_root()).ok();
        let same = same.map(|same| [same.to_owned(), same.with_file_name("release")]);
        let candidates = same.into_iter().flatten().chain(["target/release".into()]);
        let programs = candidates
            .map(|candidate| root.join(candidate))
            .find(|folder| folder.join("zerocart").is_file());
        let programs = programs.with_context(|| {
            format!(
                "--against {}: its programs are not there; build them: cargo build --profile dist --workspace --bins, or --release before there was that profile",
                root.display()
            )
        })?;
        Ok(Self { root, programs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_checkout_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Checkout::against(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("--against") && error.contains("kong/kong.yml"),
            "{error}"
        );
    }
}
