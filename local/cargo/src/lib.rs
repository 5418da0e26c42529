//! Runs cargo from a program that cargo itself may have built and started.

use std::{path::Path, process::Command};

/// Variables in which cargo describes the package of the program that it runs. If one of them
/// changes, the build script of a dependency (ring's) runs again, and everything that depends on it
/// is built again.
const OF_A_PACKAGE: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Cargo without these variables, so that it builds as it does for a user.
pub fn command() -> Command {
    let mut cargo = Command::new("cargo");
    for name in OF_A_PACKAGE {
        cargo.env_remove(name);
    }
    cargo
}

/// The profile whose programs cargo puts into `folder` (`target/debug`, `target/release`).
pub fn profile(folder: &Path) -> Option<&str> {
    match folder.file_name()?.to_str()? {
        // https://doc.rust-lang.org/cargo/reference/build-cache.html
        "debug" => Some("dev"),
        profile => Some(profile),
    }
}

/// The name of the folder that cargo puts the programs of a profile into.
pub fn folder(profile: &str) -> &str {
    match profile {
        "dev" => "debug",
        profile => profile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_name_of_its_profile() {
        for (folder, of_it) in [
            ("target/debug", Some("dev")),
            ("target/x86_64-unknown-linux-gnu/release", Some("release")),
            ("target/bench", Some("bench")),
            ("/", None),
        ] {
            assert_eq!(profile(Path::new(folder)), of_it, "{folder}");
        }
        for (profile, of_it) in [("dev", "debug"), ("release", "release"), ("dist", "dist")] {
            assert_eq!(folder(profile), of_it);
        }
    }

    #[test]
    fn a_cargo_knows_nothing_of_this_package() {
        let command = command();
        let mut hidden = command.get_envs();
        assert!(hidden.any(|env| env == ("CARGO_MANIFEST_DIR".as_ref(), None)));
    }
}
