//! Starting, stopping, starting again; what survives, and what is refused.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use zerocart_local_postgres::{Error, Folder, Options, Progress, Server, find, provision};

use crate::support::{Seen, ask, code, connect, eventually, folder, is_root, options, run, runs};

#[tokio::test]
async fn data_and_passwords_survive_a_restart_of_the_owner() {
    let folder = folder();
    let seen = Seen::default();
    let mut options = options(folder.path());
    options.report = seen.report();
    let server = Server::start(options.clone()).await.unwrap();
    let pid = server.pid().unwrap();
    assert!(seen.any(|seen| matches!(seen, Progress::Initialising { .. })));
    assert!(seen.any(|seen| matches!(seen, Progress::Ready { pid: ready, .. } if ready == &pid)));
    let first = provision(&server, &["user"]).await.unwrap().remove(0);
    run(&first.owner_url, "CREATE TABLE kept (id int)")
        .await
        .unwrap();
    let admin = server.admin_url("postgres");
    for (setting, value) in [
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", "127.0.0.1"),
        ("password_encryption", "scram-sha-256"),
        ("max_connections", "20"),
    ] {
        let is = ask(&admin, &format!("SELECT current_setting('{setting}')")).await;
        assert_eq!(is.unwrap(), value, "{setting}");
    }
    // Not only ASCII: an e-mail is the same in all cases of its letters.
    assert_eq!(ask(&admin, "SELECT lower('ÄÖÉ')").await.unwrap(), "äöé");
    drop(server);
    assert!(!runs(pid));

    let server = Server::start(options).await.unwrap();
    let again = provision(&server, &["user"]).await.unwrap().remove(0);
    let kept = ask(&again.owner_url, "SELECT count(*)::text FROM kept").await;
    assert_eq!(kept.unwrap(), "0");
    let password = |url: String| url.split(['@', ':']).nth(2).unwrap().to_owned();
    assert_eq!(password(first.url.expose()), password(again.url.expose()));
}

#[tokio::test]
async fn passwords_are_neither_in_arguments_nor_in_the_log_nor_shown() {
    let folder = folder();
    let server = Server::start(options(folder.path())).await.unwrap();
    let databases = provision(&server, &["user"]).await.unwrap();
    provision(&server, &["user"]).await.unwrap();
    let text = fs::read_to_string(folder.path().join("passwords.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    let passwords = kept["roles"].as_object().unwrap();
    assert_eq!(passwords.len(), 3);

    let arguments = fs::read(format!("/proc/{}/cmdline", server.pid().unwrap())).unwrap();
    let everything = format!(
        "{}{}{server:?}{databases:?}",
        String::from_utf8_lossy(&arguments),
        fs::read_to_string(server.log_path()).unwrap(),
    );
    assert!(everything.contains("zerocart_user"));
    for password in passwords.values() {
        assert!(!everything.contains(password.as_str().unwrap()));
    }
}

#[tokio::test]
async fn a_second_server_on_one_folder_is_told_who_has_it() {
    let folder = folder();
    let first = Server::start(options(folder.path())).await.unwrap();
    let error = Server::start(options(folder.path())).await.unwrap_err();
    assert!(
        matches!(error, Error::AlreadyRunning { pid: Some(pid), .. } if pid == std::process::id()),
        "{error:?}"
    );
    assert!(connect(&first.admin_url("postgres")).await.is_ok());
}

#[tokio::test]
async fn stopped_and_started_again_on_the_same_port() {
    let mut server = Server::start(Options::temporary()).await.unwrap();
    let admin = server.admin_url("postgres");
    let cluster = server.cluster();
    run(&admin, "CREATE TABLE kept AS SELECT 1 AS id")
        .await
        .unwrap();
    let pid = server.pid().unwrap();

    server.stop().await.unwrap();
    assert_eq!(server.pid(), None);
    assert!(!runs(pid));
    assert!(matches!(connect(&admin).await, Err(sqlx::Error::Io(_))));
    server.stop().await.unwrap();

    server.restart().await.unwrap();
    assert_eq!(ask(&admin, "SELECT id::text FROM kept").await.unwrap(), "1");
    server.restart().await.unwrap();
    assert_eq!(ask(&admin, "SELECT id::text FROM kept").await.unwrap(), "1");

    drop(server);
    assert!(
        !cluster.parent().unwrap().exists(),
        "a temporary folder goes with its server"
    );
}

#[tokio::test]
async fn a_server_that_was_killed_is_noticed_and_runs_again_where_it_was() {
    let folder = folder();
    let mut options = options(folder.path());
    // What was committed before a crash is there after it.
    options.durable = true;
    let mut server = Server::start(options).await.unwrap();
    let admin = server.admin_url("postgres");
    run(&admin, "CREATE TABLE kept AS SELECT 1 AS id")
        .await
        .unwrap();
    assert_eq!(server.ended().unwrap(), None);
    let (pid, port) = (server.pid().unwrap(), server.port());
    let process = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let mut status = None;
    eventually("the end of the server", || {
        status = server.ended().unwrap();
        status.is_some()
    })
    .await;
    assert_eq!(status.unwrap().signal(), Some(9));

    server.restart().await.unwrap();
    assert_eq!(server.ended().unwrap(), None);
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), Some(pid));
    assert_eq!(ask(&admin, "SELECT id::text FROM kept").await.unwrap(), "1");
    server.stop().await.unwrap();
    assert_eq!(server.ended().unwrap(), None, "it was stopped");
}

