//! `up --watch`: a change is built, and taken into use by the next instance.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use walkdir::WalkDir;
use zerocart_tests::root;

use super::{
    engine::{Data, Engine, PATIENCE, UP, binaries},
    until,
};

/// A source of the function that changes.
const SOURCE: &str = "functions/product/src/get_product.rs";

/// Stands for a build, which takes minutes: writes the program again, or fails when told to.
const CARGO: &str = r#"#!/bin/sh
if [ -e "$PROJECT/mistake" ]; then echo "error: a mistake" >&2; exit 101; fi
cp "$PROGRAMS/get-product" "$PROGRAMS/new" && mv "$PROGRAMS/new" "$PROGRAMS/get-product"
"#;

/// The files of the project that an engine reads, and its programs.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        // Beside the programs, so that they can be linked.
        let copy = Self(tempfile::tempdir_in(binaries()).expect("a folder can be made"));
        for folder in ["knative", "kong", "migrations"] {
            copy.copy(&root().join(folder));
        }
        for folder in ["edge", "proto", "shared"] {
            fs::create_dir(copy.path(folder)).expect("a folder can be made");
        }
        let source = copy.path(SOURCE);
        let folder = source.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("a folder can be made");
        fs::write(&source, "").expect("a file can be written");

        fs::create_dir_all(copy.programs()).expect("a folder can be made");
        for entry in fs::read_dir(binaries()).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_file() && path.extension().is_none() {
                let link = copy
                    .programs()
                    .join(path.file_name().expect("a file has a name"));
                fs::hard_link(&path, link).expect("a program can be linked");
            }
        }
        let cargo = copy.path("cargo");
        fs::write(&cargo, CARGO).expect("a script can be written");
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&cargo, all).expect("the script is ours");
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder of programs, which has the name of cargo's.
    fn programs(&self) -> PathBuf {
        self.path("release")
    }

    fn copy(&self, folder: &Path) {
        for entry in WalkDir::new(folder) {
            let entry = entry.expect("the project can be read");
            let name = entry
                .path()
                .strip_prefix(root())
                .expect("it is in the project");
            let to = self.0.path().join(name);
            if entry.file_type().is_dir() {
                fs::create_dir(&to).expect("a folder can be made");
            } else {
                fs::copy(entry.path(), &to).expect("a file can be copied");
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "where programs are is no configuration"
    )]
    async fn up(&self, data: &Data) -> Engine {
        let mut command = Command::new(self.programs().join("zerocart"));
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [self.0.path().to_owned()]
            .into_iter()
            .chain(env::split_paths(&path));
        command
            .current_dir(self.0.path())
            .env(
                "PATH",
                env::join_paths(folders).expect("a path can be made"),
            )
            .env("PROJECT", self.0.path())
            .env("PROGRAMS", self.programs())
            .arg("--data")
            .arg(data.path())
            .args(UP)
            .arg("--watch");
        Engine::start_command(data, command).await
    }
}

/// The process that answers for get-product.
async fn asked(engine: &Engine) -> Option<u32> {
    let unknown = "/products/018f4e9a-7c1b-7def-8000-0000000000aa";
    assert_eq!(engine.http().get(unknown).await.status, 404);
    let status = engine.status("get-product").await;
    let ready = status.instances.iter();
    let mut ready =
        ready.filter(|instance| instance.state == zerocart_activator::InstanceState::Ready);
    ready.next().and_then(|instance| instance.pid)
}

async fn says(engine: &Engine, words: &str) {
    let said = || std::future::ready(engine.output().contains(words).then_some(()));
    until(words, PATIENCE, said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_in_the_next_instance_and_a_mistake_in_none() {
    let (data, copy) = (Data::new(), Copy::new());
    let engine = copy.up(&data).await;
    let first = asked(&engine).await;
    assert!(first.is_some());
    assert_eq!(asked(&engine).await, first);

    fs::write(copy.path(SOURCE), "// better\n").expect("a file can be written");
    says(&engine, "the next instances are new: get-product").await;
    let second = asked(&engine).await;
    assert!(second.is_some() && second != first);

    fs::write(copy.path("mistake"), "").expect("a file can be written");
    fs::write(copy.path(SOURCE), "worse").expect("a file can be written");
    says(&engine, "what runs stays as it is").await;
    assert_eq!(asked(&engine).await, second);
    engine.stop().await;
}
