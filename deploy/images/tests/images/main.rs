//! Images of small programs: their bytes, and how they get to other places.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod archive;
mod loaders;
mod registry;

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use zerocart_images::{Architecture, Image, Program, build};

/// The smallest file that is a static program for x86-64, with `content` behind its header.
fn program(folder: &TempDir, name: &str, content: &[u8]) -> Program {
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[16..20].copy_from_slice(&[2, 0, 62, 0]);
    file.extend(content);
    let path = folder.path().join(name);
    fs::write(&path, file).unwrap();
    let name = name.into();
    Program { name, path }
}

/// Images of two programs.
fn two() -> Vec<Image> {
    let folder = TempDir::new().unwrap();
    let programs = [
        program(&folder, "get-product", b"one"),
        program(&folder, "zerocart", b"two"),
    ];
    build(&programs, Architecture::Amd64, "0.1.0").unwrap()
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
