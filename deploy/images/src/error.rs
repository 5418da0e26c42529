//! What can go wrong, and what a person does about it.

use std::{io, path::PathBuf};

use crate::{Architecture, program};

/// Why an image could not be made, or not be brought to where it is needed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error("there is no program {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is no program for Linux.
    #[error("{} is no program for Linux (no 64-bit ELF executable)", path.display())]
    NotElf {
        /// The file.
        path: PathBuf,
    },
    /// The program needs a loader and libraries, which an image of one file does not have.
    #[error("{} is linked dynamically, and its image would have no libraries", path.display())]
    Dynamic {
        /// The file.
        path: PathBuf,
    },
    /// The program is for another processor.
    #[error("{} is built for {found}, and the images are for {wanted}", path.display())]
    OtherArchitecture {
        /// The file.
        path: PathBuf,
        /// What it is for.
        found: String,
        /// What it should be for.
        wanted: Architecture,
    },
    /// The program is larger than we allow.
    #[error("the program {name} has {bytes} bytes, more than its limit of {limit} bytes")]
    TooLarge {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// No image can be for this processor.
    #[error("`{name}` is no architecture of images")]
    UnknownArchitecture {
        /// What was given.
        name: String,
    },
    /// The name cannot be the first part of an image's name.
    #[error("`{given}` is no repository for images: {reason}")]
    Repository {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The text names no place that images can be loaded into.
    #[error("`{given}` is no place for images: {reason}")]
    Loader {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program of this machine is missing.
    #[error("{program} is not installed")]
    NotInstalled {
        /// Its name.
        program: String,
    },
    /// A program failed.
    #[error("`{command}` failed: {output}")]
    Failed {
        /// The command line.
        command: String,
        /// The last lines of its errors.
        output: String,
    },
    /// The credentials of a registry cannot be read.
    #[error("cannot read the credentials of {registry}: {reason}")]
    Credentials {
        /// The registry.
        registry: String,
        /// What is wrong.
        reason: String,
    },
    /// A registry cannot be reached, or refuses an image.
    #[error("cannot push {image}: {reason}")]
    Push {
        /// The image.
        image: String,
        /// Why.
        reason: String,
        /// The registry, if it asks who we are.
        unauthorized: Option<String>,
    },
}

impl Error {
    /// What to do about it, where that is known.
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("build it first: `cargo zerocart images`".into()),
            Self::NotElf { .. } => Some("build for Linux: `cargo zerocart images`".into()),
            Self::Dynamic { .. } => Some(
                "build it with the settings of .cargo/config.toml: a static binary (RUSTFLAGS hides them)"
                    .into(),
            ),
            Self::OtherArchitecture { wanted, .. } => Some(format!(
                "build for it: `cargo zerocart images --architecture {wanted}`"
            )),
            Self::TooLarge { .. } => Some(
                "look what made it larger (`cargo bloat`); if it must be, raise deploy/images/src/limit.rs"
                    .into(),
            ),
            Self::UnknownArchitecture { .. } => Some("use amd64 or arm64".into()),
            Self::NotInstalled { program } => {
                program::source(program).map(|source| format!("install {program}: {source}"))
            }
            Self::Push {
                unauthorized: Some(registry),
                ..
            } => Some(format!(
                "sign in: `docker login {registry}`, with an account that may push"
            )),
            Self::Credentials { registry, .. } => Some(format!("sign in again: `docker login {registry}`")),
            _ => None,
        }
    }
}
