//! The gRPC client of another implementation: grpcio, in a virtual environment of its own.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{io::AsyncWriteExt, process::Command};
use zerocart_runtime::Env;
use zerocart_tests::root;

use super::engine::Engine;

/// Runs `tests/grpc/client.py` against the engine, and gives what it called. None without grpcio:
/// then that is said, and in CI it fails.
///
/// # Panics
///
/// When an answer is not as the contract says.
pub(crate) async fn calls_everything(engine: &Engine) -> Option<Vec<String>> {
    let python = match prepared().await {
        Ok(python) => python,
        Err(why) if Env::of_process().get("CI").is_none() => {
            // Not captured, as the output of a test that passes is.
            let _ = writeln!(std::io::stderr(), "\nskipped the client of grpcio: {why}\n");
            return None;
        }
        Err(why) => panic!("CI tests with a client of grpcio, and there is none: {why}"),
    };
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let mut client = Command::new(python)
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

/// A python with what `requirements.txt` asks for, made once for each version of that file.
async fn prepared() -> Result<PathBuf, String> {
    let requirements = root().join("tests/grpc/requirements.txt");
    let wanted = fs::read(&requirements).map_err(|error| error.to_string())?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grpcio");
    let (python, stamp) = (folder.join("bin/python3"), folder.join("installed.txt"));
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))
    .await?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    run(Command::new(&python).args(install).arg(&requirements)).await?;
    fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

async fn run(command: &mut Command) -> Result<(), String> {
    let program = format!("{:?}", command.as_std());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}: {}", output.status, stderr.trim()))
}
