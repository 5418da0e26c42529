//! `zerocart backup` and `zerocart restore` between real servers. tests/tests/it/saga/backup.rs shows that
//! a backup of a shop that sells balances.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions,
};
use tempfile::TempDir;
use zerocart_local_postgres::{Options, Server};
use zerocart_provision::Passwords;

use crate::databases::{DOMAINS, failed, inside, role_passwords, said, server, zerocart};

async fn connect(url: &str, database: &str) -> PgConnection {
    let url = inside(url, database).expose();
    let options: PgConnectOptions = url.parse().unwrap();
    options.connect().await.unwrap()
}

async fn sql(url: &str, database: &str, statements: &str) {
    let mut connection = connect(url, database).await;
    let statement = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
    statement.execute(&mut connection).await.unwrap();
}

async fn ask(url: &str, database: &str, sql: &str) -> String {
    let mut connection = connect(url, database).await;
    let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    query.fetch_one(&mut connection).await.unwrap()
}

/// Makes everything, and gives ROLE_PASSWORDS.
fn provision(url: &str) -> String {
    let passwords = role_passwords();
    let variables = [
        ("ADMIN_DATABASE_URL", url),
        ("ROLE_PASSWORDS", &passwords),
        ("FIRST_ADMIN_PASSWORD", "correct horse"),
    ];
    said(&zerocart(&variables).arg("provision").output().unwrap());
    passwords
}

fn zerocart_at(url: &str, arguments: &[&str], folder: &Path) -> Output {
    let mut command = zerocart(&[("ADMIN_DATABASE_URL", url)]);
    command.args(arguments).arg(folder).output().unwrap()
}

/// Tables, owners and rights of a database: what a dump must bring along.
const SHAPE: &str =
    "SELECT string_agg(concat_ws(' ', relname, relkind, relowner::regrole, relacl), E'\\n'
                                       ORDER BY relname)
                     FROM pg_class WHERE relnamespace = 'public'::regnamespace";

const RIGHTS: &str = "SELECT concat_ws(' ', datdba::regrole, datacl, nspacl)
                      FROM pg_database, pg_namespace
                      WHERE datname = current_database() AND nspname = 'public'";

#[tokio::test]
async fn a_backup_is_complete_and_comes_back_as_a_whole() {
    let (_one, from) = server(50).await;
    let (_two, to) = server(50).await;
    provision(&from);
    provision(&to);
    let product = "INSERT INTO products (id, name, description, price, inventory)
                   VALUES (gen_random_uuid(), 'Tea', '', 4.50, 7)";
    sql(&from, "zerocart_product", product).await;

    let room = TempDir::new().unwrap();
    let folder = room.path().join("a/backup");
    let (out, _) = said(&zerocart_at(&from, &["backup"], &folder));
    assert!(out.contains("keep it as safe"), "{out}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.clone()), 0o700);
    assert_eq!(mode(folder.join("zerocart_user.dump")), 0o600);
    assert_eq!(
        fs::read_dir(room.path().join("a")).unwrap().count(),
        1,
        "nothing else is left"
    );
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("backup.json")).unwrap()).unwrap();
    assert_eq!(manifest["dumps"].as_array().unwrap().len(), DOMAINS.len());

    let (_, refused) = failed(&zerocart_at(&from, &["backup"], &folder));
    assert!(refused.contains("is not empty"), "{refused}");
    let (_, refused) = failed(&zerocart_at(&to, &["restore"], &folder));
    assert!(refused.contains("zerocart_cart, "), "{refused}");
    assert!(refused.contains("use --replace"), "{refused}");

    // A table of a later version does not stay.
    sql(&to, "zerocart_product", "CREATE TABLE later (id int)").await;
    said(&zerocart_at(&to, &["restore", "--replace"], &folder));
    let count = "SELECT concat(count(*), ' ', sum(inventory)) FROM products";
    assert_eq!(ask(&to, "zerocart_product", count).await, "1 7");
    for domain in DOMAINS {
        let database = format!("zerocart_{domain}");
        for question in [SHAPE, RIGHTS] {
            let (had, has) = (
                ask(&from, &database, question),
                ask(&to, &database, question),
            );
            assert_eq!(has.await, had.await, "{domain}");
        }
    }
    let left = "SELECT count(*)::text FROM pg_database WHERE datname LIKE 'zerocart%'";
    assert_eq!(ask(&to, "postgres", left).await, "6");
    // The roles and passwords of the server stay; a provision finds nothing to change in the tables.
    provision(&to);
}

