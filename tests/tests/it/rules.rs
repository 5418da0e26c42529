//! Who depends on whom, and what a file may hold.

use std::fs;

use cargo_metadata::{Metadata, MetadataCommand};
use zerocart_tests::{
    dependencies, root,
    source::{self, Source},
};

use crate::none;

/// Where there is SQL outside the domain crates, and why.
const SQL: [(&str, &str); 5] = [
    (
        "shared/postgres/src/",
        "transactions and idempotency records, the same for all domains",
    ),
    (
        "local/postgres/src/",
        "sets the superuser's password in a cluster without a server",
    ),
    (
        "deploy/provision/src/",
        "makes databases and roles, and asks the migrator's table",
    ),
    (
        "cli/src/backup/",
        "copies databases with PostgreSQL's own programs, and exchanges them",
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

/// The packages that the functions and jobs of these domains are built from.
fn built_from(domains: &[String], features: &[&str]) -> Vec<String> {
    let mut cargo = zerocart_local_cargo::command();
    cargo.current_dir(root()).args([
        "tree",
        "--quiet",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ]);
    for domain in domains {
        cargo.args(["--package", &format!("zerocart-{domain}")]);
    }
    let output = cargo.args(features).output().expect("cargo can be started");
    let text = String::from_utf8(output.stdout).expect("names are text");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

fn domains() -> Vec<String> {
    let folders = fs::read_dir(root().join("functions")).expect("functions/ can be listed");
    let name = |folder: std::io::Result<fs::DirEntry>| {
        let name = folder.expect("functions/ can be listed").file_name();
        name.into_string().expect("names are text")
    };
    folders.map(name).collect()
}

#[test]
fn only_accounts_carry_the_tables_of_spellings() {
    const TABLES: [&str; 3] = ["icu_normalizer_data", "idna", "precis-profiles"];
    let has = |names: &[String], table: &str| names.iter().any(|name| name == table);
    let (user, others): (Vec<_>, Vec<_>) = domains().into_iter().partition(|d| d == "user");
    let (user, others) = (built_from(&user, &[]), built_from(&others, &[]));
    for table in TABLES {
        assert!(has(&user, table), "{table}");
        assert!(!has(&others, table), "{table}");
    }
}

#[test]
fn only_a_build_for_lambda_contains_anything_of_aws() {
    let of_aws = |name: &String| {
        ["aws-", "aws_", "lambda-", "lambda_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || name == "zerocart-lambda"
    };
    let usual = built_from(&domains(), &[]);
    assert!(
        usual.iter().any(|name| name == "zerocart-main"),
        "{usual:?}"
    );
    let found: Vec<_> = usual.iter().filter(|name| of_aws(name)).collect();
    assert!(found.is_empty(), "functions are built from {found:?}");
    // And this would find it.
    let for_lambda = built_from(&domains(), &["--features", "zerocart-main/lambda"]);
    assert!(for_lambda.iter().any(of_aws));
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
