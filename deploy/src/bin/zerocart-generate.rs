//! Writes every generated file, or with `--check` says which ones are not current.
//!
//! `cargo zerocart generate` does the same. This program needs none of the functions, so it also
//! builds while what is generated does not compile.

use std::{env, path::Path, process::ExitCode};

use zerocart_deploy::files;

#[expect(clippy::print_stdout, reason = "this is a command")]
fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: zerocart-generate [--check]");
            return ExitCode::from(64);
        }
    };
    let run = || {
        let changes = files::changes(&root)?;
        for change in &changes {
            if check {
                println!("{}", change.diff());
            } else {
                println!("{}", change.path);
            }
        }
        if !check {
            files::write(&root, &changes)?;
        }
        Ok::<_, files::Error>(changes.is_empty() || !check)
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
