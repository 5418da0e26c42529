//! Programs from PyPI, in virtual environments of their own.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;
use zerocart_core::Env;
use zerocart_tests::root;

/// The folder of programs of an environment with what `tests/<name>/requirements.txt` asks for. None
/// where it cannot be had: then that is said, and in CI it fails.
///
/// # Panics
///
/// In CI, when it cannot be had.
pub(crate) async fn programs(name: &str) -> Option<PathBuf> {
    match prepared(name).await {
        Ok(folder) => Some(folder),
        Err(why) if Env::of_process().get("CI").is_none() => {
            // Not captured, as the output of a test that passes is.
            let _ = writeln!(std::io::stderr(), "\nskipped tests/{name}: {why}\n");
            None
        }
        Err(why) => panic!("CI runs tests/{name}, and cannot: {why}"),
    }
}

/// Makes the environment, once for each version of its requirements.
async fn prepared(name: &str) -> Result<PathBuf, String> {
    let requirements = root().join("tests").join(name).join("requirements.txt");
    let wanted = fs::read(&requirements).map_err(|error| error.to_string())?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (programs, stamp) = (folder.join("bin"), folder.join("installed.txt"));
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
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
    run(Command::new(programs.join("python3"))
        .args(install)
        .arg(&requirements))
    .await?;
    fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    Ok(programs)
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