#[tokio::test]
async fn a_port_in_use_is_said_plainly() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut options = options(folder.path());
    options.port = Some(port);
    let error = Server::start(options.clone())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&format!("port {port} is in use")), "{error}");

    drop(taken);
    assert_eq!(Server::start(options).await.unwrap().port(), port);
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_the_end_of_its_log() {
    let folder = folder();
    let server = Server::start(options(folder.path())).await.unwrap();
    let configuration = server.cluster().join("postgresql.conf");
    drop(server);
    fs::write(&configuration, "no_such_setting = 1\n").unwrap();
    let error = Server::start(options(folder.path())).await.unwrap_err();
    assert!(matches!(error, Error::Start { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn a_lost_password_file_is_made_again() {
    let folder = folder();
    let server = Server::start(options(folder.path())).await.unwrap();
    let user = provision(&server, &["user"]).await.unwrap().remove(0);
    run(&user.owner_url, "CREATE TABLE kept AS SELECT 7 AS id")
        .await
        .unwrap();
    drop(server);
    fs::remove_file(folder.path().join("passwords.json")).unwrap();

    let seen = Seen::default();
    let mut options = options(folder.path());
    options.report = seen.report();
    let server = Server::start(options).await.unwrap();
    assert!(seen.any(|seen| *seen == Progress::RepairingPassword));
    let again = provision(&server, &["user"]).await.unwrap().remove(0);
    assert_eq!(
        ask(&again.owner_url, "SELECT id::text FROM kept")
            .await
            .unwrap(),
        "7"
    );
    let old = user.owner_url.expose().replace(
        &user
            .owner_url
            .expose()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned(),
        &format!("{}/zerocart_user", server.port()),
    );
    let refused = <sqlx::PgConnection as sqlx::Connection>::connect(&old).await;
    assert_eq!(code(refused), "28P01", "the old password");
}

#[tokio::test]
async fn root_keeps_a_closed_folders_data_elsewhere() {
    if !is_root() {
        return; // A normal user can always enter its own folder.
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let seen = Seen::default();
    let mut options = options(closed.path());
    options.report = seen.report();
    let server = Server::start(options.clone()).await.unwrap();
    let cluster = server.cluster();
    assert!(
        cluster.starts_with("/var/lib/zerocart"),
        "{}",
        cluster.display()
    );
    assert!(seen.any(|seen| matches!(seen, Progress::Elsewhere { .. })));
    run(&server.admin_url("postgres"), "CREATE TABLE kept ()")
        .await
        .unwrap();
    drop(server);

    // Found again, also once the folder is open to others.
    fs::set_permissions(closed.path(), Permissions::from_mode(0o711)).unwrap();
    let server = Server::start(options).await.unwrap();
    assert_eq!(server.cluster(), cluster);
    run(&server.admin_url("postgres"), "DROP TABLE kept")
        .await
        .unwrap();
    drop(server);
    fs::remove_dir_all(cluster.parent().unwrap()).unwrap();
    fs::remove_dir("/var/lib/zerocart").ok();
}

#[tokio::test]
async fn named_programs_are_used_or_refused() {
    let folder = folder();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut wrong = options(&folder.path().join("data"));
    wrong.source = zerocart_local_postgres::Source::At(empty);
    let error = Server::start(wrong.clone()).await.unwrap_err();
    assert!(error.to_string().contains("initdb"), "{error}");

    if let Some(found) = find().unwrap() {
        wrong.source = zerocart_local_postgres::Source::At(found.bin().to_owned());
        let server = Server::start(wrong.clone()).await.unwrap();
        assert_eq!(server.installation(), &found);
        assert!(matches!(wrong.folder, Folder::Kept(_)));
    }
}
