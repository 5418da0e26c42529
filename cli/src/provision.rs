//! `zerocart provision`: databases, roles, tables and the first admin, on any PostgreSQL.
//!
//! It reads nothing but its environment, and writes nothing but its output: it runs in an image that
//! contains this program only.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use zerocart_core::Env;
use zerocart_provision::{
    Address, Administrator, Migrations, Names, Outcome, Passwords, Roots, Step, migrate,
};
use zerocart_registry::CONNECTIONS;
use zerocart_user::bootstrap::{EMAIL, check_password};

use crate::{
    bootstrap::{self, ROOT_CERTIFICATE},
    console, domains,
    exit::Exit,
    passwords_file,
};

/// The variable with an administrator's URL of a server.
pub(crate) const ADMIN_URL: &str = "ADMIN_DATABASE_URL";
const ROLE_PASSWORDS: &str = "ROLE_PASSWORDS";
const FIRST_ADMIN_PASSWORD: &str = "FIRST_ADMIN_PASSWORD";

/// `zerocart provision`.
///
/// Variables: ADMIN_DATABASE_URL (required), DATABASE_ROOT_CERTIFICATE, ROLE_PASSWORDS and
/// FIRST_ADMIN_PASSWORD. See docs/operations.md.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// A JSON file with the password of each role, instead of ROLE_PASSWORDS; what it does not have is made
    /// and added
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,
    /// Print the functions' variable DATABASE_URL_… of each domain on standard output, and all else on
    /// standard error
    #[arg(long)]
    print_urls: bool,
}

/// What a provision needs to know.
struct Settings {
    admin: Address,
    passwords: Passwords,
    first_admin: Option<String>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let say: fn(String) = if args.print_urls {
        |line| console::aside(line)
    } else {
        |line| console::say(line)
    };
    let Settings {
        admin,
        passwords,
        first_admin,
    } = settings(&args, &Env::of_process(), say)?;

    let mut session = Administrator::connect(&admin).await?;
    say(format!("connected to {admin}"));
    if session.max_connections() < CONNECTIONS {
        say(too_few_connections(session.max_connections()));
    }
    let names = domains::names();
    session
        .provision(&names, &passwords, |step| say(step.to_string()))
        .await?;
    session.close().await?;

    for domain in &names {
        let names = Names::of(domain)?;
        let owner = owner(&admin, &names, &passwords)?;
        let migrations = Migrations::embedded(domain).context("a domain has no migrations")?;
        let outcome = match migrate(&owner, &migrations).await?.len() {
            0 => Outcome::Unchanged,
            1 => Outcome::Done("1 migration applied".to_owned()),
            applied => Outcome::Done(format!("{applied} migrations applied")),
        };
        let what = format!("tables of {}", names.database);
        say(Step { what, outcome }.to_string());
    }

    let user = owner(&admin, &Names::of("user")?, &passwords)?;
    let pem = match user.roots() {
        Some(Roots::Pem(pem)) => Some(pem.as_str()),
        _ => None,
    };
    let made = bootstrap::make_admin(&user.expose_here(), pem, first_admin.as_deref()).await?;
    say(match (made, first_admin) {
        (None, _) => format!("first admin {EMAIL}: unchanged"),
        (Some(_), Some(_)) => {
            format!("first admin {EMAIL}: made, with the password of {FIRST_ADMIN_PASSWORD}")
        }
        (Some(credential), None) => {
            format!(
                "first admin {EMAIL}: made\n{}",
                bootstrap::once(&credential)
            )
        }
    });

    if args.print_urls {
        for domain in &names {
            let names = Names::of(domain)?;
            let login = admin.login(&names.role, &passwords[&names.role]);
            let url = login.database(&names.database).expose();
            console::say(format_args!("DATABASE_URL_{}={url}", domain.to_uppercase()));
        }
    }
    Ok(())
}

fn owner(admin: &Address, names: &Names, passwords: &Passwords) -> Result<Address> {
    let password = passwords.get(&names.owner);
    let password = password.with_context(|| format!("there is no password of {}", names.owner))?;
    Ok(admin
        .login(&names.owner, password)
        .database(&names.database))
}

/// All settings, or everything that is wrong with them.
fn settings(args: &Args, env: &Env, say: fn(String)) -> Result<Settings> {
    let mut problems = Vec::new();
    let admin = match env.get(ADMIN_URL) {
        None => {
            problems.push(format!(
                "{ADMIN_URL} is not set: the URL of the server, with a user that may make roles and \
                 databases: postgres://user:password@host:5432/postgres?sslmode=verify-full"
            ));
            None
        }
        Some(url) => Address::new(url, env.get(ROOT_CERTIFICATE))
            .inspect_err(|error| problems.push(format!("{ADMIN_URL}: {error}")))
            .ok(),
    };
    let first_admin = env.get(FIRST_ADMIN_PASSWORD);
    if let Some(Err(error)) = first_admin.map(check_password) {
        problems.push(format!("{FIRST_ADMIN_PASSWORD}: {}", error.message()));
    }
    let roles = zerocart_provision::roles(&domains::names())?;
    let passwords = match (env.get(ROLE_PASSWORDS), &args.passwords) {
        (Some(_), Some(_)) => Err(format!(
            "{ROLE_PASSWORDS} and --passwords are both set; use one"
        )),
        (None, None) => Err(format!(
            "{ROLE_PASSWORDS} is not set: a JSON object from role to password, or use --passwords FILE, \
             which makes such a file"
        )),
        (Some(json), None) => passwords_file::parse(json, &roles)
            .map_err(|error| format!("{ROLE_PASSWORDS}: {error:#}"))
            .and_then(|passwords| match missing(&passwords, &roles) {
                Some(role) => Err(format!(
                    "{ROLE_PASSWORDS}: the password of {role} is missing"
                )),
                None => Ok(passwords),
            }),
        // Nothing is made before all else is right.
        (None, Some(path)) if problems.is_empty() => passwords_file::load_or_make(path, &roles)
            .map(|(passwords, made)| {
                let outcome = match made {
                    0 => Outcome::Unchanged,
                    made => Outcome::Done(format!("{made} made")),
                };
                let what = format!("passwords in {}", path.display());
                say(Step { what, outcome }.to_string());
                passwords
            })
            .map_err(|error| format!("--passwords: {error:#}")),
        (None, Some(_)) => Ok(Passwords::new()),
    };
    let passwords = passwords.unwrap_or_else(|problem| {
        problems.push(problem);
        Passwords::new()
    });
    match admin {
        Some(admin) if problems.is_empty() => Ok(Settings {
            admin,
            passwords,
            first_admin: first_admin.map(str::to_owned),
        }),
        _ => Err(Exit::new(Exit::USAGE, problems.join("\n  ")).into()),
    }
}

fn missing<'a>(passwords: &Passwords, roles: &'a [String]) -> Option<&'a String> {
    roles.iter().find(|role| !passwords.contains_key(*role))
}

fn too_few_connections(free: u32) -> String {
    format!(
        "warning: the server has {free} connections for functions, and all functions at full scale open \
         {CONNECTIONS}. Set max_connections of the server to {} or more, or lower max-scale and pool in \
         functions/*/functions.toml; otherwise calls fail under load",
        CONNECTIONS + 20
    )
}
