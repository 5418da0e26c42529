//! The Unix socket beside the port.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Error as SqlxError};
use zerocart_local_postgres::{Options, Progress, Server, Url};

use crate::support::{Seen, ask, code, folder, options, run};

/// A session over the socket, with this password.
async fn connect(
    server: &Server,
    url: &Url,
    password: Option<&str>,
) -> Result<PgConnection, SqlxError> {
    let folder = server.socket().unwrap().parent().unwrap();
    let mut options = PgConnectOptions::new_without_pgpass()
        .socket(folder)
        .port(server.port())
        .username(url.role())
        .database("postgres");
    if let Some(password) = password {
        options = options.password(password);
    }
    options.connect().await
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

#[tokio::test]
async fn it_is_for_the_servers_account_and_asks_for_the_password() {
    let mut server = Server::start(Options::temporary()).await.unwrap();
    let socket = server.socket().unwrap().to_owned();
    let folder = fs::metadata(socket.parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    let owner = fs::metadata(server.cluster()).unwrap().uid();
    assert_eq!(folder.uid(), owner);
    let file = fs::metadata(&socket).unwrap();
    assert_eq!(file.permissions().mode() & 0o077, 0);

    let admin = server.admin_url("postgres");
    let right = admin.password().expose();
    let mut session = connect(&server, &admin, Some(right)).await.unwrap();
    let by_tcp = "SELECT inet_client_addr() IS NOT NULL";
    let by_tcp = sqlx::query_scalar::<_, bool>(by_tcp)
        .fetch_one(&mut session)
        .await;
    assert!(!by_tcp.unwrap());
    let wrong = connect(&server, &admin, Some("wrong")).await;
    assert_eq!(code(wrong), "28P01");
    assert!(connect(&server, &admin, None).await.is_err());

    // Stopped, it leaves nothing. Started again, it is where it was.
    server.stop().await.unwrap();
    assert_eq!(fs::read_dir(socket.parent().unwrap()).unwrap().count(), 0);
    server.restart().await.unwrap();
    assert_eq!(server.socket(), Some(&*socket));
    let session = connect(&server, &admin, Some(right)).await.unwrap();
    session.close().await.unwrap();
}

#[tokio::test]
async fn with_a_path_that_is_too_long_there_is_none_and_the_reason_is_told() {
    let home = folder();
    let seen = Seen::default();
    let mut options = options(&home.path().join("a".repeat(100)));
    options.report = seen.report();
    let server = Server::start(options).await.unwrap();
    assert_eq!(server.socket(), None);
    assert!(seen.any(|seen| {
        matches!(seen, Progress::NoSocket { reason } if reason.contains("at most 103"))
    }));
    let directories = "SELECT current_setting('unix_socket_directories')";
    let directories = ask(&server.admin_url("postgres"), directories).await;
    assert_eq!(directories.unwrap(), "");
}

#[tokio::test]
async fn what_a_killed_server_left_keeps_nobody_from_starting() {
    let home = folder();
    let mut server = Server::start(options(home.path())).await.unwrap();
    let socket = server.socket().unwrap().to_owned();
    let pid = rustix::process::Pid::from_raw(server.pid().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    crate::support::eventually("the end of the server", || {
        server.ended().unwrap().is_some()
    })
    .await;
    // Its number is another process's by now, which lives: PostgreSQL alone would not start.
    let lock = socket.with_file_name(format!(".s.PGSQL.{}.lock", server.port()));
    let text = fs::read_to_string(&lock).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&lock, format!("{}\n{rest}", std::process::id())).unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.socket(), Some(&*socket));
    assert!(is_socket(&socket));
}

#[tokio::test]
async fn a_data_folder_of_a_server_without_socket_gets_one() {
    let home = folder();
    // As a version without sockets leaves it: no folder for them, and pg_hba.conf as initdb makes it.
    let blocked = home.path().join("socket");
    fs::write(&blocked, "").unwrap();
    let seen = Seen::default();
    let mut options = options(home.path());
    options.report = seen.report();
    let server = Server::start(options.clone()).await.unwrap();
    assert_eq!(server.socket(), None);
    assert!(seen.any(|seen| matches!(seen, Progress::NoSocket { .. })));
    run(
        &server.admin_url("postgres"),
        "CREATE TABLE kept AS SELECT 1 AS id",
    )
    .await
    .unwrap();
    drop(server);
    fs::remove_file(&blocked).unwrap();

    let server = Server::start(options).await.unwrap();
    assert!(is_socket(server.socket().unwrap()));
    let admin = server.admin_url("postgres");
    let right = admin.password().expose();
    let mut session = connect(&server, &admin, Some(right)).await.unwrap();
    let kept = sqlx::query_scalar::<_, i32>("SELECT id FROM kept")
        .fetch_one(&mut session)
        .await;
    assert_eq!(kept.unwrap(), 1);
}
