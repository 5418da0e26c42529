//! The gRPC client of another implementation: grpcio, in a virtual environment of its own.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command};
use zerocart_tests::root;

use super::{engine::Engine, python};

/// Runs `tests/grpc/client.py` against the engine, and gives what it called. None without grpcio:
/// then that is said, and in CI it fails.
///
/// # Panics
///
/// When an answer is not as the contract says.
pub(crate) async fn calls_everything(engine: &Engine) -> Option<Vec<String>> {
    let programs = python::programs("grpc").await?;
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let mut client = Command::new(programs.join("python3"))
        .arg(root().join("tests/grpc/client.py"))
        .arg(root().join("tests/contract"))
        .arg(engine.gateway().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python can be started");
    let mut stdin = client.stdin.take().expect("it is piped");
    let credential = format!("{email}\n{password}\n");
    stdin
        .write_all(credential.as_bytes())
        .await
        .expect("it reads");
    drop(stdin);
    let output = client.wait_with_output().await.expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    let stdout = String::from_utf8_lossy(&output.stdout);
    Some(stdout.lines().map(str::to_owned).collect())
}
