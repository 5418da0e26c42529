//! Migrations: what is applied once, and what is refused by name.

use std::fs;
use std::path::Path;

use zerocart_provision::{Address, Administrator, Error, Migrations};

use crate::support::{ask, connect, passwords, server};

async fn migrate(address: &Address, folder: &Path) -> Result<Vec<String>, Error> {
    zerocart_provision::migrate(address, &Migrations::read(folder)?).await
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, sql) in files {
        fs::write(folder.join(name), sql).unwrap();
    }
}

fn names(files: &[String]) -> Vec<&str> {
    let names = files.iter().map(|file| file.rsplit('/').next());
    names.map(Option::unwrap).collect()
}

#[tokio::test]
async fn each_file_once_and_every_mistake_by_name() {
    let (_server, admin) = server().await;
    let roles = passwords(&["user"]);
    let mut session = Administrator::connect(&admin).await.unwrap();
    session.provision(&["user"], &roles, drop).await.unwrap();
    let login = |role: &str| admin.login(role, &roles[role]).database("zerocart_user");
    let (url, user) = (login("zerocart_user_owner"), login("zerocart_user"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();

    let first = "CREATE TABLE users (id int);\nGRANT SELECT ON users TO zerocart_user;";
    write(
        path,
        &[("1_users.sql", first), ("README.md", "not a migration")],
    );
    assert_eq!(names(&migrate(&url, path).await.unwrap()), ["1_users.sql"]);
    assert_eq!(names(&migrate(&url, path).await.unwrap()), [""; 0]);
    write(
        path,
        &[("2_mail.sql", "ALTER TABLE users ADD COLUMN mail text;")],
    );
    assert_eq!(names(&migrate(&url, path).await.unwrap()), ["2_mail.sql"]);
    let count = ask(&user, "SELECT count(mail)::text FROM users").await;
    assert_eq!(count.unwrap(), "0");

    // One that fails: the file and the line; nothing of it stays.
    write(
        path,
        &[(
            "3_bad.sql",
            "CREATE TABLE é (id int);\n\nALTER TABLE nowhere ADD x int;\n",
        )],
    );
    let error = migrate(&url, path).await.unwrap_err().to_string();
    let place = path.join("3_bad.sql");
    assert!(error.contains(&*place.to_string_lossy()), "{error}");
    assert!(error.contains("nowhere"), "{error}");
    write(
        path,
        &[("3_bad.sql", "CREATE TABLE é (id int);\n\nSELEKT 1;\n")],
    );
    let error = migrate(&url, path).await.unwrap_err().to_string();
    assert!(error.contains("3_bad.sql:3: syntax error"), "{error}");
    let made = "SELECT (to_regclass('é') IS NULL)::text";
    assert_eq!(ask(&url, made).await.unwrap(), "true");
    fs::remove_file(path.join("3_bad.sql")).unwrap();

    // One that must wait for a table that is in use.
    write(
        path,
        &[("3_busy.sql", "ALTER TABLE users ADD COLUMN busy int;")],
    );
    let mut session = connect(&user).await.unwrap();
    let hold = sqlx::raw_sql("BEGIN; SELECT count(*) FROM users");
    hold.execute(&mut session).await.unwrap();
    let error = migrate(&url, path).await.unwrap_err().to_string();
    drop(session);
    assert!(error.contains("3_busy.sql"), "{error}");
    assert!(
        error.contains("uses a table for longer than 3 s"),
        "{error}"
    );
    fs::remove_file(path.join("3_busy.sql")).unwrap();

    // One that was changed, and one that is gone.
    write(
        path,
        &[("2_mail.sql", "ALTER TABLE users ADD COLUMN email text;")],
    );
    let error = migrate(&url, path).await.unwrap_err().to_string();
    assert!(error.contains("2_mail.sql: was changed"), "{error}");
    fs::remove_file(path.join("2_mail.sql")).unwrap();
    let error = migrate(&url, path).await.unwrap_err().to_string();
    assert!(error.contains("2_*.sql: was applied earlier"), "{error}");
}

#[tokio::test]
async fn a_bad_folder_is_refused_before_anything_is_asked() {
    // Nobody listens there: none of these gets as far as a connection.
    let url = Address::new("postgres://nobody@127.0.0.1:1/nothing", None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let refused = async || migrate(&url, path).await.unwrap_err().to_string();
    assert!(refused().await.contains("there is no migration in it"));

    write(path, &[("1_a.sql", "SELECT 1"), ("01_b.sql", "SELECT 1")]);
    assert!(refused().await.contains("has the same version as"));
    fs::remove_file(path.join("01_b.sql")).unwrap();
    write(path, &[("add-users.sql", "SELECT 1")]);
    assert!(refused().await.contains("add-users.sql: is not named"));
    fs::remove_file(path.join("add-users.sql")).unwrap();
    assert!(refused().await.contains("nobody listens there"));

    let missing = migrate(&url, &path.join("missing")).await.unwrap_err();
    assert!(matches!(missing, Error::Read { .. }), "{missing:?}");
}