#[tokio::test]
async fn a_damaged_backup_and_connected_functions_change_nothing() {
    let (_server, url) = server(50).await;
    let passwords = provision(&url);
    let room = TempDir::new().unwrap();
    let folder = room.path().join("backup");
    said(&zerocart_at(&url, &["backup"], &folder));
    let users = "SELECT count(*)::text FROM users";
    sql(&url, "zerocart_user", "DELETE FROM users").await;

    let dump = folder.join("zerocart_user.dump");
    let good = fs::read(&dump).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&dump, &bad).unwrap();
    let (_, refused) = failed(&zerocart_at(&url, &["restore", "--replace"], &folder));
    assert!(
        refused.contains("zerocart_user.dump is damaged"),
        "{refused}"
    );
    fs::write(&dump, &good).unwrap();

    let passwords: Passwords = serde_json::from_str(&passwords).unwrap();
    let role = "zerocart_cart";
    let function = inside(&url, role).login(role, &passwords[role]);
    let options: PgConnectOptions = function.expose().parse().unwrap();
    let mut function = options.connect().await.unwrap();
    let (_, refused) = failed(&zerocart_at(&url, &["restore", "--replace"], &folder));
    assert!(
        refused.contains("functions are connected to zerocart_cart"),
        "{refused}"
    );
    assert!(function.ping().await.is_ok());

    // A dump that pg_restore refuses, with a manifest that fits it: the old databases stay.
    let text = fs::read_to_string(folder.join("backup.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    let cut = &good[..good.len() / 2];
    fs::write(&dump, cut).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, cut);
    let hex: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let dumps = manifest["dumps"].as_array_mut().unwrap();
    let entry = dumps
        .iter_mut()
        .find(|dump| dump["domain"] == "user")
        .unwrap();
    entry["bytes"] = cut.len().into();
    entry["sha256"] = hex.into();
    fs::write(folder.join("backup.json"), manifest.to_string()).unwrap();
    let by_force = ["restore", "--replace", "--terminate"];
    let (_, refused) = failed(&zerocart_at(&url, &by_force, &folder));
    assert!(refused.contains("pg_restore failed"), "{refused}");
    assert_eq!(ask(&url, "zerocart_user", users).await, "0");

    // And with the good dump it comes back.
    fs::write(&dump, &good).unwrap();
    fs::write(folder.join("backup.json"), text).unwrap();
    said(&zerocart_at(&url, &by_force, &folder));
    assert_eq!(ask(&url, "zerocart_user", users).await, "1");
    assert!(function.ping().await.is_err(), "its session was ended");
}

#[tokio::test]
async fn a_data_folder_has_a_backup_whether_its_engine_runs_or_not() {
    let (_server, url) = server(50).await;
    provision(&url);
    let room = TempDir::new().unwrap();
    // The account of the server must pass.
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let place = |name: &str| room.path().join(name);
    said(&zerocart_at(&url, &["backup"], &place("one")));
    let with_data = |arguments: &[&str], folder: &str| {
        let mut command = zerocart(&[]);
        command.args(arguments).arg(place(folder));
        command.arg("--data").arg(place("data")).output().unwrap()
    };
    let (_, refused) = failed(&with_data(&["backup"], "two"));
    assert!(refused.contains("there is no database in"), "{refused}");
    said(&with_data(&["restore"], "one"));
    said(&with_data(&["backup"], "two"));

    // The engine holds the folder.
    let mut options = Options::new(place("data/postgres"));
    options.max_connections = 50;
    let mut engine = Server::start(options).await.unwrap();
    said(&with_data(&["backup"], "three"));
    let (_, refused) = failed(&with_data(&["restore", "--replace"], "three"));
    assert!(
        refused.contains("the engine runs: stop it first"),
        "{refused}"
    );
    engine.stop().await.unwrap();
    drop(engine);

    // What went through all of them is what it was.
    sql(&url, "zerocart_user", "DELETE FROM users").await;
    said(&zerocart_at(
        &url,
        &["restore", "--replace"],
        &place("three"),
    ));
    let users = "SELECT count(*)::text FROM users";
    assert_eq!(ask(&url, "zerocart_user", users).await, "1");
}

/// kubectl, as far as `exec` goes: it notes how it is called, and runs the program here.
const KUBECTL: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
while [ "$1" != -- ]; do shift; done
shift
program=$1
shift
. "$here/login"
exec "$program" "$@"
"#;

#[tokio::test]
async fn a_cluster_is_reached_through_its_pod() {
    let (server, url) = server(50).await;
    provision(&url);
    let room = TempDir::new().unwrap();
    let kubectl = room.path().join("kubectl");
    fs::write(&kubectl, KUBECTL).unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let address = inside(&url, "postgres");
    let login = format!(
        "export PATH={}:$PATH PGHOST=127.0.0.1 PGPORT={} PGPASSWORD={}\n",
        server.installation().bin().display(),
        server.port(),
        address.password().unwrap().expose()
    );
    fs::write(room.path().join("login"), login).unwrap();
    let folder = room.path().join("backup");
    let run = |arguments: &[&str]| {
        let mut command: Command = zerocart(&[]);
        let path = format!("{}:/usr/bin:/bin", room.path().display());
        command.env("PATH", path).args(arguments).arg(&folder);
        command.args(["--context", "kind-shop"]).output().unwrap()
    };
    said(&run(&["backup"]));
    sql(&url, "zerocart_user", "DELETE FROM users").await;
    said(&run(&["restore", "--replace"]));
    let users = "SELECT count(*)::text FROM users";
    assert_eq!(ask(&url, "zerocart_user", users).await, "1");
    let calls = fs::read_to_string(room.path().join("calls")).unwrap();
    for call in calls.lines() {
        let begin =
            "--context kind-shop --namespace zerocart-system exec --stdin --quiet postgres-0 -- ";
        assert!(call.starts_with(begin), "{call}");
        assert!(call.contains("--username postgres"), "{call}");
    }
    let two = zerocart(&[("ADMIN_DATABASE_URL", &url)])
        .args(["backup", "--context", "kind-shop"])
        .arg(room.path().join("other"))
        .output();
    let (_, refused) = failed(&two.unwrap());
    assert!(
        refused.contains("--context and ADMIN_DATABASE_URL name different"),
        "{refused}"
    );
}
