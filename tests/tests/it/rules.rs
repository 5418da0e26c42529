//! Who depends on whom, and what a file may hold.

use cargo_metadata::{Metadata, MetadataCommand};
use zerocart_tests::{
    dependencies, root,
    source::{self, Source},
};

use crate::none;

/// Where there is SQL outside the domain crates, and why.
const SQL: [(&str, &str); 3] = [
    (
        "shared/postgres/src/",
        "transactions and idempotency records, the same for all domains",
    ),
    (
        "local/postgres/src/",
        "makes databases and roles, and asks the migrator's table",
    ),
    (
        "bench/",
        "the floor program that functions are compared with is written by hand",
    ),
];

pub(crate) fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.exec().expect("cargo describes the workspace")
}

fn sources() -> Vec<Source> {
    let sources = source::read(&root()).expect("the project can be read");
    assert!(
        sources
            .iter()
            .any(|source| source.path == "functions/user/src/lib.rs")
    );
    sources
}

#[test]
fn crates_depend_on_whom_they_may() {
    none(&dependencies::check(&dependencies::read(&metadata())));
}

#[test]
fn only_domains_contain_sql() {
    none(&source::sql(&sources(), &SQL));
}

#[test]
fn function_modules_name_no_framework() {
    none(&source::frameworks(&sources()));
}

#[test]
fn no_file_is_too_long() {
    none(&source::too_long(&sources()));
}
