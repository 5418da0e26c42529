//! PostgreSQL from the network.

use std::os::unix::fs::PermissionsExt;

use zerocart_local_postgres::{FETCHED_MAJOR, Progress, Server, Source, provision};

use crate::support::{Seen, ask, folder, options, variable};

/// Downloads some 10 MB, so only on request: `ZEROCART_TEST_FETCH=1 cargo test`.
#[tokio::test]
async fn a_fetched_server_runs_and_is_fetched_once() {
    if variable("ZEROCART_TEST_FETCH").is_none_or(|asked| asked != "1") {
        return;
    }
    let folder = folder();
    let mut options = options(&folder.path().join("one"));
    options.programs = Some(folder.path().join("programs"));
    options.source = Source::Fetched;
    let seen = Seen::default();
    options.report = seen.report();
    let server = Server::start(options.clone()).await.unwrap();
    assert_eq!(server.installation().major(), FETCHED_MAJOR);
    let bin = server.installation().bin().to_owned();
    assert!(bin.starts_with(folder.path().join("programs").canonicalize().unwrap()));
    let archive_bytes = |seen: &Progress| match seen {
        Progress::Extracting { bytes, .. } => *bytes,
        _ => 0,
    };
    assert!(seen.any(|seen| archive_bytes(seen) > 1_000_000));
    assert!(seen.any(|seen| matches!(seen, Progress::Downloading { elapsed_s: 0, .. })));
    let user = provision(&server, &["user"]).await.unwrap().remove(0);
    let version = ask(&user.url, "SELECT current_setting('server_version')")
        .await
        .unwrap();
    assert_eq!(
        version.split('.').next().unwrap(),
        FETCHED_MAJOR.to_string()
    );
    assert_eq!(ask(&user.url, "SELECT lower('Ä')").await.unwrap(), "ä");
    drop(server);

    let mode = bin
        .parent()
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o755, 0o755);
    let left = std::fs::read_dir(folder.path().join("programs")).unwrap();
    assert_eq!(
        left.count(),
        2,
        "the version and the lock, nothing half done"
    );

    let seen = Seen::default();
    options.report = seen.report();
    options.folder = zerocart_local_postgres::Folder::Kept(folder.path().join("two"));
    let server = Server::start(options).await.unwrap();
    assert_eq!(server.installation().bin(), bin);
    assert!(!seen.any(|seen| matches!(seen, Progress::LookingUp { .. })));
}
