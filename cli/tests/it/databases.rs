//! A PostgreSQL server, and the command with an address of it.

use std::process::{Command, Output};

use zerocart_core::Env;
use zerocart_local_postgres::{Options, Server};
use zerocart_provision::{Address, Passwords, roles};

pub(crate) const DOMAINS: [&str; 6] = ["cart", "ops", "order", "payment", "product", "user"];

/// The command, with nothing in its environment but these variables and PATH, in a folder without a
/// project.
pub(crate) fn zerocart(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerocart"));
    let own = Env::of_process();
    command
        .env_clear()
        .envs(own.get("PATH").map(|path| ("PATH", path)))
        .envs(variables.iter().copied())
        .current_dir("/");
    command
}

/// A server, and its superuser's URL.
pub(crate) async fn server(max_connections: u16) -> (Server, String) {
    let mut options = Options::temporary();
    options.max_connections = max_connections;
    let server = Server::start(options).await.unwrap();
    let url = server.admin_url("postgres").expose();
    (server, url)
}

/// ROLE_PASSWORDS for all roles.
pub(crate) fn role_passwords() -> String {
    let passwords: Passwords = roles(&DOMAINS)
        .unwrap()
        .into_iter()
        .map(|role| (role, zerocart_provision::Password::random()))
        .collect();
    serde_json::to_string(&passwords).unwrap()
}

/// The superuser's address of a database.
pub(crate) fn inside(url: &str, database: &str) -> Address {
    Address::new(url, None).unwrap().database(database)
}

/// Standard output and standard error of a success.
pub(crate) fn said(output: &Output) -> (String, String) {
    let (out, err) = texts(output);
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    (out, err)
}

/// The status and standard error of a failure.
pub(crate) fn failed(output: &Output) -> (Option<i32>, String) {
    let (out, err) = texts(output);
    assert!(!output.status.success(), "{out}\n{err}");
    (output.status.code(), err)
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}
