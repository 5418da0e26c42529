//! What a database needs before the first call: its tables, and an admin.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use zerocart_core::{Call, Env, Invalid, Setup};
use zerocart_postgres::Database;
use zerocart_provision::{Address, Migrations};
use zerocart_user::bootstrap::{Credential, first_admin};

use crate::{console, domains};

/// The variable with root certificates in PEM form.
pub(crate) const ROOT_CERTIFICATE: &str = "DATABASE_ROOT_CERTIFICATE";

/// How long making the admin may take, connecting included.
const LIMIT: Duration = Duration::from_secs(30);

/// `zerocart migrate`.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// The domain, such as `user`
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(domains::names()))]
    domain: String,
}

pub(crate) async fn migrate(args: MigrateArgs) -> Result<()> {
    let migrations = Migrations::embedded(&args.domain).context("this domain has no migrations")?;
    let env = Env::of_process();
    let address = Address::new(&database_url()?, env.get(ROOT_CERTIFICATE));
    let address = address.map_err(|error| anyhow!("DATABASE_URL: {error}"))?;
    let applied = zerocart_provision::migrate(&address, &migrations).await?;
    for file in &applied {
        console::say(format_args!("applied {file}"));
    }
    if applied.is_empty() {
        console::say("nothing to apply");
    }
    Ok(())
}

pub(crate) async fn admin() -> Result<()> {
    let env = Env::of_process();
    match make_admin(&database_url()?, env.get(ROOT_CERTIFICATE), None).await? {
        Some(credential) => show(&credential),
        None => console::say("there is an admin already"),
    }
    Ok(())
}

/// Adds the first admin, unless there is one: with this password, or a generated one.
pub(crate) async fn make_admin(
    owner_url: &str,
    root_certificate: Option<&str>,
    password: Option<&str>,
) -> Result<Option<Credential>> {
    let roots = root_certificate.map(|pem| (ROOT_CERTIFICATE, pem));
    let variables = [("DATABASE_URL", owner_url)].into_iter().chain(roots);
    let mut setup = Setup::new(Env::from_iter(variables), "bootstrap-admin");
    let database = Database::from_setup(&mut setup, Default::default())
        .map_err(|Invalid| anyhow!("{}", setup.problems().join("; ")))?;
    first_admin(&database, &Call::internal(LIMIT), password)
        .await
        .context("cannot make the first admin")
}

/// Shows a credential, the only time.
pub(crate) fn show(credential: &Credential) {
    console::say(once(credential));
}

/// A credential, for the only time that it is shown.
pub(crate) fn once(credential: &Credential) -> String {
    format!(
        "admin credential, shown only this once:\n  e-mail    {}\n  password  {}",
        credential.email, credential.password
    )
}

fn database_url() -> Result<String> {
    Env::of_process()
        .get("DATABASE_URL")
        .map(str::to_owned)
        .context("DATABASE_URL is not set: it names the database, as its owner")
}
