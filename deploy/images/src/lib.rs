//! OCI images of static programs, made without a daemon.
//!
//! An image has one layer with one file, and its tag is a hash of its content: the same program gives
//! the same image, byte for byte. All images of a deployment are one archive, which containerd, kind,
//! minikube, k3d, Docker and podman read; or they are pushed to a registry.

mod archive;
mod elf;
mod error;
mod image;
mod limit;
mod loader;
mod program;
mod registry;
mod repository;

pub use archive::write_archive;
pub use error::Error;
pub use image::{Image, Program, build};
pub use limit::{COMMAND, limit_bytes};
pub use loader::{Loaded, Loader};
pub use program::Programs;
pub use repository::Repository;

use std::{fmt, str::FromStr};

/// The processor that an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one of this machine; none if no image can be for it.
    pub fn of_machine() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Its name in OCI images and in a node's `status.nodeInfo.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Its name in Rust's targets.
    pub fn rust_name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let mut all = Self::ALL.into_iter();
        all.find(|architecture| architecture.name() == name)
            .ok_or_else(|| Error::UnknownArchitecture { name: name.into() })
    }
}
