//! Where things are: the project, and the folder that survives restarts.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The project's folders that the engine reads.
#[derive(Clone, Debug)]
pub(crate) struct Project(PathBuf);

impl Project {
    /// The project around the current folder.
    ///
    /// # Errors
    ///
    /// When no folder from here up holds `knative/` and `kong/`.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        for folder in here.ancestors() {
            if folder.join("kong/kong.yml").is_file() && folder.join("knative").is_dir() {
                return Ok(Self(folder.to_owned()));
            }
        }
        bail!(
            "no zerocart project around {}: run this inside the repository",
            here.display()
        )
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn kong(&self) -> PathBuf {
        self.0.join("kong/kong.yml")
    }

    pub(crate) fn services(&self) -> PathBuf {
        self.0.join("knative/services")
    }

    pub(crate) fn edge(&self) -> PathBuf {
        self.0.join("knative/edge")
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.0.join("knative/jobs")
    }
}

/// What survives restarts: databases, keys, logs, and the state of the engine that runs.
#[derive(Clone, Debug)]
pub(crate) struct Data(PathBuf);

impl Data {
    /// `chosen`, or `.zerocart` in the project.
    pub(crate) fn new(chosen: Option<PathBuf>, project: Option<&Project>) -> Result<Self> {
        let folder = match (chosen, project) {
            (Some(folder), _) => folder,
            (None, Some(project)) => project.root().join(".zerocart"),
            (None, None) => Project::find()?.root().join(".zerocart"),
        };
        Ok(Self(std::path::absolute(folder)?))
    }

    /// Makes the folder, and in it those for logs and keys, which nobody else may read. The folder
    /// itself stays open: root's PostgreSQL runs as another user and has to pass through it.
    pub(crate) fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.0).with_context(|| format!("cannot make {}", self.0.display()))?;
        for folder in [self.logs(), self.keys()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// The folder of the session broker's socket.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.0.join("sessions")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The settings of cargo-lambda, made anew at each start.
    pub(crate) fn lambda(&self) -> PathBuf {
        self.0.join("lambda.toml")
    }

    /// Where the running engine says how to reach it.
    pub(crate) fn engine(&self) -> PathBuf {
        self.0.join("engine.json")
    }
}
