//! The facts of the machine that deploys.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::Programs;

/// The machine that runs the command, as it can be asked.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its programs.
    pub programs: Programs,
    /// The folder below which `/proc` and `/sys` are.
    pub root: PathBuf,
    /// The name of its operating system, as in [`std::env::consts::OS`].
    pub os: String,
    /// How many bytes are free where a file is.
    pub free_bytes: fn(&Path) -> io::Result<u64>,
}

/// What kind of system it is, as far as cures differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux on its own.
    Linux,
    /// Linux in Windows.
    Wsl,
    /// macOS, where containers run in a virtual machine.
    Mac,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        Self {
            programs: Programs::of_machine(),
            root: PathBuf::from("/"),
            os: env::consts::OS.to_owned(),
            free_bytes,
        }
    }

    /// What kind of system it is.
    pub fn system(&self) -> System {
        if self.os == "macos" {
            return System::Mac;
        }
        let version = self.read("proc/version").unwrap_or_default();
        match version.to_lowercase().contains("microsoft") {
            true => System::Wsl,
            false => System::Linux,
        }
    }

    /// The text of a file of the system, such as `proc/meminfo`.
    pub(crate) fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.root.join(file)).ok()
    }
}

fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
